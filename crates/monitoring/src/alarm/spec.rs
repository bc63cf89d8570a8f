//! What an alarm is, as it is written: `monitors/NAME.toml`, or what AWS calls it.

mod aws;
mod compile;

use std::collections::BTreeMap;
use std::fmt;

use release::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::composite::{Rule, Suppressor};
use super::evaluate::{Comparison, Judge, Missing};
use super::math::Expression;
use super::slo::Burn;
use super::{AlarmError, State};
use crate::language::Language;
use crate::metrics::MetricStat;

/// `monitors/NAME.toml`: an alarm. It watches one of: a `metric`, `metrics` joined by expressions,
/// a `query` of what was logged and traced, or by a `rule` other alarms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmFile {
    /// What it means and what to do, for people. Notifications carry it.
    pub description: String,
    /// Whether it is evaluated. `false` turns off an alarm that an app has by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The metric, as `groundcrew.request.duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What is computed of a period's samples: `Average`, `Sum`, `Minimum`, `Maximum`,
    /// `SampleCount` or a percentile as `p99.9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// Only the metric's series with these dimensions; what is not named is summed up.
    pub dimensions: BTreeMap<String, String>,
    /// Dimensions by whose values the metric is taken apart: each series is judged by itself, and
    /// the alarm is in ALARM if one is.
    pub group_by: Vec<String>,
    /// How long a period is, in seconds: 10, 20, 30 or a multiple of 60 (default 60).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// Metrics and the expressions that join them.
    pub metrics: Vec<MetricFile>,
    /// A query whose result is one number for a period, or a name and a number in each row.
    /// It is asked for each period by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The language of the query (default: what it begins as).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// A rule over other alarms, as `ALARM("errors") AND NOT ALARM("rollout")`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What holds the actions back, of an alarm with a `rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressor: Option<SuppressorFile>,
    /// How a number is compared; with `band`, one of the last three (default: outside the band).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison_operator: Option<Comparison>,
    /// With which number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Instead of a threshold, what is usual at this hour and on this day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<BandFile>,
    /// How many of the newest periods are judged (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_periods: Option<u32>,
    /// How many of them must breach (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datapoints_to_alarm: Option<u32>,
    /// What a period without a number counts as.
    pub treat_missing_data: Missing,
    /// Whether a percentile of few samples is judged.
    pub evaluate_low_sample_count_percentile: LowSamples,
    /// How bad it is, for those who are told.
    pub severity: Severity,
    /// Who is told when the state changes. The event log is always told.
    pub actions: Vec<ActionFile>,
}

/// A metric, or an expression over others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricFile {
    /// What expressions call it: a small letter, then letters, digits and `_`.
    pub id: String,
    /// The metric; or `expression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What is computed of a period's samples (default `Average`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// Only the metric's series with these dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// How long a period is, in seconds (default: the alarm's). All have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// The expression, as `m2 / m1 * 100`; or `metric`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// What it is, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it is what the alarm judges (default: the last expression, else the only metric).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
}

/// What holds a composite alarm's actions back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressorFile {
    /// The alarm that does so while it is in ALARM.
    pub alarm: String,
    /// For how many seconds its ALARM is waited for.
    #[serde(default)]
    pub wait_seconds: u32,
    /// For how many seconds it goes on after its ALARM.
    #[serde(default)]
    pub extension_seconds: u32,
}

/// What is usual, learned from at most two weeks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BandFile {
    /// How many standard deviations it is wide to each side (default 2).
    #[serde(default = "width")]
    pub width: f64,
    /// What is not learned from: rollouts, outages.
    #[serde(default)]
    pub exclude: Vec<Window>,
}

fn width() -> f64 {
    2.0
}

/// A time that is not learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From this moment on (RFC 3339).
    #[schemars(with = "String")]
    pub start: Timestamp,
    /// Up to this moment.
    #[schemars(with = "String")]
    pub end: Timestamp,
}

impl Window {
    /// Whether a moment lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        (self.start..self.end).contains(&at)
    }
}

/// Whether a percentile of few samples is judged. The names are CloudWatch's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LowSamples {
    /// As any other.
    #[default]
    Evaluate,
    /// Not: the state stays while there are fewer samples than tell something.
    Ignore,
}

/// How bad an alarm is. The names are those of PagerDuty's events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Users are hurt.
    #[default]
    Critical,
    /// Something is broken.
    Error,
    /// Something will break.
    Warning,
    /// Somebody may want to know.
    Info,
}

/// Who is told of a change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionFile {
    /// A service, which is posted the change as JSON.
    Webhook {
        /// The connection, as `server.toml` names it.
        connection: String,
        /// Where below the connection's address.
        #[serde(default)]
        path: String,
        /// Of which states (default: ALARM and OK).
        #[serde(default = "told")]
        on: Vec<State>,
    },
    /// A channel, by a webhook as Slack has it.
    Slack {
        /// The connection, as `server.toml` names it.
        connection: String,
        /// Where below the connection's address.
        #[serde(default)]
        path: String,
        /// Of which states (default: ALARM and OK).
        #[serde(default = "told")]
        on: Vec<State>,
    },
    /// PagerDuty, by its Events API v2: ALARM triggers an incident, all else resolves it.
    PagerDuty {
        /// The connection, as `server.toml` names it; it holds the routing key.
        connection: String,
        /// Of which states (default: ALARM and OK).
        #[serde(default = "told")]
        on: Vec<State>,
    },
    /// People, by mail.
    Email {
        /// Their addresses.
        to: Vec<String>,
        /// Of which states (default: ALARM and OK).
        #[serde(default = "told")]
        on: Vec<State>,
    },
}

fn told() -> Vec<State> {
    vec![State::Alarm, State::Ok]
}

impl ActionFile {
    /// Whether it tells of a change to `state`.
    pub fn tells(&self, state: State) -> bool {
        let (Self::Webhook { on, .. }
        | Self::Slack { on, .. }
        | Self::PagerDuty { on, .. }
        | Self::Email { on, .. }) = self;
        on.contains(&state)
    }
}

/// A mistake in an alarm's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What.
    pub message: String,
}

impl Wrong {
    /// A mistake.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.trim_start_matches('/') {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{}: {}", pointer.replace('/', "."), self.message),
        }
    }
}

/// An alarm that can be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// What it watches.
    pub watch: Watch,
    /// How long a period is, in seconds; of a rule, how often it is looked at.
    pub period: u32,
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub enum Watch {
    /// A metric, or several joined by expressions.
    Metrics(Watched, Judge),
    /// What a query gives.
    Query(Query, Judge),
    /// Other alarms.
    Composite(Rule, Option<Suppressor>),
    /// How fast an error budget is used up.
    Burn(Burn, Judge),
}

/// Metrics, and how they are joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Metrics by id, in the order of the file.
    pub inputs: Vec<(String, MetricStat)>,
    /// Expressions by id, each after those it names.
    pub expressions: Vec<(String, Expression)>,
    /// The id of what is judged.
    pub returned: String,
    /// The band that it is compared with.
    pub band: Option<BandFile>,
    /// Dimensions by whose values it is taken apart.
    pub group_by: Vec<String>,
}

/// A query of what was logged and traced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Its text.
    pub text: String,
    /// Its language; what it begins as if absent.
    pub language: Option<Language>,
}

impl AlarmFile {
    /// Reads an alarm in our form or in AWS's (`put-metric-alarm`, `describe-alarms`,
    /// CloudFormation's properties, and those names in small letters).
    ///
    /// # Errors
    /// If it is neither.
    pub fn from_value(value: Value) -> Result<Self, AlarmError> {
        let value = if aws::is_foreign(&value) { aws::translate(&value)? } else { value };
        serde_json::from_value(value)
            .map_err(|error| AlarmError::Invalid(vec![Wrong::new("", error.to_string())]))
    }

    /// Whether a file has AWS's names rather than ours.
    pub fn is_foreign(value: &Value) -> bool {
        aws::is_foreign(value)
    }

    /// Whether it is evaluated.
    pub fn is_enabled(&self) -> bool {
        self.enabled != Some(false)
    }

    /// Checks it, so that it can be evaluated.
    ///
    /// # Errors
    /// Every mistake.
    pub fn compile(&self) -> Result<Alarm, Vec<Wrong>> {
        compile::compile(self)
    }
}

#[cfg(test)]
mod tests;
