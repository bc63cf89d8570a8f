//! The OpenAI dialect: chat completions, embeddings, models and errors, as the platform's API
//! reference gives them.

mod check;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Call, Conversation, Stop, Usage};
use super::dialect::{Event, EventKind, Failure, Refusal};
use super::embedding;
use super::faults;

pub(super) use check::{EmbeddingRequest, authorised, conversation, embedding_request, refusal};

/// The moment that every answer claims to be from: answers stay the same from run to run.
const CREATED: u64 = 1_767_225_600;
const FINGERPRINT: &str = "fp_scripted";

/// A plain chat completion.
pub(super) fn completion(asked: &Conversation, answer: &Answer, number: u64) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let text = answer.text.concat();
    let content = if answer.calls.is_empty() { json!(text) } else { Value::Null };
    message.insert("content".to_owned(), content);
    message.insert("refusal".to_owned(), Value::Null);
    if !answer.reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(answer.reasoning.concat()));
    }
    if !answer.calls.is_empty() {
        let call = |(index, call): (usize, &Call)| {
            json!({
                "id": call_id(number, index),
                "type": "function",
                "function": { "name": call.name, "arguments": call.fragments.concat() }
            })
        };
        message
            .insert("tool_calls".to_owned(), answer.calls.iter().enumerate().map(call).collect());
    }
    let reason = finish_reason(answer);
    let choice = |index: u64| {
        json!({
            "index": index,
            "message": message,
            "logprobs": null,
            "finish_reason": reason
        })
    };
    let choices: Vec<Value> = (0..asked.choices.max(1)).map(choice).collect();
    let mut whole = json!({
        "id": completion_id(number),
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT
    });
    if let (Some(usage), Some(whole)) = (answer.usage, whole.as_object_mut()) {
        whole.insert("usage".to_owned(), self::usage(usage));
    }
    whole
}

/// The same as a stream of chunks.
pub(super) fn chunks(asked: &Conversation, answer: &Answer, number: u64) -> Vec<Event> {
    let chunk = ChunkFrame::new(asked, number);
    let mut events = Vec::with_capacity(answer.text.len() + 8);
    for index in 0..asked.choices.max(1) {
        let start = json!({ "role": "assistant", "content": "", "refusal": null });
        events.push(chunk.event(EventKind::Start, index, &start, None));
        for thought in &answer.reasoning {
            let delta = json!({ "reasoning_content": thought });
            events.push(chunk.event(EventKind::Token, index, &delta, None));
        }
        for token in &answer.text {
            events.push(chunk.text(index, token));
        }
        for (position, call) in answer.calls.iter().enumerate() {
            let delta = json!({ "tool_calls": [{
                "index": position,
                "id": call_id(number, position),
                "type": "function",
                "function": { "name": call.name, "arguments": "" }
            }]});
            events.push(chunk.event(EventKind::Start, index, &delta, None));
            for fragment in &call.fragments {
                let delta = json!({ "tool_calls": [{
                    "index": position,
                    "function": { "arguments": fragment }
                }]});
                events.push(chunk.event(EventKind::Token, index, &delta, None));
            }
        }
        if let Some(reason) = finish_reason(answer) {
            events.push(chunk.event(EventKind::Finish, index, &json!({}), Some(reason)));
        }
    }
    if let (Some(usage), true) = (answer.usage, asked.stream_usage) {
        events.push(chunk.usage(usage));
    }
    events.push(Event { kind: EventKind::Done, frame: b"data: [DONE]\n\n".to_vec() });
    events
}

/// The parts of a chunk that stay the same within a stream, put together as text: the server is
/// the upstream of benchmarks.
struct ChunkFrame {
    before_choices: String,
    after_choices: &'static str,
}

impl ChunkFrame {
    fn new(asked: &Conversation, number: u64) -> Self {
        let (id, model) = (completion_id(number), json!(asked.model));
        Self {
            before_choices: format!(
                "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\
                 \"created\":{CREATED},\"model\":{model},\"service_tier\":\"default\",\
                 \"system_fingerprint\":\"{FINGERPRINT}\",\"choices\":["
            ),
            after_choices: if asked.stream_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" },
        }
    }

    fn text(&self, index: u64, token: &str) -> Event {
        let token = Value::from(token);
        let Self { before_choices, after_choices } = self;
        let frame = format!(
            "{before_choices}{{\"index\":{index},\"delta\":{{\"content\":{token}}},\
             \"logprobs\":null,\"finish_reason\":null}}{after_choices}"
        );
        Event { kind: EventKind::Token, frame: frame.into_bytes() }
    }

    fn event(&self, kind: EventKind, index: u64, delta: &Value, finish: Option<&str>) -> Event {
        let finish = json!(finish);
        let Self { before_choices, after_choices } = self;
        let frame = format!(
            "{before_choices}{{\"index\":{index},\"delta\":{delta},\"logprobs\":null,\
             \"finish_reason\":{finish}}}{after_choices}"
        );
        Event { kind, frame: frame.into_bytes() }
    }

    fn usage(&self, usage: Usage) -> Event {
        let frame = format!("{}],\"usage\":{}}}\n\n", self.before_choices, self::usage(usage));
        Event { kind: EventKind::Usage, frame: frame.into_bytes() }
    }
}

/// Any JSON as an event.
pub(super) fn event(kind: EventKind, data: &Value) -> Event {
    Event { kind, frame: format!("data: {data}\n\n").into_bytes() }
}

fn finish_reason(answer: &Answer) -> Option<&'static str> {
    answer.stop.as_ref().map(|stop| match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
        Stop::Filtered => "content_filter",
    })
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input.saturating_add(usage.output),
        "prompt_tokens_details": { "cached_tokens": usage.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0
        }
    })
}

/// The answer of the embeddings endpoint.
pub(super) fn embeddings(asked: &EmbeddingRequest) -> Value {
    let data = asked.inputs.iter().enumerate().map(|(index, text)| {
        let vector = embedding::vector(text, asked.dimensions);
        let encoded = embedding::encoded(&vector, asked.base64);
        json!({ "object": "embedding", "index": index, "embedding": encoded })
    });
    let words: usize = asked.inputs.iter().map(|text| text.split_whitespace().count()).sum();
    json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": asked.model,
        "usage": { "prompt_tokens": words, "total_tokens": words }
    })
}

/// The model that a request for reranking names, and the answer in the form of Cohere and Jina, the
/// best first: by how many of the query's words a document has.
pub(super) fn rerank(body: &Value) -> Result<(String, Value), Refusal> {
    let wrong = |field: &str| {
        let message = format!("'{field}' is missing or of the wrong type.");
        refusal(422, message, Some(field), None)
    };
    let known = ["model", "query", "documents", "top_n", "return_documents"];
    let unknown =
        body.as_object().and_then(|body| body.keys().find(|key| !known.contains(&&***key)));
    if let Some(unknown) = unknown {
        return Err(wrong(unknown));
    }
    let text = |field: &str| body[field].as_str().ok_or_else(|| wrong(field));
    let (model, query) = (text("model")?, text("query")?);
    let documents = body["documents"].as_array().filter(|documents| !documents.is_empty());
    let documents = documents.ok_or_else(|| wrong("documents"))?;
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let asked = words(query);
    let mut scored = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let has = words(document.as_str().ok_or_else(|| wrong("documents"))?);
        let shared = asked.iter().filter(|word| has.contains(word)).count();
        scored.push((index, shared as f64 / asked.len().max(1) as f64));
    }
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let results = scored
        .into_iter()
        .map(|(index, score)| json!({ "index": index, "relevance_score": score }));
    let results = results.collect::<Vec<_>>();
    Ok((model.to_owned(), json!({ "id": "rerank-1", "results": results, "meta": {} })))
}

/// The list of models.
pub(super) fn models() -> Value {
    json!({ "object": "list", "data": faults::model_names().map(model).collect::<Vec<_>>() })
}

/// One model.
pub(super) fn model(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": CREATED, "owned_by": "scripted" })
}

/// The envelope of an error that is not about the request's form.
pub(super) fn failure(failure: Failure) -> Value {
    let (kind, code, message) = match failure {
        Failure::RateLimit => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached for the scripted model on requests per min (RPM): Limit 3, Used 3, \
             Requested 1. Please try again later.",
        ),
        Failure::QuotaSpent => (
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        Failure::Server => (
            "server_error",
            None,
            "The server had an error while processing your request. Sorry about that!",
        ),
        Failure::Unavailable => (
            "service_unavailable_error",
            None,
            "The server is currently unavailable. Please try again later.",
        ),
        Failure::Overloaded => (
            "service_unavailable_error",
            None,
            "The engine is currently overloaded, please try again later.",
        ),
        Failure::ContextLength => (
            "invalid_request_error",
            Some("context_length_exceeded"),
            "This model's maximum context length is 8192 tokens. However, your messages resulted \
             in 9000 tokens. Please reduce the length of the messages.",
        ),
        Failure::ContentPolicy => (
            "invalid_request_error",
            Some("content_policy_violation"),
            "Your request was rejected as a result of our safety system.",
        ),
        Failure::WrongKey => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided: sk-*****. You can find your API key in your settings.",
        ),
        Failure::Forbidden => (
            "invalid_request_error",
            Some("model_not_allowed"),
            "Your project does not have access to this model.",
        ),
        Failure::PrefillRefused => (
            "invalid_request_error",
            None,
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
        ),
        Failure::Timeout => ("server_error", Some("timeout"), "The request timed out."),
    };
    let param = (failure == Failure::ContextLength).then_some("messages");
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

fn completion_id(number: u64) -> String {
    format!("chatcmpl-{number:08}")
}

fn call_id(number: u64, index: usize) -> String {
    format!("call_{number:08}_{index}")
}
