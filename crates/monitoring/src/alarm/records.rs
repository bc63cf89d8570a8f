//! What is stored of alarms and objectives: what they are, how they stand, who is to be told.

use std::collections::BTreeMap;

use release::{ArtifactName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, StoreError, TenantStore, Transaction};

use super::State;
use super::evaluate::Judged;
use super::slo::{Ledger, SloFile};
use super::spec::{ActionFile, AlarmFile, Severity};

/// What alarms are.
pub const ALARMS: Collection = Collection("monitoring.alarms");
/// What objectives are.
pub const SLOS: Collection = Collection("monitoring.slos");
/// How alarms stand.
pub(crate) const STATUSES: Collection = Collection("monitoring.alarm_statuses");
/// How objectives stand.
pub(crate) const BUDGETS: Collection = Collection("monitoring.slo_budgets");
/// Who is to be told of what.
pub(crate) const NOTIFICATIONS: Collection = Collection("monitoring.alarm_notifications");
/// What is told when an alarm changes.
pub const CHANGED: &str = "alarm.state_changed";

/// The stream of an alarm's changes.
pub fn stream(name: &str) -> String {
    format!("alarms/{name}")
}

/// An alarm as it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlarmRecord {
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: ArtifactName,
    /// What it is.
    pub definition: AlarmFile,
    /// Whether its app has it by default.
    #[serde(default)]
    pub by_default: bool,
    /// The objective whose budget it watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
}

impl AlarmRecord {
    /// Of what it is, where all its metrics say the same.
    pub fn dimensions(&self) -> BTreeMap<String, String> {
        let file = &self.definition;
        let mut all = file.metrics.iter().filter(|it| it.metric.is_some()).map(|it| &it.dimensions);
        let Some(first) = all.next() else { return file.dimensions.clone() };
        let mut common = first.clone();
        for dimensions in all {
            common.retain(|name, value| dimensions.get(name) == Some(value));
        }
        common
    }
}

/// An objective as it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SloRecord {
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: ArtifactName,
    /// What it is.
    pub definition: SloFile,
}

/// How an alarm stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlarmStatus {
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// The end of the newest period that was judged.
    pub evaluated_at: Timestamp,
    /// The numbers that were judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datapoints: Vec<Judged>,
    /// The state of each series, of an alarm that has several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub series: BTreeMap<String, State>,
    /// What a query gave, period by period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<(Timestamp, BTreeMap<String, Option<f64>>)>,
    /// The state that was told of last.
    pub told: State,
    /// Why nobody is told yet of the state it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// When it last left the state ALARM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_alarm_at: Option<Timestamp>,
    /// Why the last evaluation failed; the state stayed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// How often it changed.
    pub changes: u64,
}

impl AlarmStatus {
    /// An alarm that was never evaluated.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            state: State::InsufficientData,
            since: now,
            reason: "it was not evaluated yet".to_owned(),
            evaluated_at: Timestamp::UNIX_EPOCH,
            datapoints: Vec::new(),
            series: BTreeMap::new(),
            recent: Vec::new(),
            told: State::InsufficientData,
            held: None,
            left_alarm_at: None,
            fault: None,
            changes: 0,
        }
    }
}

/// A change of an alarm's state, as the event log and everybody else is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlarmChange {
    /// The alarm.
    pub alarm: String,
    /// The project it belongs to.
    pub project: ArtifactName,
    /// What it means, for people.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// The state before.
    pub previous: State,
    /// The state now.
    pub state: State,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The numbers that were judged.
    pub datapoints: Vec<Judged>,
    /// Of what it is, where its metrics say so: `app`, `environment` and the like.
    pub dimensions: BTreeMap<String, String>,
}

/// Somebody who is to be told of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its name: the alarm, the number of the change and of the action.
    pub id: String,
    /// Who.
    pub action: ActionFile,
    /// Of what.
    pub change: AlarmChange,
    /// Whether somebody sees to it already.
    #[serde(default)]
    pub begun: bool,
}

/// How much of an objective's budget is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// What was counted, day by day.
    pub ledger: Ledger,
    /// How fast it burns, window by window.
    pub burn: Vec<BurnRate>,
    /// When it was computed.
    pub evaluated_at: Timestamp,
}

/// How fast a budget burns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BurnRate {
    /// Over which window.
    pub window: String,
    /// How many times faster than allowed; none if there was nothing.
    pub rate: Option<f64>,
    /// From how many times on it is told.
    pub factor: f64,
}

/// The alarm records that an objective leads to.
pub fn of_objective(record: &SloRecord) -> Vec<AlarmRecord> {
    let alarms = record.definition.alarms().unwrap_or_default();
    let alarm = |burn: super::slo::BurnAlarm| AlarmRecord {
        name: format!("{}.{}", record.name, burn.suffix),
        project: record.project.clone(),
        definition: AlarmFile {
            description: burn.description,
            severity: burn.severity,
            actions: record.definition.actions.clone(),
            ..AlarmFile::default()
        },
        by_default: false,
        objective: Some(record.name.clone()),
    };
    alarms.into_iter().map(alarm).collect()
}

/// What a project's files define, or defined before.
pub trait Defined: Serialize + for<'de> Deserialize<'de> + PartialEq + Send + Sync {
    /// Where it is kept.
    const COLLECTION: Collection;
    /// What it is called.
    const NOUN: &'static str;
    /// What is told when it changes, and when it is gone.
    const KINDS: (&'static str, &'static str);
    /// Its name.
    fn name(&self) -> &str;
    /// The project it belongs to.
    fn project(&self) -> &ArtifactName;
}

impl Defined for AlarmRecord {
    const COLLECTION: Collection = ALARMS;
    const NOUN: &'static str = "alarm";
    const KINDS: (&'static str, &'static str) = ("alarm.defined", "alarm.removed");

    fn name(&self) -> &str {
        &self.name
    }

    fn project(&self) -> &ArtifactName {
        &self.project
    }
}

impl Defined for SloRecord {
    const COLLECTION: Collection = SLOS;
    const NOUN: &'static str = "objective";
    const KINDS: (&'static str, &'static str) = ("slo.defined", "slo.removed");

    fn name(&self) -> &str {
        &self.name
    }

    fn project(&self) -> &ArtifactName {
        &self.project
    }
}

/// What [`define`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it was.
    Same,
    /// It is new or changed.
    Changed,
    /// Another project has one of that name.
    Taken(ArtifactName),
}

/// Adds what a file defines to `transaction`, unless it is the same already.
///
/// # Errors
/// If the store fails.
pub async fn define<T: Defined>(
    store: &TenantStore,
    record: &T,
    transaction: Transaction,
) -> Result<(Transaction, Outcome), StoreError> {
    let name = record.name();
    let row = store.get(T::COLLECTION, name).await?;
    let known = row.as_ref().map(|row| row.read::<T>()).transpose()?;
    if let Some(known) = &known {
        if known.project() != record.project() {
            return Ok((transaction, Outcome::Taken(known.project().clone())));
        }
        if known == record {
            return Ok((transaction, Outcome::Same));
        }
    }
    let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
    let transaction = transaction.put(T::COLLECTION, name, record, expect)?;
    let stream = format!("{}s/{name}", T::NOUN);
    Ok((transaction.emit(&stream, T::KINDS.0, record)?, Outcome::Changed))
}

/// Removes what a project defined, in `transaction`.
///
/// # Errors
/// If the store fails.
pub fn remove<T: Defined>(
    (record, version): (&T, u64),
    transaction: Transaction,
) -> Result<Transaction, StoreError> {
    let name = record.name();
    let stream = format!("{}s/{name}", T::NOUN);
    let transaction = transaction.delete(T::COLLECTION, name, Expect::Version(version));
    transaction.emit(&stream, T::KINDS.1, record)
}
