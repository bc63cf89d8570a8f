//! Anthropic's error object: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use serde_json::Value;

use crate::ErrorKind;
use crate::refusal::{Refusal, describe, kind_of_status};

/// Reads the body of a response with an error `status`.
pub(super) fn read(status: u16, body: &[u8]) -> Refusal {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Refusal::of_status(status, describe(body));
    };
    value
        .get("error")
        .and_then(|error| of_value(error, Some(status)))
        .unwrap_or_else(|| Refusal::of_status(status, "a body that is no error object"))
}

/// Reads the inner error object; `status` is absent inside a success.
pub(super) fn of_value(error: &Value, status: Option<u16>) -> Option<Refusal> {
    let message = error.get("message")?.as_str()?.to_owned();
    let name = error.get("type").and_then(Value::as_str);
    let detail = error.pointer("/details/error_code").and_then(Value::as_str);
    let kind = kind(status, name.unwrap_or_default(), detail, &message);
    let code = detail.or(name).map(str::to_owned);
    Some(Refusal { kind, message, code, param: None })
}

fn kind(status: Option<u16>, name: &str, detail: Option<&str>, message: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if detail == Some("enforced_spend_limit_reached") {
        return ErrorKind::Quota;
    }
    match name {
        "invalid_request_error" if says(&["prompt is too long", "exceed context limit"]) => {
            ErrorKind::ContextLength
        }
        "invalid_request_error" if says(&["content filtering policy", "usage policy"]) => {
            ErrorKind::ContentPolicy
        }
        "invalid_request_error" if says(&["credit balance is too low"]) => ErrorKind::Quota,
        "invalid_request_error" => ErrorKind::InvalidRequest,
        "authentication_error" => ErrorKind::Authentication,
        "billing_error" => ErrorKind::Quota,
        "permission_error" => ErrorKind::Permission,
        "not_found_error" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::RequestTooLarge,
        "rate_limit_error" => ErrorKind::RateLimit,
        "timeout_error" => ErrorKind::Timeout,
        "overloaded_error" => ErrorKind::Overloaded,
        _ => status.map_or(ErrorKind::Server, kind_of_status),
    }
}
