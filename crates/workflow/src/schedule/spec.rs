//! A schedule as a project file says it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ScheduleError, Timetable};

/// The widest window, in minutes.
const MAX_WINDOW: u32 = 1_440;

/// When something begins, and what happens if it cannot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// `rate(15 minutes)`, `cron(0 8 ? * MON-FRI *)` or `at(2026-11-26T08:00:00)`.
    pub expression: String,
    /// The time zone of `cron` and `at`, by its name in the tz database (default UTC).
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Not before this moment; a rate counts from it.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Not after this moment.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// How many minutes after its time it may begin, to spread load (default 0, at most 1,440).
    #[schemars(range(max = 1440))]
    #[serde(default)]
    pub flexible_window_minutes: u32,
    /// What is done about moments that were missed.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// What is done if the one before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// What is done about moments that were missed, say because the server was down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// Nothing: only what is on time begins.
    Skip,
    /// The latest of them begins, once for all.
    #[default]
    Latest,
    /// Each of them begins, the oldest first.
    All,
}

/// What is done if the one before has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new one does not begin.
    #[default]
    Skip,
    /// Both run.
    Allow,
}

/// What is wrong with a schedule's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The expression.
    #[error(transparent)]
    Expression(#[from] ScheduleError),
    /// The time zone.
    #[error("there is no time zone `{0}`")]
    TimeZone(String),
    /// The end.
    #[error("the schedule ends at {end}, before its start at {start}")]
    EndsBeforeStart {
        /// The start.
        start: Timestamp,
        /// The end.
        end: Timestamp,
    },
    /// A window that is too wide.
    #[error("`flexible_window_minutes` is at most {MAX_WINDOW}, not {0}")]
    Window(u32),
}

impl ScheduleSpec {
    /// Reads the schedule.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn compile(&self) -> Result<Timetable, Vec<SpecError>> {
        let mut wrong = Vec::new();
        let schedule =
            self.expression.parse().map_err(|error: ScheduleError| wrong.push(error.into()));
        let zone = TimeZone::get(&self.time_zone)
            .map_err(|_| wrong.push(SpecError::TimeZone(self.time_zone.clone())));
        if let (Some(start), Some(end)) = (self.start, self.end)
            && end < start
        {
            wrong.push(SpecError::EndsBeforeStart { start, end });
        }
        if self.flexible_window_minutes > MAX_WINDOW {
            wrong.push(SpecError::Window(self.flexible_window_minutes));
        }
        let (start, end) = (self.start, self.end);
        match (schedule, zone) {
            (Ok(schedule), Ok(zone)) if wrong.is_empty() => {
                let window_minutes = self.flexible_window_minutes;
                Ok(Timetable { schedule, zone, start, end, window_minutes })
            }
            _ => Err(wrong),
        }
    }
}
