//! What can go wrong in the database.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Expect;

/// Why a read or a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record was not in the state the transaction expected; nothing of it happened. Read again
    /// and decide again.
    #[error("record `{collection}/{key}` changed: expected {expected}, found {}", found.map_or("none".to_owned(), |version| format!("version {version}")))]
    Conflict {
        /// The record's collection.
        collection: &'static str,
        /// The record's key.
        key: String,
        /// What the transaction expected.
        expected: Expect,
        /// The version that is there, if any.
        found: Option<u64>,
    },
    /// A stream was longer or shorter than the transaction expected; nothing of it happened.
    #[error("stream `{stream}` changed: expected last sequence {expected}, found {found}")]
    StreamConflict {
        /// The stream's name.
        stream: String,
        /// The last sequence that the transaction expected, 0 for an empty stream.
        expected: u64,
        /// The last sequence that is there, 0 for an empty stream.
        found: u64,
    },
    /// The lease was taken by another holder or given up: stop doing what it protects.
    #[error("lease `{name}` with fence {fence} is lost")]
    LeaseLost {
        /// The lease's name.
        name: String,
        /// The fencing token that is no longer valid.
        fence: u64,
    },
    /// The database was written by a newer Groundcrew: start that one.
    #[error(
        "the database has schema {found}, this groundcrew knows up to {known}: run the newer groundcrew that wrote it"
    )]
    NewerSchema {
        /// The schema's version in the database.
        found: u64,
        /// The newest version this binary knows.
        known: u64,
    },
    /// The database is open in another process.
    #[error("`{}` is in use by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A name, key or value that the store does not accept.
    #[error("{object} is refused: {reason}")]
    Refused {
        /// What was refused.
        object: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A value could not be written as JSON.
    #[error("the value of {object} cannot be written as JSON")]
    Encode {
        /// What the value belongs to.
        object: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Stored data does not have the shape it was written with.
    #[error("stored {object} is corrupt")]
    Corrupt {
        /// What was read.
        object: String,
        /// Why it cannot be read.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database failed. Of a transaction that met this it is unknown whether it was committed.
    #[error("the database failed to {action}")]
    Engine {
        /// What it was doing.
        action: &'static str,
        /// The engine's own error, shared by all transactions of a batch.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn engine(
        action: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Engine { action, source: Arc::from(source.into()) }
    }
}
