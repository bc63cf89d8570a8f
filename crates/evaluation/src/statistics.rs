//! How sure we are: evidence from counts, means, latencies and pairs, as pure functions.
//!
//! Two kinds of tests, and they must not be confused:
//!
//! - **Anytime**: [`errors`], [`means`], [`latency`] and the sequential half of [`ratio`] may be
//!   looked at after every unit, and the chance that they are ever wrong stays below α. A rollout
//!   and a running experiment use only these. Their currency is the e-value: what a bet against
//!   the null hypothesis has won so far, so 1/α is reached by chance at most with probability α
//!   (Ville's inequality). E-values are kept as logarithms, as they outgrow a float.
//! - **Fixed size**: [`paired`], [`bootstrap`], [`samples`] and the χ² test of [`ratio`] are looked
//!   at once, when all data are there: offline gates, and reports.
//!
//! ```text
//!  counts per step ─► errors ┐
//!  moments per arm ─► means  ├─► Evidence { verdict: harm | safe | inconclusive | no_data, … }
//!  slow units      ─► latency┘
//!  units per arm   ─► ratio ───► is the split what was planned?
//!  answers in pairs ─► paired, bootstrap ─► pass | fail | inconclusive
//! ```
//!
//! **The unit.** All of it assumes units that are independent given their arm. A unit is what was
//! assigned: a session or a user, not a request or a message. Sum up what belongs to one unit
//! first; otherwise the evidence looks much stronger than it is.
//!
//! Start reading at [`errors::judge`].

pub mod binomial;
pub mod bootstrap;
pub mod errors;
pub mod guardrail;
pub mod holm;
pub mod latency;
pub mod means;
pub mod paired;
pub mod planning;
pub mod ratio;
pub mod samples;
pub mod special;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What evidence says of one metric so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is worse than is tolerated: roll back.
    Harm,
    /// It is not worse than is tolerated: it may go on.
    Safe,
    /// Neither is shown yet: hold, and look again.
    Inconclusive,
    /// Too little was seen to say anything. That is not a failure.
    NoData,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Harm => "harm",
            Self::Safe => "safe",
            Self::Inconclusive => "inconclusive",
            Self::NoData => "no data",
        })
    }
}

/// Which way a metric gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// As for a score.
    #[default]
    HigherIsBetter,
    /// As for a cost.
    LowerIsBetter,
}

impl Direction {
    /// `difference`, such that more is better.
    pub fn improvement(self, difference: f64) -> f64 {
        match self {
            Self::HigherIsBetter => difference,
            Self::LowerIsBetter => -difference,
        }
    }
}

/// What a difference is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The metric's own unit.
    #[default]
    Absolute,
    /// Parts of the control's mean.
    Relative,
}

/// An interval, both ends within it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// The interval `half_width` to each side of `center`.
    pub fn around(center: f64, half_width: f64) -> Self {
        Self { lower: center - half_width, upper: center + half_width }
    }

    /// The interval of a difference, such that more is better.
    pub fn improvement(self, direction: Direction) -> Self {
        match direction {
            Direction::HigherIsBetter => self,
            Direction::LowerIsBetter => Self { lower: -self.upper, upper: -self.lower },
        }
    }
}

/// A setting that no test can work with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{setting}` is {value}, but must be {must}")]
pub struct SettingError {
    /// The setting's name.
    pub setting: &'static str,
    /// What it is.
    pub value: f64,
    /// What it must be.
    pub must: &'static str,
}

/// Passes if `value` is more than `above` and less than `below`.
fn between(
    setting: &'static str,
    value: f64,
    (above, below): (f64, f64),
    must: &'static str,
) -> Result<(), SettingError> {
    if value > above && value < below {
        return Ok(());
    }
    Err(SettingError { setting, value, must })
}

/// An e-value from its logarithm, as people read it.
pub(crate) fn shown(ln_e: f64) -> String {
    let ten = ln_e / std::f64::consts::LN_10;
    if ten.abs() < 5.0 { format!("{:.2}", ln_e.exp()) } else { format!("10^{ten:.0}") }
}
