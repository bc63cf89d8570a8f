//! One transition of an execution, and what follows from it.
//!
//! An execution is taken from its slot or the store, decided on, stepped and committed; only then is
//! anything done. Commit and effects are one piece of work of their own: whoever asked for the
//! transition may go away in between.

use std::sync::Arc;

use release::{PrincipalId, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{Expect, StoreError, Transaction};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::OwnedMutexGuard;

use super::{
    AGAIN, ATTEMPTS, EXECUTIONS, Engine, EngineError, ExecutionKey, ExecutionRecord, OpenTask,
};
use super::{MapRunRecord, map_runs::Told, perform::Doer, slots::Known, token, webhook, worker};
use crate::definition::Machine;
use crate::interpreter::{Effect, Input, Moment, Report, Run, Status, Step, step};

/// The most bytes of a transition whose execution stays in memory.
const KEPT_BYTES: usize = 32 << 10;

/// What happens to an execution, and what the event log is told with it.
pub struct Change {
    /// None if only the record changes.
    pub input: Option<Input>,
    /// By whom, of which kind, and what; else only beginnings and ends are told.
    pub told: Option<(PrincipalId, &'static str, Value)>,
}

impl From<Input> for Change {
    fn from(input: Input) -> Self {
        Self { input: Some(input), told: None }
    }
}

/// An execution about to move, and how often it has: never if it is about to begin. Its slot stays
/// locked until what follows from the transition has begun, whoever goes away meanwhile.
struct Moving {
    record: ExecutionRecord,
    version: u64,
    /// By what it is found as it stands in the store.
    indexes: Vec<(&'static str, String)>,
    slot: OwnedMutexGuard<Known>,
}

impl Engine {
    /// Takes an execution through one transition and carries out its effects.
    pub(super) async fn advance(
        &self,
        tenant: &TenantId,
        key: &ExecutionKey,
        input: &Input,
    ) -> Result<Arc<ExecutionRecord>, EngineError> {
        self.change(tenant, key, |_| Ok(input.clone().into())).await
    }

    /// As [`Engine::advance`], with a change that follows from the record; the record may be
    /// changed with it.
    pub(super) async fn change(
        &self,
        tenant: &TenantId,
        key: &ExecutionKey,
        decide: impl Fn(&mut ExecutionRecord) -> Result<Change, EngineError>,
    ) -> Result<Arc<ExecutionRecord>, EngineError> {
        for _ in 0..ATTEMPTS {
            let mut slot = self.slot(tenant, key).await;
            // What this server remembers may be old: another one may have moved it since. A commit
            // finds out; where nothing is written, the store itself is looked at.
            let remembered = slot.take();
            let unsure = remembered.is_some();
            let (version, record) = match remembered {
                Some(known) => known,
                None => self.load(tenant, key).await?,
            };
            let mut record = Arc::unwrap_or_clone(record);
            let indexes = record.indexes();
            let change = match decide(&mut record) {
                Err(_) if unsure => continue,
                change => change?,
            };
            if let Some(input) = &change.input
                && let Some(at) = record.early(input, self.shared.clock.now())
            {
                self.set_timers(tenant, key, [(at, input.clone())]);
                return Ok(Arc::new(record));
            }
            match self.commit(tenant, Moving { record, version, indexes, slot }, change).await {
                Err(EngineError::Store(StoreError::Conflict { .. })) => {}
                Ok((same, _)) if unsure && same == version => {}
                moved => return moved.map(|(_, record)| record),
            }
        }
        Err(EngineError::Contended(key.clone()))
    }

    /// The first transition of an execution.
    pub(super) async fn first(
        &self,
        tenant: &TenantId,
        record: ExecutionRecord,
    ) -> Result<Arc<ExecutionRecord>, EngineError> {
        let slot = self.slot(tenant, &record.key).await;
        let moving = Moving { record, version: 0, indexes: Vec::new(), slot };
        Ok(self.commit(tenant, moving, Input::Started.into()).await?.1)
    }

    /// Takes the report of a task that was done here. Nobody else will tell it, so it is told until
    /// it is taken; what another server does by now is not this one's to report.
    pub(super) async fn told(
        &self,
        tenant: &TenantId,
        key: &ExecutionKey,
        (task, report): (String, Report),
    ) {
        #[cfg(test)]
        self.shared.aborts.pass(super::abort::Point::Report).await;
        loop {
            let reported = self.change(tenant, key, |record| {
                let open = self.own(record, &task)?;
                if let Report::Submitted(answer) = &report {
                    open.submitted.get_or_insert_with(|| answer.clone());
                }
                Ok(Input::Reported { task: task.clone(), report: report.clone() }.into())
            });
            match reported.await {
                Ok(_) | Err(EngineError::TaskOver) => return,
                Err(error) if error.passes() => {
                    tracing::error!(%error, execution = %key, "a report could not be taken; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    tracing::error!(%error, execution = %key, "a report could not be taken");
                    return;
                }
            }
        }
    }

    /// A task that this server does.
    pub(super) fn own<'a>(
        &self,
        record: &'a mut ExecutionRecord,
        task: &str,
    ) -> Result<&'a mut OpenTask, EngineError> {
        let own = self.node();
        let open = record.tasks.get_mut(task).filter(|open| open.node == own);
        open.ok_or(EngineError::TaskOver)
    }

    async fn slot(&self, tenant: &TenantId, key: &ExecutionKey) -> OwnedMutexGuard<Known> {
        let slot = self.slots().of(tenant, key);
        slot.lock_owned().await
    }

    pub(super) async fn load(
        &self,
        tenant: &TenantId,
        key: &ExecutionKey,
    ) -> Result<(u64, Arc<ExecutionRecord>), EngineError> {
        let row = self.shared.store.tenant(tenant).get(EXECUTIONS, &key.to_string()).await?;
        let row = row.ok_or_else(|| EngineError::UnknownExecution(key.clone()))?;
        Ok((row.version, Arc::new(row.read()?)))
    }

    /// Commits a transition and carries out its effects; the record's version then. One that changes
    /// nothing is not committed.
    async fn commit(
        &self,
        tenant: &TenantId,
        Moving { record: mut changed, version, indexes, mut slot }: Moving,
        Change { input, told }: Change,
    ) -> Result<(u64, Arc<ExecutionRecord>), EngineError> {
        let now = self.shared.clock.now();
        let mut taken = None;
        let mut done = Step::default();
        if let Some(input) = input {
            let machine = self.machine(tenant, changed.definition).await?;
            if let Input::Reported { task, report: Report::Started { .. } } = &input {
                taken = Some(task.clone());
            }
            let about = &changed.run.about;
            let (arn, started_at) = (about.execution_arn.clone(), about.started_at);
            let secret = &self.shared.secret;
            let mut token = |task: &str| token::of(secret, (tenant, &arn, started_at), task);
            let mut moment = Moment { now, token: &mut token };
            done =
                unhindered(&machine, || transition(&machine, &mut changed.run, input, &mut moment));
            token::conceal(&mut done);
            if done.events.is_empty() && done.effects.is_empty() {
                return Ok((version, Arc::new(changed)));
            }
        }
        let own = self.node();
        let gained = version > 0 && changed.node != own;
        changed.node = own;
        changed.note(&done.effects, now);
        let transaction = written((&changed, version, &indexes), &done, (told, taken), now)?;
        let small = transaction.bytes() <= KEPT_BYTES;
        let (engine, tenant, record) = (self.clone(), tenant.clone(), Arc::new(changed));
        let work = async move {
            #[cfg(test)]
            engine.shared.aborts.pass(super::abort::Point::Commit).await;
            if let Err(error) = engine.shared.store.tenant(&tenant).commit(transaction).await {
                if matches!(error, StoreError::Unknown(_)) {
                    engine.look_again(&tenant, &record.key);
                }
                return Err(error.into());
            }
            #[cfg(test)]
            engine.shared.aborts.pass(super::abort::Point::Effects).await;
            if gained {
                engine.set_timers(&tenant, &record.key, record.due());
            }
            engine.act(&tenant, &record, done.effects);
            if record.run.status != Status::Running {
                engine.slots().forget(&tenant, &record.key);
            } else if small {
                *slot = Some((version + 1, Arc::clone(&record)));
            }
            Ok((version + 1, record))
        };
        tokio::spawn(work).await.map_err(|_| EngineError::Store(StoreError::Closed))?
    }

    /// Carries out what an execution's record says, of which nobody knows whether it was written.
    pub(super) fn look_again(&self, tenant: &TenantId, key: &ExecutionKey) {
        let (engine, tenant, key) = (self.clone(), tenant.clone(), key.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(AGAIN).await;
                match engine.load(&tenant, &key).await {
                    Ok((_, record)) => return engine.take_up(&tenant, &record),
                    // Its first transition was not written.
                    Err(EngineError::UnknownExecution(_)) => return,
                    Err(error) => {
                        tracing::error!(%error, execution = %key, "how it stands is unknown; looking again");
                    }
                }
            }
        });
    }

    /// Carries out effects that are committed.
    fn act(&self, tenant: &TenantId, record: &ExecutionRecord, effects: Vec<Effect>) {
        let mut due = Vec::new();
        for effect in effects {
            match effect {
                Effect::Schedule(request) => {
                    let Some(open) = record.tasks.get(&request.task) else { continue };
                    due.extend(open.due());
                    if let Some(activity) = open.waits_for_worker() {
                        self.shared.offered.ring(&(tenant.clone(), activity.to_owned()));
                    }
                    self.begin(tenant, record, open);
                }
                Effect::Cancel { task } if self.cancel(tenant, &task) => {}
                Effect::Cancel { task } => self.stop_nested(tenant, record, task),
                Effect::Timer { at, frame, epoch } => {
                    due.push((at, Input::TimerFired { frame, epoch }));
                }
                Effect::Deadline { at } => due.push((at, Input::TimedOut)),
                Effect::Continue => due.push((self.shared.clock.now(), Input::Continued)),
                Effect::Finished => {
                    self.timers().forget(tenant, &record.key);
                    self.shared.ended.ring(&(tenant.clone(), record.key.clone()));
                    self.tell_of_end(tenant, record);
                    self.look_to_parent(tenant, record);
                }
                Effect::Distribute { id, .. } => self.drive(tenant, &id),
                Effect::Withdraw { id } => self.tell_driver(tenant, &id, Told::Look),
            }
        }
        if record.run.status == Status::Running && !due.is_empty() {
            self.set_timers(tenant, &record.key, due);
        }
    }

    /// Lets go of a task whose result is no longer wanted; whether it was done here.
    pub(super) fn cancel(&self, tenant: &TenantId, task: &str) -> bool {
        let running = self.running().remove(&(tenant.clone(), task.to_owned()));
        running.is_some_and(|running| {
            running.work.abort();
            true
        })
    }
}

/// The transaction of one transition: the record, its history, tokens, and what the log is told.
fn written(
    (record, version, before): (&ExecutionRecord, u64, &[(&'static str, String)]),
    done: &Step,
    (told, taken): (Option<(PrincipalId, &'static str, Value)>, Option<String>),
    now: Timestamp,
) -> Result<Transaction, StoreError> {
    let key = record.key.to_string();
    let actor = told.as_ref().map_or(&record.actor, |(actor, ..)| actor);
    let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
    let indexes = record.indexes();
    let (transaction, place) = (Transaction::new(actor.clone(), now), (EXECUTIONS, &*key));
    let mut transaction = match version > 0 && indexes == before {
        true => transaction.put_as_indexed(place, record, expect)?,
        false => transaction.put_indexed(place, record, expect, &indexes)?,
    };
    let scheduled = done.effects.iter().filter_map(|effect| match effect {
        Effect::Schedule(request) => Some(&request.task),
        _ => None,
    });
    let begun = scheduled.chain(&taken).filter_map(|task| record.tasks.get(task));
    for token in begun.filter_map(|open| open.token.as_ref()) {
        let of = [(worker::OF, key.clone())];
        let place = (worker::TOKENS, &*token.to_string());
        transaction = transaction.put_indexed(place, &key, Expect::Any, &of)?;
    }
    let begun = done.effects.iter().filter_map(|effect| match effect {
        Effect::Distribute { id, redriven: false } => Some(id),
        _ => None,
    });
    for map_run in begun.filter_map(|id| record.run.map_runs().find(|run| run.id == *id)) {
        let map_run = MapRunRecord::new(record, map_run.clone(), now);
        transaction = map_run.put(transaction, Expect::Absent)?;
    }
    let stream = history_stream(&record.key);
    for event in &done.events {
        transaction = transaction.append(&stream, &event.kind, event, None)?;
    }
    if let Some((_, kind, told)) = &told {
        transaction = transaction.emit("workflow", kind, told)?;
    }
    let status = || {
        let (status, caused_by) = (record.run.status, &record.caused_by);
        json!({"execution": key, "status": status, "caused_by": caused_by})
    };
    // A Map run's executions may be a million: the log tells of the one that began it.
    let of_map_run = record.place.is_some();
    if version == 0 && !of_map_run {
        transaction = transaction.emit("workflow", "execution.started", &status())?;
    }
    if done.effects.contains(&Effect::Finished) && !of_map_run {
        transaction = transaction.emit("workflow", "execution.ended", &status())?;
        transaction = webhook::give_up(record, transaction)?;
    }
    Ok(transaction)
}

/// Does what may take long, as expressions in JSONata may, so that nobody else waits for it.
pub fn unhindered<T>(machine: &Machine, work: impl FnOnce() -> T) -> T {
    let threads = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if machine.jsonata && threads { tokio::task::block_in_place(work) } else { work() }
}

/// The stream of an execution's history.
pub fn history_stream(key: &ExecutionKey) -> String {
    format!("workflow/{key}")
}

/// One transition. What is done here begins at once.
pub fn transition(machine: &Machine, run: &mut Run, input: Input, moment: &mut Moment<'_>) -> Step {
    let mut done = step(machine, run, input, moment);
    let mut at = 0;
    while let Some(effect) = done.effects.get(at) {
        at += 1;
        let Effect::Schedule(request) = effect else { continue };
        if Doer::of(&request.resource) != Doer::Here {
            continue;
        }
        let report = Report::Started { worker: None };
        let more =
            step(machine, run, Input::Reported { task: request.task.clone(), report }, moment);
        done.events.extend(more.events);
        done.effects.extend(more.effects);
    }
    done
}
