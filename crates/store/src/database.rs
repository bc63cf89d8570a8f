//! Reading databases that are not ours: one query, nothing written.

mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::time::Duration;

use release::Secret;
use tokio::sync::mpsc;

use crate::StoreError;

/// A database of somebody else's.
#[derive(Debug, Clone)]
pub enum Database {
    /// A Postgres database.
    Postgres {
        /// Its URL.
        url: Secret,
    },
    /// A file of SQLite.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

/// What to ask.
#[derive(Debug, Clone)]
pub struct Query {
    /// The query, one that could stand within another.
    pub sql: String,
    /// The column that names a row.
    pub key: String,
    /// How long the database may take for it, in all.
    pub timeout: Duration,
    /// The most bytes of a row.
    pub most: usize,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What its key column says; none if that is null.
    pub key: Option<String>,
    /// How many bytes it has as JSON.
    pub bytes: usize,
    /// All its columns by name, as the text of a JSON object; none if it has more bytes than were
    /// asked for.
    pub columns: Option<String>,
}

impl Database {
    /// Asks a database, in a transaction that reads only, and tells `rows` of each row as fast as it
    /// is taken. Whoever closes `rows` stops it.
    ///
    /// # Errors
    /// If it cannot be reached, refuses the query, or takes too long.
    pub async fn read(&self, query: &Query, rows: mpsc::Sender<Row>) -> Result<(), StoreError> {
        match self {
            Self::Postgres { url } => postgres::read(url, query, rows).await,
            Self::Sqlite { path } => sqlite::read(path, query, rows).await,
        }
    }
}

impl Query {
    /// The query as it stands within another: nothing that follows it can be more than a part of it.
    fn inner(&self) -> &str {
        self.sql.trim_end().trim_end_matches(';')
    }

    /// The key column, as a name in SQL.
    fn quoted_key(&self) -> String {
        format!("\"{}\"", self.key.replace('"', "\"\""))
    }
}

fn too_long(timeout: Duration) -> StoreError {
    StoreError::Engine(format!("the query took longer than {} seconds", timeout.as_secs()))
}

#[cfg(test)]
mod tests;
