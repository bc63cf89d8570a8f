//! Durable executions: the interpreter's world on a store.
//!
//! A transition happens once: one transaction swaps the execution's record, appends its history and
//! tells the event log of its beginning or end; whoever read an older record loses and decides
//! anew. Effects are carried out only after that commit, so they may be carried out again after a
//! crash: tasks get the same key each time, timers of a wait that is over change nothing.
//!
//! Whatever is due (a wait, a time-out, a task to be begun) stands in the record itself.
//! [`Engine::recover`] reads it from there, which makes a restart the same as never having stopped.

#[cfg(test)]
mod abort;
mod aliases;
mod alone;
mod approval;
mod bell;
mod dead_letters;
mod definitions;
mod express;
mod graphs;
mod list;
mod machines;
mod map_runs;
mod nested;
mod node;
mod objects;
mod perform;
mod record;
mod retention;
mod rows;
mod rules;
mod schedules;
mod slots;
mod start;
mod tags;
mod task;
mod timers;
mod token;
mod transition;
mod versions;
mod webhook;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use release::{ArtifactName, Clock, Digest, PrincipalId, Secret, TenantId, Timestamp};
use serde::Serialize;
use store::{Collection, Expect, Store, StoreError, Transaction};
use tokio::sync::{Notify, Semaphore};

use crate::definition::{Machine, refusal};
use crate::fault::Fault;
use crate::history::Event;
use crate::interpreter::{Input, Status, later};
use crate::weight::NESTED;

pub use aliases::{AliasChange, AliasRecord, Route};
pub use approval::{Approval, Asked, Decision, Link};
use bell::Bell;
pub use dead_letters::DeadLetter;
pub use definitions::{Defined, Definitions};
pub use list::{Listed, Newest};
pub use machines::{Defining, MachineRecord, MachineType};
use map_runs::Drivers;
pub use map_runs::{MapRunRecord, MapRunUpdate, Place};
pub use nested::Parent;
pub use node::NodeId;
pub use objects::{ObjectInfo, ObjectName, Objects};
use perform::OWN;
pub(crate) use record::ACCOUNT;
pub use record::{ExecutionKey, ExecutionRecord, OpenTask};
pub use rules::{PostedEvent, RuleRecord};
pub use schedules::{Keep, ScheduleFile, ScheduleRecord};
use slots::Slots;
use start::Origin;
pub use start::{Qualifier, qualified};
pub use tags::{Tagged, check_tags};
pub use task::{Progress, Task, TaskCall, output};
use timers::{Due, Timers};
pub use versions::VersionRecord;
pub use worker::{ActivityRecord, GivenTask};

const DEFINITIONS: Collection = Collection("workflow.definitions");
const EXECUTIONS: Collection = Collection("workflow.executions");
/// The index of executions that are under way, by the nodes that hold a part of them.
const NODE: &str = "node";
/// The index of executions by the activities whose workers they wait for.
const ACTIVITY: &str = "activity";
/// How many rows are read at once.
const PAGE: usize = 500;
/// How often a transition is decided anew after another server was faster.
const ATTEMPTS: usize = 16;
/// How many parsed definitions are kept.
const MACHINES_KEPT: usize = 1_024;
/// How many timers fire at once.
const FIRING: usize = 256;
/// When what the store refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nobody looks for what other servers have done.
const LISTEN: Duration = Duration::from_secs(1);
/// How long the clock is not looked at, at most.
const GLANCE: Duration = Duration::from_secs(5);

/// Why something could not be done with a workflow.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A definition was refused.
    #[error("{0}")]
    Refused(String),
    /// A name that no machine or execution may have.
    #[error("`{0}` is not a name: use 1 to 80 of letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// There is no such machine.
    #[error("there is no workflow `{0}`")]
    UnknownMachine(String),
    /// There is no such execution.
    #[error("there is no execution `{0}`")]
    UnknownExecution(ExecutionKey),
    /// An execution of that name is there, with another input or over already.
    #[error("there is an execution `{0}` already")]
    Exists(ExecutionKey),
    /// It can only be done to an execution that has failed, or to one that has not.
    #[error("the execution `{key}` is {}", status.as_str())]
    Status {
        /// The execution.
        key: ExecutionKey,
        /// How it stands.
        status: Status,
    },
    /// A payload is larger than an execution may have.
    #[error(
        "the input has more than {} bytes or nests more than {NESTED} deep",
        crate::MAX_PAYLOAD
    )]
    TooLarge,
    /// There is no such Map run.
    #[error("there is no Map run `{0}`")]
    UnknownMapRun(String),
    /// A Map run is over, and cannot be changed any more.
    #[error("the Map run `{0}` is over")]
    MapRunOver(String),
    /// Only the execution that began it tries again what failed in it.
    #[error("`{0}` is of a Map run: redrive the execution that began it")]
    OfMapRun(ExecutionKey),
    /// Another project defines it.
    #[error("{what} belongs to project `{project}`: rename one, or remove it there first")]
    Taken {
        /// What: `workflow NAME`, `schedule NAME` or `rule NAME`.
        what: String,
        /// The project that defines it.
        project: ArtifactName,
    },
    /// It cannot be done to a workflow of this type.
    #[error("the workflow `{machine}` is of type {}: {}", kind.as_str(), kind.lacks())]
    Type {
        /// The workflow.
        machine: String,
        /// Its type.
        kind: MachineType,
    },
    /// It would contradict what is there, or somebody else was faster.
    #[error("{0}")]
    Conflict(String),
    /// There are as many as there may be.
    #[error("{0}")]
    Limit(String),
    /// There is no such schedule.
    #[error("there is no schedule `{0}`")]
    UnknownSchedule(String),
    /// There is no such rule.
    #[error("there is no rule `{0}`")]
    UnknownRule(String),
    /// There is no such dead letter.
    #[error("there is no dead letter `{0}`")]
    UnknownDeadLetter(String),
    /// Nothing of an execution waits for a person's word.
    #[error("nothing of the execution `{0}` waits for an approval")]
    NoApproval(ExecutionKey),
    /// More than one state waits.
    #[error("`{one}` and `{other}` both wait for an approval: name the state")]
    SeveralApprovals {
        /// One.
        one: String,
        /// Another.
        other: String,
    },
    /// Somebody decides who may not.
    #[error("{0}")]
    MayNotDecide(String),
    /// There is no such activity.
    #[error("there is no activity `{0}`")]
    UnknownActivity(String),
    /// A token that was never given.
    #[error("this is no task token")]
    Token,
    /// The task that a token was given for is over, or somebody else does it by now.
    #[error("the task of this token is over")]
    TaskOver,
    /// Others were faster again and again.
    #[error("the execution `{0}` moves too fast to be changed from here: try again")]
    Contended(ExecutionKey),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    /// Whether the same may do in a moment: the store failed, or others were faster.
    fn passes(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Contended(_))
    }

    /// Everything that is wrong with what somebody wants to make.
    fn refused(wrong: &[impl ToString]) -> Self {
        let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        Self::Refused(wrong.join("; "))
    }
}

/// The engine of one installation.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    /// What the tokens of calls follow from.
    secret: Secret,
    /// What this server is called among those that share the store.
    node: Mutex<NodeId>,
    seen: tokio::sync::Mutex<node::Seen>,
    tasks: BTreeMap<&'static str, Arc<dyn Task>>,
    timers: Mutex<Timers>,
    /// Wakes whoever waits for the next timer.
    sooner: Notify,
    slots: Mutex<Slots>,
    /// Wakes whoever waits for the end of an execution.
    ended: Bell<(TenantId, ExecutionKey)>,
    /// Wakes workers that wait for a task of an activity.
    offered: Bell<(TenantId, String)>,
    machines: Mutex<HashMap<Digest, Arc<Machine>>>,
    /// A slot for each express execution that may run.
    express: Arc<Semaphore>,
    /// Tasks under way here, so that they can be cancelled.
    running: Mutex<HashMap<(TenantId, String), Running>>,
    /// Who drives which Map run here.
    drivers: Mutex<Drivers>,
    /// The buckets that Maps read from and write to.
    objects: OnceLock<Box<dyn Objects>>,
    #[cfg(test)]
    aborts: abort::Aborts,
}

/// A task that is done here.
#[derive(Debug)]
struct Running {
    execution: ExecutionKey,
    work: tokio::task::AbortHandle,
}

impl Engine {
    /// An engine over `store` that can do `tasks`. `name` tells this server from others that share
    /// the store, also after a restart; the tokens of calls follow from `secret`, which is the same
    /// for all of them.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        name: &str,
        secret: Secret,
        tasks: Vec<Arc<dyn Task>>,
    ) -> Self {
        let tasks = tasks.into_iter().map(|task| (task.name(), task)).collect();
        let shared = Shared {
            store,
            clock,
            secret,
            node: Mutex::new(NodeId::first(name)),
            seen: tokio::sync::Mutex::default(),
            tasks,
            timers: Mutex::default(),
            sooner: Notify::new(),
            slots: Mutex::default(),
            ended: Bell::default(),
            offered: Bell::default(),
            machines: Mutex::default(),
            express: Arc::new(Semaphore::new(express::MOST)),
            running: Mutex::default(),
            drivers: Mutex::default(),
            objects: OnceLock::new(),
            #[cfg(test)]
            aborts: abort::Aborts::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Offers buckets for Maps to read from and write to. What was offered first stays.
    pub fn offer(&self, objects: impl Objects + 'static) {
        self.shared.objects.get_or_init(|| Box::new(objects));
    }

    /// The workflows of one tenant, acted on as `actor`.
    pub fn tenant(&self, tenant: &TenantId, actor: PrincipalId) -> TenantEngine {
        TenantEngine { engine: self.clone(), tenant: tenant.clone(), actor }
    }

    /// Fires timers as they come due, for ever.
    pub async fn run(&self) {
        loop {
            self.fire().await;
            let wait = self.timers().next().map(|at| {
                // A clock that is set meanwhile is noticed in a moment.
                let wait = at.duration_since(self.shared.clock.now());
                Duration::try_from(wait).unwrap_or_default().min(GLANCE)
            });
            tokio::select! {
                () = self.shared.sooner.notified() => {}
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    /// Fires every timer that is due now.
    pub async fn fire(&self) {
        let due = self.timers().take_due(self.shared.clock.now());
        let fired = |due: Due| async move {
            let ((tenant, key), engine) = ((*due.whose).clone(), self.clone());
            let fired = async move { engine.fire_one((&tenant, &key), due.input).await };
            // Each on its own, so that one that takes long or breaks holds up no other.
            if let Err(error) = tokio::spawn(fired).await {
                tracing::error!(%error, execution = %due.whose.1, "a timer has broken");
            }
        };
        stream::iter(due).for_each_concurrent(FIRING, fired).await;
    }

    async fn fire_one(&self, (tenant, key): (&TenantId, &ExecutionKey), input: Input) {
        match self.advance(tenant, key, &input).await {
            // It was deleted meanwhile.
            Ok(_) | Err(EngineError::UnknownExecution(_)) => {}
            Err(error) if error.passes() => {
                tracing::error!(%error, execution = %key, "a timer could not be fired; trying again");
                self.set_timers(tenant, key, [(self.soon(), input)]);
            }
            Err(error) => {
                tracing::error!(%error, execution = %key, "a timer could not be fired");
            }
        }
    }

    /// When something that could not be done is tried again.
    fn soon(&self) -> Timestamp {
        later(self.shared.clock.now(), AGAIN.as_secs_f64())
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.shared.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_timers(
        &self,
        tenant: &TenantId,
        key: &ExecutionKey,
        due: impl IntoIterator<Item = (Timestamp, Input)>,
    ) {
        let mut timers = self.timers();
        for (at, input) in due {
            timers.add(at, tenant, key, input);
        }
        drop(timers);
        self.shared.sooner.notify_one();
    }

    fn running(&self) -> MutexGuard<'_, HashMap<(TenantId, String), Running>> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drivers(&self) -> MutexGuard<'_, Drivers> {
        self.shared.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn definition(&self, tenant: &TenantId, digest: Digest) -> Result<String, EngineError> {
        let row = self.shared.store.tenant(tenant).get(DEFINITIONS, &digest.to_string()).await?;
        let unknown = || EngineError::UnknownMachine(digest.to_string());
        Ok(row.ok_or_else(unknown)?.read()?)
    }

    /// A definition, parsed once for many times that it is asked for.
    async fn machine(
        &self,
        tenant: &TenantId,
        digest: Digest,
    ) -> Result<Arc<Machine>, EngineError> {
        let known = || self.shared.machines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(machine) = known().get(&digest) {
            return Ok(Arc::clone(machine));
        }
        let text = self.definition(tenant, digest).await?;
        let (machine, _) =
            Machine::parse(&text).map_err(|found| EngineError::Refused(refusal(&found)))?;
        let machine = Arc::new(machine);
        let mut known = known();
        if known.len() >= MACHINES_KEPT {
            known.clear();
        }
        known.insert(digest, Arc::clone(&machine));
        drop(known);
        Ok(machine)
    }
}

/// The workflows of one tenant.
#[derive(Debug, Clone)]
pub struct TenantEngine {
    engine: Engine,
    tenant: TenantId,
    actor: PrincipalId,
}

impl TenantEngine {
    /// One execution.
    ///
    /// # Errors
    /// If there is none.
    pub async fn execution(&self, key: &ExecutionKey) -> Result<ExecutionRecord, EngineError> {
        let row = self.store().get(EXECUTIONS, &key.to_string()).await?;
        let row = row.ok_or_else(|| EngineError::UnknownExecution(key.clone()))?;
        Ok(row.read()?)
    }

    /// The history of an execution, whole.
    ///
    /// # Errors
    /// If there is no such execution.
    pub async fn history(&self, key: &ExecutionKey) -> Result<Vec<Event>, EngineError> {
        self.execution(key).await?;
        let stream = transition::history_stream(key);
        let limit = usize::try_from(crate::interpreter::MAX_EVENTS).unwrap_or(usize::MAX) + PAGE;
        let events = self.store().stream(&stream, 0, limit).await?;
        Ok(events.iter().map(|event| event.read()).collect::<Result<_, _>>()?)
    }

    /// Stops an execution.
    ///
    /// # Errors
    /// If there is none, or it is over already.
    pub async fn stop(
        &self,
        key: &ExecutionKey,
        fault: Fault,
    ) -> Result<ExecutionRecord, EngineError> {
        let status = self.execution(key).await?.run.status;
        if status != Status::Running {
            return Err(EngineError::Status { key: key.clone(), status });
        }
        let stopped = self.engine.advance(&self.tenant, key, &Input::Stopped(fault)).await?;
        Ok(Arc::unwrap_or_clone(stopped))
    }

    /// Tries again what failed in an execution; what succeeded is kept.
    ///
    /// # Errors
    /// If there is none, or it has not failed.
    pub async fn redrive(&self, key: &ExecutionKey) -> Result<ExecutionRecord, EngineError> {
        let known = self.execution(key).await?;
        if known.place.is_some() {
            return Err(EngineError::OfMapRun(key.clone()));
        }
        let status = known.run.status;
        if matches!(status, Status::Running | Status::Succeeded) {
            return Err(EngineError::Status { key: key.clone(), status });
        }
        let redriven = self.engine.change(&self.tenant, key, |record| {
            // Whoever tries it again asks for it anew, and maybe much later.
            record.by_hand = false;
            Ok(Input::Redriven.into())
        });
        Ok(Arc::unwrap_or_clone(redriven.await?))
    }

    /// Waits until an execution is over.
    ///
    /// # Errors
    /// If there is none.
    pub async fn ended(&self, key: &ExecutionKey) -> Result<ExecutionRecord, EngineError> {
        let bell = self.engine.shared.ended.listen((self.tenant.clone(), key.clone()));
        loop {
            let rung = bell.rung();
            let record = self.execution(key).await?;
            if record.run.status != Status::Running {
                return Ok(record);
            }
            rung.within(LISTEN).await;
        }
    }

    /// Deletes a record, and tells the event log.
    async fn forget(
        &self,
        (collection, name): (Collection, &str),
        kind: &str,
        told: &impl Serialize,
    ) -> Result<(), EngineError> {
        let transaction = self.transaction().delete(collection, name, Expect::Any);
        self.store().commit(transaction.emit("workflow", kind, told)?).await?;
        Ok(())
    }

    fn transaction(&self) -> Transaction {
        Transaction::new(self.actor.clone(), self.engine.shared.clock.now())
    }

    fn store(&self) -> store::TenantStore {
        self.engine.shared.store.tenant(&self.tenant)
    }

    /// What the names of everything here begin with.
    pub fn arn(&self) -> String {
        format!("arn:aws:states:local:{}", record::ACCOUNT)
    }
}

/// The names of the product's own workflows are nobody else's.
fn check_machine_name(name: &str) -> Result<(), EngineError> {
    if name.starts_with(OWN) {
        let why = format!("`{name}` is Groundcrew's own: name yours without `{OWN}` before it");
        return Err(EngineError::Refused(why));
    }
    check_name(name)
}

fn check_name(name: &str) -> Result<(), EngineError> {
    if !crate::name::is_name(name) {
        return Err(EngineError::Name(name.chars().take(80).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
