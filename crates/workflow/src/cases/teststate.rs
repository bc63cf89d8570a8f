//! Cases that test one state.

use release::Timestamp;
use serde_json::{Map, Value};

use super::{Judged, fits};
use crate::teststate::{Request, test_state};

/// Tests a case's state and compares the answer, or the refusal.
pub fn judge(case: &Value) -> Result<Judged, String> {
    let expected = case.get("expected").ok_or("it expects nothing")?;
    let code = expected.pointer("/Error/Code").or_else(|| expected.get("exception_typename"));
    if code.and_then(Value::as_str) == Some("ParamValidationError") {
        return Err("a client refuses it before it is sent".to_owned());
    }
    let request = case.get("request").cloned().unwrap_or_default();
    let request: Request =
        serde_json::from_value(request).map_err(|error| format!("its request: {error}"))?;
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap_or_default();
    let (found, expected) = match (test_state(&request, start, 0), code) {
        (Err(refused), _) => {
            let found = [("code", refused.code.to_owned()), ("message", refused.message)];
            (object(found), refusal(code, expected))
        }
        (Ok(answer), None) => {
            let mut expected = expected.clone();
            if let Some(expected) = expected.as_object_mut() {
                expected.remove("ResponseMetadata");
            }
            (serde_json::to_value(answer).unwrap_or_default(), expected)
        }
        (Ok(answer), Some(_)) => {
            (serde_json::to_value(answer).unwrap_or_default(), refusal(code, expected))
        }
    };
    let same = |name: &&str| match (expected.get(*name), found.get(*name)) {
        (None, None) => true,
        (Some(expected), Some(found)) => fits(expected, found),
        _ => false,
    };
    let result = ["code", "status", "output", "error", "nextState"];
    let cause = ["message", "cause", "inspectionData"];
    let wrong: Vec<_> = result.iter().chain(&cause).filter(|name| !same(name)).collect();
    let result = result.iter().all(|name| !wrong.contains(&name));
    let told = |name: &str, side: &Value| side.get(name).cloned().unwrap_or_default();
    let lines = wrong.iter().map(|name| {
        format!("{name}: expected {}\n    found {}", told(name, &expected), told(name, &found))
    });
    let lines: Vec<_> = lines.collect();
    let difference = (!lines.is_empty()).then(|| lines.join("\n  "));
    Ok(Judged { result, cause: lines.is_empty(), history: None, difference })
}

/// A recorded refusal: its exception and its message, without a client's own words before it.
fn refusal(code: Option<&Value>, expected: &Value) -> Value {
    let message = expected.get("message").or_else(|| expected.get("exception_value"));
    let message = message.and_then(Value::as_str).unwrap_or_default();
    let message = message.split_once("TestState operation: ").map_or(message, |(_, own)| own);
    let code = code.and_then(Value::as_str).unwrap_or_default();
    object([("code", code.to_owned()), ("message", message.to_owned())])
}

fn object<const N: usize>(fields: [(&str, String); N]) -> Value {
    let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
    fields.collect::<Map<String, Value>>().into()
}
