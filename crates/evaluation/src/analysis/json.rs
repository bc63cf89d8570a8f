//! Results as JSON.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Analysis;
use super::data::{ArmCount, Counted, Data, Pair, Row, Score};
use super::input::{InputError, Origin};
use super::settings::Settings;
use crate::statistics::{Direction, Scale};

const SHAPES: &str = "give one of `arms`, `rows`, `control` with `treatment`, and `pairs`; \
                      docs/analysing-experiments.md has examples";

/// All keys that a file may have: data of one shape, and settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    arms: Option<Vec<Arm>>,
    rows: Option<Vec<Value>>,
    control: Option<Vec<f64>>,
    treatment: Option<Vec<f64>>,
    pairs: Option<Vec<Scores>>,
    metric: Option<String>,
    alpha: Option<f64>,
    direction: Option<Direction>,
    margin: Option<f64>,
    scale: Option<Scale>,
    shares: Option<BTreeMap<String, f64>>,
    n_star: Option<f64>,
    seed: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arm {
    name: String,
    units: u64,
    successes: Option<u64>,
    failures: Option<u64>,
    share: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    arm: Name,
    unit: Name,
    value: f64,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a name: text or a whole number")]
enum Name {
    Text(String),
    Number(i64),
}

impl Name {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a pair: [before, after], or `case`, `before` and `after`, each score a \
                 number, true or false"
)]
enum Scores {
    Named(NamedScores),
    Bare((Score, Score)),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedScores {
    case: Name,
    before: Score,
    after: Score,
}

pub(super) fn parse(text: &str) -> Result<Analysis, InputError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut file: File = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let mut settings = file.settings();
    let data = file.data(&mut settings)?;
    Ok(Analysis { data, settings })
}

impl File {
    fn settings(&mut self) -> Settings {
        let default = Settings::default();
        Settings {
            metric: self.metric.take(),
            alpha: self.alpha.unwrap_or(default.alpha),
            direction: self.direction,
            margin: self.margin.unwrap_or(default.margin),
            scale: self.scale.unwrap_or(default.scale),
            shares: self.shares.take().unwrap_or_default(),
            n_star: self.n_star.unwrap_or(default.n_star),
            seed: self.seed.unwrap_or(default.seed),
        }
    }

    fn data(self, settings: &mut Settings) -> Result<Data, InputError> {
        let two = self.control.is_some() || self.treatment.is_some();
        let shapes = [
            (self.arms.is_some(), "arms"),
            (self.rows.is_some(), "rows"),
            (two, "control` and `treatment"),
            (self.pairs.is_some(), "pairs"),
        ];
        let given: Vec<_> =
            shapes.iter().filter(|(given, _)| *given).map(|(_, key)| *key).collect();
        if given.len() > 1 {
            let message = format!("it has `{}` at once", given.join("`, `"));
            return Err(InputError::new("the file", message, SHAPES));
        }
        if let Some(arms) = self.arms {
            return counts(arms, settings);
        }
        if let Some(rows) = self.rows {
            let rows = indexed(rows).map(|Row { at, it }| {
                Ok(Row { at, it: (it.arm.text(), it.unit.text(), it.value) })
            });
            return Data::values(rows, Origin::Key("rows"));
        }
        if let Some(pairs) = self.pairs {
            let rows = indexed(pairs).map(|Row { at, it }| Row { at, it: pair(it) });
            return Data::pairs(rows.collect(), Origin::Key("pairs"));
        }
        match (self.control, self.treatment) {
            (Some(control), Some(treatment)) => Data::samples(
                indexed(control).collect(),
                indexed(treatment).collect(),
                [(Origin::Key("control"), ""), (Origin::Key("treatment"), "")],
            ),
            (None, None) => Err(InputError::new("the file", "it has no results", SHAPES)),
            (Some(_), None) => Err(InputError::new("the file", "`treatment` is missing", SHAPES)),
            (None, Some(_)) => Err(InputError::new("the file", "`control` is missing", SHAPES)),
        }
    }
}

fn counts(arms: Vec<Arm>, settings: &mut Settings) -> Result<Data, InputError> {
    let origin = Origin::Key("arms");
    let counted = match arms.first() {
        Some(Arm { failures: Some(_), .. }) => Counted::Failures,
        _ => Counted::Successes,
    };
    let mut rows = Vec::new();
    let mut shares = Vec::new();
    for Row { at, it: arm } in indexed(arms) {
        let count = match (counted, arm.successes, arm.failures) {
            (Counted::Successes, Some(count), None) | (Counted::Failures, None, Some(count)) => {
                count
            }
            _ => {
                let message = "it must have `successes` or `failures`, the same as the first arm";
                let hint = "count the same in each arm, and one of both only";
                return Err(InputError::new(origin.row(at), message, hint));
            }
        };
        shares.push(Row { at, it: (arm.name.clone(), arm.share) });
        rows.push(Row { at, it: ArmCount { name: arm.name, units: arm.units, count } });
    }
    let data = Data::counts(rows, counted, origin)?;
    planned(shares, settings, origin)?;
    Ok(data)
}

/// Takes the shares that arms have of their own into the settings: all, or none.
pub(super) fn planned(
    shares: Vec<Row<(String, Option<f64>)>>,
    settings: &mut Settings,
    origin: Origin,
) -> Result<(), InputError> {
    if shares.iter().all(|row| row.it.1.is_none()) {
        return Ok(());
    }
    if !settings.shares.is_empty() {
        let hint = "leave out one of both";
        return Err(InputError::new("`shares`", "arms have shares of their own", hint));
    }
    for Row { at, it: (name, share) } in shares {
        let place = origin.field(at, "share");
        let hint = "give the planned share of each arm, above 0, or of none";
        let share = share.ok_or_else(|| InputError::new(&place, "the share is missing", hint))?;
        if !(share.is_finite() && share > 0.0) {
            return Err(InputError::new(place, format!("the share is {share}"), hint));
        }
        settings.shares.insert(name, share);
    }
    Ok(())
}

fn pair(scores: Scores) -> Pair {
    match scores {
        Scores::Named(NamedScores { case, before, after }) => {
            Pair { case: Some(case.text()), before, after }
        }
        Scores::Bare((before, after)) => Pair { case: None, before, after },
    }
}

fn indexed<T>(items: Vec<T>) -> impl Iterator<Item = Row<T>> {
    items.into_iter().enumerate().map(|(at, it)| Row { at, it })
}

fn unreadable(error: &serde_json::Error) -> InputError {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let message = message
        .replace("expected u64", "expected a whole number, 0 or more")
        .replace("expected f64", "expected a number");
    let place = match error.line() {
        0 => "the file".to_owned(),
        line => format!("line {line}, column {}", error.column()),
    };
    let hint = match error.classify() {
        serde_json::error::Category::Data => {
            "docs/analysing-experiments.md has the keys and an example of each shape"
        }
        _ => "it must be JSON: no comments, no NaN, no commas at the end",
    };
    InputError::new(place, message, hint)
}
