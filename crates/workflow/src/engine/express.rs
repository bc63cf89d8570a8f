//! Executions of workflows of type Express: in memory, for five minutes at most.
//!
//! The world is the same as that of durable executions, with nothing written down: the record lives
//! in a task of its own, and is gone with it. What began one may wait for its end, and may also stop
//! waiting: it goes on. Its beginning and end are told to the process's log only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use release::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::nested::Nested;
use super::transition::{transition, unhindered};
use super::{EngineError, ExecutionRecord, GLANCE, Progress, TenantEngine, worker};

use crate::definition::Machine;
use crate::interpreter::{Effect, Input, Moment, Report, Status};

/// How many run at once in this process.
pub const MOST: usize = 1_000;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(300);

impl TenantEngine {
    /// Runs one to its end; it is not cut off if this future is dropped.
    pub(super) async fn run_express(
        &self,
        record: ExecutionRecord,
        machine: Arc<Machine>,
    ) -> Result<ExecutionRecord, EngineError> {
        let key = record.key.clone();
        let ended = self.spawn_express(record, machine)?;
        // Its task ends without an answer only if the process does.
        ended.await.map_err(|_| EngineError::UnknownExecution(key))
    }

    /// Has one run; the receiver is told its end.
    pub(super) fn spawn_express(
        &self,
        record: ExecutionRecord,
        machine: Arc<Machine>,
    ) -> Result<oneshot::Receiver<ExecutionRecord>, EngineError> {
        let slots = Arc::clone(&self.engine.shared.express);
        let full = || EngineError::Limit(format!("{MOST} express executions run already"));
        let permit = slots.try_acquire_owned().map_err(|_| full())?;
        let (told, ended) = oneshot::channel();
        let express = Express {
            engine: self.clone(),
            record,
            machine,
            tasks: JoinSet::new(),
            handles: HashMap::new(),
            _permit: permit,
        };
        tokio::spawn(async move {
            // Whoever began it need not wait.
            let _unheard = told.send(express.run().await);
        });
        Ok(ended)
    }
}

/// One that is under way.
struct Express {
    engine: TenantEngine,
    record: ExecutionRecord,
    machine: Arc<Machine>,
    /// The tasks it waits for, each with its name.
    tasks: JoinSet<(String, Report)>,
    handles: HashMap<String, AbortHandle>,
    _permit: OwnedSemaphorePermit,
}

impl Express {
    async fn run(mut self) -> ExecutionRecord {
        let (arn, tenant) = (self.record.run.about.execution_arn.clone(), &self.engine.tenant);
        tracing::info!(execution = arn, %tenant, "an express execution begins");
        let mut input = Input::Started;
        loop {
            let now = self.engine.engine.shared.clock.now();
            // Nobody reports with one here.
            let mut token = |_: &str| worker::token();
            let done = {
                let mut moment = Moment { now, token: &mut token };
                unhindered(&self.machine, || {
                    transition(&self.machine, &mut self.record.run, input, &mut moment)
                })
            };
            self.record.note(&done.effects, now);
            for effect in done.effects {
                self.act(effect);
            }
            if self.record.run.status != Status::Running {
                break;
            }
            input = self.next().await;
        }
        let status = self.record.run.status.as_str();
        tracing::info!(execution = arn, status, "an express execution ends");
        self.record
    }

    /// All but tasks is read from the record.
    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Schedule(request) => {
                let Some(open) = self.record.tasks.get(&request.task) else { return };
                let (engine, task) = (&self.engine, open.task.clone());
                let (record, arguments) = (&self.record, open.arguments.clone());
                let handle = if let Some(nested) = Nested::of(record, open, arguments) {
                    let engine = engine.clone();
                    self.tasks.spawn(async move { (task, engine.report_start(&nested).await) })
                } else if let Some(work) =
                    engine.engine.work((&engine.tenant, record), open, Progress::default())
                {
                    self.tasks.spawn(async move { (task, work.await) })
                } else {
                    return;
                };
                self.handles.insert(open.task.clone(), handle);
            }
            Effect::Cancel { task } => {
                if let Some(task) = self.handles.remove(&task) {
                    task.abort();
                }
            }
            _ => {}
        }
    }

    /// What happens next.
    async fn next(&mut self) -> Input {
        let started = self.record.run.about.started_at;
        let end = started.saturating_add(LONGEST).unwrap_or(Timestamp::MAX);
        loop {
            // A long burst of states leaves room for others.
            tokio::task::yield_now().await;
            let now = self.engine.engine.shared.clock.now();
            let due = self.record.due().into_iter().chain([(end, Input::TimedOut)]);
            let Some((at, input)) = due.min_by_key(|(at, _)| *at) else { return Input::TimedOut };
            if at <= now {
                return input;
            }
            // A clock that is set meanwhile is noticed in a moment.
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default().min(GLANCE);
            tokio::select! {
                Some(done) = self.tasks.join_next() => {
                    // One that was cancelled has nothing to tell.
                    if let Ok((task, report)) = done {
                        self.handles.remove(&task);
                        return Input::Reported { task, report };
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
