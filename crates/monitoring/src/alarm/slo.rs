//! Service-level objectives: how much may go wrong, and how fast that is used up.
//!
//! The alarms are those of Google's "Site Reliability Workbook", chapter 5: each looks at a long
//! window and at a short one, so that it comes soon, and goes soon when all is well again. A burn
//! rate of 1 uses the whole budget up exactly by the end of the objective's window.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use release::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evaluate::{Comparison, Judge, Missing};
use super::spec::{ActionFile, Alarm, Severity, Watch, Wrong};
use crate::metrics::MetricStat;

/// How long the periods are in which is counted, in seconds.
pub const PERIOD: u32 = 60;

/// `monitors/NAME.slo.toml`: a service-level objective. It counts requests (`total`, and `good` or
/// `bad`) or minutes (`metric`, `comparison_operator` and `threshold`: a minute is good if it holds).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloFile {
    /// What is promised, for people.
    #[serde(default)]
    pub description: String,
    /// How many per cent must be good, as 99.5.
    pub objective: f64,
    /// Over how many days (default 30).
    #[serde(default = "window_days")]
    pub window_days: u32,
    /// The requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Counted>,
    /// Those that were good; or `bad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Counted>,
    /// Those that were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<Counted>,
    /// The metric by which minutes are good, as `groundcrew.request.duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What is computed of a minute's samples, as `p95`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// Only the metric's series with these dimensions.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// How a good minute compares with the threshold (default: `LessThanOrEqualToThreshold`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison_operator: Option<Comparison>,
    /// With which number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// When it is told that the budget burns (default: 14.4 times over 1 h and 5 min, 6 times over
    /// 6 h and 30 min, once over 3 d and 6 h).
    #[serde(default = "burns")]
    pub burn: Vec<BurnFile>,
    /// Who is told. The event log is always told.
    #[serde(default)]
    pub actions: Vec<ActionFile>,
}

fn window_days() -> u32 {
    30
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// The metric, as `groundcrew.requests`.
    pub metric: String,
    /// What is computed of a minute's samples (default `Sum`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// Only its series with these dimensions.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
}

/// When it is told that the budget burns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BurnFile {
    /// How many times faster than the window allows.
    pub factor: f64,
    /// Over how many minutes.
    pub long_minutes: u32,
    /// And over how many of the last minutes, so that it is still going on.
    pub short_minutes: u32,
    /// How bad that is.
    #[serde(default)]
    pub severity: Severity,
}

fn burns() -> Vec<BurnFile> {
    let all = [
        (14.4, 60, 5, Severity::Critical),
        (6.0, 360, 30, Severity::Critical),
        (1.0, 4_320, 360, Severity::Warning),
    ];
    let burn = |(factor, long_minutes, short_minutes, severity)| BurnFile {
        factor,
        long_minutes,
        short_minutes,
        severity,
    };
    all.map(burn).into()
}

/// How it is told what is good.
#[derive(Debug, Clone, PartialEq)]
pub enum Indicator {
    /// All requests, and those that were good.
    Good(MetricStat, MetricStat),
    /// All requests, and those that were bad.
    Bad(MetricStat, MetricStat),
    /// A minute is good if its number compares so with another.
    Minutes(MetricStat, Comparison, f64),
}

impl Indicator {
    /// The metrics it is computed from.
    pub fn metrics(&self) -> Vec<&MetricStat> {
        match self {
            Self::Good(total, part) | Self::Bad(total, part) => vec![total, part],
            Self::Minutes(metric, ..) => vec![metric],
        }
    }

    /// What was good and what there was in one minute, from the metrics' numbers.
    pub fn count(&self, numbers: &[Option<f64>]) -> Count {
        let number = |index: usize| numbers.get(index).copied().flatten();
        let of = |good: f64, total: f64| Count { good: good.clamp(0.0, total), total };
        match (self, number(0)) {
            (_, None) => Count::default(),
            (Self::Good(..), Some(total)) => of(number(1).unwrap_or_default(), total),
            (Self::Bad(..), Some(total)) => of(total - number(1).unwrap_or_default(), total),
            (Self::Minutes(_, comparison, threshold), Some(number)) => {
                let is_good = comparison.breaches(number, (*threshold, *threshold));
                of(f64::from(is_good), 1.0)
            }
        }
    }
}

/// What was good, and what there was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// What was good.
    pub good: f64,
    /// What there was.
    pub total: f64,
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        let add = |sum: Self, count: Self| Self {
            good: sum.good + count.good,
            total: sum.total + count.total,
        };
        counts.fold(Self::default(), add)
    }
}

/// An objective that can be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// Which part must be good, as 0.995.
    pub objective: f64,
    /// Over how many days.
    pub window_days: u32,
    /// How it is told what is good.
    pub indicator: Indicator,
}

/// How fast a budget burns: what an alarm on it watches.
#[derive(Debug, Clone, PartialEq)]
pub struct Burn {
    /// The objective.
    pub slo: Slo,
    /// Over how many minutes.
    pub long_minutes: u32,
    /// And over how many of the last.
    pub short_minutes: u32,
}

/// An alarm that an objective has.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnAlarm {
    /// What is added to the objective's name.
    pub suffix: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it means, for people.
    pub description: String,
    /// The alarm.
    pub alarm: Alarm,
}

impl SloFile {
    /// Checks it, so that it can be evaluated.
    ///
    /// # Errors
    /// Every mistake.
    pub fn compile(&self) -> Result<Slo, Vec<Wrong>> {
        let mut wrong = Vec::new();
        if !(self.objective > 0.0 && self.objective < 100.0) {
            let message = format!("between 0 and 100 per cent, not {}", self.objective);
            wrong.push(Wrong::new("/objective", message));
        }
        if !(1..=90).contains(&self.window_days) {
            let message = format!("1 to 90 days, not {}", self.window_days);
            wrong.push(Wrong::new("/window_days", message));
        }
        for (index, burn) in self.burn.iter().enumerate() {
            let minutes = 1 <= burn.short_minutes
                && burn.short_minutes < burn.long_minutes
                && burn.long_minutes <= 7 * 24 * 60;
            if !(burn.factor > 0.0 && burn.factor.is_finite() && minutes) {
                let message = "a factor above 0 and a short window within a long one of at most seven days are needed";
                wrong.push(Wrong::new(format!("/burn/{index}"), message));
            }
        }
        let indicator = self.indicator(&mut wrong);
        match indicator {
            Some(indicator) if wrong.is_empty() => Ok(Slo {
                objective: self.objective / 100.0,
                window_days: self.window_days,
                indicator,
            }),
            _ => Err(wrong),
        }
    }

    fn indicator(&self, wrong: &mut Vec<Wrong>) -> Option<Indicator> {
        let mut stat =
            |metric: &str, statistic: Option<&str>, dimensions: &BTreeMap<_, _>, at: &str| {
                let statistic = statistic.unwrap_or("Sum").parse();
                let statistic = statistic
                    .map_err(|message| wrong.push(Wrong::new(format!("{at}statistic"), message)))
                    .ok()?;
                let (metric, dimensions) = (metric.to_owned(), dimensions.clone());
                Some(MetricStat { metric, dimensions, statistic, period: PERIOD })
            };
        let mut counted =
            |it: &Counted, at: &str| stat(&it.metric, it.statistic.as_deref(), &it.dimensions, at);
        match (&self.total, &self.good, &self.bad, &self.metric) {
            (Some(total), Some(good), None, None) => {
                Some(Indicator::Good(counted(total, "/total/")?, counted(good, "/good/")?))
            }
            (Some(total), None, Some(bad), None) => {
                Some(Indicator::Bad(counted(total, "/total/")?, counted(bad, "/bad/")?))
            }
            (None, None, None, Some(metric)) => {
                let statistic = self.statistic.as_deref().or(Some("Average"));
                let metric = stat(metric, statistic, &self.dimensions, "/")?;
                let default = Comparison::LessThanOrEqualToThreshold;
                let comparison = self.comparison_operator.unwrap_or(default);
                let fits = !comparison.needs_band();
                if let Some(threshold) = self.threshold.filter(|_| fits) {
                    return Some(Indicator::Minutes(metric, comparison, threshold));
                }
                let message = "a `threshold` and a comparison with it are needed";
                wrong.push(Wrong::new("/threshold", message));
                None
            }
            _ => {
                let message = "it needs `total` and `good`, or `total` and `bad`, or a `metric`";
                wrong.push(Wrong::new("", message));
                None
            }
        }
    }

    /// The alarms that tell that the budget burns.
    ///
    /// # Errors
    /// Every mistake.
    pub fn alarms(&self) -> Result<Vec<BurnAlarm>, Vec<Wrong>> {
        let slo = self.compile()?;
        let alarm = |file: &BurnFile| {
            let burn = Burn {
                slo: slo.clone(),
                long_minutes: file.long_minutes,
                short_minutes: file.short_minutes,
            };
            let judge = Judge {
                comparison: Comparison::GreaterThanOrEqualToThreshold,
                threshold: Some(file.factor),
                periods: 1,
                to_alarm: 1,
                // Where nothing was asked, nothing burns.
                missing: Missing::NotBreaching,
                samples: None,
            };
            let (long, short) = (minutes(file.long_minutes), minutes(file.short_minutes));
            let description = format!(
                "{} The error budget burns {} times faster than {} days allow, over {long} and over {short}.",
                self.description, file.factor, self.window_days
            );
            BurnAlarm {
                suffix: format!("burn-{long}"),
                severity: file.severity,
                description: description.trim().to_owned(),
                alarm: Alarm { watch: Watch::Burn(burn, judge), period: PERIOD },
            }
        };
        Ok(self.burn.iter().map(alarm).collect())
    }
}

/// Minutes, as `3d`, `6h` or `30m`.
fn minutes(minutes: u32) -> String {
    match minutes {
        it if it % 1_440 == 0 => format!("{}d", it / 1_440),
        it if it % 60 == 0 => format!("{}h", it / 60),
        it => format!("{it}m"),
    }
}

impl Slo {
    /// How many times faster than allowed the budget is used up by these; none if there was nothing.
    pub fn rate(&self, counted: Count) -> Option<f64> {
        let bad = 1.0 - counted.good / counted.total;
        (counted.total > 0.0).then(|| bad / (1.0 - self.objective))
    }

    /// Which part of the error budget is left after these; below 0 if more went wrong than may.
    pub fn budget_left(&self, counted: Count) -> Option<f64> {
        self.rate(counted).map(|used| 1.0 - used)
    }
}

impl Burn {
    /// How fast it burns over both windows: the slower of the two counts. `counts` are of single
    /// minutes, the oldest first.
    pub fn rate(&self, counts: &[Count]) -> Option<f64> {
        let over = |minutes: u32| {
            let last = &counts[counts.len().saturating_sub(minutes as usize)..];
            self.slo.rate(last.iter().copied().sum())
        };
        Some(over(self.long_minutes)?.min(over(self.short_minutes)?))
    }
}

/// What was counted on each day, so that a budget's window may be longer than metrics are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// By day, in UTC.
    pub days: BTreeMap<Date, Count>,
}

impl Ledger {
    /// Notes what was counted in whole days, of which `counts` has every minute that is known: a
    /// day is replaced only by more.
    pub fn note(&mut self, counts: &[(Timestamp, Count)], keep_days: u32) {
        let mut days: BTreeMap<Date, Vec<Count>> = BTreeMap::new();
        for (at, count) in counts {
            days.entry(TimeZone::UTC.to_datetime(*at).date()).or_default().push(*count);
        }
        for (day, counts) in days {
            let counted: Count = counts.into_iter().sum();
            if counted.total == 0.0 {
                continue;
            }
            let known = self.days.entry(day).or_default();
            if counted.total >= known.total {
                *known = counted;
            }
        }
        let newest = self.days.keys().next_back().copied();
        if let Some(oldest) =
            newest.and_then(|day| day.checked_sub(i64::from(keep_days).days()).ok())
        {
            self.days.retain(|day, _| *day > oldest);
        }
    }

    /// What was counted in all.
    pub fn counted(&self) -> Count {
        self.days.values().copied().sum()
    }
}

#[cfg(test)]
mod tests;
