//! Alarms, with CloudWatch's semantics.
//!
//! ```text
//!  metrics ─► math ─► points ─┐
//!  query ───────────► points ─┼─► next(judge, state, points) ─► verdict: state, reason
//!  band ◄─ two weeks of points┘
//!  states of others ─► rule ─► state
//! ```
//!
//! [`evaluate::next`] is pure: it decides by a judge, the state before and the newest periods.
//! [`simulate`](mod@simulate) replays given datapoints through it.

pub mod band;
pub mod composite;
pub mod defaults;
pub mod email;
pub mod engine;
pub mod evaluate;
pub mod math;
pub mod message;
pub mod records;
pub mod simulate;
pub mod slo;
pub mod sources;
pub mod spec;
pub mod watch;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use spec::Wrong;

/// How an alarm stands. The names are CloudWatch's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// All is well.
    Ok,
    /// It is not.
    Alarm,
    /// It cannot be told.
    InsufficientData,
}

impl State {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Ok, Self::Alarm, Self::InsufficientData];
        let found = all.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("`{text}` is no state: OK, ALARM or INSUFFICIENT_DATA"))
    }
}

/// Why something about an alarm failed.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// Its file has mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Wrong>),
    /// The datapoints do not have a form that is known, or do not fit the alarm.
    #[error("the datapoints cannot be used: {0}")]
    Datapoints(String),
}
