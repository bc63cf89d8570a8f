//! Schedules that start executions.
//!
//! An execution is named after its schedule and the moment it was due, so that a moment is kept once
//! however many servers look, and after a crash. The schedule's record moves on after the start, by
//! compare-and-swap. What cannot be started is kept as a dead letter.

use release::{ArtifactName, Digest, PrincipalId, TenantId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Collection, Expect, List, StoreError, Transaction};

use super::{
    Engine, EngineError, ExecutionKey, ExecutionRecord, PAGE, Status, TenantEngine, check_name,
};
use crate::rule::Causation;
use crate::schedule::{Overlap, ScheduleSpec, due};

const SCHEDULES: Collection = Collection("workflow.schedules");
const DEAD_LETTERS: Collection = Collection("workflow.dead_letters");

/// What is started, and when: `workflows/NAME.schedule.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFile {
    /// The workflow that is started.
    pub workflow: ArtifactName,
    /// Its input.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// Whether it is kept (default true).
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// When.
    pub when: ScheduleSpec,
}

fn enabled() -> bool {
    true
}

/// A schedule that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Its name.
    pub name: String,
    /// What is started, and when.
    pub schedule: ScheduleFile,
    /// Who made it, or changed it last.
    pub author: PrincipalId,
    /// The last moment that was dealt with; at first, when it was made.
    pub last: Timestamp,
    /// The execution it started last.
    pub started: Option<ExecutionKey>,
}

/// A start that failed and is kept until somebody sees to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its name.
    pub id: String,
    /// What wanted it, as `schedule/nightly`.
    pub source: String,
    /// The execution that was to be started.
    pub execution: ExecutionKey,
    /// Its input.
    pub input: Value,
    /// Why it was not.
    pub error: String,
    /// When it was given up.
    pub at: Timestamp,
}

impl Engine {
    /// Starts what the tenants' schedules say is due. One schedule that fails holds up no other.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn keep_schedules(&self, tenants: &[TenantId]) -> Result<(), EngineError> {
        for tenant in tenants {
            let engine = self.tenant(tenant, PrincipalId::system("schedule"));
            for (record, version) in engine.schedule_rows().await? {
                let name = record.name.clone();
                if let Err(error) = engine.keep(record, version).await {
                    tracing::warn!(%error, schedule = name, "a schedule could not be kept");
                }
            }
        }
        Ok(())
    }
}

impl TenantEngine {
    /// Makes a schedule, or another one of its name. It counts from now.
    ///
    /// # Errors
    /// If the name or the schedule is refused.
    pub async fn schedule(
        &self,
        name: &str,
        schedule: ScheduleFile,
    ) -> Result<ScheduleRecord, EngineError> {
        check_name(name)?;
        schedule.when.compile().map_err(|wrong| {
            let wrong = wrong.iter().map(ToString::to_string);
            EngineError::Refused(wrong.collect::<Vec<_>>().join("; "))
        })?;
        let (author, last) = (self.actor.clone(), self.engine.shared.clock.now());
        let name = name.to_owned();
        let record = ScheduleRecord { name, schedule, author, last, started: None };
        let transaction = Transaction::new(self.actor.clone(), last)
            .put(SCHEDULES, &record.name, &record, Expect::Any)?
            .emit("workflow", "schedule.made", &record)?;
        self.store().commit(transaction).await?;
        Ok(record)
    }

    /// The schedules, by name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, EngineError> {
        Ok(self.schedule_rows().await?.into_iter().map(|(record, _)| record).collect())
    }

    async fn schedule_rows(&self) -> Result<Vec<(ScheduleRecord, u64)>, EngineError> {
        let list = List { prefix: String::new(), index: None, after: None, limit: PAGE };
        let rows = self.store().list(SCHEDULES, list).await?;
        Ok(rows
            .iter()
            .map(|row| Ok((row.read()?, row.version)))
            .collect::<Result<_, StoreError>>()?)
    }

    /// Removes a schedule. What it has started goes on.
    ///
    /// # Errors
    /// If there is none.
    pub async fn unschedule(&self, name: &str) -> Result<(), EngineError> {
        if self.store().get(SCHEDULES, name).await?.is_none() {
            return Err(EngineError::UnknownSchedule(name.to_owned()));
        }
        let transaction = Transaction::new(self.actor.clone(), self.engine.shared.clock.now())
            .delete(SCHEDULES, name, Expect::Any)
            .emit("workflow", "schedule.removed", &name)?;
        self.store().commit(transaction).await?;
        Ok(())
    }

    /// Starts what is due of one schedule, the oldest first.
    async fn keep(&self, mut record: ScheduleRecord, version: u64) -> Result<(), EngineError> {
        let now = self.engine.shared.clock.now();
        let ScheduleFile { workflow, input, enabled, when } = &record.schedule;
        // It was compiled when it was made.
        let Ok(timetable) = when.compile() else { return Ok(()) };
        if !enabled {
            return Ok(());
        }
        let seed = seed(&record.name);
        let moments = due(&timetable, record.last, now, when.catch_up).into_iter();
        let moments = moments.take_while(|moment| timetable.begins(*moment, seed) <= now);
        let (workflow, input) = (workflow.to_string(), Value::Object(input.clone()));
        let mut expect = Expect::Version(version);
        for moment in moments.collect::<Vec<_>>() {
            let busy = when.overlap == Overlap::Skip && self.runs(record.started.as_ref()).await?;
            record.last = moment;
            let mut transaction = Transaction::new(self.actor.clone(), now);
            if busy {
                tracing::info!(schedule = record.name, %moment, "the one before still runs");
            } else {
                let name = format!("{}-{}", record.name, moment.strftime("%Y%m%dT%H%M%SZ"));
                let key = ExecutionKey { machine: workflow.clone(), name };
                let origin = (Some(record.author.clone()), Causation::default());
                match self.begin(&key, input.clone(), origin).await {
                    // It was started before a crash, or by another server.
                    Ok(_) | Err(EngineError::Exists(_)) => record.started = Some(key),
                    Err(EngineError::Store(error)) => return Err(error.into()),
                    Err(error) => {
                        let source = format!("schedule/{}", record.name);
                        let letter = letter((source, key, input.clone()), &error, now);
                        transaction = bury(transaction, &letter)?;
                    }
                }
            }
            let transaction = transaction.put(SCHEDULES, &record.name, &record, expect)?;
            match self.store().commit(transaction).await {
                // Another server keeps it, or somebody changed it.
                Err(StoreError::Conflict { .. }) => return Ok(()),
                committed => committed?,
            };
            let Expect::Version(before) = expect else { return Ok(()) };
            expect = Expect::Version(before + 1);
        }
        Ok(())
    }

    /// Whether an execution is under way.
    async fn runs(&self, key: Option<&ExecutionKey>) -> Result<bool, EngineError> {
        let Some(key) = key else { return Ok(false) };
        match self.execution(key).await {
            Ok(record) => Ok(record.run.status == Status::Running),
            Err(EngineError::UnknownExecution(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The starts that failed, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, EngineError> {
        let list = List { prefix: String::new(), index: None, after: None, limit: PAGE };
        let rows = self.store().list(DEAD_LETTERS, list).await?;
        Ok(rows.iter().map(|row| row.read()).collect::<Result<_, _>>()?)
    }

    /// Starts what a dead letter is about, and removes the letter.
    ///
    /// # Errors
    /// If there is none, or it cannot be started yet: then the letter stays.
    pub async fn deliver(&self, id: &str) -> Result<ExecutionRecord, EngineError> {
        let row = self.store().get(DEAD_LETTERS, id).await?;
        let row = row.ok_or_else(|| EngineError::UnknownDeadLetter(id.to_owned()))?;
        let letter: DeadLetter = row.read()?;
        let ExecutionKey { machine, name } = &letter.execution;
        let record = match self.start(machine, Some(name), letter.input.clone()).await {
            // It was started, and the letter outlived it.
            Err(EngineError::Exists(key)) => self.execution(&key).await?,
            started => started?,
        };
        let transaction = Transaction::new(self.actor.clone(), self.engine.shared.clock.now())
            .delete(DEAD_LETTERS, id, Expect::Any)
            .emit("workflow", "dead_letter.delivered", &letter)?;
        self.store().commit(transaction).await?;
        Ok(record)
    }
}

/// A dead letter about a start that failed.
pub fn letter(
    (source, execution, input): (String, ExecutionKey, Value),
    error: &EngineError,
    at: Timestamp,
) -> DeadLetter {
    // A name of the moment first, so that they are listed in the order of their time.
    let id = format!("{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), execution.name);
    DeadLetter { id, source, execution, input, error: error.to_string(), at }
}

/// Adds a dead letter to a transaction.
pub fn bury(transaction: Transaction, letter: &DeadLetter) -> Result<Transaction, StoreError> {
    transaction.put(DEAD_LETTERS, &letter.id, letter, Expect::Any)?.emit(
        "workflow",
        "dead_letter.kept",
        letter,
    )
}

/// What decides where within its window a schedule begins.
fn seed(name: &str) -> u64 {
    let digest = Digest::of(name.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
