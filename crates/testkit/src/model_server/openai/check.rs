//! Checks a request as OpenAI's API does, with its words, and reads the conversation from it.

mod embeddings;
mod sampling;
mod tools;

use serde_json::{Value, json};

use crate::model_server::answer::Conversation;
use crate::model_server::dialect::{Failure, Refusal};
use crate::model_server::http::Request;

pub(in crate::model_server) use embeddings::{EmbeddingRequest, embedding_request};

type Checked<T> = Result<T, Refusal>;

/// Parameters of other APIs. Unknown names pass, for compatible servers have extensions.
const FOREIGN: &[&str] =
    &["system", "stop_sequences", "thinking", "output_format", "anthropic_version", "top_k"];

/// A 4xx in OpenAI's envelope.
pub(in crate::model_server) fn refusal(
    status: u16,
    message: impl Into<String>,
    param: Option<&str>,
    code: Option<&str>,
) -> Refusal {
    let message: String = message.into();
    let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
    Refusal { status, body: json!({ "error": error }) }
}

fn invalid<T>(message: impl Into<String>, param: &str, code: Option<&str>) -> Checked<T> {
    Err(refusal(400, message, Some(param), code))
}

fn invalid_type<T>(param: &str, expected: &str, got: &Value) -> Checked<T> {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message =
        format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
    invalid(message, param, Some("invalid_type"))
}

fn missing<T>(param: &str) -> Checked<T> {
    let message = format!("Missing required parameter: '{param}'.");
    invalid(message, param, Some("missing_required_parameter"))
}

/// Whether the request carries a key; the key `sk-invalid` is a wrong one.
pub(in crate::model_server) fn authorised(request: &Request) -> Checked<()> {
    let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match key.map(str::trim) {
        Some("sk-invalid") => Err(Refusal { status: 401, body: super::failure(Failure::WrongKey) }),
        Some(key) if !key.is_empty() => Ok(()),
        _ => Err(refusal(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            None,
            None,
        )),
    }
}

/// Reads a chat completion request.
pub(in crate::model_server) fn conversation(body: &Value) -> Checked<Conversation> {
    let model = model(body)?;
    for name in FOREIGN {
        if body.get(*name).is_some() {
            let message = format!("Unrecognized request argument supplied: {name}");
            return Err(refusal(400, message, None, None));
        }
    }
    let mut asked =
        Conversation { model, parallel_tools: true, choices: 1, ..Conversation::default() };
    messages(body, &mut asked)?;
    sampling::sampling(body, &mut asked)?;
    sampling::streaming(body, &mut asked)?;
    tools::tools(body, &mut asked)?;
    tools::response_format(body, &mut asked)?;
    Ok(asked)
}

fn model(body: &Value) -> Checked<String> {
    match body.get("model") {
        Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
        Some(other) if !other.is_string() && !other.is_null() => {
            invalid_type("model", "a string", other)
        }
        _ => Err(refusal(400, "you must provide a model parameter", None, None)),
    }
}

fn messages(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let messages = match body.get("messages") {
        Some(Value::Array(messages)) => messages,
        Some(other) => return invalid_type("messages", "an array of objects", other),
        None => return missing("messages"),
    };
    if messages.is_empty() {
        return invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
             empty array instead.",
            "messages",
            Some("empty_array"),
        );
    }
    // Calls of the latest assistant message that no tool message has answered yet.
    let mut unanswered: Option<(usize, Vec<String>)> = None;
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        if !message.is_object() {
            return invalid_type(&place, "an object", message);
        }
        let role = role(message, &place)?;
        if role == "tool" {
            tool_message(message, index, &mut unanswered)?;
        } else {
            all_answered(unanswered.take())?;
        }
        let text = content(message, role, &place)?;
        let calls = if role == "assistant" { tool_calls(message, &place)? } else { Vec::new() };
        if !calls.is_empty() {
            unanswered = Some((index, calls));
        }
        take_message(asked, role, text);
    }
    all_answered(unanswered)
}

/// What a message means for the answer.
fn take_message(asked: &mut Conversation, role: &str, text: String) {
    asked.prefill = None;
    match role {
        "system" | "developer" => {
            if !asked.system.is_empty() {
                asked.system.push_str("\n\n");
            }
            asked.system.push_str(&text);
            return;
        }
        "tool" | "function" => asked.tool_results.push(text.clone()),
        "assistant" => {
            asked.tool_results.clear();
            asked.prefill = Some(text.clone());
        }
        _ => {
            asked.tool_results.clear();
            asked.last_user.clone_from(&text);
        }
    }
    asked.text.push_str(&text);
    asked.text.push(' ');
}

fn role<'a>(message: &'a Value, place: &str) -> Checked<&'a str> {
    let place = format!("{place}.role");
    match message.get("role") {
        Some(Value::String(role)) => match role.as_str() {
            "system" | "assistant" | "user" | "function" | "tool" | "developer" => Ok(role),
            _ => invalid(
                format!(
                    "Invalid value: '{role}'. Supported values are: 'system', 'assistant', \
                     'user', 'function', 'tool', and 'developer'."
                ),
                &place,
                Some("invalid_value"),
            ),
        },
        Some(other) => {
            invalid_type(&place, "one of 'system', 'assistant', 'user', or 'tool'", other)
        }
        None => missing(&place),
    }
}

fn content(message: &Value, role: &str, place: &str) -> Checked<String> {
    let place = format!("{place}.content");
    let speechless = role == "assistant"
        && ["tool_calls", "function_call", "refusal", "audio"]
            .iter()
            .any(|field| message.get(field).is_some_and(|value| !value.is_null()));
    match message.get("content") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let mut text = String::new();
            for (index, part) in parts.iter().enumerate() {
                text.push_str(content_part(part, role, &format!("{place}[{index}]"))?);
            }
            Ok(text)
        }
        None | Some(Value::Null) if speechless => Ok(String::new()),
        None => missing(&place),
        Some(Value::Null) => invalid(
            format!("Invalid value for '{place}': expected a string, got null."),
            &place,
            None,
        ),
        Some(other) => invalid_type(&place, "one of a string or array of objects", other),
    }
}

/// The text of a part; empty for a picture or the like.
fn content_part<'a>(part: &'a Value, role: &str, place: &str) -> Checked<&'a str> {
    let allowed: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    let Some(kind) = part.get("type").and_then(Value::as_str) else {
        return missing(&format!("{place}.type"));
    };
    if !allowed.contains(&kind) {
        let allowed = allowed.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>();
        return invalid(
            format!("Invalid value: '{kind}'. Supported values are: {}.", allowed.join(", ")),
            &format!("{place}.type"),
            Some("invalid_value"),
        );
    }
    match part.get(kind) {
        Some(Value::String(text)) if matches!(kind, "text" | "refusal") => Ok(text),
        Some(Value::Object(_)) if !matches!(kind, "text" | "refusal") => Ok(""),
        Some(other) => invalid_type(&format!("{place}.{kind}"), "a different type", other),
        None => missing(&format!("{place}.{kind}")),
    }
}

/// The ids of an assistant message's calls.
fn tool_calls(message: &Value, place: &str) -> Checked<Vec<String>> {
    let place = format!("{place}.tool_calls");
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(calls)) if calls.is_empty() => {
            return invalid(
                format!(
                    "Invalid '{place}': empty array. Expected an array with minimum length 1, but \
                     got an empty array instead."
                ),
                &place,
                Some("empty_array"),
            );
        }
        Some(Value::Array(calls)) => calls,
        Some(other) => return invalid_type(&place, "an array of objects", other),
    };
    let mut ids = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let place = format!("{place}[{index}]");
        for pointer in ["/id", "/type", "/function/name", "/function/arguments"] {
            match call.pointer(pointer) {
                Some(Value::String(_)) => {}
                Some(other) => {
                    let place = format!("{place}{}", pointer.replace('/', "."));
                    return invalid_type(&place, "a string", other);
                }
                None => return missing(&format!("{place}{}", pointer.replace('/', "."))),
            }
        }
        ids.extend(call.get("id").and_then(Value::as_str).map(str::to_owned));
    }
    Ok(ids)
}

fn tool_message(
    message: &Value,
    index: usize,
    unanswered: &mut Option<(usize, Vec<String>)>,
) -> Checked<()> {
    let Some(id) = message.get("tool_call_id").and_then(Value::as_str) else {
        return missing(&format!("messages[{index}].tool_call_id"));
    };
    let waiting = unanswered.as_mut().map(|(_, ids)| ids);
    let position = waiting.as_ref().and_then(|ids| ids.iter().position(|one| one == id));
    match (waiting, position) {
        (Some(ids), Some(position)) => {
            ids.remove(position);
            Ok(())
        }
        // The spelling is the original's.
        _ => invalid(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
             message with 'tool_calls'.",
            &format!("messages.[{index}].role"),
            None,
        ),
    }
}

fn all_answered(unanswered: Option<(usize, Vec<String>)>) -> Checked<()> {
    match unanswered {
        Some((index, ids)) if !ids.is_empty() => invalid(
            format!(
                "An assistant message with 'tool_calls' must be followed by tool messages \
                 responding to each 'tool_call_id'. The following tool_call_ids did not have \
                 response messages: {}",
                ids.join(", ")
            ),
            &format!("messages.[{index}].role"),
            None,
        ),
        _ => Ok(()),
    }
}
