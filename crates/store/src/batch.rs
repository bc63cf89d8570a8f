//! The writer that both databases share: many logical transactions, one database commit.
//!
//! Each logical transaction runs in a savepoint of its own, so that one that fails leaves no trace
//! and the others commit. Positions in the global log are given out last, under the lock of one
//! counter row, so that they are dense and in the order of commits on every engine. Nothing is
//! answered before the commit.

use tokio::sync::{mpsc, oneshot};

use crate::backup::Row;
use crate::schema;
use crate::transaction::Step;
use crate::{Committed, Expect, StoreError, Transaction};

/// How many logical transactions share one commit at most.
const BATCH: usize = 256;
/// How many bytes a batch may have before it takes no more: a transaction is one message, or a few,
/// to a database, which keeps them in memory.
const BYTES: usize = 16 << 20;
/// How many wait for the writer at most; beyond that, committing waits.
pub const QUEUE: usize = 1_024;

/// A value bound to a statement.
#[derive(Debug, Clone, Copy)]
pub enum Param<'a> {
    Text(&'a str),
    Int(i64),
    Bytes(&'a [u8]),
}

/// One database connection inside a database transaction.
pub trait Session {
    /// Runs a statement and returns how many rows it changed.
    async fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement that returns one integer, or no row.
    async fn integer(&mut self, sql: &str, params: &[Param<'_>])
    -> Result<Option<i64>, StoreError>;
}

/// A logical transaction waiting for its commit.
#[derive(Debug)]
pub struct Job {
    pub scope: String,
    pub work: Work,
    pub reply: oneshot::Sender<Result<Done, StoreError>>,
}

#[derive(Debug)]
pub enum Work {
    Commit(Transaction),
    AcquireLease {
        name: String,
        holder: String,
        expires: i64,
        now: i64,
    },
    ReleaseLease {
        name: String,
        holder: String,
        fence: i64,
    },
    /// Rows of a backup, into an empty database.
    Load(Vec<Row>),
    /// Empties a database that a restore was cut off in.
    Clear,
}

/// What a job led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Committed(Committed),
    Lease(Option<u64>),
}

/// An event that waits for its global position.
struct Unplaced {
    /// Which job emitted it.
    job: usize,
    scope: String,
    stream: String,
    sequence: i64,
}

impl Job {
    /// How many bytes it writes, about.
    fn bytes(&self) -> usize {
        let Work::Commit(transaction) = &self.work else { return 0 };
        let steps = transaction.steps.iter().map(|step| match step {
            Step::Put { value, .. } => value.len(),
            Step::Append { payload, .. } => payload.len(),
            Step::Delete { .. } | Step::DeleteStream { .. } => 0,
        });
        steps.sum()
    }
}

/// Waits for jobs and takes those that are there, as many as make a batch.
pub async fn gather(queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    let mut next = queue.recv().await;
    while let Some(job) = next {
        bytes += job.bytes();
        jobs.push(job);
        let full = jobs.len() == BATCH || bytes >= BYTES;
        next = if full { None } else { queue.try_recv().ok() };
    }
    jobs
}

/// Runs `jobs` inside the database transaction that `session` is in. Returns each one's outcome
/// and the last global position, if any was given out.
///
/// # Errors
/// If the database fails: then nothing of the batch may be committed.
pub async fn run(
    session: &mut impl Session,
    jobs: &[Job],
) -> Result<(Vec<Result<Done, StoreError>>, Option<u64>), StoreError> {
    let mut outcomes = Vec::with_capacity(jobs.len());
    let mut unplaced: Vec<Unplaced> = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        session.execute("SAVEPOINT logical", &[]).await?;
        let before = unplaced.len();
        match perform(session, (index, job), &mut unplaced).await {
            Ok(done) => {
                session.execute("RELEASE SAVEPOINT logical", &[]).await?;
                outcomes.push(Ok(done));
            }
            Err(error @ StoreError::Aborted(_)) => return Err(error),
            // It fails alone; if the database is gone, so does taking it back, and the batch.
            Err(error) => {
                session.execute("ROLLBACK TO SAVEPOINT logical", &[]).await?;
                session.execute("RELEASE SAVEPOINT logical", &[]).await?;
                unplaced.truncate(before);
                outcomes.push(Err(error));
            }
        }
    }
    let count = unplaced.len() as i64;
    if count == 0 {
        return Ok((outcomes, None));
    }
    let last = session.integer(schema::ADVANCE_LOG, &[Param::Int(count)]).await?;
    let last = last.ok_or_else(|| StoreError::Engine("the log has no counter".to_owned()))?;
    let mut position = last - count;
    for Unplaced { job, scope, stream, sequence } in &unplaced {
        position += 1;
        let params =
            [Param::Int(position), Param::Text(scope), Param::Text(stream), Param::Int(*sequence)];
        session.execute(schema::PLACE_EVENT, &params).await?;
        outcomes[*job] = Ok(Done::Committed(Committed { position: Some(position as u64) }));
    }
    Ok((outcomes, Some(last as u64)))
}

async fn perform(
    session: &mut impl Session,
    (index, job): (usize, &Job),
    unplaced: &mut Vec<Unplaced>,
) -> Result<Done, StoreError> {
    match &job.work {
        Work::Commit(transaction) => {
            for step in &transaction.steps {
                take(session, (index, &job.scope), transaction, step, unplaced).await?;
            }
            Ok(Done::Committed(Committed::default()))
        }
        Work::AcquireLease { name, holder, expires, now } => {
            let params =
                [Param::Text(name), Param::Text(holder), Param::Int(*expires), Param::Int(*now)];
            let fence = session.integer(schema::ACQUIRE_LEASE, &params).await?;
            Ok(Done::Lease(fence.map(|fence| fence as u64)))
        }
        Work::ReleaseLease { name, holder, fence } => {
            let params = [Param::Text(name), Param::Text(holder), Param::Int(*fence)];
            session.execute(schema::RELEASE_LEASE, &params).await?;
            Ok(Done::Lease(None))
        }
        Work::Load(rows) => {
            for row in rows {
                load(session, row).await?;
            }
            Ok(Done::Committed(Committed::default()))
        }
        Work::Clear => {
            for statement in schema::CLEAR {
                session.execute(statement, &[]).await?;
            }
            Ok(Done::Committed(Committed::default()))
        }
    }
}

/// Writes a row as it was.
async fn load(session: &mut impl Session, row: &Row) -> Result<(), StoreError> {
    use Param::{Bytes, Int, Text};
    match row {
        Row::Record { scope, collection, key, version, value } => {
            let params = [Text(scope), Text(collection), Text(key), Int(*version), Bytes(value)];
            session.execute(schema::LOAD_RECORD, &params).await?;
        }
        Row::Entry { scope, collection, name, value, key } => {
            let params = [Text(scope), Text(collection), Text(name), Text(value), Text(key)];
            session.execute(schema::INSERT_INDEX, &params).await?;
        }
        Row::Stream { scope, stream, last } => {
            let params = [Text(scope), Text(stream), Int(*last)];
            session.execute(schema::LOAD_STREAM, &params).await?;
        }
        Row::Event { scope, stream, sequence, position, kind, payload, actor, at } => {
            let params = [
                Text(scope),
                Text(stream),
                Int(*sequence),
                Text(kind),
                Bytes(payload),
                Text(actor),
                Int(*at),
            ];
            session.execute(schema::INSERT_EVENT, &params).await?;
            if let Some(position) = position {
                let params = [Int(*position), Text(scope), Text(stream), Int(*sequence)];
                session.execute(schema::PLACE_EVENT, &params).await?;
            }
        }
        Row::Log { last } => {
            session.integer(schema::ADVANCE_LOG, &[Int(*last)]).await?;
        }
    }
    Ok(())
}

async fn take(
    session: &mut impl Session,
    (job, scope): (usize, &str),
    transaction: &Transaction,
    step: &Step,
    unplaced: &mut Vec<Unplaced>,
) -> Result<(), StoreError> {
    let scope_param = Param::Text(scope);
    match step {
        Step::Put { collection, key, value, expect, indexes } => {
            let place = [scope_param, Param::Text(collection.0), Param::Text(key)];
            let [scope, collection_param, key_param] = place;
            let insert = [scope, collection_param, key_param, Param::Bytes(value)];
            let changed = match expect {
                Expect::Absent => session.execute(schema::INSERT_RECORD, &insert).await?,
                Expect::Any => session.execute(schema::UPSERT_RECORD, &insert).await?,
                Expect::Version(version) => {
                    let version = Param::Int(*version as i64);
                    let update = [Param::Bytes(value), scope, collection_param, key_param, version];
                    session.execute(schema::UPDATE_RECORD, &update).await?
                }
            };
            if changed == 0 {
                return Err(conflict(collection.0, key, *expect));
            }
            let Some(indexes) = indexes else { return Ok(()) };
            session.execute(schema::DELETE_INDEX, &place).await?;
            for (name, value) in indexes {
                let entry =
                    [scope, collection_param, Param::Text(name), Param::Text(value), key_param];
                session.execute(schema::INSERT_INDEX, &entry).await?;
            }
            Ok(())
        }
        Step::Delete { collection, key, expect } => {
            let place = [scope_param, Param::Text(collection.0), Param::Text(key)];
            let met = match expect {
                Expect::Absent => session.integer(schema::COUNT_RECORD, &place).await? == Some(0),
                Expect::Any => {
                    session.execute(schema::DELETE_RECORD, &place).await?;
                    true
                }
                Expect::Version(version) => {
                    let at = [place[0], place[1], place[2], Param::Int(*version as i64)];
                    session.execute(schema::DELETE_RECORD_AT, &at).await? > 0
                }
            };
            if !met {
                return Err(conflict(collection.0, key, *expect));
            }
            session.execute(schema::DELETE_INDEX, &place).await?;
            Ok(())
        }
        Step::Append { stream, kind, payload, expected_last, global } => {
            let next = [scope_param, Param::Text(stream)];
            let sequence = session.integer(schema::NEXT_SEQUENCE, &next).await?;
            let sequence =
                sequence.ok_or_else(|| StoreError::Engine("a stream has no counter".to_owned()))?;
            let found = sequence as u64 - 1;
            if let Some(expected) = expected_last.filter(|expected| *expected != found) {
                return Err(StoreError::StreamConflict { stream: stream.clone(), expected, found });
            }
            let actor = transaction.actor.to_string();
            let params = [
                scope_param,
                Param::Text(stream),
                Param::Int(sequence),
                Param::Text(kind),
                Param::Bytes(payload),
                Param::Text(&actor),
                Param::Int(nanoseconds(transaction.at)),
            ];
            session.execute(schema::INSERT_EVENT, &params).await?;
            if *global {
                let (scope, stream) = (scope.to_owned(), stream.clone());
                unplaced.push(Unplaced { job, scope, stream, sequence });
            }
            Ok(())
        }
        Step::DeleteStream { stream } => {
            let place = [scope_param, Param::Text(stream)];
            let logs = |event: &Unplaced| event.scope == scope && event.stream == *stream;
            if unplaced.iter().any(logs)
                || session.integer(schema::COUNT_LOGGED, &place).await? != Some(0)
            {
                return Err(StoreError::Logged { stream: stream.clone() });
            }
            session.execute(schema::DELETE_EVENTS, &place).await?;
            session.execute(schema::DELETE_STREAM, &place).await?;
            Ok(())
        }
    }
}

fn conflict(collection: &'static str, key: &str, expected: Expect) -> StoreError {
    StoreError::Conflict { collection, key: key.to_owned(), expected }
}

/// Nanoseconds since 1970; moments after 2262 become the last representable one.
pub fn nanoseconds(at: release::Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}
