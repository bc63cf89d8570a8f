//! When a metric changed for good: its level before, told by medians, which an outlier cannot move.

use release::Timestamp;
use serde::Serialize;

use crate::metrics::Datapoint;
use crate::robust::{NORMAL, median};

/// Points that the level before is told from, at most.
const BEFORE: usize = 60;
/// Points that the level before needs.
const BEFORE_AT_LEAST: usize = 5;
/// Points that the level after is told from.
const AFTER: usize = 5;
/// Points that the level after needs.
const AFTER_AT_LEAST: usize = 3;
/// How many deviations two levels differ at least.
const DEVIATIONS: f64 = 4.0;
/// By how much of the greater level they differ at least.
const SHARE: f64 = 0.2;

/// A metric changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// When: the begin of the first period at the new level.
    pub at: Timestamp,
    /// The level before.
    pub before: f64,
    /// The level after.
    pub after: f64,
    /// How many robust deviations they differ by.
    pub deviations: f64,
}

/// The changes of a metric, in order. What has no value is passed over; a single odd period is no
/// change.
///
/// Two levels differ if their medians do by [`DEVIATIONS`] times the median absolute deviation of
/// the level before (scaled by 1.4826 to a normal distribution's) and by a fifth of the greater.
pub fn changes(points: &[Datapoint]) -> Vec<Change> {
    let known: Vec<(Timestamp, f64)> =
        points.iter().filter_map(|point| Some((point.at, point.value?))).collect();
    let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let mut changes = Vec::new();
    // Where the present level began.
    let mut level = 0;
    let mut at = BEFORE_AT_LEAST;
    while at + AFTER_AT_LEAST <= values.len() {
        let before = &values[level.max(at.saturating_sub(BEFORE))..at];
        let after = &values[at..values.len().min(at + AFTER)];
        let differs = (before.len() >= BEFORE_AT_LEAST).then(|| differ(before, after)).flatten();
        let Some((old, new, deviations)) = differs else {
            at += 1;
            continue;
        };
        // The window reaches ahead: the first point that is nearer to the new level is the one.
        let nearer = |value: &f64| (value - new).abs() < (value - old).abs();
        let first = at + after.iter().position(nearer).unwrap_or(0);
        let new = middle(&values[first..values.len().min(first + AFTER)]);
        changes.push(Change { at: known[first].0, before: old, after: new, deviations });
        level = first;
        at = first + BEFORE_AT_LEAST;
    }
    changes
}

fn differ(before: &[f64], after: &[f64]) -> Option<(f64, f64, f64)> {
    let (old, new) = (middle(before), middle(after));
    let spread: Vec<f64> = before.iter().map(|value| (value - old).abs()).collect();
    let greater = old.abs().max(new.abs());
    // A level that never varied still has noise below what anybody would call a change.
    let deviation = (NORMAL * middle(&spread)).max(greater * SHARE / DEVIATIONS / 2.0);
    let difference = (new - old).abs();
    let deviations = difference / deviation;
    let differs = difference > 0.0 && difference >= SHARE * greater && deviations >= DEVIATIONS;
    differs.then_some((old, new, deviations))
}

fn middle(values: &[f64]) -> f64 {
    median(values.to_vec()).unwrap_or_default()
}
