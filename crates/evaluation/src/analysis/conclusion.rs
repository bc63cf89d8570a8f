//! What an experiment comes to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::figure;
use crate::statistics::Interval;

/// What an experiment comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Better: all of the interval is an improvement.
    Win,
    /// Not shown to be better, and not worse by more than the margin.
    NoHarm,
    /// Worse: all of the interval is a worsening beyond the margin.
    Harm,
    /// All of the interval is within the margin, both ways.
    Flat,
    /// The split of units is not the planned one, so that nothing can be said.
    Invalid,
    /// Too little to tell.
    Inconclusive,
}

impl Conclusion {
    /// What the interval of an improvement says of a tolerated `margin`, tried in this order:
    /// `Win` if it is above 0, `Harm` if it is below −margin, `Flat` if it is within ±margin,
    /// `NoHarm` if it is above −margin; else `Inconclusive`. With a margin of 0 the third and the
    /// fourth do not happen.
    pub fn of(improvement: Interval, margin: f64) -> Self {
        let Interval { lower, upper } = improvement;
        if lower > 0.0 {
            Self::Win
        } else if upper < -margin {
            Self::Harm
        } else if margin > 0.0 && lower >= -margin {
            if upper <= margin { Self::Flat } else { Self::NoHarm }
        } else {
            Self::Inconclusive
        }
    }

    /// Why, in one sentence.
    pub(super) fn reason(self, improvement: Interval, margin: f64) -> String {
        let range = format!("{} to {}", figure(improvement.lower), figure(improvement.upper));
        let limit = figure(margin);
        match self {
            Self::Win => format!("better: the improvement is {range}, all of it above 0"),
            Self::Harm if margin == 0.0 => {
                format!("worse: the improvement is {range}, all of it below 0")
            }
            Self::Harm => format!("worse: the improvement is {range}, all of it below -{limit}"),
            Self::Flat => format!("no difference: the improvement is {range}, within ±{limit}"),
            Self::NoHarm => {
                format!("not worse by more than {limit}: the improvement is {range}")
            }
            Self::Invalid => "the split of units is not the planned one".to_owned(),
            Self::Inconclusive if margin == 0.0 => {
                format!("too little to tell: the improvement is {range}, on both sides of 0")
            }
            Self::Inconclusive => {
                format!("too little to tell: the improvement is {range}, on both sides of -{limit}")
            }
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Win => "win",
            Self::NoHarm => "no_harm",
            Self::Harm => "harm",
            Self::Flat => "flat",
            Self::Invalid => "invalid",
            Self::Inconclusive => "inconclusive",
        })
    }
}
