//! One pass over a tenant's alarms.

use std::collections::{BTreeMap, BTreeSet};

use release::{PrincipalId, Timestamp};
use store::{Expect, StoreError, Transaction};

use super::{Span, TenantAlarms};
use crate::alarm::State;
use crate::alarm::band::TRAINING;
use crate::alarm::composite::{Rule, Suppression, Suppressor};
use crate::alarm::evaluate::{Judge, Point, Verdict, next};
use crate::alarm::records::{
    AlarmChange, AlarmRecord, AlarmStatus, BUDGETS, Budget, BurnRate, CHANGED, NOTIFICATIONS,
    Notification, SLOS, STATUSES, SloRecord, all, stream,
};
use crate::alarm::simulate::composite_reason;
use crate::alarm::slo::{Burn, Count, PERIOD, Slo};
use crate::alarm::spec::{Alarm, Query, Watch, Watched};
use crate::alarm::watch::several;
use crate::metrics::MetricStat;

/// In whose name alarms are evaluated.
const ACTOR: &str = "alarms";
/// How long after its end a period is judged, so that what came late counts, in seconds.
pub const GRACE: i64 = 5;
const DAY: i64 = 86_400;

/// How alarms stand, and the versions of their records.
type Statuses = BTreeMap<String, (AlarmStatus, Expect)>;

/// What came of an evaluation.
struct Judgement {
    verdict: Verdict,
    series: BTreeMap<String, State>,
    recent: Vec<(Timestamp, BTreeMap<String, Option<f64>>)>,
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, series: BTreeMap::new(), recent: Vec::new() }
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// The end of the newest period that is over at `now`, grace included.
fn ended(now: Timestamp, period: u32) -> Timestamp {
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
        for row in all(&store, STATUSES).await? {
            statuses.insert(row.key.clone(), (row.read()?, Expect::Version(row.version)));
        }
        let records = self.records().await?;
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
                    let (status, _) = statuses
                        .entry(record.name.clone())
                        .or_insert_with(|| (AlarmStatus::new(now), Expect::Absent));
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
            self.budgets(&records, (&mut statuses, &mut touched), transaction).await?;
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
            dimensions: dimensions(record),
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

    async fn judge(
        &self,
        record: &AlarmRecord,
        (alarm, status): (&Alarm, &AlarmStatus),
        end: Timestamp,
    ) -> Result<Judgement, String> {
        match &alarm.watch {
            Watch::Metrics(watched, judge) if watched.group_by.is_empty() => {
                self.metrics(&record.name, (watched, judge), (status, end)).await
            }
            Watch::Metrics(watched, judge) => {
                let Some((_, stat)) = watched.inputs.first() else {
                    return Err("it watches nothing".to_owned());
                };
                let span = span(end, judge.fetched(), alarm.period);
                let asked = (stat, watched.group_by.as_slice());
                let groups = self.shared.datapoints.grouped(&self.tenant, asked, span).await?;
                let points = |points: Vec<crate::metrics::Datapoint>| {
                    let point = |it: crate::metrics::Datapoint| Point {
                        at: it.at,
                        value: it.value,
                        samples: it.samples,
                        band: None,
                    };
                    points.into_iter().map(point).collect()
                };
                let series = groups.into_iter().map(|(name, it)| (name, points(it))).collect();
                let judged = several(judge, &status.series, &series);
                Ok(Judgement { series: judged.states, ..judged.verdict.into() })
            }
            Watch::Query(query, judge) => {
                self.query((query, judge), (status, end), alarm.period).await
            }
            // They are judged elsewhere, with others.
            Watch::Composite(..) | Watch::Burn(..) => Ok(next_of(status)),
        }
    }

    /// The numbers of each metric over a span.
    async fn inputs(
        &self,
        stats: &[(String, MetricStat)],
        span: Span,
    ) -> Result<BTreeMap<String, Vec<(Option<f64>, Option<u64>)>>, String> {
        let mut inputs = BTreeMap::new();
        for (id, stat) in stats {
            let points = self.shared.datapoints.metric(&self.tenant, stat, span).await?;
            let period = i64::from(stat.period);
            let length = (span.to.as_second() - span.from.as_second()) / period;
            let mut line = vec![(None, None); usize::try_from(length).unwrap_or_default()];
            for point in points {
                let index = (point.at.as_second() - span.from.as_second()).div_euclid(period);
                if let Some(cell) = usize::try_from(index).ok().and_then(|it| line.get_mut(it)) {
                    *cell = (point.value, point.samples);
                }
            }
            inputs.insert(id.clone(), line);
        }
        Ok(inputs)
    }

    async fn metrics(
        &self,
        name: &str,
        (watched, judge): (&Watched, &Judge),
        (status, end): (&AlarmStatus, Timestamp),
    ) -> Result<Judgement, String> {
        let Some(period) = watched.inputs.first().map(|(_, stat)| stat.period) else {
            return Err("it watches nothing".to_owned());
        };
        let window = span(end, judge.fetched(), period);
        let judged = |inputs: &BTreeMap<String, Vec<(Option<f64>, Option<u64>)>>| {
            let length = inputs.values().map(Vec::len).max().unwrap_or_default();
            let lines = inputs.iter();
            let lines = lines.map(|(id, line)| (id.clone(), line.iter().map(|it| it.0).collect()));
            watched.judged(lines.collect(), (length, period)).map_err(|error| error.to_string())
        };
        let inputs = self.inputs(&watched.inputs, window).await?;
        let values = judged(&inputs)?;
        let samples = inputs.get(&watched.returned).filter(|_| watched.expressions.is_empty());
        let mut learner = None;
        if let Some(band) = &watched.band {
            let key = (self.tenant.clone(), name.to_owned());
            let known = self.shared.learners.lock().ok().and_then(|it| it.get(&key).cloned());
            let mut known = known.unwrap_or_default();
            if known.is_old(window.from) {
                // Nothing that is judged is learned from.
                let from = window.from.as_second() - TRAINING;
                let training = Span { from: at(from), to: window.from };
                let history = judged(&self.inputs(&watched.inputs, training).await?)?;
                let moment = |index: usize| at(from + index as i64 * i64::from(period));
                let history: Vec<_> = history
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, value)| Some((moment(index), value?)))
                    .collect();
                known.learn(&history, band, window.from);
                if let Ok(mut learners) = self.shared.learners.lock() {
                    learners.insert(key, known.clone());
                }
            }
            learner = Some((known, band.width));
        }
        let points: Vec<Point> = values
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let at = at(window.from.as_second() + index as i64 * i64::from(period));
                let samples = samples.and_then(|line| line.get(index)?.1);
                let band = learner.as_ref().and_then(|(learner, width)| learner.band(at, *width));
                Point { at, value, samples, band }
            })
            .collect();
        Ok(next(judge, status.state, &points).into())
    }

    /// Asks for the newest period, and judges it with those that were asked for before.
    async fn query(
        &self,
        (query, judge): (&Query, &Judge),
        (status, end): (&AlarmStatus, Timestamp),
        period: u32,
    ) -> Result<Judgement, String> {
        let newest = span(end, 1, period);
        let numbers = self.shared.datapoints.query(&self.tenant, query, newest).await?;
        let window = span(end, judge.fetched(), period);
        let mut recent = status.recent.clone();
        recent.retain(|(at, _)| (window.from..newest.from).contains(at));
        recent.push((newest.from, numbers));
        let names: BTreeSet<&String> = recent.iter().flat_map(|(_, it)| it.keys()).collect();
        let moments = (0..judge.fetched() as i64)
            .map(|index| at(window.from.as_second() + index * i64::from(period)));
        let points = |name: &String| -> Vec<Point> {
            let value = |moment: Timestamp| {
                let found = recent.iter().find(|(at, _)| *at == moment);
                found.and_then(|(_, numbers)| *numbers.get(name)?)
            };
            let point = |at| Point { at, value: value(at), samples: None, band: None };
            moments.clone().map(point).collect()
        };
        let series: BTreeMap<String, Vec<Point>> =
            names.iter().map(|name| ((*name).clone(), points(name))).collect();
        let single = series.len() <= 1 && series.keys().all(String::is_empty);
        let single = single && status.series.is_empty();
        let none = points(&String::new());
        let judged: Judgement = if single {
            next(judge, status.state, series.values().next().unwrap_or(&none)).into()
        } else {
            let judged = several(judge, &status.series, &series);
            Judgement { series: judged.states, ..judged.verdict.into() }
        };
        Ok(Judgement { recent, ..judged })
    }

    /// Evaluates the objectives that are due, and their alarms; tells whether there was one.
    async fn budgets(
        &self,
        records: &[AlarmRecord],
        (statuses, touched): (&mut Statuses, &mut BTreeSet<String>),
        mut transaction: Transaction,
    ) -> Result<(Transaction, bool), StoreError> {
        let (store, now) = (self.store(), self.shared.clock.now());
        let mut budgeted = false;
        let end = ended(now, PERIOD);
        let rows = all(&store, SLOS).await?;
        let mut known = BTreeMap::new();
        for row in all(&store, BUDGETS).await? {
            known.insert(row.key.clone(), (row.read::<Budget>()?, Expect::Version(row.version)));
        }
        for row in rows {
            let SloRecord { name, definition, .. } = row.read()?;
            let (mut budget, expect) = known.remove(&name).unwrap_or_else(|| {
                let (ledger, burn) = (Default::default(), Vec::new());
                (Budget { ledger, burn, evaluated_at: Timestamp::UNIX_EPOCH }, Expect::Absent)
            });
            if budget.evaluated_at >= end {
                continue;
            }
            let (Ok(slo), Ok(alarms)) = (definition.compile(), definition.alarms()) else {
                continue;
            };
            let longest = definition.burn.iter().map(|burn| burn.long_minutes).max();
            let counted = self.counts(&slo, (longest.unwrap_or_default(), end)).await;
            budget.evaluated_at = end;
            budget.burn.clear();
            if let Ok(counts) = &counted {
                budget.ledger.note(counts, slo.window_days);
            }
            for it in alarms {
                let alarm = format!("{name}.{}", it.suffix);
                let Some(record) = records.iter().find(|record| record.name == alarm) else {
                    continue;
                };
                let Watch::Burn(burn, judge) = &it.alarm.watch else { continue };
                let (status, _) = statuses
                    .entry(record.name.clone())
                    .or_insert_with(|| (AlarmStatus::new(now), Expect::Absent));
                let rate = counted.as_ref().ok().and_then(|counts| rate(burn, counts));
                let judged = counted.as_ref().map_err(Clone::clone).map(|_| {
                    let point = Point {
                        at: at(end.as_second() - i64::from(PERIOD)),
                        value: rate,
                        samples: None,
                        band: None,
                    };
                    next(judge, status.state, &[point]).into()
                });
                settle(status, judged, end);
                touched.insert(record.name.clone());
                let factor = judge.threshold.unwrap_or_default();
                let window = it.suffix.trim_start_matches("burn-").to_owned();
                budget.burn.push(BurnRate { window, rate, factor });
            }
            transaction = transaction.put(BUDGETS, &name, &budget, expect)?;
            budgeted = true;
        }
        for (name, (_, expect)) in known {
            transaction = transaction.delete(BUDGETS, &name, expect);
            budgeted = true;
        }
        Ok((transaction, budgeted))
    }

    /// What was good, minute by minute: whole days, and at least so many minutes.
    async fn counts(
        &self,
        slo: &Slo,
        (minutes, end): (u32, Timestamp),
    ) -> Result<Vec<(Timestamp, Count)>, String> {
        let back = (i64::from(minutes) * 60).max(DAY);
        let from = (end.as_second() - back).div_euclid(DAY) * DAY;
        let stats: Vec<(String, MetricStat)> = slo
            .indicator
            .metrics()
            .into_iter()
            .enumerate()
            .map(|(index, stat)| (index.to_string(), stat.clone()))
            .collect();
        let inputs = self.inputs(&stats, Span { from: at(from), to: end }).await?;
        let length = inputs.values().map(Vec::len).max().unwrap_or_default();
        let count = |index: usize| {
            let numbers: Vec<_> =
                inputs.values().map(|line| line.get(index).and_then(|cell| cell.0)).collect();
            (at(from + index as i64 * i64::from(PERIOD)), slo.indicator.count(&numbers))
        };
        Ok((0..length).map(count).collect())
    }
}

fn rate(burn: &Burn, counts: &[(Timestamp, Count)]) -> Option<f64> {
    let counts: Vec<Count> = counts.iter().map(|(_, count)| *count).collect();
    burn.rate(&counts)
}

fn span(end: Timestamp, periods: usize, period: u32) -> Span {
    Span { from: at(end.as_second() - periods as i64 * i64::from(period)), to: end }
}

/// What an alarm has that is judged with others: the same as before.
fn next_of(status: &AlarmStatus) -> Judgement {
    let (state, reason) = (status.state, status.reason.clone());
    Verdict { state, reason, datapoints: Vec::new(), filled: 0 }.into()
}

/// Notes what came of an evaluation. If it failed the state stays, and it is tried again with the
/// next period.
fn settle(status: &mut AlarmStatus, judged: Result<Judgement, String>, end: Timestamp) {
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
            let (status, _) = statuses
                .entry(record.name.clone())
                .or_insert_with(|| (AlarmStatus::new(now), Expect::Absent));
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

/// Of what an alarm is, where all its metrics say the same.
fn dimensions(record: &AlarmRecord) -> BTreeMap<String, String> {
    let file = &record.definition;
    let mut all = file.metrics.iter().filter(|it| it.metric.is_some()).map(|it| &it.dimensions);
    let Some(first) = all.next() else { return file.dimensions.clone() };
    let mut common = first.clone();
    for dimensions in all {
        common.retain(|name, value| dimensions.get(name) == Some(value));
    }
    common
}
