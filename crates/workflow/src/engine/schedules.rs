//! Schedules that start executions.
//!
//! An execution is named after its schedule and the moment it was due, so that a moment is kept once
//! however many servers look, and after a crash. The schedule's record moves on after the start, by
//! compare-and-swap. What cannot be started is kept as a dead letter.

use release::{ArtifactName, Digest, PrincipalId, TenantId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Collection, Expect, List, StoreError};

use super::{Engine, EngineError, ExecutionKey, Origin, PAGE, Status, TenantEngine, check_name};
use crate::schedule::{Overlap, ScheduleSpec, due};

const SCHEDULES: Collection = Collection("workflow.schedules");

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
        schedule.when.compile().map_err(|wrong| EngineError::refused(&wrong))?;
        let (author, last) = (self.actor.clone(), self.engine.shared.clock.now());
        let name = name.to_owned();
        let record = ScheduleRecord { name, schedule, author, last, started: None };
        let transaction = self
            .transaction()
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
        self.forget((SCHEDULES, name), "schedule.removed", &name).await
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
            let mut transaction = self.transaction();
            if busy {
                tracing::info!(schedule = record.name, %moment, "the one before still runs");
            } else {
                let name = format!("{}-{}", record.name, moment.strftime("%Y%m%dT%H%M%SZ"));
                let key = ExecutionKey { machine: workflow.clone(), name };
                let author = Some(record.author.clone());
                let origin = Origin { author, ..Origin::default() };
                let started = self.begin(&key, input.clone(), origin).await;
                let wanted = (format!("schedule/{}", record.name), key.clone(), input.clone());
                let settled = self.settle(started, wanted, transaction)?;
                transaction = settled.0;
                record.started = if settled.1 { Some(key) } else { record.started };
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
}

/// What decides where within its window a schedule begins.
fn seed(name: &str) -> u64 {
    let digest = Digest::of(name.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
