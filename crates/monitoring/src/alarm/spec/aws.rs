//! AWS's names for what an alarm has: `put-metric-alarm`, `put-composite-alarm`,
//! `describe-alarms`, CloudFormation's properties; also in small letters, as Terraform has them.

use serde_json::{Map, Value, json};

use super::Wrong;
use crate::alarm::AlarmError;

/// Names of ours, and what else they go by in small letters.
const OTHERS: &[(&str, &str)] = &[
    ("metric_name", "metric"),
    ("comparison", "comparison_operator"),
    ("operator", "comparison_operator"),
    ("alarm_description", "description"),
    ("extended_statistic", "statistic"),
    ("stat", "statistic"),
    ("alarm_rule", "rule"),
    ("period_seconds", "period"),
    ("metric_query", "metrics"),
    ("evaluate_low_sample_count_percentiles", "evaluate_low_sample_count_percentile"),
];
/// What AWS has and is of no matter here.
const IGNORED: &[&str] = &[
    "alarm_name",
    "name",
    "namespace",
    "unit",
    "tags",
    "actions_enabled",
    "alarm_actions",
    "ok_actions",
    "okactions",
    "insufficient_data_actions",
    "alarm_arn",
    "alarm_configuration_updated_timestamp",
    "state_value",
    "state_reason",
    "state_reason_data",
    "state_updated_timestamp",
    "state_transitioned_timestamp",
    "evaluation_state",
    "threshold_metric_id",
    "actions_suppressor_wait_period",
    "actions_suppressor_extension_period",
    "account_id",
];
/// Around the one alarm of an answer.
const AROUND: &[&str] = &["MetricAlarms", "CompositeAlarms", "Properties", "alarm"];

/// Whether a file has AWS's names rather than ours.
pub fn is_foreign(value: &Value) -> bool {
    let others = |key: &str| {
        key.starts_with(|first: char| first.is_ascii_uppercase())
            || OTHERS.iter().any(|(other, _)| *other == key)
            || IGNORED.contains(&key)
            || AROUND.contains(&key)
    };
    value.as_object().is_some_and(|object| object.keys().any(|key| others(key)))
}

/// The alarm in our names.
pub fn translate(value: &Value) -> Result<Value, AlarmError> {
    let wrong = |message: String| AlarmError::Invalid(vec![Wrong::new("", message)]);
    for around in AROUND {
        let alarm = match &value[*around] {
            Value::Array(alarms) => match alarms.as_slice() {
                [alarm] => alarm,
                [] => continue,
                _ => return Err(wrong(format!("`{around}` holds more than one alarm"))),
            },
            object @ Value::Object(_) => object,
            _ => continue,
        };
        return translate(alarm);
    }
    let given: Map<String, Value> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (ours(key), value.clone()))
        .collect();
    let mut alarm = Map::new();
    for (key, value) in &given {
        let value = match key.as_str() {
            key if IGNORED.contains(&key) => continue,
            "dimensions" => dimensions(value),
            "metrics" => {
                let queries = value.as_array().into_iter().flatten();
                Value::Array(queries.map(query).collect())
            }
            "actions_suppressor" => {
                let seconds = |name: &str| given.get(name).cloned().unwrap_or(json!(0));
                let suppressor = json!({
                    "alarm": value.as_str().and_then(|arn| arn.rsplit(":alarm:").next()),
                    "wait_seconds": seconds("actions_suppressor_wait_period"),
                    "extension_seconds": seconds("actions_suppressor_extension_period"),
                });
                alarm.insert("suppressor".to_owned(), suppressor);
                continue;
            }
            _ => value.clone(),
        };
        alarm.insert(key.clone(), value);
    }
    Ok(Value::Object(alarm))
}

/// `DatapointsToAlarm` as `datapoints_to_alarm`, and what we call it.
fn ours(key: &str) -> String {
    let mut small = String::new();
    let mut before = '_';
    for character in key.chars() {
        if character.is_ascii_uppercase() && !(before == '_' || before.is_ascii_uppercase()) {
            small.push('_');
        }
        small.push(character.to_ascii_lowercase());
        before = character;
    }
    let other = OTHERS.iter().find(|(other, _)| *other == small);
    other.map_or(small, |(_, ours)| (*ours).to_owned())
}

/// `[{"Name": …, "Value": …}]` as a table.
fn dimensions(value: &Value) -> Value {
    let Value::Array(list) = value else { return value.clone() };
    let pair = |one: &Value| {
        let part = |name: &str, small: &str| one.get(name).or_else(|| one.get(small)).cloned();
        let name = part("Name", "name")?.as_str()?.to_owned();
        Some((name, part("Value", "value")?))
    };
    Value::Object(list.iter().filter_map(pair).collect())
}

/// One of `Metrics`: an expression, or a `MetricStat`.
fn query(value: &Value) -> Value {
    let mut query = Map::new();
    let mut add = |value: &Value| {
        for (key, value) in value.as_object().into_iter().flatten() {
            let key = ours(key);
            match key.as_str() {
                "metric_stat" | "metric" if value.is_object() => {}
                key if IGNORED.contains(&key) => {}
                "dimensions" => {
                    query.insert(key, dimensions(value));
                }
                _ => {
                    query.insert(key, value.clone());
                }
            }
        }
    };
    let inner = |value: &Value, name: &str, small: &str| {
        let inner = value.get(name).or_else(|| value.get(small)).cloned();
        inner.unwrap_or(Value::Null)
    };
    add(value);
    let stat = inner(value, "MetricStat", "metric_stat");
    add(&stat);
    add(&inner(&stat, "Metric", "metric"));
    Value::Object(query)
}
