//! OpenAI's error object, and what compatible servers send in its place.

use serde_json::Value;

use crate::ErrorKind;
use crate::refusal::{Refusal, describe, kind_of_status};

/// Reads the body of a response with an error `status`.
pub(super) fn read(status: u16, body: &[u8]) -> Refusal {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Refusal::of_status(status, describe(body));
    };
    // `{"error": {…}}`; FastAPI's `{"detail": …}`; older vLLM's bare object.
    let error = value.get("error").or_else(|| value.get("detail")).unwrap_or(&value);
    of_value(error, Some(status))
        .unwrap_or_else(|| Refusal::of_status(status, "a body that is no error object"))
}

/// Reads an error object. `status` is absent inside a success; some servers then put it in `code`.
pub(super) fn of_value(error: &Value, status: Option<u16>) -> Option<Refusal> {
    let text = |field: &str| error.get(field).and_then(Value::as_str).map(str::to_owned);
    let message = match error {
        Value::String(message) => message.clone(),
        Value::Object(_) => text("message")?,
        Value::Array(_) => error.to_string(),
        _ => return None,
    };
    let code = match error.get("code") {
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    };
    let status = status.or_else(|| code.as_ref()?.parse().ok());
    let kind = kind(status, [code.as_deref(), text("type").as_deref()], &message);
    Some(Refusal { kind, message, code: code.or_else(|| text("type")), param: text("param") })
}

fn kind(status: Option<u16>, names: [Option<&str>; 2], message: &str) -> ErrorKind {
    for name in names.into_iter().flatten() {
        return match name {
            "context_length_exceeded" => ErrorKind::ContextLength,
            "content_filter" | "content_policy_violation" | "moderation_blocked" => {
                ErrorKind::ContentPolicy
            }
            "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => {
                ErrorKind::Quota
            }
            "invalid_api_key" | "authentication_error" => ErrorKind::Authentication,
            "model_not_found" | "not_found_error" => ErrorKind::NotFound,
            "rate_limit_exceeded" | "rate_limit_error" => ErrorKind::RateLimit,
            "overloaded"
            | "overloaded_error"
            | "engine_overloaded"
            | "service_unavailable_error" => ErrorKind::Overloaded,
            "timeout" => ErrorKind::Timeout,
            "server_error" | "internal_error" | "internal_server_error" => match status {
                Some(status @ (408 | 500..)) => kind_of_status(status),
                _ => ErrorKind::Server,
            },
            _ => continue,
        };
    }
    let too_long = ["maximum context length", "context window", "context size"]
        .iter()
        .any(|words| message.contains(words));
    match status {
        Some(400 | 413 | 422) if too_long => ErrorKind::ContextLength,
        Some(status) => kind_of_status(status),
        None if names[1] == Some("invalid_request_error") => ErrorKind::InvalidRequest,
        None => ErrorKind::Server,
    }
}
