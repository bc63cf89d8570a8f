//! From metrics to what is judged: expressions, bands, and several series at once.

use std::collections::BTreeMap;

use release::Timestamp;

use super::State;
use super::band::Model;
use super::evaluate::{Judge, Point, Verdict, next};
use super::math::{Environment, MathError, Series, Value};
use super::spec::{BandFile, Watched};

/// How long a band's model counts before it is learned anew, in seconds.
const RELEARN: i64 = 3_600;

impl Watched {
    /// What is judged, from the metrics' numbers: one for each of `length` periods.
    ///
    /// # Errors
    /// If an expression cannot be computed.
    pub fn judged(
        &self,
        mut inputs: BTreeMap<String, Series>,
        (length, period): (usize, u32),
    ) -> Result<Series, MathError> {
        let metrics: Vec<String> = self.inputs.iter().map(|(id, _)| id.clone()).collect();
        for id in &metrics {
            inputs.entry(id.clone()).or_insert_with(|| vec![None; length]);
        }
        for (id, expression) in &self.expressions {
            let environment = Environment { length, period, series: &inputs, metrics: &metrics };
            let series = match expression.evaluate(&environment)? {
                Value::Series(series) => series,
                Value::Scalar(number) => vec![number; length],
                // Refused when the alarm was read.
                Value::List(_) | Value::Band { .. } => vec![None; length],
            };
            inputs.insert(id.clone(), series);
        }
        Ok(inputs.remove(&self.returned).unwrap_or_else(|| vec![None; length]))
    }
}

/// A band's model, learned anew now and then.
#[derive(Debug, Clone, Default)]
pub struct Learner {
    model: Option<Model>,
    learned_at: Option<Timestamp>,
    of: usize,
}

impl Learner {
    /// Whether the model has become old at `now`.
    pub fn is_old(&self, now: Timestamp) -> bool {
        let age = |at: Timestamp| now.duration_since(at).as_secs();
        self.model.is_none() || self.learned_at.is_none_or(|at| age(at) >= RELEARN || age(at) < 0)
    }

    /// Learns from what was before `now`.
    pub fn learn(&mut self, history: &[(Timestamp, f64)], band: &BandFile, now: Timestamp) {
        self.model = Model::train(history, &band.exclude, now);
        (self.learned_at, self.of) = (Some(now), history.len());
    }

    /// Whether there is so much more to learn from that it is worth it, though the model is not old.
    pub fn would_gain(&self, known: usize) -> bool {
        known > self.of + self.of / 4
    }

    /// The band at a moment, once something is learned.
    pub fn band(&self, at: Timestamp, width: f64) -> Option<(f64, f64)> {
        self.model.as_ref().map(|model| model.band(at, width))
    }
}

/// What came of judging several series.
#[derive(Debug, Clone, PartialEq)]
pub struct Several {
    /// The alarm's state, and why.
    pub verdict: Verdict,
    /// The state of each series, by its name.
    pub states: BTreeMap<String, State>,
}

/// Judges each series by itself. One that is gone is OK, whatever a missing number counts as; if
/// there is none at all, there is not enough data.
pub fn several(
    judge: &Judge,
    before: &BTreeMap<String, State>,
    series: &BTreeMap<String, Vec<Point>>,
) -> Several {
    let has_number = |points: &[Point]| {
        points[points.len().saturating_sub(judge.fetched())..].iter().any(|it| it.value.is_some())
    };
    let mut states = BTreeMap::new();
    let mut alarming: Vec<(&str, Verdict)> = Vec::new();
    let mut other = None;
    for (name, points) in series.iter().filter(|(_, points)| has_number(points)) {
        let known = before.get(name).copied().unwrap_or(State::InsufficientData);
        let verdict = next(judge, known, points);
        states.insert(name.clone(), verdict.state);
        if verdict.state == State::Alarm {
            alarming.push((name, verdict));
        } else {
            other.get_or_insert(verdict);
        }
    }
    let gone: Vec<_> = before.keys().filter(|name| !states.contains_key(*name)).collect();
    let verdict = match (alarming.first(), other) {
        (Some((_, first)), _) => {
            let names: Vec<_> = alarming.iter().map(|(name, _)| format!("`{name}`")).collect();
            let count = states.len();
            let reason = format!(
                "{} of {count} series: {}; the first: {}",
                names.len(),
                names.join(", "),
                first.reason
            );
            Verdict { reason, ..first.clone() }
        }
        (None, Some(first)) => {
            let reason =
                format!("none of {} series breaches; the first: {}", states.len(), first.reason);
            let still = states.values().any(|state| *state == State::Ok);
            let state = if still { State::Ok } else { State::InsufficientData };
            Verdict { state, reason, ..first }
        }
        (None, None) => {
            let reason = match gone.as_slice() {
                [] => "there is no series".to_owned(),
                gone => format!("{} series are gone, and there is none left", gone.len()),
            };
            let state = State::InsufficientData;
            Verdict { state, reason, datapoints: Vec::new(), filled: 0 }
        }
    };
    Several { verdict, states }
}

#[cfg(test)]
mod tests;
