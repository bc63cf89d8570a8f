//! Schedule expressions in EventBridge's syntax: `rate(…)`, `cron(…)` and `at(…)`.
//!
//! Cron fields are read in the schedule's time zone. A local time that a change of clocks skips
//! does not come that day; one that comes twice is taken once, the first time.

mod cron;

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use cron::Cron;

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Every(SignedDuration),
    Cron(Box<Cron>),
    At(DateTime),
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no schedule expression: {why}")]
pub struct ScheduleError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Schedule {
    /// The first moment after `after` when it is due; none if there is none any more. Rates count
    /// from `start`.
    pub fn next_after(
        &self,
        after: Timestamp,
        start: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        match &self.kind {
            Kind::Every(period) => {
                let passed = after.duration_since(start);
                if passed.is_negative() {
                    return Some(start);
                }
                let periods = passed.as_secs() / period.as_secs() + 1;
                let wait = period.checked_mul(i32::try_from(periods).ok()?)?;
                start.checked_add(wait).ok()
            }
            Kind::At(moment) => {
                let at = zone.to_timestamp(*moment).ok()?;
                Some(at).filter(|at| *at > after)
            }
            Kind::Cron(cron) => cron.next_after(after, zone),
        }
    }

    /// The moments after `last` up to `now`, the oldest first, at most `limit`: what was missed.
    pub fn due(
        &self,
        (last, now): (Timestamp, Timestamp),
        start: Timestamp,
        zone: &TimeZone,
        limit: usize,
    ) -> Vec<Timestamp> {
        let next = |at: &Timestamp| self.next_after(*at, start, zone);
        let all = std::iter::successors(next(&last), next);
        all.take_while(|at| *at <= now).take(limit).collect()
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let inside = |name: &str| {
            text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::to_owned)
        };
        let kind = if let Some(rate) = inside("rate") {
            self::rate(&rate).map(Kind::Every)
        } else if let Some(fields) = inside("cron") {
            fields.parse().map(|cron| Kind::Cron(Box::new(cron)))
        } else if let Some(moment) = inside("at") {
            moment
                .parse()
                .map(Kind::At)
                .map_err(|_| "it must hold a date and time as 2026-11-26T08:00:00".to_owned())
        } else {
            Err("it must be rate(…), cron(…) or at(…)".to_owned())
        };
        let text = text.to_owned();
        match kind {
            Ok(kind) => Ok(Self { text, kind }),
            Err(why) => Err(ScheduleError { text, why }),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn rate(text: &str) -> Result<SignedDuration, String> {
    let (count, unit) = text.split_once(' ').ok_or("a rate is a number and a unit")?;
    let digits = count.chars().all(|c| c.is_ascii_digit());
    let count = count.parse::<i64>().ok().filter(|count| digits && *count > 0);
    let count = count.ok_or("the number of a rate is a positive integer")?;
    let (minutes, plural) = match unit {
        "minute" => (1, false),
        "minutes" => (1, true),
        "hour" => (60, false),
        "hours" => (60, true),
        "day" => (1_440, false),
        "days" => (1_440, true),
        _ => return Err(format!("there is no unit `{unit}`: use minutes, hours or days")),
    };
    if plural == (count == 1) {
        let right = if plural { "without an `s` for 1" } else { "with an `s` beyond 1" };
        return Err(format!("the unit is written {right}"));
    }
    let minutes = count.checked_mul(minutes).filter(|minutes| *minutes <= 525_600 * 100);
    minutes.map(SignedDuration::from_mins).ok_or_else(|| "the rate is too long".to_owned())
}

#[cfg(test)]
mod tests;
