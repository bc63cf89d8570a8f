//! The one writer of an engine: it commits what is queued together, each transaction in a savepoint.
//!
//! A commit costs a sync of the disk, whatever it holds. So the writer takes everything that queued
//! up during the last commit into the next one. A transaction that fails goes back to its savepoint
//! and is answered with its error; nobody is answered before the batch is durable.

use tokio::sync::{mpsc, oneshot, watch};

use crate::apply::{PendingEvent, apply, change_lease, insert_events};
use crate::engine::{Failure, Session};
use crate::lease::LeaseChange;
use crate::{Committed, Lease, StoreError, Transaction};

/// At most this many transactions in one batch.
const MAX_BATCH: usize = 256;

/// At most this many transactions wait; further callers wait to queue.
const QUEUE: usize = 1024;

/// How often a batch is tried when processes deadlock.
const ATTEMPTS: u32 = 5;

/// What a savepoint protects.
#[derive(Debug)]
pub(crate) enum Work {
    Commit { scope: String, transaction: Transaction },
    Lease(LeaseChange),
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub committed: Committed,
    pub lease: Option<Lease>,
}

/// The callers' end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<()>,
}

/// The writer's end of the queue.
#[derive(Debug)]
pub(crate) struct Queue {
    jobs: mpsc::Receiver<Job>,
    stop: watch::Receiver<bool>,
    /// Dropped, after the session is, to say that the database is closed.
    stopped: watch::Sender<()>,
}

#[derive(Debug)]
struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// A queue for one writer.
pub(crate) fn queue() -> (Writer, Queue) {
    let (jobs, receiver) = mpsc::channel(QUEUE);
    let (stop, stop_receiver) = watch::channel(false);
    let (stopped, stopped_receiver) = watch::channel(());
    (
        Writer { jobs, stop, stopped: stopped_receiver },
        Queue { jobs: receiver, stop: stop_receiver, stopped },
    )
}

impl Writer {
    pub(crate) async fn write(&self, work: Work) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { work, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Lets the writer finish what is queued and waits until it ended.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let mut stopped = self.stopped.clone();
        while stopped.changed().await.is_ok() {}
    }
}

/// Commits batches on `session` until every [`Writer`] is gone or one asked to stop.
pub(crate) async fn run<S: Session>(mut session: S, mut queue: Queue, highest: watch::Sender<u64>) {
    let mut jobs = Vec::with_capacity(MAX_BATCH);
    loop {
        tokio::select! {
            biased;
            Ok(_) = queue.stop.wait_for(|stop| *stop), if !queue.jobs.is_closed() => {
                queue.jobs.close();
                continue;
            }
            taken = queue.jobs.recv_many(&mut jobs, MAX_BATCH) => if taken == 0 { break },
        }
        let (work, replies): (Vec<_>, Vec<_>) =
            jobs.drain(..).map(|job| (job.work, job.reply)).unzip();
        let outcomes = match commit(&mut session, &work).await {
            Ok((outcomes, position)) => {
                if let Some(position) = position {
                    publish(&highest, position);
                }
                outcomes
            }
            Err(failure) => {
                tracing::error!(error = %failure.source, transactions = work.len(), "a batch of transactions failed");
                let error = || Err(failure.clone().during("commit"));
                std::iter::repeat_with(error).take(work.len()).collect()
            }
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // A caller that left does not want its answer.
            drop(reply.send(outcome));
        }
    }
    drop(session);
    drop(queue.stopped);
}

/// Raises `highest` to `position`; it never falls.
pub(crate) fn publish(highest: &watch::Sender<u64>, position: u64) {
    highest.send_if_modified(|highest| {
        let higher = position > *highest;
        *highest = position.max(*highest);
        higher
    });
}

type Batch = (Vec<Result<Outcome, StoreError>>, Option<u64>);

async fn commit<S: Session>(session: &mut S, work: &[Work]) -> Result<Batch, Failure> {
    let mut attempt = 1;
    loop {
        match commit_once(session, work).await {
            Ok(batch) => return Ok(batch),
            Err(failure) => {
                session.rollback().await;
                if !failure.transient || attempt == ATTEMPTS {
                    return Err(failure);
                }
                attempt += 1;
            }
        }
    }
}

/// One transaction of the database. The position counter comes last, so that another process waits
/// for it only while our events are inserted and synced.
async fn commit_once<S: Session>(session: &mut S, work: &[Work]) -> Result<Batch, Failure> {
    session.begin().await?;
    let mut outcomes = Vec::with_capacity(work.len());
    let mut events = Vec::new();
    session.savepoint(false).await?;
    for work in work {
        let earlier = events.len();
        match apply_work(session, work, &mut events).await {
            Ok(outcome) => {
                session.savepoint(true).await?;
                for event in &mut events[earlier..] {
                    event.outcome = outcomes.len();
                }
                outcomes.push(Ok(outcome));
            }
            Err(Rejected::Failed(failure)) if failure.transient => return Err(failure),
            Err(rejected) => {
                // The savepoint stays set, for the next one.
                session.execute("ROLLBACK TO SAVEPOINT work", &[]).await?;
                events.truncate(earlier);
                outcomes.push(Err(rejected.into()));
            }
        }
    }
    let last = insert_events(session, &events).await?;
    let first = last.map_or(0, |last| last + 1 - events.len() as u64);
    for (position, event) in (first..).zip(&events) {
        if let Some(Ok(outcome)) = outcomes.get_mut(event.outcome) {
            outcome.committed.position = Some(position);
        }
    }
    session.commit(last.is_some()).await?;
    Ok((outcomes, last))
}

/// Why a transaction went back to its savepoint.
pub(crate) enum Rejected {
    /// It expected something that is not so.
    Refused(StoreError),
    /// The database failed.
    Failed(Failure),
}

impl From<StoreError> for Rejected {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Rejected> for StoreError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Refused(error) => error,
            Rejected::Failed(failure) => failure.during("apply a transaction"),
        }
    }
}

async fn apply_work<'w, S: Session>(
    session: &mut S,
    work: &'w Work,
    events: &mut Vec<PendingEvent<'w>>,
) -> Result<Outcome, Rejected> {
    match work {
        Work::Commit { scope, transaction } => Ok(Outcome {
            committed: apply(session, scope, transaction, events).await?,
            lease: None,
        }),
        Work::Lease(change) => Ok(Outcome {
            committed: Committed::default(),
            lease: change_lease(session, change).await?,
        }),
    }
}
