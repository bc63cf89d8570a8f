//! What a metric alarm's state becomes: CloudWatch's rules, as a pure function.
//!
//! Described in the CloudWatch User Guide under "Alarm evaluation" and "Configuring how CloudWatch
//! alarms treat missing data".

use release::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;

/// How many periods more than are judged are looked at: CloudWatch says five for three, and of
/// other numbers nothing.
const MORE: u32 = 2;

/// How a number is compared. The names are CloudWatch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// At least the threshold.
    GreaterThanOrEqualToThreshold,
    /// More than the threshold.
    GreaterThanThreshold,
    /// Less than the threshold.
    LessThanThreshold,
    /// At most the threshold.
    LessThanOrEqualToThreshold,
    /// Outside the band.
    LessThanLowerOrGreaterThanUpperThreshold,
    /// Below the band.
    LessThanLowerThreshold,
    /// Above the band.
    GreaterThanUpperThreshold,
}

impl Comparison {
    /// Whether it is with a band rather than with a number.
    pub const fn needs_band(self) -> bool {
        matches!(
            self,
            Self::LessThanLowerOrGreaterThanUpperThreshold
                | Self::LessThanLowerThreshold
                | Self::GreaterThanUpperThreshold
        )
    }

    /// Whether a number breaches what it is compared with.
    pub fn breaches(self, value: f64, (low, high): (f64, f64)) -> bool {
        match self {
            Self::GreaterThanOrEqualToThreshold => value >= high,
            Self::GreaterThanThreshold | Self::GreaterThanUpperThreshold => value > high,
            Self::LessThanThreshold | Self::LessThanLowerThreshold => value < low,
            Self::LessThanOrEqualToThreshold => value <= low,
            Self::LessThanLowerOrGreaterThanUpperThreshold => value < low || value > high,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "at least the threshold",
            Self::GreaterThanThreshold => "greater than the threshold",
            Self::LessThanThreshold => "less than the threshold",
            Self::LessThanOrEqualToThreshold => "at most the threshold",
            Self::LessThanLowerOrGreaterThanUpperThreshold => "outside the band",
            Self::LessThanLowerThreshold => "below the band",
            Self::GreaterThanUpperThreshold => "above the band",
        }
    }
}

/// What a period without a number counts as. The names are CloudWatch's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// As nothing; if all are missing, the state is `INSUFFICIENT_DATA`.
    #[default]
    Missing,
    /// As nothing; the state stays.
    Ignore,
    /// As a breach.
    Breaching,
    /// As no breach.
    NotBreaching,
}

/// How a metric alarm judges.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    /// How a number is compared.
    pub comparison: Comparison,
    /// With which number; none if with a band.
    pub threshold: Option<f64>,
    /// How many periods are judged: N.
    pub periods: u32,
    /// How many of them must breach: M.
    pub to_alarm: u32,
    /// What a period without a number counts as.
    pub missing: Missing,
    /// Below how many samples a period's percentile says nothing, if that matters.
    pub samples: Option<f64>,
}

/// One period, as it is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it began.
    pub at: Timestamp,
    /// Its number; none if nothing was measured.
    pub value: Option<f64>,
    /// Of how many samples, where that is known.
    pub samples: Option<u64>,
    /// The band at this moment, if it is compared with one.
    pub band: Option<(f64, f64)>,
}

/// A number that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// When its period began.
    pub timestamp: Timestamp,
    /// The number.
    pub value: f64,
    /// Whether it breaches.
    pub breaching: bool,
    /// The band it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<(f64, f64)>,
}

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The state now.
    pub state: State,
    /// Why, for people.
    pub reason: String,
    /// The numbers that were judged, the oldest first.
    pub datapoints: Vec<Judged>,
    /// How many periods without a number were filled in.
    pub filled: u32,
}

impl Judge {
    /// How many of the newest periods an evaluation looks at.
    pub const fn fetched(&self) -> usize {
        (self.periods + MORE) as usize
    }

    fn judged(&self, point: &Point) -> Option<Judged> {
        let bounds = match self.threshold {
            Some(threshold) => Some((threshold, threshold)),
            None => point.band,
        };
        let (value, bounds) = (point.value?, bounds?);
        let breaching = self.comparison.breaches(value, bounds);
        Some(Judged { timestamp: point.at, value, breaching, band: point.band })
    }

    /// Whether a period's percentile is of too few samples.
    fn is_scarce(&self, point: &Point) -> bool {
        let (Some(samples), Some(least)) = (point.samples, self.samples) else { return false };
        point.value.is_some() && (samples as f64) < least
    }
}

/// What `state` becomes by `points`: one for each period, the oldest first. Only the newest
/// [`Judge::fetched`] are looked at.
pub fn next(judge: &Judge, state: State, points: &[Point]) -> Verdict {
    let range = &points[points.len().saturating_sub(judge.fetched())..];
    let keep = |reason: String| Verdict { state, reason, datapoints: Vec::new(), filled: 0 };
    if let (Some(point), Some(least)) = (range.last(), judge.samples)
        && judge.is_scarce(point)
    {
        let (samples, least) = (point.samples.unwrap_or_default(), least.ceil());
        return keep(format!(
            "{samples} samples are too few for this percentile, {least} are needed: the state stays"
        ));
    }
    // The newest period is the first one back.
    let back = |index: usize| range.len() - index;
    let mut real: Vec<(usize, Judged)> = range
        .iter()
        .enumerate()
        .filter(|(_, point)| !judge.is_scarce(point))
        .filter_map(|(index, point)| Some((back(index), judge.judged(point)?)))
        .collect();
    let periods = judge.periods as usize;
    if real.is_empty() {
        return nothing(judge, state);
    }
    // However far back they lie, the newest count.
    real.drain(..real.len().saturating_sub(periods));
    let filled = periods - real.len();
    let breaches = real.iter().filter(|(_, judged)| judged.breaching).count();
    let counted = if judge.missing == Missing::Breaching { breaches + filled } else { breaches };
    let enough = judge.to_alarm as usize;
    // With too few numbers and only bad ones, a breach that lies far enough back is not waited upon.
    let waits = matches!(judge.missing, Missing::Missing | Missing::Ignore);
    let old = real.first().is_some_and(|(back, _)| *back >= enough);
    let premature = waits && filled > 0 && breaches == real.len() && old;
    let next = match (counted >= enough, premature, judge.missing) {
        (true, ..) | (false, true, Missing::Missing) => State::Alarm,
        (false, true, _) => state,
        (false, false, _) => State::Ok,
    };
    let reason = reason(judge, (breaches, counted >= enough, premature), &real, filled);
    let datapoints = real.into_iter().map(|(_, judged)| judged).collect();
    Verdict { state: next, reason, datapoints, filled: filled as u32 }
}

/// Without any number, what a missing one counts as decides.
fn nothing(judge: &Judge, state: State) -> Verdict {
    let (next, why) = match judge.missing {
        Missing::Missing => (State::InsufficientData, "there is not enough data"),
        Missing::Ignore => (state, "the state stays"),
        Missing::Breaching => (State::Alarm, "missing ones count as breaching"),
        Missing::NotBreaching => (State::Ok, "missing ones count as not breaching"),
    };
    let reason = format!("no datapoint in the last {} periods: {why}", judge.fetched());
    Verdict { state: next, reason, datapoints: Vec::new(), filled: judge.periods }
}

fn reason(
    judge: &Judge,
    (breaches, enough, premature): (usize, bool, bool),
    real: &[(usize, Judged)],
    filled: usize,
) -> String {
    let shown = |judged: &Judged| match judged.band {
        Some((low, high)) => {
            format!("{} (band {} to {})", number(judged.value), number(low), number(high))
        }
        None => number(judged.value),
    };
    let values: Vec<_> = real.iter().map(|(_, judged)| shown(judged)).collect();
    let threshold = judge.threshold.map(|it| format!(" {}", number(it))).unwrap_or_default();
    let are = if breaches == 1 || real.len() == 1 { "is" } else { "are" };
    let noun = if real.len() == 1 { "datapoint" } else { "datapoints" };
    let mut text = format!(
        "{breaches} of {} {noun} {are} {}{threshold} ({} of {} needed): {}",
        real.len(),
        judge.comparison.words(),
        judge.to_alarm,
        judge.periods,
        values.join(", ")
    );
    let missing = if filled == 1 {
        "1 period is missing".to_owned()
    } else {
        format!("{filled} periods are missing")
    };
    let note = match judge.missing {
        _ if filled == 0 => return text,
        Missing::Breaching => format!("; {missing} and counted as breaching"),
        Missing::NotBreaching => format!("; {missing} and counted as not breaching"),
        Missing::Missing if premature && !enough => {
            format!("; {missing}, and the oldest breach is at least {} periods old", judge.to_alarm)
        }
        Missing::Ignore if premature && !enough => format!("; {missing}: the state stays"),
        Missing::Missing | Missing::Ignore => format!("; {missing}"),
    };
    text.push_str(&note);
    text
}

/// A number to six significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = 5 - value.abs().log10().floor() as i32;
    let rounded = format!("{value:.*}", usize::try_from(digits).unwrap_or(0).min(17));
    match rounded.contains('.') {
        true => rounded.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => rounded,
    }
}

/// Below how many samples a percentile (in hundredths of a per cent) says nothing: 10/(1−p) from the
/// median upwards, 10/p below.
pub fn least_samples(hundredths: u16) -> f64 {
    let whole = 10_000.0;
    let part = f64::from(hundredths);
    if part >= whole / 2.0 { 10.0 * whole / (whole - part) } else { 10.0 * whole / part }
}

#[cfg(test)]
mod tests;
