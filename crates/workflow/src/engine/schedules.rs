//! Schedules that start executions and call webhooks.
//!
//! An execution is named after its schedule and the moment it was due, so that a moment is kept once
//! however many servers look, and after a crash. The schedule's record moves on after the start, by
//! compare-and-swap. What cannot be started is kept as a dead letter.

use release::{ArtifactName, Digest, PrincipalId, TenantId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Collection, Expect, StoreError, Transaction};

use super::dead_letters::Wanted;
use super::rows::{Which, rows};
use super::webhook::WEBHOOK;
use super::{Engine, EngineError, ExecutionKey, Origin, Status, TenantEngine, qualified};
use crate::name::{WorkflowRef, started_by};
use crate::rule::Webhook;
use crate::schedule::{Overlap, ScheduleSpec, due};

pub const SCHEDULES: Collection = Collection("workflow.schedules");

/// What is started or called, and when: `workflows/NAME.schedule.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFile {
    /// What the schedule is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The workflow that is started, as `NAME`, `NAME:VERSION` or `NAME:ALIAS`; or a webhook is
    /// called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowRef>,
    /// The webhook that is called; or a workflow is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// The workflow's input, or what the webhook is told. In its texts,
    /// `<aws.scheduler.scheduled-time>`, `<aws.scheduler.schedule-arn>`,
    /// `<aws.scheduler.execution-id>` (the execution's name) and `<aws.scheduler.attempt-number>`
    /// stand for what they say.
    #[serde(default = "nothing")]
    pub input: Value,
    /// Whether it is kept (default true).
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// How late it may begin, in seconds: what is due longer is kept as a dead letter instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// Whether it is removed once nothing more will be due (default false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove_when_done: bool,
    /// When.
    pub when: ScheduleSpec,
}

fn enabled() -> bool {
    true
}

fn nothing() -> Value {
    json!({})
}

impl ScheduleFile {
    /// The name of the workflow to start.
    ///
    /// # Errors
    /// If it names none, or a webhook as well.
    pub fn machine(&self) -> Result<&str, EngineError> {
        match (&self.workflow, &self.webhook) {
            (Some(workflow), None) => Ok(workflow.as_str()),
            (None, Some(_)) => Ok(WEBHOOK),
            (Some(_), Some(_)) | (None, None) => {
                let why = "a schedule has either a `workflow` or a `webhook`".to_owned();
                Err(EngineError::Refused(why))
            }
        }
    }
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
    /// The project whose files define it; none if it was made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ArtifactName>,
    /// The last moment that was dealt with; at first, when it was made.
    pub last: Timestamp,
    /// The execution it started last.
    pub started: Option<ExecutionKey>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it was made or changed last.
    #[serde(default)]
    pub changed_at: Timestamp,
    /// What its maker named the request to make it with, so that it may be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Whether a schedule of the name may, must or must not be there when one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep<'a> {
    /// It may.
    Any,
    /// It must not, but for one that was made by this request.
    New(Option<&'a str>),
    /// It must.
    Known,
}

impl Engine {
    /// Starts what the tenants' schedules say is due. One schedule that fails holds up no other.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn keep_schedules(&self, tenants: &[TenantId]) -> Result<(), EngineError> {
        for tenant in tenants {
            let engine = self.tenant(tenant, PrincipalId::system("schedule"));
            for row in rows(&engine.store(), SCHEDULES, Which::default()).await? {
                if let Err(error) = engine.keep(row.read()?, row.version).await {
                    tracing::warn!(%error, schedule = row.key, "a schedule could not be kept");
                }
            }
        }
        Ok(())
    }
}

impl TenantEngine {
    /// Makes a schedule, or another one of its name. It counts from now; the same again is the same
    /// one.
    ///
    /// # Errors
    /// If the name or the schedule is refused.
    pub async fn schedule(
        &self,
        name: &str,
        schedule: ScheduleFile,
    ) -> Result<ScheduleRecord, EngineError> {
        self.keep_schedule(name, schedule, Keep::Any).await
    }

    /// As [`TenantEngine::schedule`], where it is said whether there is one of the name.
    ///
    /// # Errors
    /// If the name or the schedule is refused, there is one that must not be, or the other way.
    pub async fn keep_schedule(
        &self,
        name: &str,
        schedule: ScheduleFile,
        keep: Keep<'_>,
    ) -> Result<ScheduleRecord, EngineError> {
        let kept =
            self.definitions().keep_schedule(name, (schedule, keep), self.transaction()).await?;
        self.made(kept).await
    }

    /// One schedule.
    ///
    /// # Errors
    /// If there is none.
    pub async fn schedule_named(&self, name: &str) -> Result<ScheduleRecord, EngineError> {
        let row = self.store().get(SCHEDULES, name).await?;
        Ok(row.ok_or_else(|| EngineError::UnknownSchedule(name.to_owned()))?.read()?)
    }

    /// The schedules, by name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, EngineError> {
        self.all(SCHEDULES).await
    }

    /// Removes a schedule. What it has started goes on.
    ///
    /// # Errors
    /// If there is none.
    pub async fn unschedule(&self, name: &str) -> Result<(), EngineError> {
        self.schedule_named(name).await?;
        self.forget((SCHEDULES, name), "schedule.removed", &name).await
    }

    /// Starts what is due of one schedule, the oldest first.
    async fn keep(&self, mut record: ScheduleRecord, version: u64) -> Result<(), EngineError> {
        if !record.schedule.enabled {
            return Ok(());
        }
        let now = self.engine.shared.clock.now();
        // It was compiled when it was made.
        let Ok(timetable) = record.schedule.when.compile() else { return Ok(()) };
        let seed = seed(&record.name);
        let due = due(&timetable, record.last, now, record.schedule.when.catch_up);
        let begun = |moment: &&Timestamp| timetable.begins(**moment, seed) <= now;
        let moments: Vec<_> = due.iter().take_while(begun).copied().collect();
        let done = moments.len() == due.len() && timetable.next_after(now).is_none();
        let mut expect = Expect::Version(version);
        for moment in moments {
            let allowed = record.schedule.when.overlap == Overlap::Allow;
            let busy = !allowed && self.runs(record.started.as_ref()).await?;
            record.last = moment;
            let mut transaction = self.transaction();
            if busy {
                tracing::info!(schedule = record.name, %moment, "the one before still runs");
            } else {
                let started;
                (transaction, started) = self.start_due(&record, moment, transaction).await?;
                record.started = started.or(record.started);
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
        if done && record.schedule.remove_when_done {
            let transaction = self.transaction().delete(SCHEDULES, &record.name, expect);
            let transaction = transaction.emit("workflow", "schedule.removed", &record.name)?;
            match self.store().commit(transaction).await {
                Err(StoreError::Conflict { .. }) => {}
                committed => drop(committed?),
            }
        }
        Ok(())
    }

    /// Starts what is due at `moment`; gives the execution, if there is one.
    async fn start_due(
        &self,
        record: &ScheduleRecord,
        moment: Timestamp,
        transaction: Transaction,
    ) -> Result<(Transaction, Option<ExecutionKey>), EngineError> {
        let ScheduleFile { webhook, input, max_age_seconds, .. } = &record.schedule;
        let source = format!("schedule/{}", record.name);
        let name = started_by(&record.name, &moment.strftime("%Y%m%dT%H%M%SZ").to_string());
        let key = ExecutionKey { machine: record.schedule.machine()?.to_owned(), name };
        let input = self.filled(input, record, (moment, &key))?;
        let input = match webhook {
            Some(webhook) => webhook.input(&source, &input),
            None => input,
        };
        let late = self.engine.shared.clock.now().duration_since(moment).as_secs();
        let origin = Origin { author: Some(record.author.clone()), ..Origin::default() };
        let started = match max_age_seconds.filter(|most| late > i64::from(*most)) {
            Some(most) => {
                let why = format!("it was due {late} s before, and {most} s is the most");
                Err(EngineError::Refused(why))
            }
            None => self.begin(&key, input.clone(), origin.clone()).await,
        };
        let wanted = Wanted { source, execution: key.clone(), input, origin };
        let (transaction, started) = self.settle(started, wanted, transaction)?;
        // An execution is of the workflow, whichever version of it was asked for.
        let machine = qualified(&key.machine).0.to_owned();
        Ok((transaction, started.then_some(ExecutionKey { machine, name: key.name })))
    }

    /// The input with what the names in it stand for. No such value needs to be escaped in JSON.
    fn filled(
        &self,
        input: &Value,
        record: &ScheduleRecord,
        (moment, key): (Timestamp, &ExecutionKey),
    ) -> Result<Value, EngineError> {
        const MARK: &str = "<aws.scheduler.";
        let text = input.to_string();
        if !text.contains(MARK) {
            return Ok(input.clone());
        }
        let arn = self.arn().replace(":states:", ":scheduler:");
        let filled = text
            .replace(&format!("{MARK}scheduled-time>"), &moment.strftime("%FT%TZ").to_string())
            .replace(
                &format!("{MARK}schedule-arn>"),
                &format!("{arn}:schedule/default/{}", record.name),
            )
            .replace(&format!("{MARK}execution-id>"), &key.name)
            .replace(&format!("{MARK}attempt-number>"), "1");
        serde_json::from_str(&filled).map_err(|error| EngineError::Refused(error.to_string()))
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
