//! What was said: texts that are kept beside their spans, one for each message.
//!
//! A conversation repeats its history with each turn. A message that is named by its content is
//! kept once, so messages of all conventions are brought into one form first: OpenTelemetry's
//! `{"role", "parts"}`. Our own are kept to the byte, since the request can be made again from them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use release::{Digest, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use super::aliases::Field;
use super::collect::Collected;
use super::families::Families;
use super::limits::{self, MAX_TEXT};
use super::values;
use crate::rows::{Batch, Payload};

/// Where the texts of one item go.
#[derive(Debug)]
pub struct Texts<'a> {
    pub subject: String,
    pub at: Timestamp,
    pub batch: &'a mut Batch,
}

/// Texts in the order they were said, and how the one that matters begins.
#[derive(Debug, Default)]
pub struct Said {
    pub digests: Vec<Digest>,
    pub preview: String,
}

/// One text.
struct Text {
    kind: &'static str,
    text: String,
    preview: String,
    /// Whether a person said it.
    asked: bool,
}

impl Texts<'_> {
    /// Keeps a text; what it is named.
    pub fn keep(&mut self, kind: &str, text: &str, collected: &mut Collected<'_>) -> Digest {
        let cut = collected.marks.fit(kind, text, MAX_TEXT);
        let digest = Payload::digest(&self.subject, &cut);
        let payloads = &mut self.batch.payloads;
        // A history is repeated within one message more often than not.
        if !payloads.iter().rev().take(64).any(|payload| payload.digest == digest) {
            let (subject, kind) = (self.subject.clone(), kind.to_owned());
            payloads.push(Payload { digest, subject, at: self.at, kind, text: cut });
        }
        digest
    }

    /// What an item was asked.
    pub fn input(&mut self, collected: &mut Collected<'_>, families: &Families<'_>) -> Said {
        let mut texts: Vec<Text> = Vec::new();
        if let Some(value) = collected.content(Field::System) {
            texts.push(message(system(value)));
        }
        texts.extend(said(collected, Field::Input, families.input()));
        if let Some(value) = collected.content(Field::Arguments) {
            texts.push(plain("arguments", &values::text(value)));
        }
        if let Some(value) = collected.content(Field::Query) {
            texts.push(plain("text", &values::text(value)));
        }
        let asked = texts.iter().rfind(|text| text.asked).or(texts.last());
        let preview = asked.map(|text| text.preview.clone()).unwrap_or_default();
        self.said(texts, preview, collected)
    }

    /// What an item answered.
    pub fn output(&mut self, collected: &mut Collected<'_>, families: &Families<'_>) -> Said {
        let mut texts: Vec<Text> = Vec::new();
        texts.extend(said(collected, Field::Output, families.output()));
        if let Some(value) = collected.content(Field::ToolResult) {
            texts.push(plain("result", &values::text(value)));
        }
        let preview = texts.first().map(|text| text.preview.clone()).unwrap_or_default();
        self.said(texts, preview, collected)
    }

    fn said(&mut self, texts: Vec<Text>, preview: String, collected: &mut Collected<'_>) -> Said {
        let keep = |text: Text| self.keep(text.kind, &text.text, collected);
        Said { digests: texts.into_iter().map(keep).collect(), preview }
    }
}

/// The texts of a field, or of the numbered attributes that mean the same: those go before names
/// that hold a whole request or whatever else.
fn said(collected: &mut Collected<'_>, field: Field, numbered: Vec<Json>) -> Vec<Text> {
    let own_name = collected.value(field).is_some_and(|(_, rank)| rank == 0);
    if !numbered.is_empty() && !own_name {
        collected.marks.alias();
        return numbered.into_iter().map(normal).map(message).collect();
    }
    let Some(value) = collected.content(field) else { return Vec::new() };
    match value {
        Value::StringValue(text) if collected.own => own(text),
        Value::StringValue(text) => parsed(text),
        list => {
            messages(values::json(list)).unwrap_or_else(|| vec![plain("text", &values::text(list))])
        }
    }
}

/// Our own: a list of messages, or one answer.
fn own(text: &str) -> Vec<Text> {
    let raw = |text: &RawValue| message_as(text.get().to_owned(), &parse(text.get()));
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(list) => list.into_iter().map(raw).collect(),
        Err(_) => vec![message_as(text.to_owned(), &parse(text))],
    }
}

fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

/// A text that may be JSON.
fn parsed(text: &str) -> Vec<Text> {
    let begins = text.trim_start().starts_with(['[', '{', '"']);
    let json = begins.then(|| serde_json::from_str::<Json>(text).ok()).flatten();
    match json {
        Some(Json::String(text)) => vec![plain("text", &text)],
        Some(json) => messages(json).unwrap_or_else(|| vec![plain("text", text)]),
        None => vec![plain("text", text)],
    }
}

/// The messages that JSON holds: a list of them, a whole request or a whole answer.
fn messages(json: Json) -> Option<Vec<Text>> {
    let list = match json {
        Json::Array(list) => list,
        Json::Object(mut fields) => match (fields.remove("messages"), fields.remove("choices")) {
            (Some(Json::Array(list)), _) => list,
            (None, Some(Json::Array(choices))) => choices.into_iter().map(chosen).collect(),
            (None, None) => vec![Json::Object(fields)],
            _ => return None,
        },
        _ => return None,
    };
    let all = !list.is_empty() && list.iter().all(is_message);
    all.then(|| list.into_iter().map(normal).map(message).collect())
}

/// The message of one of OpenAI's choices.
fn chosen(mut choice: Json) -> Json {
    let finish = choice.get("finish_reason").cloned();
    let mut message = choice.get_mut("message").map(Json::take).unwrap_or_default();
    if let (Some(fields), Some(finish)) = (message.as_object_mut(), finish) {
        fields.entry("finish_reason").or_insert(finish);
    }
    message
}

fn is_message(json: &Json) -> bool {
    json.get("role").is_some_and(Json::is_string)
        && ["parts", "content", "tool_calls", "blocks"]
            .iter()
            .any(|field| json.get(field).is_some())
}

/// A message in OpenTelemetry's form.
fn normal(mut json: Json) -> Json {
    let Some(fields) = json.as_object_mut() else { return json };
    if fields.contains_key("parts") || fields.contains_key("blocks") {
        return json;
    }
    let mut parts = Vec::new();
    let content = fields.remove("content").unwrap_or_default();
    match (fields.remove("tool_call_id"), content) {
        (Some(id), content) => {
            parts.push(json!({"type": "tool_call_response", "id": id, "response": content}));
        }
        (None, Json::String(text)) => match parse(&text) {
            // OpenLLMetry writes a list of parts as text.
            Json::Array(list) if list.iter().all(|part| part.get("type").is_some()) => {
                parts.extend(list.into_iter().map(part));
            }
            _ => parts.push(json!({"type": "text", "content": text})),
        },
        (None, Json::Array(list)) => parts.extend(list.into_iter().map(part)),
        (None, Json::Null) => {}
        (None, other) => parts.push(other),
    }
    if let Some(Json::Array(calls)) = fields.remove("tool_calls") {
        parts.extend(calls.into_iter().map(call));
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), fields.remove("role").unwrap_or_default());
    message.insert("parts".to_owned(), parts.into());
    // What else stands there, as `name` and `finish_reason`.
    message.extend(std::mem::take(fields).into_iter().filter(|(_, value)| !value.is_null()));
    Json::Object(message)
}

fn part(mut part: Json) -> Json {
    let text = part.get("type").is_some_and(|kind| kind == "text");
    match part.get_mut("text").map(Json::take) {
        Some(content) if text => json!({"type": "text", "content": content}),
        Some(content) => {
            part["text"] = content;
            part
        }
        None => part,
    }
}

fn call(mut call: Json) -> Json {
    let id = call.get_mut("id").map(Json::take).unwrap_or_default();
    let mut function = call.get_mut("function").map(Json::take).unwrap_or(call);
    let name = function.get_mut("name").map(Json::take).unwrap_or_default();
    let arguments = function.get_mut("arguments").map(Json::take).unwrap_or_default();
    let arguments = match arguments {
        Json::String(text) => serde_json::from_str(&text).unwrap_or(Json::String(text)),
        other => other,
    };
    json!({"type": "tool_call", "id": id, "name": name, "arguments": arguments})
}

/// Instructions as a message.
fn system(value: &Value) -> Json {
    let parts = match value {
        Value::StringValue(text) => match parse(text) {
            parts @ Json::Array(_) => parts,
            _ => json!([{"type": "text", "content": text}]),
        },
        list => values::json(list),
    };
    json!({"role": "system", "parts": parts})
}

/// Senders order fields as they like: here they are ordered by name, so that equal messages are
/// equal texts.
fn message(mut json: Json) -> Text {
    json.sort_all_objects();
    message_as(json.to_string(), &json)
}

fn message_as(text: String, json: &Json) -> Text {
    let asked = json.get("role").is_some_and(|role| role == "user");
    Text { kind: "message", text, preview: limits::preview(&words(json)), asked }
}

fn plain(kind: &'static str, text: &str) -> Text {
    Text { kind, text: text.to_owned(), preview: limits::preview(text), asked: false }
}

/// The words of a message: its texts, else the tools it calls.
fn words(message: &Json) -> String {
    let parts =
        ["parts", "blocks", "content"].iter().find_map(|field| message.get(field)?.as_array());
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &str, fields: &[&str]| {
        let parts = parts.iter().filter(|part| part.get("type").is_some_and(|t| t == kind));
        let words =
            parts.filter_map(|part| fields.iter().find_map(|field| part.get(field)?.as_str()));
        words.collect::<Vec<_>>().join(" ")
    };
    let said = of("text", &["content", "text"]);
    if said.is_empty() { of("tool_call", &["name"]) } else { said }
}
