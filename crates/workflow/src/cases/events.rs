//! Cases of event patterns and of schedule expressions.

use serde_json::Value;

use super::Judged;
use crate::pattern::Pattern;
use crate::schedule::Schedule;

/// Whether a pattern matches an event, or is refused.
pub fn pattern(case: &Value) -> Judged {
    let event = case.get("event").unwrap_or(&Value::Null);
    let found = match Pattern::parse(case.get("pattern").unwrap_or(&Value::Null)) {
        Ok(pattern) if pattern.matches(event) => "MATCH".to_owned(),
        Ok(_) => "NO_MATCH".to_owned(),
        Err(error) => format!("EXCEPTION: {error}"),
    };
    let expected = case.get("expected").and_then(Value::as_str).unwrap_or_default();
    let right = found.split(':').next() == Some(expected);
    let told = case.pointer("/error/exception_message/Error/Message").and_then(Value::as_str);
    let cause = right && told.is_none_or(|told| found == format!("EXCEPTION: {told}"));
    let difference = (!cause)
        .then(|| format!("expected {expected} {}, found {found}", told.unwrap_or_default()));
    Judged { result: right, cause, history: None, difference }
}

/// Whether an expression is a schedule.
pub fn schedule(case: &Value) -> Judged {
    let text = case.get("expression").and_then(Value::as_str).unwrap_or_default();
    let expected = case.get("valid").and_then(Value::as_bool).unwrap_or_default();
    let read = text.parse::<Schedule>();
    let right = read.is_ok() == expected;
    Judged::plain((!right).then(|| match read {
        Ok(_) => format!("`{text}` must be refused"),
        Err(error) => error.to_string(),
    }))
}
