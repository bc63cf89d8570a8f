//! Metrics: what is counted, and what is asked of it.
//!
//! Start reading at `rollup.rs`; `derive.rs` says what spans count as, `declared.rs` names it all.

pub mod declared;
mod derive;
mod exposition;
mod points;
mod rollup;
mod sketch;
mod slots;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use release::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::exposition::{Format, Reading, expose};
pub use self::rollup::{
    Described, Dimensions, Instrument, MetricTotals, OVERFLOW, RollupLimits, RollupStats, Rollups,
    SeriesPoints, SeriesTotal, Total,
};
pub use self::sketch::{RELATIVE_ERROR, Sketch};

/// What is read of a metric: one number for each period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricStat {
    /// The metric's name, as `groundcrew.requests`.
    pub metric: String,
    /// Only series with these dimensions. What is not named is summed up.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// What is computed of a period's samples.
    pub statistic: Statistic,
    /// How long a period is, in seconds: 10, 20, 30 or a multiple of 60.
    pub period: u32,
}

/// What is computed of a period's samples. The names are CloudWatch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Statistic {
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// How many there are.
    SampleCount,
    /// The value below which so many hundredths of a per cent lie: `p99.9` is 9990.
    Percentile(u16),
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Average => f.write_str("Average"),
            Self::Sum => f.write_str("Sum"),
            Self::Minimum => f.write_str("Minimum"),
            Self::Maximum => f.write_str("Maximum"),
            Self::SampleCount => f.write_str("SampleCount"),
            Self::Percentile(hundredths) => write!(f, "p{}", f64::from(*hundredths) / 100.0),
        }
    }
}

impl FromStr for Statistic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no statistic: Average, Sum, Minimum, Maximum, SampleCount or p0 to p100"
            )
        };
        Ok(match text {
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "SampleCount" => Self::SampleCount,
            _ => {
                let percent: f64 =
                    text.strip_prefix('p').and_then(|p| p.parse().ok()).ok_or_else(wrong)?;
                if !(0.0..=100.0).contains(&percent) {
                    return Err(wrong());
                }
                Self::Percentile((percent * 100.0).round() as u16)
            }
        })
    }
}

impl TryFrom<String> for Statistic {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Statistic> for String {
    fn from(statistic: Statistic) -> Self {
        statistic.to_string()
    }
}

/// One period's number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datapoint {
    /// When the period began.
    pub at: Timestamp,
    /// The number; none if nothing was measured, which is not zero.
    pub value: Option<f64>,
    /// How many samples it is of, where that is known.
    pub samples: Option<u64>,
}
