//! Schedules: expressions in EventBridge's syntax, `rate(…)`, `cron(…)` and `at(…)`, and the
//! project file that says how one is kept.
//!
//! Cron fields and `at` are read in the schedule's time zone. What a change of clocks does follows
//! EventBridge Scheduler: a cron time that is skipped does not come that day, and one that comes
//! twice is taken once, the first time. A skipped `at`, which would otherwise never come, comes as
//! much later as the clocks moved. Rates count real time: a day is 24 hours.
//!
//! ```text
//!  ScheduleSpec ─► Timetable (Schedule, zone, start, end, window) ─► due(…) ─► moments
//! ```

mod cron;
mod spec;
mod timetable;

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use cron::{Cron, LAST_YEAR};
pub use spec::{CatchUp, Overlap, ScheduleSpec, SpecError};
pub use timetable::{MAX_DUE, Timetable, due};

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
    /// The first moment after `after` when it is due; none if there is none up to the year 2199.
    /// A rate counts from `after`.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.next_from(after, after, zone)
    }

    /// As `next_after`, but a rate counts from `anchor`, which is itself a moment of it.
    fn next_from(&self, anchor: Timestamp, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let next = match &self.kind {
            Kind::Every(period) => {
                let passed = after.duration_since(anchor);
                if passed.is_negative() {
                    anchor
                } else {
                    let periods = passed.as_secs() / period.as_secs() + 1;
                    anchor.checked_add(period.checked_mul(i32::try_from(periods).ok()?)?).ok()?
                }
            }
            Kind::At(moment) => zone.to_timestamp(*moment).ok().filter(|at| *at > after)?,
            Kind::Cron(cron) => cron.next_after(after, zone)?,
        };
        (zone.to_datetime(next).year() <= LAST_YEAR).then_some(next)
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
            at(&moment).map(Kind::At)
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

fn at(text: &str) -> Result<DateTime, String> {
    let written = |moment: &DateTime| moment.strftime("%Y-%m-%dT%H:%M:%S").to_string() == text;
    let moment = text.parse().ok().filter(written);
    moment.ok_or_else(|| format!("`{text}` is not a date and time such as 2026-11-26T08:00:00"))
}

fn rate(text: &str) -> Result<SignedDuration, String> {
    let (count, unit) = text
        .split_once(' ')
        .ok_or("a rate is a number and a unit with a space between, such as `5 minutes`")?;
    let digits = count.chars().all(|c| c.is_ascii_digit());
    let count = count.parse::<i64>().ok().filter(|count| digits && *count > 0);
    let count = count.ok_or("the number of a rate is a whole number above 0")?;
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
