//! SQLite: one file, one writer thread, a few readers.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{Cell, Engine, Failure, Row, Session, Statement, Value, last_position};
use crate::StoreError;
use crate::batch::{self, Outcome, Work, Writer};
use crate::migrations::migrate;

/// At most this many queries at a time.
const READERS: usize = 4;

/// The engine over one SQLite file.
pub(crate) struct Sqlite {
    writer: Writer,
    highest: watch::Receiver<u64>,
    readers: Arc<Readers>,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let (writer, queue) = batch::queue();
        let (highest, highest_receiver) = watch::channel(0);
        let (ready, opened) = oneshot::channel();
        let database = path.to_owned();
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || match SqliteSession::open(&database, &runtime) {
                Ok((session, last)) => {
                    batch::publish(&highest, last);
                    drop(ready.send(Ok(())));
                    runtime.block_on(batch::run(session, queue, highest));
                }
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(|source| StoreError::engine("start its writer", source))?;
        opened.await.map_err(|_| StoreError::Closed)??;
        let readers = Arc::new(Readers {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::new(Vec::new()),
        });
        Ok(Self { writer, highest: highest_receiver, readers })
    }
}

#[async_trait]
impl Engine for Sqlite {
    async fn read(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let permit =
            self.readers.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let readers = self.readers.clone();
        let read = move || {
            let rows = readers.query(&statement);
            drop(permit);
            rows
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|source| StoreError::engine("run a query", source))?
    }

    async fn write(&self, work: Work) -> Result<Outcome, StoreError> {
        self.writer.write(work).await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.highest.clone()
    }

    async fn close(&self) {
        self.readers.permits.close();
        self.readers.idle().clear();
        self.writer.stop().await;
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.readers.path).finish_non_exhaustive()
    }
}

/// Connections that only read, opened as needed.
struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn query(&self, statement: &Statement) -> Result<Vec<Row>, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path)
                .map_err(|source| StoreError::engine("open a reader", source))?,
        };
        let rows = query(&connection, statement.sql, &statement.values)
            .map_err(|source| StoreError::engine("run a query", source));
        if !self.permits.is_closed() {
            self.idle().push(connection);
        }
        rows
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// How long a connection waits for another's lock: a checkpoint, never a transaction.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

/// The writer's connection; it lives on the writer's thread, so its statements may block.
struct SqliteSession {
    connection: Connection,
    /// Released after the connection is closed.
    _lock: File,
}

impl SqliteSession {
    /// Opens the file as its only writer, migrates it, and reads the log's last position.
    fn open(path: &Path, runtime: &Handle) -> Result<(Self, u64), StoreError> {
        let lock = lock(path)?;
        let failed = |source| StoreError::engine("open the database", source);
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        let mut session = Self { connection, _lock: lock };
        let last = runtime.block_on(async {
            migrate(&mut session).await?;
            last_position(&mut session).await
        })?;
        Ok((session, last))
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let path = path.with_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| StoreError::engine("open its lock file", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(StoreError::engine("lock its lock file", source)),
    }
}

impl Session for SqliteSession {
    const MIGRATIONS: &'static [&'static str] = &[include_str!("../../migrations/sqlite/0001.sql")];

    async fn begin(&mut self) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE", &[]).await.map(|_| ())
    }

    async fn savepoint(&mut self, replace: bool) -> Result<(), Failure> {
        if replace {
            self.execute("RELEASE SAVEPOINT work", &[]).await?;
        }
        self.execute("SAVEPOINT work", &[]).await.map(|_| ())
    }

    async fn commit(&mut self, _emitted: bool) -> Result<(), Failure> {
        self.execute("COMMIT", &[]).await.map(|_| ())
    }

    async fn rollback(&mut self) {
        // Some failures, as a full disk, have rolled back already.
        if !self.connection.is_autocommit()
            && let Err(failure) = self.execute("ROLLBACK", &[]).await
        {
            tracing::error!(error = %failure.source, "a transaction could not be rolled back");
        }
    }

    async fn lock_schema(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn script(&mut self, sql: &'static str) -> Result<(), Failure> {
        Ok(self.connection.execute_batch(sql)?)
    }

    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure> {
        let changed =
            self.connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
        Ok(changed as u64)
    }

    async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        Ok(query(&self.connection, sql, values)?)
    }
}

fn query(connection: &Connection, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cells = (0..columns).map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(value) => Cell::Integer(value),
                ValueRef::Text(_) => Cell::Text(row.get(column)?),
                ValueRef::Blob(value) => Cell::Blob(value.to_vec()),
                ValueRef::Real(_) => Err(rusqlite::Error::InvalidColumnType(
                    column,
                    "real".to_owned(),
                    rusqlite::types::Type::Real,
                ))?,
            })
        });
        rows.push(Row(cells.collect::<rusqlite::Result<_>>()?));
    }
    Ok(rows)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Integer(None) => ValueRef::Null,
            Value::Integer(Some(value)) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(source: rusqlite::Error) -> Self {
        Self { transient: false, source: Arc::new(source) }
    }
}
