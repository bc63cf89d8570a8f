//! Anthropic's Messages.

use http::StatusCode;
use models::{
    Answer, Block, ChatRequest, Citation, Dialect as Speaks, Event, FinishReason, Function, Image,
    Message, Part, ProviderError, RefusalKind, RequestField, ResponseFormat, Role, Tool,
    ToolChoice, Usage,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Dialect, Encoder, Fields, Parsed, Reply, object, openai, status, write_json};
use crate::GatewayError;
use crate::answer::Responding;

/// Anthropic's Messages.
pub struct Anthropic;

impl Dialect for Anthropic {
    type Encoder = BlockEncoder;

    fn parse(body: Map<String, Value>) -> Result<Parsed, GatewayError> {
        let mut fields = Fields(body);
        let mut request = ChatRequest::new(Speaks::Anthropic);
        let mut set = Vec::new();
        let target = fields.text("model")?;
        let target = target.ok_or_else(|| GatewayError::bad("model", "model: Field required"))?;
        match fields.take("system") {
            None => {}
            Some(Value::String(text)) => {
                request.messages.push(Message::text_of(Role::System, text));
            }
            Some(Value::Array(parts)) => {
                let blocks = blocks(parts, "system")?;
                request.messages.push(Message { role: Role::System, blocks, rest: Map::new() });
            }
            Some(_) => {
                return Err(GatewayError::bad("system", "system: must be a string or an array"));
            }
        }
        let messages = fields.list("messages")?.unwrap_or_default();
        if messages.is_empty() {
            let message = "messages: at least one message is required";
            return Err(GatewayError::bad("messages", message));
        }
        for (index, value) in messages.into_iter().enumerate() {
            request.messages.push(message(value, &format!("messages.{index}"))?);
        }
        sampling(&mut fields, &mut request, &mut set)?;
        if let Some(tools) = fields.list("tools")? {
            set.push((RequestField::Tools, "tools".to_owned()));
            for (index, value) in tools.into_iter().enumerate() {
                request.tools.push(tool(value, &format!("tools.{index}"))?);
            }
        }
        if let Some(choice) = fields.object("tool_choice")? {
            set.push((RequestField::ToolChoice, "tool_choice".to_owned()));
            if choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true)) {
                request.parallel_tool_calls = Some(false);
            }
            request.tool_choice = Some(tool_choice(&choice)?);
        }
        if let Some(mut config) = fields.object("output_config")? {
            if let Some(format) = config.shift_remove("format") {
                set.push((RequestField::ResponseFormat, "output_config.format".to_owned()));
                let schema = format.get("schema").cloned();
                let schema = schema.ok_or_else(|| {
                    GatewayError::bad(
                        "output_config",
                        "output_config.format.schema: Field required",
                    )
                })?;
                let name = "answer".to_owned();
                let strict = Some(true);
                request.response_format =
                    Some(ResponseFormat::JsonSchema { name, schema, strict, rest: Map::new() });
            }
            if !config.is_empty() {
                fields.0.insert("output_config".to_owned(), config.into());
            }
        }
        request.stream = fields.flag("stream")?.unwrap_or(false);
        request.metadata = fields.object("metadata")?.unwrap_or_default();
        let named = |name: &str| request.metadata.get(name)?.as_str().map(str::to_owned);
        let session = named("session_id").or_else(|| named("user_id"));
        let session = session.filter(|session| !session.is_empty());
        for name in fields.0.keys() {
            set.push((RequestField::Other, name.clone()));
        }
        request.rest = fields.0;
        Ok(Parsed { target, session, request, set, include_usage: true })
    }

    fn answer(reply: &Reply, answer: &Answer) -> Value {
        let mut content: Vec<_> = answer.content.iter().filter_map(content_block).collect();
        // Our citations are of the answer as a whole, which is one text then.
        let cited = answer.citations.iter().map(citation);
        if let (false, Some(block)) = (
            answer.citations.is_empty(),
            content.iter_mut().filter_map(Value::as_object_mut).find(|b| b["type"] == "text"),
        ) {
            block.insert("citations".to_owned(), cited.collect());
        }
        let refused = |block: &Block| matches!(block.part, Part::Refusal { .. });
        let refused = answer.content.iter().any(refused);
        let (reason, sequence) = stop_reason(answer.finish.as_ref(), refused);
        json!({
            "id": reply.id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": reply.model(&answer.started.model),
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": usage(&answer.usage),
        })
    }

    fn encoder(reply: Reply, _: bool) -> BlockEncoder {
        BlockEncoder { reply, open: None, index: 0, refused: false, usage: Usage::default() }
    }

    fn error(error: &GatewayError, bound: Option<&Responding>) -> Value {
        let kind = match (Self::status(error).as_u16(), error) {
            (400 | 415, _) => "invalid_request_error",
            (401, _) => "authentication_error",
            (403, _) => "permission_error",
            (404, _) => "not_found_error",
            (413, _) => "request_too_large",
            (429, _) => "rate_limit_error",
            (504, _) => "timeout_error",
            (529, _) => "overloaded_error",
            _ => "api_error",
        };
        let request_id = bound.map(|bound| format!("req_{}", bound.trace));
        let inner = json!({"type": kind, "message": error.to_string()});
        json!({"type": "error", "error": inner, "request_id": request_id})
    }

    fn status(error: &GatewayError) -> StatusCode {
        let overloaded = matches!(error, GatewayError::Provider(ProviderError::Refused { refusal, .. })
            if refusal.kind == RefusalKind::Overloaded);
        match overloaded.then(|| StatusCode::from_u16(529)) {
            Some(Ok(status)) => status,
            _ => status(error),
        }
    }
}

fn sampling(
    fields: &mut Fields,
    request: &mut ChatRequest,
    set: &mut Vec<(RequestField, String)>,
) -> Result<(), GatewayError> {
    let mut note = |field, name: &str, given: bool| {
        if given {
            set.push((field, name.to_owned()));
        }
    };
    let sampling = &mut request.sampling;
    sampling.temperature = fields.number("temperature")?;
    note(RequestField::Temperature, "temperature", sampling.temperature.is_some());
    sampling.top_p = fields.number("top_p")?;
    note(RequestField::TopP, "top_p", sampling.top_p.is_some());
    sampling.top_k = fields.count("top_k")?;
    note(RequestField::TopK, "top_k", sampling.top_k.is_some());
    sampling.max_tokens = fields.count("max_tokens")?;
    if sampling.max_tokens.is_none() {
        return Err(GatewayError::bad("max_tokens", "max_tokens: Field required"));
    }
    note(RequestField::MaxTokens, "max_tokens", true);
    sampling.stop = openai::stop(fields.take("stop_sequences"), "stop_sequences")?;
    note(RequestField::Stop, "stop_sequences", !sampling.stop.is_empty());
    Ok(())
}

fn message(value: Value, place: &str) -> Result<Message, GatewayError> {
    let mut fields = object(value, place)?;
    let bad = |message: &str| GatewayError::bad(place, format!("{place}: {message}"));
    let role = match fields.text("role")?.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => {
            return Err(bad("use the top-level `system` parameter, not a message of that role"));
        }
        _ => return Err(bad("role must be user or assistant")),
    };
    let blocks = match fields.take("content") {
        Some(Value::String(text)) => vec![Part::Text { text }.into()],
        Some(Value::Array(parts)) => blocks(parts, &format!("{place}.content"))?,
        _ => return Err(bad("content must be a string or an array")),
    };
    Ok(Message { role, blocks, rest: fields.0 })
}

fn blocks(parts: Vec<Value>, place: &str) -> Result<Vec<Block>, GatewayError> {
    let parts = parts.into_iter().enumerate();
    parts.map(|(index, part)| block(part, &format!("{place}.{index}"))).collect()
}

fn block(value: Value, place: &str) -> Result<Block, GatewayError> {
    let mut fields = object(value, place)?;
    let required = |name: &str| {
        GatewayError::bad(&format!("{place}.{name}"), format!("{place}.{name}: Field required"))
    };
    let kind = fields.0.get("type").and_then(Value::as_str).map(str::to_owned);
    let kind = kind.ok_or_else(|| required("type"))?;
    let part = match kind.as_str() {
        "text" => Part::Text { text: fields.text("text")?.ok_or_else(|| required("text"))? },
        "image" => {
            let source = fields.0.get("source").cloned().unwrap_or_default();
            let text = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
            match (text("type").as_deref(), text("url"), text("media_type"), text("data")) {
                (Some("url"), Some(url), ..) => {
                    fields.take("source");
                    Part::Image(Image::Url { url })
                }
                (Some("base64"), _, Some(media_type), Some(data)) => {
                    fields.take("source");
                    Part::Image(Image::Base64 { media_type, data })
                }
                _ => return Ok(other(fields)),
            }
        }
        "tool_use" => Part::ToolCall {
            id: fields.text("id")?.ok_or_else(|| required("id"))?,
            name: fields.text("name")?.ok_or_else(|| required("name"))?,
            arguments: fields
                .object("input")?
                .map_or_else(|| "{}".to_owned(), |input| Value::Object(input).to_string()),
        },
        "tool_result" => {
            let call_id = fields.text("tool_use_id")?.ok_or_else(|| required("tool_use_id"))?;
            let is_error = fields.flag("is_error")?.unwrap_or(false);
            let content = match fields.take("content") {
                None => Vec::new(),
                Some(Value::String(text)) => vec![Part::Text { text }.into()],
                Some(Value::Array(parts)) => blocks(parts, &format!("{place}.content"))?,
                Some(_) => return Err(required("content")),
            };
            Part::ToolResult { call_id, content, is_error }
        }
        "thinking" => Part::Reasoning {
            text: fields.text("thinking")?.unwrap_or_default(),
            signature: fields.text("signature")?,
        },
        _ => return Ok(other(fields)),
    };
    let mut rest = fields.0;
    rest.shift_remove("type");
    // Given out with our own answers; nobody takes it back.
    rest.shift_remove("citations");
    Ok(Block { part, rest })
}

fn other(fields: Fields) -> Block {
    Part::Other { dialect: Speaks::Anthropic, value: fields.0.into() }.into()
}

fn tool(value: Value, place: &str) -> Result<Tool, GatewayError> {
    let kind = value.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "custom") {
        return Ok(Tool::Other { dialect: Speaks::Anthropic, value });
    }
    let mut fields = object(value, place)?;
    fields.take("type");
    let name = fields.text("name")?;
    let required = || GatewayError::bad(place, format!("{place}.name: Field required"));
    Ok(Tool::Function(Function {
        name: name.ok_or_else(required)?,
        description: fields.text("description")?,
        parameters: fields.take("input_schema").unwrap_or_else(|| json!({"type": "object"})),
        strict: fields.flag("strict")?,
        rest: fields.0,
    }))
}

fn tool_choice(choice: &Map<String, Value>) -> Result<ToolChoice, GatewayError> {
    let text = |name: &str| choice.get(name).and_then(Value::as_str);
    match (text("type"), text("name")) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("any"), _) => Ok(ToolChoice::Required),
        (Some("tool"), Some(name)) => Ok(ToolChoice::Named(name.to_owned())),
        _ => {
            let message = "tool_choice: type must be auto, any, none, or tool with a name";
            Err(GatewayError::bad("tool_choice", message))
        }
    }
}

/// A piece of an answer; none for what Anthropic's clients cannot have asked for.
fn content_block(block: &Block) -> Option<Value> {
    let mut own = match &block.part {
        Part::Text { text } | Part::Refusal { text } if text.is_empty() => return None,
        Part::Text { text } | Part::Refusal { text } => json!({"type": "text", "text": text}),
        Part::Reasoning { text, signature } => json!({
            "type": "thinking", "thinking": text,
            "signature": signature.as_deref().unwrap_or_default(),
        }),
        Part::ToolCall { id, name, arguments } => {
            // What was cut off at its length is no call that anybody may carry out.
            let input: Value = match arguments.as_str() {
                "" => json!({}),
                arguments => serde_json::from_str(arguments).ok()?,
            };
            json!({"type": "tool_use", "id": id, "name": name, "input": input})
        }
        Part::Other { dialect: Speaks::Anthropic, value } => value.clone(),
        _ => return None,
    };
    own.as_object_mut()?.extend(block.rest.clone());
    Some(own)
}

/// OpenAI's models decline in words of their own kind and then just stop; `refused` says so.
fn stop_reason(finish: Option<&FinishReason>, refused: bool) -> (Option<&str>, Option<&str>) {
    match finish {
        None => (None, None),
        Some(FinishReason::Stop) if refused => (Some("refusal"), None),
        Some(FinishReason::Stop) => (Some("end_turn"), None),
        Some(FinishReason::StopSequence(text)) => (Some("stop_sequence"), Some(text)),
        Some(FinishReason::Length) => (Some("max_tokens"), None),
        Some(FinishReason::ToolCalls) => (Some("tool_use"), None),
        Some(FinishReason::ContentFilter | FinishReason::Refusal) => (Some("refusal"), None),
        Some(FinishReason::Other(reason)) => (Some(reason), None),
    }
}

/// Anthropic counts cached input apart.
fn usage(usage: &Usage) -> Value {
    let cached = usage.cache_read_tokens + usage.cache_creation_tokens;
    json!({
        "input_tokens": usage.input_tokens.saturating_sub(cached),
        "cache_creation_input_tokens": usage.cache_creation_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    })
}

fn citation(citation: &Citation) -> Value {
    let mut location = json!({
        "type": "char_location",
        "cited_text": citation.cited_text,
        "document_index": citation.passage,
        "document_title": citation.title,
        "start_char_index": citation.start_char,
        "end_char_index": citation.start_char + citation.cited_text.chars().count(),
        "file_id": null,
        "source": citation.source,
        "passage_id": citation.id,
    });
    if !citation.copies.is_empty() {
        location["copies"] = citation.copies.clone().into();
    }
    location
}

/// The kind of the content block that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool(usize),
    Other,
}

/// Writes Anthropic's events.
pub struct BlockEncoder {
    reply: Reply,
    open: Option<Open>,
    index: usize,
    refused: bool,
    usage: Usage,
}

fn with(mut block: Value, rest: &Map<String, Value>) -> Value {
    if let Some(block) = block.as_object_mut() {
        block.extend(rest.clone());
    }
    block
}

/// One event, named by its own `type`.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    r#type: &'a str,
    #[serde(flatten)]
    fields: T,
}

fn line(kind: &str, fields: impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write_json(out, &Line { r#type: kind, fields });
    out.extend_from_slice(b"\n\n");
}

#[derive(Serialize)]
struct BlockDelta<'a> {
    index: usize,
    delta: TextOrOther<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TextOrOther<'a> {
    Text { r#type: &'a str, text: &'a str },
    Other(Value),
}

impl BlockEncoder {
    /// Ends the open block, if any, and begins another unless it is open already.
    fn open(&mut self, wanted: Open, block: impl FnOnce() -> Value, out: &mut Vec<u8>) {
        if self.open == Some(wanted) {
            return;
        }
        self.close(out);
        self.open = Some(wanted);
        let start = json!({"index": self.index, "content_block": block()});
        line("content_block_start", start, out);
    }

    fn open_text(&mut self, out: &mut Vec<u8>) {
        self.open(Open::Text, || json!({"type": "text", "text": ""}), out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            line("content_block_stop", json!({"index": self.index}), out);
            self.index += 1;
        }
    }

    fn delta(&self, delta: Value, out: &mut Vec<u8>) {
        let delta = BlockDelta { index: self.index, delta: TextOrOther::Other(delta) };
        line("content_block_delta", delta, out);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open_text(out);
        let delta = TextOrOther::Text { r#type: "text_delta", text };
        line("content_block_delta", BlockDelta { index: self.index, delta }, out);
    }
}

impl Encoder for BlockEncoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started(started) => {
                let message = json!({
                    "id": self.reply.id("msg_"),
                    "type": "message",
                    "role": "assistant",
                    "model": self.reply.model(&started.model),
                    "content": [],
                    "stop_reason": null,
                    "stop_sequence": null,
                    "usage": usage(&self.usage),
                });
                line("message_start", json!({"message": message}), out);
            }
            Event::TextStarted if self.open == Some(Open::Text) => self.close(out),
            Event::TextDelta { text } => self.text(text, out),
            Event::RefusalDelta { text } => {
                self.refused = true;
                self.text(text, out);
            }
            Event::ReasoningDelta { text, signature } => {
                let block = || json!({"type": "thinking", "thinking": "", "signature": ""});
                self.open(Open::Thinking, block, out);
                if !text.is_empty() {
                    self.delta(json!({"type": "thinking_delta", "thinking": text}), out);
                }
                if let Some(signature) = signature {
                    self.delta(json!({"type": "signature_delta", "signature": signature}), out);
                }
            }
            Event::ToolCallStarted { index, id, name, rest } => {
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.open(Open::Tool(*index), || with(block, rest), out);
            }
            Event::ToolCallDelta { fragment, .. } => {
                self.delta(json!({"type": "input_json_delta", "partial_json": fragment}), out);
            }
            Event::Citation(cited) => {
                self.open_text(out);
                self.delta(json!({"type": "citations_delta", "citation": citation(cited)}), out);
            }
            Event::ProviderCitation { dialect: Speaks::Anthropic, value } => {
                self.open_text(out);
                self.delta(json!({"type": "citations_delta", "citation": value}), out);
            }
            Event::Other { dialect: Speaks::Anthropic, value } => {
                self.open(Open::Other, || value.clone(), out);
                self.close(out);
            }
            Event::Usage(usage) => self.usage = *usage,
            // A text that begins by itself, and pieces that only another dialect's clients could
            // have asked for.
            Event::TextStarted
            | Event::Unreadable
            | Event::ProviderCitation { .. }
            | Event::Other { .. }
            | Event::Rest { .. }
            | Event::Finished(_) => {}
        }
    }

    fn finish(&mut self, finish: &FinishReason, out: &mut Vec<u8>) {
        self.close(out);
        let (reason, sequence) = stop_reason(Some(finish), self.refused);
        let delta = json!({
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": usage(&self.usage),
        });
        line("message_delta", delta, out);
        line("message_stop", json!({}), out);
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        write_json(out, &Anthropic::error(error, self.reply.bound.as_ref()));
        out.extend_from_slice(b"\n\n");
    }
}
