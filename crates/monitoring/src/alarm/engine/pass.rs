//! One pass over a tenant's alarms.

use std::collections::{BTreeMap, BTreeSet};

use release::{PrincipalId, Timestamp};
use store::{Expect, StoreError, Transaction};

use super::TenantAlarms;
use super::judge::Judgement;
use crate::alarm::State;
use crate::alarm::composite::{Rule, Suppression, Suppressor};
use crate::alarm::records::{
    AlarmChange, AlarmRecord, AlarmStatus, CHANGED, NOTIFICATIONS, Notification, STATUSES, stream,
};
use crate::alarm::simulate::composite_reason;
use crate::alarm::spec::Watch;

/// In whose name alarms are evaluated.
const ACTOR: &str = "alarms";
/// How long after its end a period is judged, so that what came late counts, in seconds.
pub const GRACE: i64 = 5;

/// How alarms stand, and the versions of their records.
pub(super) type Statuses = BTreeMap<String, (AlarmStatus, Expect)>;

/// How an alarm stands; one that was never evaluated begins now.
pub(super) fn status_of<'a>(
    statuses: &'a mut Statuses,
    name: &str,
    now: Timestamp,
) -> &'a mut AlarmStatus {
    let new = || (AlarmStatus::new(now), Expect::Absent);
    &mut statuses.entry(name.to_owned()).or_insert_with(new).0
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// The end of the newest period that is over at `now`, grace included.
pub(super) fn ended(now: Timestamp, period: u32) -> Timestamp {
    let period = i64::from(period);
    at((now.as_second() - GRACE).div_euclid(period) * period)
}

impl TenantAlarms {
    pub(super) fn transaction(&self) -> Transaction {
        Transaction::new(PrincipalId::system(ACTOR), self.shared.clock.now())
    }

    /// Evaluates whatever is due; gives how many alarms changed.
    ///
    /// # Errors
    /// If the store fails, or somebody else evaluates them as well.
    pub async fn evaluate(&self) -> Result<usize, StoreError> {
        let now = self.shared.clock.now();
        let store = self.store();
        let mut statuses = Statuses::new();
        for row in store.all(STATUSES, "").await? {
            statuses.insert(row.key.clone(), (row.read()?, Expect::Version(row.version)));
        }
        let slos = self.slos().await?;
        let records = self.records(&slos).await?;
        let mut transaction = self.transaction();
        let mut touched = BTreeSet::new();
        let before: BTreeMap<String, State> =
            statuses.iter().map(|(name, (status, _))| (name.clone(), status.state)).collect();
        let mut composites = Vec::new();
        for record in records.iter().filter(|record| record.objective.is_none()) {
            match record.definition.compile() {
                Ok(alarm) => {
                    if let Watch::Composite(rule, suppressor) = alarm.watch {
                        composites.push((record, rule, suppressor));
                        continue;
                    }
                    let status = status_of(&mut statuses, &record.name, now);
                    let end = ended(now, alarm.period);
                    if status.evaluated_at >= end {
                        continue;
                    }
                    let judged = self.judge(record, (&alarm, status), end).await;
                    settle(status, judged, end);
                    touched.insert(record.name.clone());
                }
                // It was right when it was applied, by another version.
                Err(wrong) => {
                    let why = wrong.first().map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(alarm = record.name, why, "an alarm cannot be evaluated");
                }
            }
        }
        let budgeted;
        (transaction, budgeted) =
            self.budgets((&slos, &records), (&mut statuses, &mut touched), transaction).await?;
        rules(&composites, (&mut statuses, &mut touched), now);
        let suppressors: BTreeMap<&str, &Suppressor> = composites
            .iter()
            .filter_map(|(record, _, suppressor)| {
                Some((record.name.as_str(), suppressor.as_ref()?))
            })
            .collect();
        let previous = |name: &str| before.get(name).copied().unwrap_or(State::InsufficientData);
        // All changes before anybody is told: who suppresses may have changed as well.
        let changes = records.iter().map(|it| self.change(it, previous(&it.name), &mut statuses));
        let changed = changes.filter(|changed| *changed).count();
        for record in &records {
            let all = (&mut statuses, &mut touched, &suppressors);
            transaction = self.tell(record, previous(&record.name), all, transaction)?;
        }
        let known: BTreeSet<&str> = records.iter().map(|record| record.name.as_str()).collect();
        let gone = statuses.keys().filter(|name| !known.contains(name.as_str()));
        let gone: Vec<&String> = gone.collect();
        if touched.is_empty() && gone.is_empty() && !budgeted {
            return Ok(0);
        }
        for name in gone {
            transaction = transaction.delete(STATUSES, name, statuses[name].1);
            self.forget(name);
        }
        for name in touched.iter().filter(|name| known.contains(name.as_str())) {
            let (status, expect) = &statuses[name];
            transaction = transaction.put(STATUSES, name, status, *expect)?;
        }
        store.commit(transaction).await?;
        Ok(changed)
    }

    /// Notes since when a state is, if it is new.
    fn change(&self, record: &AlarmRecord, previous: State, statuses: &mut Statuses) -> bool {
        let now = self.shared.clock.now();
        let Some((status, _)) = statuses.get_mut(&record.name) else { return false };
        if status.state == previous {
            return false;
        }
        status.since = now;
        status.changes += 1;
        if previous == State::Alarm {
            status.left_alarm_at = Some(now);
        }
        true
    }

    /// Tells the event log of a change, and notes who else is told, unless that is held back.
    fn tell(
        &self,
        record: &AlarmRecord,
        previous: State,
        (statuses, touched, suppressors): (
            &mut Statuses,
            &mut BTreeSet<String>,
            &BTreeMap<&str, &Suppressor>,
        ),
        mut transaction: Transaction,
    ) -> Result<Transaction, StoreError> {
        let now = self.shared.clock.now();
        let suppression = |suppressor: &Suppressor, statuses: &Statuses| {
            let known = statuses.get(&suppressor.alarm).map(|(status, _)| status);
            Suppression {
                in_alarm: known.is_some_and(|status| status.state == State::Alarm),
                left_at: known.and_then(|status| status.left_alarm_at),
            }
        };
        let suppressor = suppressors.get(record.name.as_str());
        let suppressor = suppressor.map(|it| (*it, suppression(it, statuses)));
        let Some((status, _)) = statuses.get_mut(&record.name) else { return Ok(transaction) };
        let change = |previous: State, status: &AlarmStatus| AlarmChange {
            alarm: record.name.clone(),
            project: record.project.clone(),
            description: record.definition.description.clone(),
            severity: record.definition.severity,
            previous,
            state: status.state,
            reason: status.reason.clone(),
            at: status.since,
            datapoints: status.datapoints.clone(),
            dimensions: record.dimensions(),
        };
        if status.state != previous {
            transaction =
                transaction.emit(&stream(&record.name), CHANGED, &change(previous, status))?;
        }
        if status.told == status.state {
            if status.held.take().is_some() {
                touched.insert(record.name.clone());
            }
            return Ok(transaction);
        }
        let held = suppressor.and_then(|(suppressor, suppression)| {
            suppressor.holds((status.state, status.since), suppression, now)
        });
        if held.is_some() {
            if status.held != held {
                status.held = held;
                touched.insert(record.name.clone());
            }
            return Ok(transaction);
        }
        status.held = None;
        touched.insert(record.name.clone());
        let told = std::mem::replace(&mut status.told, status.state);
        let actions = record.definition.actions.iter().enumerate();
        for (index, action) in actions.filter(|(_, action)| action.tells(status.state)) {
            let id = format!("{}/{}/{index}", record.name, status.changes);
            let (action, change) = (action.clone(), change(told, status));
            let notification = Notification { id: id.clone(), action, change, begun: false };
            transaction = transaction.put(NOTIFICATIONS, &id, &notification, Expect::Any)?;
        }
        Ok(transaction)
    }

    fn forget(&self, name: &str) {
        if let Ok(mut learners) = self.shared.learners.lock() {
            learners.remove(&(self.tenant.clone(), name.to_owned()));
        }
    }
}

/// Notes what came of an evaluation. If it failed the state stays, and it is tried again with the
/// next period.
pub(super) fn settle(status: &mut AlarmStatus, judged: Result<Judgement, String>, end: Timestamp) {
    status.evaluated_at = end;
    match judged {
        Ok(Judgement { verdict, series, recent }) => {
            status.state = verdict.state;
            status.reason = verdict.reason;
            status.datapoints = verdict.datapoints;
            (status.series, status.recent, status.fault) = (series, recent, None);
        }
        Err(why) => status.fault = Some(why),
    }
}

/// Evaluates rules over other alarms until nothing changes: those over rules settle after these.
fn rules(
    composites: &[(&AlarmRecord, Rule, Option<Suppressor>)],
    (statuses, touched): (&mut Statuses, &mut BTreeSet<String>),
    now: Timestamp,
) {
    for _ in 0..=composites.len() {
        let mut changed = false;
        for (record, rule, _) in composites {
            let state = |name: &str| TenantAlarms::state(statuses, name);
            let (next, reason) = (rule.evaluate(&state), composite_reason(rule, &state));
            let new = !statuses.contains_key(&record.name);
            let status = status_of(statuses, &record.name, now);
            if new || status.state != next || status.reason != reason {
                changed |= status.state != next;
                (status.state, status.reason, status.evaluated_at) = (next, reason, now);
                touched.insert(record.name.clone());
            }
        }
        if !changed {
            return;
        }
    }
}
