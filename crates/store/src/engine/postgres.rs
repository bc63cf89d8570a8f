//! Postgres: the same writer over a connection pool; several processes may share a database.

mod bulk;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use release::Secret;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, Postgres as Database, Row};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::{Engine, EventRow, StreamPage, prefix_end};
use crate::batch::{self, Done, Job, Param, QUEUE, Session, Work};
use crate::schema;
use crate::{Event, List, Record, StoreError};

/// How often other processes' commits are looked for.
const POLL: Duration = Duration::from_millis(100);
/// How many batches are written at once: one runs its statements while another's commit is synced.
const WRITERS: usize = 2;
/// After how many commits of a process young tables are analysed.
const YOUNG: usize = 500;
/// How often a batch is tried that the database aborted for another process's sake.
const ATTEMPTS: usize = 5;
/// Guards migrations against two processes that start at once (an arbitrary number, ours).
const MIGRATION_LOCK: i64 = 0x6772_6f75_6e64;

/// A Postgres database.
#[derive(Debug)]
pub struct Postgres {
    pool: PgPool,
    jobs: mpsc::Sender<Job>,
    position: watch::Receiver<u64>,
}

impl Postgres {
    /// Connects to `url` and brings its tables up to date.
    pub async fn open(url: &Secret) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new().max_connections(8).connect(url.expose()).await?;
        migrate(&pool).await?;
        let last: i64 = sqlx::query_scalar(schema::LAST_POSITION).fetch_one(&pool).await?;
        let (announce, position) = watch::channel(last as u64);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..WRITERS {
            tokio::spawn(write_all(pool.clone(), Arc::clone(&queue), announce.clone()));
        }
        tokio::spawn(follow(pool.clone(), announce));
        Ok(Self { pool, jobs, position })
    }
}

async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let lock = "SELECT pg_advisory_xact_lock($1)";
    sqlx::query(lock).bind(MIGRATION_LOCK).execute(&mut *transaction).await?;
    let table = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    sqlx::query(table).execute(&mut *transaction).await?;
    let newest = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
    let found: i64 = sqlx::query_scalar(newest).fetch_one(&mut *transaction).await?;
    let known = schema::POSTGRES.len() as i64;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (number, migration) in (1_i64..).zip(schema::POSTGRES).filter(|(number, _)| *number > found)
    {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        let note = "INSERT INTO schema_version VALUES ($1)";
        sqlx::query(note).bind(number).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A writer task: gathers jobs, runs them in one database transaction, answers after its commit.
async fn write_all(
    pool: PgPool,
    queue: Arc<Mutex<mpsc::Receiver<Job>>>,
    announce: watch::Sender<u64>,
) {
    let mut written = 0;
    loop {
        let jobs = batch::gather(&mut *queue.lock().await).await;
        if jobs.is_empty() {
            return;
        }
        let young = written < YOUNG;
        written += jobs.len();
        if young && written >= YOUNG {
            tokio::spawn(analyse(pool.clone()));
        }
        let mut attempt = 1;
        let result = loop {
            match commit(&pool, &jobs).await {
                Err(StoreError::Aborted(_)) if attempt < ATTEMPTS => attempt += 1,
                result => break result,
            }
        };
        match result {
            Ok((outcomes, last)) => {
                if let Some(last) = last {
                    raise(&announce, last);
                }
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; the work is done all the same.
                    let _gone = job.reply.send(outcome);
                }
            }
            Err(error) => {
                for job in jobs {
                    let error = match &error {
                        StoreError::Unknown(why) => StoreError::Unknown(why.clone()),
                        error => StoreError::Engine(error.to_string()),
                    };
                    let _gone = job.reply.send(Err(error));
                }
            }
        }
    }
}

/// Gathers the planner's statistics of tables that have none. Without them it takes any index for as
/// good as another, until the server looks by itself, a minute later.
async fn analyse(pool: PgPool) {
    let never = "SELECT reltuples < 0 FROM pg_class WHERE oid = 'records'::regclass";
    let analysed = async {
        if sqlx::query_scalar::<_, bool>(never).fetch_one(&pool).await? {
            sqlx::query("ANALYZE records, record_index, streams, events").execute(&pool).await?;
        }
        Ok::<_, sqlx::Error>(())
    };
    if let Err(error) = analysed.await {
        tracing::warn!(%error, "the tables could not be analysed");
    }
}

/// Looks for what other processes committed, until nobody listens.
async fn follow(pool: PgPool, announce: watch::Sender<u64>) {
    while !announce.is_closed() {
        tokio::time::sleep(POLL).await;
        let last: Result<i64, _> = sqlx::query_scalar(schema::LAST_POSITION).fetch_one(&pool).await;
        match last {
            Ok(last) => raise(&announce, last as u64),
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::warn!(%error, "the log's position could not be read"),
        }
    }
}

fn raise(announce: &watch::Sender<u64>, last: u64) {
    announce.send_if_modified(|known| {
        let newer = last > *known;
        *known = last.max(*known);
        newer
    });
}

type Outcomes = (Vec<Result<Done, StoreError>>, Option<u64>);

async fn commit(pool: &PgPool, jobs: &[Job]) -> Result<Outcomes, StoreError> {
    let mut connection = pool.acquire().await?;
    if let Some(plan) = bulk::Plan::of(jobs) {
        let mut transaction = connection.begin().await?;
        match plan.run(&mut transaction).await {
            Ok(Some(outcomes)) => return end(transaction, outcomes).await,
            Err(error @ StoreError::Aborted(_)) => return Err(error),
            // A record is not as expected: whose it is, the careful way tells.
            Ok(None) => transaction.rollback().await?,
            // Refused: by whose fault, the careful way tells. If the connection is gone, so is the
            // batch, and nothing of it was written.
            Err(error) => {
                tracing::warn!(%error, "a batch is written one by one");
                transaction.rollback().await.map_err(|_| error)?;
            }
        }
    }
    let mut transaction = connection.begin().await?;
    let outcomes = batch::run(&mut Transactional(&mut transaction), jobs).await?;
    end(transaction, outcomes).await
}

async fn end(
    transaction: sqlx::Transaction<'_, Database>,
    outcomes: Outcomes,
) -> Result<Outcomes, StoreError> {
    // What the database itself refuses was not written; anything else nobody knows.
    transaction.commit().await.map_err(|error| match error.as_database_error() {
        Some(_) => StoreError::from(error),
        None => StoreError::Unknown(error.to_string()),
    })?;
    Ok(outcomes)
}

struct Transactional<'a>(&'a mut PgConnection);

type Statement<'q> = Query<'q, Database, sqlx::postgres::PgArguments>;

fn statement<'q>(sql: &str, params: &[Param<'_>]) -> Statement<'q> {
    // Every text comes from `schema`; values are always bound.
    params.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, param| match param {
        Param::Text(text) => query.bind((*text).to_owned()),
        Param::Int(number) => query.bind(*number),
        Param::Bytes(bytes) => query.bind(bytes.to_vec()),
    })
}

impl Session for Transactional<'_> {
    async fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        Ok(statement(sql, params).execute(&mut *self.0).await?.rows_affected())
    }

    async fn integer(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<i64>, StoreError> {
        let row = statement(sql, params).fetch_optional(&mut *self.0).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }
}

#[async_trait]
impl Engine for Postgres {
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
        let params = [Param::Text(scope), Param::Text(collection), Param::Text(key)];
        let row = statement(schema::GET_RECORD, &params).fetch_optional(&self.pool).await?;
        row.as_ref().map(record).transpose()
    }

    async fn list(
        &self,
        scope: &str,
        collection: &str,
        list: List,
    ) -> Result<Vec<Record>, StoreError> {
        let end = prefix_end(&list.prefix);
        let after = list.after.unwrap_or_default();
        let mut params = vec![
            Param::Text(scope),
            Param::Text(collection),
            Param::Text(&after),
            Param::Text(&list.prefix),
            Param::Text(&end),
        ];
        let sql = match &list.index {
            Some((name, value)) => {
                params.extend([Param::Text(name), Param::Text(value)]);
                schema::LIST_INDEXED
            }
            None => schema::LIST_RECORDS,
        };
        params.push(Param::Int(list.limit as i64));
        let rows = statement(sql, &params).fetch_all(&self.pool).await?;
        rows.iter().map(record).collect()
    }

    async fn stream(&self, page: StreamPage) -> Result<Vec<Event>, StoreError> {
        let params = [
            Param::Text(&page.scope),
            Param::Text(&page.stream),
            Param::Int(page.after as i64),
            Param::Int(page.limit as i64),
        ];
        let rows = statement(&schema::read_stream(), &params).fetch_all(&self.pool).await?;
        rows.iter().map(event).collect()
    }

    async fn log(
        &self,
        scope: Option<String>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let (after, limit) = (Param::Int(after as i64), Param::Int(limit as i64));
        let rows = match &scope {
            Some(scope) => {
                let params = [after, Param::Text(scope), limit];
                statement(&schema::read_tenant_log(), &params).fetch_all(&self.pool).await?
            }
            None => statement(&schema::read_log(), &[after, limit]).fetch_all(&self.pool).await?,
        };
        rows.iter().map(event).collect()
    }

    fn position(&self) -> watch::Receiver<u64> {
        self.position.clone()
    }
}

fn record(row: &PgRow) -> Result<Record, StoreError> {
    let version: i64 = row.try_get(2)?;
    Ok(Record { key: row.try_get(0)?, value: row.try_get(1)?, version: version as u64 })
}

fn event(row: &PgRow) -> Result<Event, StoreError> {
    EventRow {
        position: row.try_get(0)?,
        scope: row.try_get(1)?,
        stream: row.try_get(2)?,
        sequence: row.try_get(3)?,
        kind: row.try_get(4)?,
        payload: row.try_get(5)?,
        actor: row.try_get(6)?,
        at: row.try_get(7)?,
    }
    .into_event()
}
