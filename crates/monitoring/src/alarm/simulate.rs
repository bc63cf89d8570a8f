//! Replaying given datapoints through an alarm, before it goes live.

mod input;

use std::collections::BTreeMap;

use release::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::composite::{Rule, Suppression, Suppressor};
use super::evaluate::{Judge, Judged, Point, Verdict, next};
use super::math::Series;
use super::spec::{Alarm, Watch, Watched};
use super::watch::{Learner, several};
use super::{AlarmError, State};
use input::{Given, Grid};

/// How a simulation begins.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// The state before.
    pub state: State,
    /// When the first period begins, of datapoints without a time.
    pub start: Timestamp,
}

impl Default for Beginning {
    /// Without data, at the beginning of 2026.
    fn default() -> Self {
        let start = Timestamp::from_second(1_767_225_600).unwrap_or_default();
        Self { state: State::InsufficientData, start }
    }
}

/// One evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// When the newest of the judged periods began.
    pub timestamp: Timestamp,
    /// When it was over, and the evaluation took place.
    pub evaluated_at: Timestamp,
    /// The state before.
    pub previous: State,
    /// The state after.
    pub state: State,
    /// Why.
    pub reason: String,
    /// The numbers that were judged, the oldest first.
    pub datapoints: Vec<Judged>,
    /// How many periods without a number were filled in.
    pub filled: u32,
    /// Why the actions of the change are held back, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// Evaluates `alarm` after each period of `datapoints`; the forms these may have are told in
/// `docs/alarms.md`.
///
/// # Errors
/// If they have none of these forms, or do not fit the alarm.
pub fn simulate(
    alarm: &Alarm,
    datapoints: &Value,
    beginning: Beginning,
) -> Result<Vec<Evaluation>, AlarmError> {
    match &alarm.watch {
        Watch::Metrics(watched, judge) if watched.group_by.is_empty() => {
            let statistics: BTreeMap<_, _> =
                watched.inputs.iter().map(|(id, stat)| (id.as_str(), stat.statistic)).collect();
            let given = Given::read(datapoints, &statistics)?;
            metrics((alarm, watched, judge), given, beginning)
        }
        Watch::Metrics(Watched { inputs, .. }, judge) => {
            let statistic = inputs.first().map(|(_, stat)| ("m1", stat.statistic));
            let given = Given::read(datapoints, &statistic.into_iter().collect())?;
            groups((alarm, judge), &given, beginning)
        }
        Watch::Query(_, judge) => {
            let given = Given::read(datapoints, &BTreeMap::new())?;
            groups((alarm, judge), &given, beginning)
        }
        Watch::Composite(rule, suppressor) => {
            composite((rule, suppressor.as_ref()), datapoints, beginning)
        }
        Watch::Burn(..) => {
            Err(AlarmError::Datapoints("alarms of an objective cannot be simulated".to_owned()))
        }
    }
}

fn moment(start: Timestamp, period: u32, index: usize) -> Timestamp {
    let seconds = i64::from(period).saturating_mul(index as i64);
    Timestamp::from_second(start.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

fn told(grid: &Grid, index: usize, previous: State, verdict: Verdict) -> Evaluation {
    Evaluation {
        timestamp: moment(grid.start, grid.period, index),
        evaluated_at: moment(grid.start, grid.period, index + 1),
        previous,
        state: verdict.state,
        reason: verdict.reason,
        datapoints: verdict.datapoints,
        filled: verdict.filled,
        held: None,
    }
}

fn metrics(
    (alarm, watched, judge): (&Alarm, &Watched, &Judge),
    given: Given,
    beginning: Beginning,
) -> Result<Vec<Evaluation>, AlarmError> {
    let ids: Vec<&str> = watched.inputs.iter().map(|(id, _)| id.as_str()).collect();
    let grid = Grid::lay(given.named(&ids)?, alarm.period, beginning.start)?;
    let slice = |from: usize, to: usize| -> Result<Series, AlarmError> {
        let lines = grid.series.iter();
        let lines =
            lines.map(|(id, line)| (id.clone(), line[from..to].iter().map(|it| it.0).collect()));
        watched
            .judged(lines.collect(), (to - from, alarm.period))
            .map_err(|error| AlarmError::Datapoints(error.to_string()))
    };
    let samples = |index: usize| {
        let line = grid.series.get(&watched.returned).filter(|_| watched.expressions.is_empty())?;
        line.get(index)?.1
    };
    let point = |index: usize, value: Option<f64>, band| Point {
        at: moment(grid.start, grid.period, index),
        value,
        samples: samples(index),
        band,
    };
    let mut evaluations = Vec::new();
    let mut state = beginning.state;
    let mut learner = Learner::default();
    let all = if watched.band.is_some() { slice(0, grid.length)? } else { Vec::new() };
    let mut history = Vec::new();
    let mut points: Vec<Point> = Vec::new();
    for index in 0..grid.length {
        let from = (index + 1).saturating_sub(judge.fetched());
        match &watched.band {
            None => {
                let values = slice(from, index + 1)?.into_iter().enumerate();
                points = values.map(|(at, value)| point(from + at, value, None)).collect();
            }
            Some(band) => {
                let at = moment(grid.start, grid.period, index);
                if learner.is_old(at) || learner.would_gain(history.len()) {
                    learner.learn(&history, band, at);
                }
                let value = all.get(index).copied().flatten();
                points.push(point(index, value, learner.band(at, band.width)));
                history.extend(value.map(|value| (at, value)));
            }
        }
        let verdict = next(judge, state, &points);
        let previous = std::mem::replace(&mut state, verdict.state);
        evaluations.push(told(&grid, index, previous, verdict));
    }
    Ok(evaluations)
}

/// Several series by name; a single one without a name is judged as such.
fn groups(
    (alarm, judge): (&Alarm, &Judge),
    given: &Given,
    beginning: Beginning,
) -> Result<Vec<Evaluation>, AlarmError> {
    let single = given.is_single();
    let grid = Grid::lay(given.all(), alarm.period, beginning.start)?;
    let mut states = BTreeMap::new();
    let mut state = beginning.state;
    let mut evaluations = Vec::new();
    for index in 0..grid.length {
        let from = (index + 1).saturating_sub(judge.fetched());
        let points = |line: &Vec<(Option<f64>, Option<u64>)>| -> Vec<Point> {
            let cells = line[from..=index].iter().enumerate();
            let point = |(at, (value, samples)): (usize, &(Option<f64>, Option<u64>))| Point {
                at: moment(grid.start, grid.period, from + at),
                value: *value,
                samples: *samples,
                band: None,
            };
            cells.map(point).collect()
        };
        let series: BTreeMap<_, _> =
            grid.series.iter().map(|(name, line)| (name.clone(), points(line))).collect();
        let verdict = match series.values().next().filter(|_| single) {
            Some(points) => next(judge, state, points),
            None => {
                let judged = several(judge, &states, &series);
                states = judged.states;
                judged.verdict
            }
        };
        let previous = std::mem::replace(&mut state, verdict.state);
        evaluations.push(told(&grid, index, previous, verdict));
    }
    Ok(evaluations)
}

/// Other alarms' states, one for each minute: `{"errors": ["OK", "ALARM"], …}`.
fn composite(
    (rule, suppressor): (&Rule, Option<&Suppressor>),
    datapoints: &Value,
    beginning: Beginning,
) -> Result<Vec<Evaluation>, AlarmError> {
    const MINUTE: u32 = 60;
    let fault = |message: String| AlarmError::Datapoints(message);
    let mut wanted = rule.children();
    wanted.extend(suppressor.map(|it| it.alarm.as_str()));
    let lines = datapoints.as_object().ok_or_else(|| {
        fault("an alarm with a rule needs the states of the others, as {\"errors\": [\"OK\", \"ALARM\"]}".to_owned())
    })?;
    let mut states: BTreeMap<&str, Vec<Option<State>>> = BTreeMap::new();
    for (name, line) in lines {
        if !wanted.contains(name.as_str()) {
            return Err(fault(format!("the rule does not name `{name}`")));
        }
        let list =
            line.as_array().ok_or_else(|| fault(format!("`{name}` is no list of states")))?;
        let state = |state: &Value| match state {
            Value::Null => Ok(None),
            given => serde_json::from_value(given.clone())
                .map(Some)
                .map_err(|_| fault(format!("`{name}`: {given} is no state"))),
        };
        states.insert(name, list.iter().map(state).collect::<Result<_, _>>()?);
    }
    let length = states.values().map(Vec::len).max().unwrap_or_default();
    let grid = Grid::empty(beginning.start, MINUTE, length);
    let mut now: BTreeMap<&str, State> = BTreeMap::new();
    let (mut state, mut since) = (beginning.state, grid.start);
    let mut performed = beginning.state;
    let mut left_at = None;
    let mut evaluations = Vec::new();
    for index in 0..length {
        let at = moment(grid.start, MINUTE, index);
        for (name, line) in &states {
            // Who is not told of stays as it was.
            let Some(next) = line.get(index).copied().flatten() else { continue };
            let before = now.insert(name, next);
            let leaves = before == Some(State::Alarm) && next != State::Alarm;
            if leaves && suppressor.is_some_and(|it| it.alarm == **name) {
                left_at = Some(at);
            }
        }
        let of = |name: &str| now.get(name).copied().unwrap_or(State::InsufficientData);
        let previous = std::mem::replace(&mut state, rule.evaluate(&of));
        if previous != state {
            since = at;
        }
        let suppression =
            |it: &Suppressor| Suppression { in_alarm: of(&it.alarm) == State::Alarm, left_at };
        let held = suppressor
            .filter(|_| performed != state)
            .and_then(|it| it.holds((state, since), suppression(it), at));
        if held.is_none() {
            performed = state;
        }
        let reason = composite_reason(rule, &of);
        let verdict = Verdict { state, reason, datapoints: Vec::new(), filled: 0 };
        evaluations.push(Evaluation {
            held,
            evaluated_at: at,
            ..told(&grid, index, previous, verdict)
        });
    }
    Ok(evaluations)
}

/// Why a rule holds or not: the alarms it names and how they stand.
pub fn composite_reason(rule: &Rule, state: &dyn Fn(&str) -> State) -> String {
    let children = rule.children().into_iter();
    let states: Vec<_> = children.map(|name| format!("{name} {}", state(name).as_str())).collect();
    match states.as_slice() {
        [] => format!("the rule is `{rule}`"),
        states => states.join(", "),
    }
}

#[cfg(test)]
mod tests;
