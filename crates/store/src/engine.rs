//! What an engine is: a reader, a writer's queue, and a session that statements run on.
//!
//! The statements are written once, with SQLite's numbered placeholders, for both engines; only the
//! schema differs.

mod postgres;
mod sqlite;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::StoreError;
use crate::batch::{Outcome, Work};

pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;

/// A database: the border between the store's nouns and SQL engines.
#[async_trait]
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Runs one query on what is committed.
    async fn read(&self, statement: Statement) -> Result<Vec<Row>, StoreError>;

    /// Queues `work` for the writer and waits until it is committed.
    async fn write(&self, work: Work) -> Result<Outcome, StoreError>;

    /// The highest committed position of the global log.
    fn watch(&self) -> watch::Receiver<u64>;

    /// Commits what is queued and closes the database.
    async fn close(&self);
}

/// One connection to a database, on which a transaction may be open.
pub(crate) trait Session: Send {
    /// The engine's schema, one script per version.
    const MIGRATIONS: &'static [&'static str];

    /// Opens a transaction that may write.
    fn begin(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Sets the savepoint `work`, in place of the one before if `replace`.
    fn savepoint(&mut self, replace: bool) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Makes the transaction durable; with `emitted`, tells other processes to look at the log.
    fn commit(&mut self, emitted: bool) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Undoes the transaction, whatever state it is in.
    fn rollback(&mut self) -> impl Future<Output = ()> + Send;

    /// Within a transaction, makes other processes wait that want to migrate too.
    fn lock_schema(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Runs a script of several statements.
    fn script(&mut self, sql: &'static str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Runs a statement and returns how many rows it changed.
    fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Runs a statement and returns its rows.
    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, Failure>> + Send;
}

/// A failure of the database itself, not a refusal of ours.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Whether nothing happened and trying again may help: a deadlock between two processes.
    pub transient: bool,
    pub source: Arc<dyn Error + Send + Sync>,
}

impl Failure {
    pub(crate) fn during(self, action: &'static str) -> StoreError {
        StoreError::Engine { action, source: self.source }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { transient: false, source: Arc::new(error) }
    }
}

/// The last position of the global log.
pub(crate) async fn last_position<S: Session>(session: &mut S) -> Result<u64, StoreError> {
    let failed = |failure: Failure| failure.during("read the log's last position");
    let rows = session.query(LAST_POSITION, &[]).await.map_err(failed)?;
    only_number(rows).map_err(failed)
}

const LAST_POSITION: &str = "SELECT last FROM log_position";

/// The one number of the one row that a counter gives.
pub(crate) fn only_number(rows: Vec<Row>) -> Result<u64, Failure> {
    match rows.into_iter().next() {
        Some(row) => Ok(row.cells().number()?),
        None => Err(wrong_shape("a counter", "nothing").into()),
    }
}

/// A query with its values.
#[derive(Debug)]
pub(crate) struct Statement {
    pub sql: &'static str,
    pub values: Vec<Value<'static>>,
}

impl Statement {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new() }
    }

    pub(crate) fn text(mut self, value: impl Into<String>) -> Self {
        self.values.push(Value::Text(Cow::Owned(value.into())));
        self
    }

    /// A number; one beyond the engines' 63 bits is as good as their greatest.
    pub(crate) fn number(mut self, value: u64) -> Self {
        self.values.push(number(value));
        self
    }
}

/// A value bound to a placeholder.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Integer(Option<i64>),
    Text(Cow<'a, str>),
    Blob(&'a [u8]),
}

pub(crate) fn text(value: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(value))
}

pub(crate) fn number(value: u64) -> Value<'static> {
    Value::Integer(Some(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// One row of an answer.
#[derive(Debug)]
pub(crate) struct Row(pub Vec<Cell>);

/// One value of a row.
#[derive(Debug)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Row {
    /// Reads the row's values from left to right.
    pub(crate) fn cells(self) -> Cells {
        Cells(self.0.into_iter())
    }
}

/// The values of a row not read yet.
pub(crate) struct Cells(std::vec::IntoIter<Cell>);

impl Cells {
    pub(crate) fn number(&mut self) -> Result<u64, StoreError> {
        self.optional_number()?.ok_or_else(|| wrong_shape("a number", "nothing"))
    }

    pub(crate) fn optional_number(&mut self) -> Result<Option<u64>, StoreError> {
        match self.0.next() {
            Some(Cell::Null) => Ok(None),
            Some(Cell::Integer(value)) => match u64::try_from(value) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(wrong_shape("a number from 0", "a negative one")),
            },
            other => Err(wrong_shape("a number", kind(other.as_ref()))),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        match self.0.next() {
            Some(Cell::Text(value)) => Ok(value),
            other => Err(wrong_shape("text", kind(other.as_ref()))),
        }
    }

    pub(crate) fn blob(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.0.next() {
            Some(Cell::Blob(value)) => Ok(value),
            other => Err(wrong_shape("bytes", kind(other.as_ref()))),
        }
    }
}

fn kind(cell: Option<&Cell>) -> &'static str {
    match cell {
        None | Some(Cell::Null) => "nothing",
        Some(Cell::Integer(_)) => "a number",
        Some(Cell::Text(_)) => "text",
        Some(Cell::Blob(_)) => "bytes",
    }
}

fn wrong_shape(expected: &str, found: &str) -> StoreError {
    StoreError::Corrupt {
        object: "row".to_owned(),
        source: format!("expected {expected}, found {found}").into(),
    }
}
