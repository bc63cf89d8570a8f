//! What those who are told of a change get to read.

use serde_json::{Value, json};

use super::State;
use super::evaluate::number;
use super::records::AlarmChange;

/// The most characters of a summary, as PagerDuty takes it.
const SUMMARY: usize = 1_024;

/// One line.
pub fn subject(change: &AlarmChange) -> String {
    let of: Vec<_> = change.dimensions.values().map(String::as_str).collect();
    let of = if of.is_empty() { String::new() } else { format!(" ({})", of.join(", ")) };
    format!("{}: {}{of}", change.state, change.alarm)
}

/// All of it, as plain text.
pub fn text(change: &AlarmChange) -> String {
    let mut lines = vec![
        format!(
            "{} is {} since {:.0}, and was {}.",
            change.alarm, change.state, change.at, change.previous
        ),
        String::new(),
        format!("Why: {}", change.reason),
    ];
    if !change.description.is_empty() {
        lines.push(format!("What: {}", change.description));
    }
    for (name, value) in &change.dimensions {
        lines.push(format!("{name}: {value}"));
    }
    lines.push(format!("More: groundcrew alarm show {}", change.alarm));
    lines.join("\n")
}

/// What a webhook is posted.
pub fn webhook(change: &AlarmChange, id: &str) -> Value {
    json!({"type": super::records::CHANGED, "id": id, "timestamp": change.at, "data": change})
}

/// A message for Slack, and for what takes the same.
pub fn slack(change: &AlarmChange) -> Value {
    let colour = match change.state {
        State::Alarm => "#d00000",
        State::Ok => "#2eb886",
        State::InsufficientData => "#9e9e9e",
    };
    let numbers: Vec<_> = change.datapoints.iter().map(|point| number(point.value)).collect();
    let mut fields = vec![json!({"title": "Why", "value": change.reason, "short": false})];
    if !numbers.is_empty() {
        fields.push(json!({"title": "Datapoints", "value": numbers.join(", "), "short": true}));
    }
    for (name, value) in &change.dimensions {
        fields.push(json!({"title": name, "value": value, "short": true}));
    }
    let fallback = format!("{}: {}", subject(change), change.reason);
    json!({
        "text": subject(change),
        "attachments": [{
            "color": colour,
            "fallback": fallback,
            "text": change.description,
            "fields": fields,
            "ts": change.at.as_second(),
        }],
    })
}

/// An event of PagerDuty's Events API v2, without the routing key. An alarm is one incident.
pub fn pager_duty(change: &AlarmChange, tenant: &str) -> Value {
    let key = format!("groundcrew/{tenant}/{}", change.alarm);
    if change.state != State::Alarm {
        return json!({"event_action": "resolve", "dedup_key": key});
    }
    let summary: String =
        format!("{}: {}", subject(change), change.reason).chars().take(SUMMARY).collect();
    json!({
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Groundcrew",
        "payload": {
            "summary": summary,
            "source": change.dimensions.get("app").unwrap_or(&change.alarm),
            "severity": change.severity,
            "timestamp": change.at,
            "component": change.alarm,
            "group": change.project,
            "class": "alarm",
            "custom_details": change,
        },
    })
}

#[cfg(test)]
mod tests;
