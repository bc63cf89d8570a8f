//! Cases in which a definition is looked at only: refused, or found right or wrong.

use serde_json::{Value, json};

use super::{Judged, definition, fits};
use crate::definition::{Finding, Machine, Severity, refusal};

/// What `CreateStateMachine` says of a definition.
pub fn create(case: &Value) -> Result<Judged, String> {
    let expected = case.get("expected").ok_or("it expects nothing")?;
    let code = expected.pointer("/Error/Code").or_else(|| expected.get("exception_typename"));
    if code.and_then(Value::as_str) != Some("InvalidDefinition") {
        return Err("it is not about the definition".to_owned());
    }
    let message = expected.get("message").or_else(|| expected.get("exception_value"));
    let message = message.and_then(Value::as_str).unwrap_or_default();
    // The client puts words of its own before the service's.
    let message = match message.find("Invalid State Machine Definition") {
        Some(at) => &message[at..],
        None => message,
    };
    let found = match Machine::parse(&definition(case)) {
        Ok(_) => "accepted".to_owned(),
        Err(findings) => refusal(&findings),
    };
    let result = found.starts_with("Invalid State Machine Definition");
    let cause = fits(&message.into(), &found.clone().into());
    let difference = (!cause).then(|| format!("expected {message}\n  found    {found}"));
    Ok(Judged { result, cause, history: None, difference })
}

/// What `ValidateStateMachineDefinition` says of a definition.
pub fn validate(case: &Value) -> Judged {
    let expected = case.get("expected").unwrap_or(&Value::Null);
    let found = validation(&definition(case));
    let result = found.get("result") == expected.get("result");
    let told = |answer: &Value| answer.get("diagnostics").cloned().unwrap_or_default();
    let cause = result && fits(&told(expected), &told(&found));
    let difference = (!cause).then(|| format!("expected {expected}\n  found    {found}"));
    Judged { result, cause, history: None, difference }
}

/// The answer of `ValidateStateMachineDefinition`.
fn validation(text: &str) -> Value {
    let (findings, refused): (Vec<Finding>, bool) = match Machine::parse(text) {
        Ok((_, warnings)) => (warnings, false),
        Err(findings) => (findings, true),
    };
    let told = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    let result = if refused { "FAIL" } else { "OK" };
    json!({"result": result, "diagnostics": told.collect::<Vec<_>>(), "truncated": false})
}
