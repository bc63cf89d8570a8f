//! The Anthropic dialect: messages, token counts, models and errors, as the API reference gives
//! them.

mod check;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Call, Conversation, Stop, Usage};
use super::dialect::{Event, EventKind, Failure};
use super::faults;

pub(super) use check::{Purpose, authorised, conversation, refusal};

/// A plain message.
pub(super) fn message(asked: &Conversation, answer: &Answer, number: u64) -> Value {
    let mut content = Vec::new();
    if !answer.reasoning.is_empty() {
        let thinking = answer.reasoning.concat();
        content.push(json!({ "type": "thinking", "thinking": thinking, "signature": SIGNATURE }));
    }
    if !answer.text.is_empty() {
        content.push(json!({ "type": "text", "text": answer.text.concat() }));
    }
    for (index, call) in answer.calls.iter().enumerate() {
        // Arguments that break off cannot be shown in a plain message: what is left is nothing.
        let input = serde_json::from_str::<Value>(&call.fragments.concat());
        let input = input.unwrap_or_else(|_broken_off| json!({}));
        let mut block = tool_use(call, number, index);
        block.insert("input".to_owned(), input);
        content.push(Value::Object(block));
    }
    let mut whole = envelope(asked, number);
    whole.insert("content".to_owned(), Value::Array(content));
    let (reason, sequence) = stop_reason(answer);
    whole.insert("stop_reason".to_owned(), reason);
    whole.insert("stop_sequence".to_owned(), sequence);
    if let Some(usage) = answer.usage {
        whole.insert("usage".to_owned(), self::usage(usage, usage.output));
    }
    Value::Object(whole)
}

/// The same as a stream of events.
pub(super) fn events(asked: &Conversation, answer: &Answer, number: u64) -> Vec<Event> {
    let mut start = envelope(asked, number);
    start.insert("content".to_owned(), json!([]));
    start.insert("stop_reason".to_owned(), Value::Null);
    start.insert("stop_sequence".to_owned(), Value::Null);
    if let Some(usage) = answer.usage {
        start.insert("usage".to_owned(), self::usage(Usage { reasoning: 0, ..usage }, 1));
    }
    let mut stream = Stream { events: Vec::with_capacity(answer.text.len() + 8), block: 0 };
    stream.push(EventKind::Start, "message_start", json!({ "message": start }));
    if !answer.reasoning.is_empty() {
        let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
        let mut deltas: Vec<Value> = Vec::new();
        for thought in &answer.reasoning {
            deltas.push(json!({ "type": "thinking_delta", "thinking": thought }));
        }
        deltas.push(json!({ "type": "signature_delta", "signature": SIGNATURE }));
        stream.block(block, deltas);
    }
    if !answer.text.is_empty() {
        let delta = |token: &String| json!({ "type": "text_delta", "text": token });
        let deltas = answer.text.iter().map(delta);
        stream.block(json!({ "type": "text", "text": "" }), deltas);
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let mut block = tool_use(call, number, index);
        block.insert("input".to_owned(), json!({}));
        let delta = |part: &String| json!({ "type": "input_json_delta", "partial_json": part });
        stream.block(Value::Object(block), call.fragments.iter().map(delta));
    }
    let (reason, sequence) = stop_reason(answer);
    let mut last = json!({ "delta": { "stop_reason": reason, "stop_sequence": sequence } });
    if let (Some(usage), Some(last)) = (answer.usage, last.as_object_mut()) {
        let details = json!({ "thinking_tokens": usage.reasoning });
        let usage = json!({ "output_tokens": usage.output, "output_tokens_details": details });
        last.insert("usage".to_owned(), usage);
    }
    stream.push(EventKind::Finish, "message_delta", last);
    stream.push(EventKind::Done, "message_stop", json!({}));
    stream.events
}

struct Stream {
    events: Vec<Event>,
    block: u64,
}

impl Stream {
    fn push(&mut self, kind: EventKind, name: &str, rest: Value) {
        let mut data = Map::new();
        data.insert("type".to_owned(), json!(name));
        if let Value::Object(rest) = rest {
            data.extend(rest);
        }
        self.events.push(event(kind, name, &Value::Object(data)));
    }

    /// One content block; the first is followed by a ping, as the provider does.
    fn block(&mut self, block: Value, deltas: impl IntoIterator<Item = Value>) {
        let index = self.block;
        let start = json!({ "index": index, "content_block": block });
        self.push(EventKind::Start, "content_block_start", start);
        if index == 0 {
            self.push(EventKind::Ping, "ping", json!({}));
        }
        for delta in deltas {
            let delta = json!({ "index": index, "delta": delta });
            self.push(EventKind::Token, "content_block_delta", delta);
        }
        self.push(EventKind::Stop, "content_block_stop", json!({ "index": index }));
        self.block += 1;
    }
}

/// Any JSON as an event of this name.
pub(super) fn event(kind: EventKind, name: &str, data: &Value) -> Event {
    Event { kind, frame: format!("event: {name}\ndata: {data}\n\n").into_bytes() }
}

const SIGNATURE: &str = "c2NyaXB0ZWQ=";

fn envelope(asked: &Conversation, number: u64) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("id".to_owned(), json!(format!("msg_{number:08}")));
    message.insert("type".to_owned(), json!("message"));
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("model".to_owned(), json!(asked.model));
    message
}

fn tool_use(call: &Call, number: u64, index: usize) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!("tool_use"));
    block.insert("id".to_owned(), json!(format!("toolu_{number:08}_{index}")));
    block.insert("name".to_owned(), json!(call.name));
    block
}

/// `stop_reason` and `stop_sequence`.
fn stop_reason(answer: &Answer) -> (Value, Value) {
    let reason = match &answer.stop {
        None => return (Value::Null, Value::Null),
        Some(Stop::Sequence(sequence)) => return (json!("stop_sequence"), json!(sequence)),
        Some(Stop::End) => "end_turn",
        Some(Stop::Length) => "max_tokens",
        Some(Stop::Tools) => "tool_use",
        Some(Stop::Filtered) => "refusal",
    };
    (json!(reason), Value::Null)
}

/// Anthropic counts cached input apart from the rest.
fn usage(usage: Usage, output: i64) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": output,
        "output_tokens_details": { "thinking_tokens": usage.reasoning },
        "service_tier": "standard"
    })
}

/// The list of models.
pub(super) fn models() -> Value {
    let data: Vec<Value> = faults::model_names().map(model).collect();
    let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
    json!({
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": false,
        "data": data
    })
}

/// One model.
pub(super) fn model(name: &str) -> Value {
    json!({
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z"
    })
}

/// The envelope of an error that is not about the request's form.
pub(super) fn failure(failure: Failure, number: u64) -> Value {
    let (kind, message) = match failure {
        Failure::RateLimit => (
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 3 requests per minute.",
        ),
        Failure::QuotaSpent => (
            "rate_limit_error",
            "You have reached your specified API usage limits. You will regain access on \
             2026-02-01 at 00:00 UTC.",
        ),
        Failure::Server => ("api_error", "Internal server error"),
        Failure::Unavailable => ("api_error", "Service unavailable"),
        Failure::Overloaded => ("overloaded_error", "Overloaded"),
        Failure::ContextLength => {
            ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
        }
        Failure::ContentPolicy => {
            ("invalid_request_error", "Output blocked by content filtering policy")
        }
        Failure::WrongKey => ("authentication_error", "invalid x-api-key"),
        Failure::Forbidden => (
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        Failure::PrefillRefused => (
            "invalid_request_error",
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
        ),
        Failure::Timeout => ("timeout_error", "Request timed out"),
    };
    let mut error = json!({ "type": kind, "message": message });
    if let (Failure::QuotaSpent, Some(error)) = (failure, error.as_object_mut()) {
        let details = json!({ "error_code": "enforced_spend_limit_reached" });
        error.insert("details".to_owned(), details);
    }
    json!({ "type": "error", "error": error, "request_id": request_id(number) })
}

/// The id of a request, in its header and in error bodies.
pub(super) fn request_id(number: u64) -> String {
    format!("req_{number:08}")
}
