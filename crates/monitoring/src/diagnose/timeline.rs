//! One timeline of what changed and what happened.

use std::time::Duration;

use release::Timestamp;
use serde::Serialize;

use super::changes::Change;

/// How long before a change whatever caused it happened, at most.
const CAUSES: Duration = Duration::from_secs(15 * 60);
/// A change is dated by its period, which may begin before its cause.
const PERIOD: Duration = Duration::from_secs(60);

/// Something that the event log tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What, as `deployment.moved`.
    pub kind: String,
    /// It in a sentence.
    pub what: String,
    /// Who did it.
    pub actor: String,
    /// Whether it can be the cause of a change, as a release can and an alarm cannot.
    pub may_cause: bool,
}

/// What may be the cause of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// What, as `deployment.moved`.
    pub kind: String,
    /// It in a sentence.
    pub what: String,
    /// How many seconds before the change it was; negative if within the change's first period.
    pub seconds_before: i64,
}

/// One entry of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Moment {
    /// Something happened.
    Happened(Happening),
    /// A metric changed.
    Changed {
        /// The metric, with its statistic.
        metric: String,
        /// From what to what.
        #[serde(flatten)]
        change: Change,
        /// What happened just before, the nearest first.
        suspects: Vec<Suspect>,
    },
}

impl Moment {
    /// When.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Happened(happening) => happening.at,
            Self::Changed { change, .. } => change.at,
        }
    }
}

/// Joins changes of metrics with what happened, in order.
pub fn timeline(changed: Vec<(String, Vec<Change>)>, happened: Vec<Happening>) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (metric, changes) in changed {
        for change in changes {
            let suspects = suspects(change.at, &happened);
            moments.push(Moment::Changed { metric: metric.clone(), change, suspects });
        }
    }
    moments.extend(happened.into_iter().map(Moment::Happened));
    // What happened stands before what it may have caused.
    moments.sort_by_key(|moment| (moment.at(), matches!(moment, Moment::Changed { .. })));
    moments
}

fn suspects(at: Timestamp, happened: &[Happening]) -> Vec<Suspect> {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let near = happened.iter().filter(|it| it.may_cause).filter_map(|it| {
        let seconds_before = at.as_second() - it.at.as_second();
        let range = -seconds(PERIOD) + 1..=seconds(CAUSES);
        range.contains(&seconds_before).then(|| Suspect {
            kind: it.kind.clone(),
            what: it.what.clone(),
            seconds_before,
        })
    });
    let mut near: Vec<_> = near.collect();
    near.sort_by_key(|suspect| suspect.seconds_before.abs());
    near
}
