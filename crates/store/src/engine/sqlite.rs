//! SQLite: one writer thread with group commit, a few readers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::executor::block_on;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, ToSql, types::ToSqlOutput};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Engine, EventRow, PAGE, StreamPage, prefix_end};
use crate::batch::{self, Done, Job, Param, QUEUE, Session, Work};
use crate::{Event, List, Record, StoreError};
use crate::{backup, schema};

/// A SQLite database.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    position: watch::Receiver<u64>,
    readers: Arc<Mutex<Vec<Connection>>>,
    /// Held as long as the database is open.
    _lock: File,
}

impl Sqlite {
    /// Opens or makes the database at `path` and takes its lock.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = take_lock(path)?;
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        // What is deleted is overwritten: an erased record is not left in free pages.
        connection.pragma_update(None, "secure_delete", "on")?;
        connection.set_prepared_statement_cache_capacity(64);
        migrate(&mut connection)?;
        let last: i64 = connection.query_row(schema::LAST_POSITION, [], |row| row.get(0))?;
        let (announce, position) = watch::channel(last as u64);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new().name("store-writer".to_owned());
        writer
            .spawn(move || write_all(&connection, queue, &announce))
            .map_err(|source| StoreError::File { path: path.display().to_string(), source })?;
        let readers = Arc::new(Mutex::new(Vec::new()));
        Ok(Self { path: path.to_owned(), jobs, position, readers, _lock: lock })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let path = self.path.clone();
        let work = move || {
            let idle = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => {
                    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                    Connection::open_with_flags(&path, flags)?
                }
            };
            let result = query(&connection);
            let mut idle = readers.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < 8 {
                idle.push(connection);
            }
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
    }
}

fn take_lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = path.with_extension("lock");
    let shown = lock_path.display().to_string();
    let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
    let lock = lock.map_err(|source| StoreError::File { path: shown.clone(), source })?;
    lock.try_lock().map_err(|_| StoreError::Locked { path: shown })?;
    Ok(lock)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = schema::SQLITE.len() as i64;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (number, migration) in (1..).zip(schema::SQLITE).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The writer thread: gathers jobs, runs them in one database transaction, answers after its
/// commit.
fn write_all(
    connection: &Connection,
    mut queue: mpsc::Receiver<Job>,
    announce: &watch::Sender<u64>,
) {
    loop {
        let jobs = block_on(batch::gather(&mut queue));
        if jobs.is_empty() {
            return;
        }
        match commit(connection, &jobs) {
            Ok((outcomes, last)) => {
                if let Some(last) = last {
                    announce.send_replace(last);
                }
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; the work is done all the same.
                    let _gone = job.reply.send(outcome);
                }
            }
            Err(error) => {
                for job in jobs {
                    let _gone = job.reply.send(Err(StoreError::Engine(error.to_string())));
                }
            }
        }
    }
}

type Outcomes = (Vec<Result<Done, StoreError>>, Option<u64>);

fn commit(connection: &Connection, jobs: &[Job]) -> Result<Outcomes, StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let outcomes = block_on(batch::run(&mut Transactional(connection), jobs))
        .and_then(|outcomes| Ok((connection.execute_batch("COMMIT")?, outcomes).1));
    if outcomes.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    outcomes
}

struct Transactional<'a>(&'a Connection);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Param::Text(text) => text.to_sql(),
            Param::Int(number) => number.to_sql(),
            Param::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

impl Session for Transactional<'_> {
    async fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(params))? as u64)
    }

    async fn integer(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<i64>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let params = rusqlite::params_from_iter(params);
        Ok(statement.query_row(params, |row| row.get(0)).optional()?)
    }
}

#[async_trait]
impl Engine for Sqlite {
    async fn write(&self, scope: &str, work: Work) -> Result<Done, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { scope: scope.to_owned(), work, reply };
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn get(
        &self,
        scope: &str,
        collection: &str,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        let params = [scope.to_owned(), collection.to_owned(), key.to_owned()];
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(schema::GET_RECORD)?;
            Ok(statement.query_row(params, record).optional()?)
        })
        .await
    }

    async fn list(
        &self,
        scope: &str,
        collection: &str,
        list: List,
    ) -> Result<Vec<Record>, StoreError> {
        let (scope, collection) = (scope.to_owned(), collection.to_owned());
        self.read(move |connection| {
            let end = prefix_end(&list.prefix);
            let after = list.after.unwrap_or_default();
            let limit = list.limit as i64;
            let mut params = vec![&scope as &dyn ToSql, &collection, &after, &list.prefix, &end];
            let sql = match &list.index {
                Some((name, value)) => {
                    params.extend([name as &dyn ToSql, value]);
                    schema::LIST_INDEXED
                }
                None => schema::LIST_RECORDS,
            };
            params.push(&limit);
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params.as_slice(), record)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn stream(&self, page: StreamPage) -> Result<Vec<Event>, StoreError> {
        self.read(move |connection| {
            let (after, limit) = (page.after as i64, page.limit as i64);
            let params: [&dyn ToSql; 4] = [&page.scope, &page.stream, &after, &limit];
            events(connection, &schema::read_stream(), &params)
        })
        .await
    }

    async fn log(
        &self,
        scope: Option<String>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(move |connection| {
            let (after, limit) = (after as i64, limit as i64);
            match scope {
                Some(scope) => {
                    events(connection, &schema::read_tenant_log(), &[&after, &scope, &limit])
                }
                None => events(connection, &schema::read_log(), &[&after, &limit]),
            }
        })
        .await
    }

    async fn dump(&self, pages: mpsc::Sender<Vec<backup::Row>>) -> Result<(), StoreError> {
        self.read(move |connection| {
            // One snapshot for all of it.
            let transaction = connection.unchecked_transaction()?;
            dump(&transaction, &pages)
        })
        .await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        // Pages are overwritten when rows go, but the log still has them as they were.
        let path = self.path.clone();
        let checkpoint = move || {
            let connection = Connection::open(&path)?;
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            match busy {
                0 => Ok(()),
                _ => Err(StoreError::Engine("the log is in use and cannot be emptied".to_owned())),
            }
        };
        tokio::task::spawn_blocking(checkpoint).await.map_err(|_| StoreError::Closed)?
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        let count = |connection: &Connection| {
            Ok(connection.query_row(schema::COUNT_ALL, [], |row| row.get::<_, i64>(0))?)
        };
        Ok(self.read(count).await? == 0)
    }

    fn position(&self) -> watch::Receiver<u64> {
        self.position.clone()
    }
}

fn dump(connection: &Connection, pages: &mpsc::Sender<Vec<backup::Row>>) -> Result<(), StoreError> {
    let send = |page| pages.blocking_send(page).map_err(|_| StoreError::Closed);
    let all = |sql: &str, read: &dyn Fn(&Row<'_>) -> rusqlite::Result<backup::Row>| {
        let mut statement = connection.prepare(sql)?;
        let mut page = Vec::new();
        for row in statement.query_map([], read)? {
            page.push(row?);
            if page.len() == PAGE {
                send(std::mem::take(&mut page))?;
            }
        }
        if page.is_empty() { Ok(()) } else { send(page) }
    };
    all(schema::DUMP_RECORDS, &|row| {
        Ok(backup::Row::Record {
            scope: row.get(0)?,
            collection: row.get(1)?,
            key: row.get(2)?,
            version: row.get(3)?,
            value: row.get(4)?,
        })
    })?;
    all(schema::DUMP_ENTRIES, &|row| {
        Ok(backup::Row::Entry {
            scope: row.get(0)?,
            collection: row.get(1)?,
            name: row.get(2)?,
            value: row.get(3)?,
            key: row.get(4)?,
        })
    })?;
    all(schema::DUMP_STREAMS, &|row| {
        Ok(backup::Row::Stream { scope: row.get(0)?, stream: row.get(1)?, last: row.get(2)? })
    })?;
    all(schema::DUMP_EVENTS, &|row| {
        Ok(backup::Row::Event {
            scope: row.get(0)?,
            stream: row.get(1)?,
            sequence: row.get(2)?,
            position: row.get(3)?,
            kind: row.get(4)?,
            payload: row.get(5)?,
            actor: row.get(6)?,
            at: row.get(7)?,
        })
    })?;
    all(schema::LAST_POSITION, &|row| Ok(backup::Row::Log { last: row.get(0)? }))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let version: i64 = row.get(2)?;
    Ok(Record { key: row.get(0)?, value: row.get(1)?, version: version as u64 })
}

fn events(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<Event>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| {
        Ok(EventRow {
            position: row.get(0)?,
            scope: row.get(1)?,
            stream: row.get(2)?,
            sequence: row.get(3)?,
            kind: row.get(4)?,
            payload: row.get(5)?,
            actor: row.get(6)?,
            at: row.get(7)?,
        })
    })?;
    rows.map(|row| row?.into_event()).collect()
}
