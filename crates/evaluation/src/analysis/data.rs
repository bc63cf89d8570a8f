//! Results, once they are known to make sense.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::input::{InputError, Origin};
use crate::statistics::Direction;
use crate::statistics::bootstrap::Case;
use crate::statistics::paired::Outcomes;

/// The greatest value, whose square is still far from overflowing.
const GREATEST: f64 = 1e100;
/// The arm that others are compared with, if one has this name.
const CONTROL: &str = "control";

/// What was measured. Where there are arms, the control is the first: the one named `control`, or
/// the first of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Counts per arm.
    Counts {
        /// What was counted.
        counted: Counted,
        /// The arms, two or more.
        arms: Vec<ArmCount>,
    },
    /// A value per unit.
    Values(Vec<ArmValues>),
    /// Two samples.
    Samples {
        /// The one.
        control: Vec<f64>,
        /// The other.
        treatment: Vec<f64>,
    },
    /// Cases that passed or did not, before and after.
    Outcomes(Outcomes),
    /// Cases with scores, before and after.
    Scores(Vec<Case>),
}

/// What was counted of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// More of them are better.
    Successes,
    /// More of them are worse.
    Failures,
}

impl Counted {
    /// Which way a rate of them gets better.
    pub fn direction(self) -> Direction {
        match self {
            Self::Successes => Direction::HigherIsBetter,
            Self::Failures => Direction::LowerIsBetter,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Successes => "successes",
            Self::Failures => "failures",
        }
    }
}

/// An arm and what was counted in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmCount {
    /// Its name.
    pub name: String,
    /// All its units.
    pub units: u64,
    /// Those that succeeded, or failed.
    pub count: u64,
}

/// An arm and its units' values.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmValues {
    /// Its name.
    pub name: String,
    /// One value for each unit.
    pub values: Vec<f64>,
}

/// A row as read, and where: of a table the line, of a list the index.
pub(super) struct Row<T> {
    pub(super) at: usize,
    pub(super) it: T,
}

/// A score as written.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a score: a number, true or false")]
pub(super) enum Score {
    Outcome(bool),
    Number(f64),
}

impl Score {
    fn number(self) -> f64 {
        match self {
            Self::Outcome(passed) => f64::from(u8::from(passed)),
            Self::Number(number) => number,
        }
    }

    fn outcome(self) -> Option<bool> {
        match self {
            Self::Outcome(passed) => Some(passed),
            Self::Number(number) => [(0.0, false), (1.0, true)]
                .into_iter()
                .find_map(|(known, passed)| (known == number).then_some(passed)),
        }
    }
}

/// A case's scores as written; a case without a name is one of its own.
pub(super) struct Pair {
    pub(super) case: Option<String>,
    pub(super) before: Score,
    pub(super) after: Score,
}

impl Data {
    /// The names of the arms that units were assigned to, the control's first.
    pub fn arms(&self) -> Vec<&str> {
        match self {
            Self::Counts { arms, .. } => arms.iter().map(|arm| arm.name.as_str()).collect(),
            Self::Values(arms) => arms.iter().map(|arm| arm.name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn counts(
        rows: Vec<Row<ArmCount>>,
        counted: Counted,
        origin: Origin,
    ) -> Result<Self, InputError> {
        let mut known = HashSet::new();
        for Row { at, it: arm } in &rows {
            named(&arm.name, origin.field(*at, "name"))?;
            if !known.insert(arm.name.clone()) {
                let message = format!("the arm `{}` is there twice", arm.name);
                return Err(InputError::new(origin.row(*at), message, "add its counts up"));
            }
            if arm.count > arm.units {
                let message = format!("{} {} of {} units", arm.count, counted.name(), arm.units);
                let hint = "count units, not requests: each at most once";
                return Err(InputError::new(origin.field(*at, counted.name()), message, hint));
            }
        }
        let mut arms: Vec<_> = rows.into_iter().map(|row| row.it).collect();
        several(arms.len(), origin)?;
        arms.sort_by_key(|arm| arm.name != CONTROL);
        Ok(Self::Counts { counted, arms })
    }

    pub(super) fn values(
        rows: impl Iterator<Item = Result<Row<(String, String, f64)>, InputError>>,
        origin: Origin,
    ) -> Result<Self, InputError> {
        let mut units: HashMap<String, (usize, usize)> = HashMap::new();
        let mut arms: Vec<ArmValues> = Vec::new();
        let mut indices: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let Row { at, it: (arm, unit, value) } = row?;
            named(&arm, origin.field(at, "arm"))?;
            named(&unit, origin.field(at, "unit"))?;
            usable(value, || origin.field(at, "value"))?;
            let index = *indices.entry(arm).or_insert_with_key(|name| {
                arms.push(ArmValues { name: name.clone(), values: Vec::new() });
                arms.len() - 1
            });
            if let Some((first, before)) = units.get(&unit) {
                return Err(twice(&unit, origin.row(*first), (*before == index, origin.row(at))));
            }
            units.insert(unit, (at, index));
            arms[index].values.push(value);
        }
        several(arms.len(), origin)?;
        arms.sort_by_key(|arm| arm.name != CONTROL);
        Ok(Self::Values(arms))
    }

    /// Two samples, each with the place of its values.
    pub(super) fn samples(
        control: Vec<Row<f64>>,
        treatment: Vec<Row<f64>>,
        origins: [(Origin, &str); 2],
    ) -> Result<Self, InputError> {
        let sample = |rows: Vec<Row<f64>>, (origin, field): (Origin, &str)| {
            if rows.is_empty() {
                let hint = "give at least two values for each of both samples";
                return Err(InputError::new(origin.all(), "the sample is empty", hint));
            }
            rows.into_iter()
                .map(|Row { at, it }| {
                    let place = || match origin {
                        Origin::Key(_) => origin.row(at),
                        Origin::Lines => origin.field(at, field),
                    };
                    usable(it, place).map(|()| it)
                })
                .collect::<Result<Vec<f64>, _>>()
        };
        let [of_control, of_treatment] = origins;
        Ok(Self::Samples {
            control: sample(control, of_control)?,
            treatment: sample(treatment, of_treatment)?,
        })
    }

    /// Outcomes if each score is one and each case is there once; else scores.
    pub(super) fn pairs(rows: Vec<Row<Pair>>, origin: Origin) -> Result<Self, InputError> {
        if rows.is_empty() {
            let hint = "give at least one case, before and after";
            return Err(InputError::new(origin.all(), "there are no pairs", hint));
        }
        for Row { at, it } in &rows {
            for (score, field) in [(it.before, "before"), (it.after, "after")] {
                usable(score.number(), || origin.field(*at, field))?;
            }
            if let Some(case) = &it.case {
                named(case, origin.field(*at, "case"))?;
            }
        }
        let outcome = |row: &Row<Pair>| Some((row.it.before.outcome()?, row.it.after.outcome()?));
        let outcomes: Option<Vec<_>> = rows.iter().map(outcome).collect();
        if outcomes.is_none() {
            unmixed(&rows, origin)?;
        }
        let cases = by_case(&rows);
        Ok(match outcomes.filter(|_| cases.len() == rows.len()) {
            Some(outcomes) => Self::Outcomes(Outcomes::of(outcomes)),
            None => Self::Scores(cases.iter().filter_map(|repeats| Case::of(repeats)).collect()),
        })
    }
}

/// The repeats of each case, in the order of the file.
fn by_case(rows: &[Row<Pair>]) -> Vec<Vec<(f64, f64)>> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut cases: Vec<Vec<(f64, f64)>> = Vec::new();
    for Row { it, .. } in rows {
        let next = cases.len();
        let index = it.case.as_deref().map_or(next, |name| *known.entry(name).or_insert(next));
        if index == next {
            cases.push(Vec::with_capacity(1));
        }
        cases[index].push((it.before.number(), it.after.number()));
    }
    cases
}

/// Refuses `true` and `false` among scores.
fn unmixed(rows: &[Row<Pair>], origin: Origin) -> Result<(), InputError> {
    for Row { at, it } in rows {
        for (score, field) in [(it.before, "before"), (it.after, "after")] {
            if matches!(score, Score::Outcome(_)) {
                let message = "an outcome stands among scores";
                let hint = "write all as true and false, or all as numbers";
                return Err(InputError::new(origin.field(*at, field), message, hint));
            }
        }
    }
    Ok(())
}

fn named(name: &str, place: String) -> Result<(), InputError> {
    if name.trim().is_empty() {
        return Err(InputError::new(place, "the name is empty", "give it a name"));
    }
    Ok(())
}

fn several(arms: usize, origin: Origin) -> Result<(), InputError> {
    if arms < 2 {
        let message = match arms {
            0 => "there is no arm",
            _ => "there is only one arm",
        };
        let hint = "an experiment compares at least two arms, one of them the control";
        return Err(InputError::new(origin.all(), message, hint));
    }
    Ok(())
}

fn twice(unit: &str, first: String, (same_arm, place): (bool, String)) -> InputError {
    let message = format!("the unit `{unit}` was there already, at {first}");
    let hint = match same_arm {
        true => "give one value for each unit: sum up or average what belongs to it first",
        false => "a unit belongs to one arm: leave out those that saw both",
    };
    InputError::new(place, message, hint)
}

fn usable(value: f64, place: impl FnOnce() -> String) -> Result<(), InputError> {
    if value.is_finite() && value.abs() <= GREATEST {
        return Ok(());
    }
    let message = match value.is_finite() {
        true => format!("{value:e} is no usable number"),
        false => format!("{value} is no usable number"),
    };
    let hint = "give a finite number up to 1e100, or leave the row out and say how many were";
    Err(InputError::new(place(), message, hint))
}
