//! OpenAI's Chat Completions.

use models::{
    Answer, Block, ChatRequest, Citation, Dialect as Speaks, Event, FinishReason, Function, Image,
    Message, Part, ProviderError, RequestField, ResponseFormat, RestPlace, Role, Tool, ToolChoice,
    Usage,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Dialect, Encoder, Fields, Parsed, Reply, object, write_json};
use crate::GatewayError;
use crate::answer::Responding;

/// OpenAI's Chat Completions.
pub struct OpenAi;

impl Dialect for OpenAi {
    type Encoder = ChunkEncoder;

    fn parse(body: Map<String, Value>) -> Result<Parsed, GatewayError> {
        let mut fields = Fields(body);
        let mut request = ChatRequest::new(Speaks::OpenAi);
        let mut set = Vec::new();
        let target = fields.text("model")?;
        let target = target.ok_or_else(|| GatewayError::bad("model", "`model` is missing"))?;
        let messages = fields.list("messages")?.unwrap_or_default();
        if messages.is_empty() {
            return Err(GatewayError::bad("messages", "`messages` must not be empty"));
        }
        for (index, value) in messages.into_iter().enumerate() {
            request.messages.push(message(value, &format!("messages[{index}]"))?);
        }
        if fields.count("n")?.is_some_and(|n| n != 1) {
            return Err(GatewayError::bad("n", "`n` other than 1 is not supported"));
        }
        sampling(&mut fields, &mut request, &mut set)?;
        if let Some(tools) = fields.list("tools")? {
            set.push((RequestField::Tools, "tools".to_owned()));
            for (index, value) in tools.into_iter().enumerate() {
                request.tools.push(tool(value, &format!("tools[{index}]"))?);
            }
        }
        if let Some(choice) = fields.take("tool_choice") {
            set.push((RequestField::ToolChoice, "tool_choice".to_owned()));
            request.tool_choice = Some(tool_choice(choice)?);
        }
        request.parallel_tool_calls = fields.flag("parallel_tool_calls")?;
        if request.parallel_tool_calls.is_some() {
            set.push((RequestField::ToolChoice, "parallel_tool_calls".to_owned()));
        }
        if let Some(format) = fields.take("response_format") {
            set.push((RequestField::ResponseFormat, "response_format".to_owned()));
            request.response_format = Some(response_format(format)?);
        }
        request.stream = fields.flag("stream")?.unwrap_or(false);
        let mut options = fields.object("stream_options")?.unwrap_or_default();
        let include_usage = options.remove("include_usage") == Some(Value::Bool(true));
        // Our streams have no padding to leave out.
        options.remove("include_obfuscation");
        if !options.is_empty() {
            fields.0.insert("stream_options".to_owned(), options.into());
        }
        request.metadata = fields.object("metadata")?.unwrap_or_default();
        let named = request.metadata.get("session_id").and_then(Value::as_str).map(str::to_owned);
        // Who the end user is decides the arm; it is not passed on to providers.
        let (safety, user) = (fields.text("safety_identifier")?, fields.text("user")?);
        let session = named.or(safety).or(user).filter(|session| !session.is_empty());
        fields.take("store");
        for name in fields.0.keys() {
            set.push((RequestField::Other, name.clone()));
        }
        request.rest = fields.0;
        Ok(Parsed { target, session, request, set, include_usage })
    }

    fn answer(reply: &Reply, answer: &Answer) -> Value {
        let text = answer.text();
        let refusal = join(answer, |part| match part {
            Part::Refusal { text } => Some(text),
            _ => None,
        });
        let reasoning = join(answer, |part| match part {
            Part::Reasoning { text, .. } => Some(text),
            _ => None,
        });
        let calls: Vec<_> = answer.content.iter().filter_map(tool_call).collect();
        let mut cited = annotations(answer, &text);
        let text = Some(text).filter(|text| !text.is_empty());
        let refusal = Some(refusal).filter(|text| !text.is_empty());
        let mut message = json!({"role": "assistant", "content": text, "refusal": refusal});
        if let Some(message) = message.as_object_mut() {
            if !reasoning.is_empty() {
                message.insert("reasoning_content".to_owned(), reasoning.into());
            }
            if !calls.is_empty() {
                message.insert("tool_calls".to_owned(), calls.into());
            }
            cited.extend(answer.content.iter().filter_map(native_annotations).flatten());
            if !cited.is_empty() {
                message.insert("annotations".to_owned(), cited.into());
            }
            message.extend(rest(answer, RestPlace::Message));
        }
        let finish = answer.finish.as_ref().map(finish_reason);
        let mut choice = json!(
            {"index": 0, "message": message, "logprobs": null, "finish_reason": finish}
        );
        if let Some(choice) = choice.as_object_mut() {
            choice.extend(rest(answer, RestPlace::Choice));
        }
        let mut body = json!({
            "id": reply.id("chatcmpl-"),
            "object": "chat.completion",
            "created": reply.created,
            "model": reply.model(&answer.started.model),
            "choices": [choice],
            "usage": usage(&answer.usage),
            "system_fingerprint": answer.started.fingerprint,
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(rest(answer, RestPlace::Answer));
        }
        body
    }

    fn encoder(reply: Reply, include_usage: bool) -> ChunkEncoder {
        ChunkEncoder {
            id: reply.id("chatcmpl-"),
            model: reply.target.clone(),
            reply,
            include_usage,
            fingerprint: None,
            rest: Map::new(),
            usage: Usage::default(),
            length: 0,
            last: 0,
        }
    }

    fn error(error: &GatewayError, _: Option<&Responding>) -> Value {
        let (kind, code) = words(error);
        let param = match error {
            GatewayError::BadRequest { param, .. } => param.clone(),
            GatewayError::NotOverridable(field) => Some(field.clone()),
            GatewayError::UnknownTarget(_) => Some("model".to_owned()),
            GatewayError::Provider(ProviderError::Unsupported { field, .. }) => Some(field.clone()),
            GatewayError::Provider(ProviderError::Refused { refusal, .. }) => refusal.param.clone(),
            _ => None,
        };
        json!({"error": {"message": error.to_string(), "type": kind, "param": param, "code": code}})
    }
}

/// OpenAI's `type` and `code` for an error.
fn words(error: &GatewayError) -> (&'static str, Option<String>) {
    let code = |code: &str| Some(code.to_owned());
    match error {
        GatewayError::Unauthorized => ("invalid_request_error", code("invalid_api_key")),
        GatewayError::Denied(_) => ("invalid_request_error", code("permission_denied")),
        GatewayError::UnknownTarget(_) => ("invalid_request_error", code("model_not_found")),
        GatewayError::Blocked { .. } => ("invalid_request_error", code("content_filter")),
        GatewayError::NotOverridable(_) => ("invalid_request_error", code("not_overridable")),
        GatewayError::BadRequest { .. }
        | GatewayError::ContentType
        | GatewayError::TooLarge { .. }
        | GatewayError::Prompt(_) => ("invalid_request_error", None),
        GatewayError::Provider(error) => match error {
            ProviderError::Unsupported { .. } => ("invalid_request_error", code("unsupported")),
            ProviderError::Refused { refusal, .. } => {
                use models::RefusalKind as Kind;
                let kind = match refusal.kind {
                    Kind::InvalidRequest | Kind::ContextLength | Kind::ContentPolicy => {
                        "invalid_request_error"
                    }
                    Kind::RateLimited => "rate_limit_exceeded",
                    Kind::QuotaExhausted => "insufficient_quota",
                    _ => "server_error",
                };
                let fallback = || refusal.kind.as_str().to_owned();
                (kind, Some(refusal.code.clone().unwrap_or_else(fallback)))
            }
            error => ("server_error", code(error.kind())),
        },
        error => ("server_error", code(error.kind())),
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
    let newer = fields.count("max_completion_tokens")?;
    sampling.max_tokens = newer.or(fields.count("max_tokens")?);
    note(RequestField::MaxTokens, "max_tokens", sampling.max_tokens.is_some());
    sampling.seed = match fields.take("seed") {
        None => None,
        Some(seed) => {
            let wrong = || GatewayError::bad("seed", "`seed` must be a whole number");
            Some(seed.as_i64().ok_or_else(wrong)?)
        }
    };
    note(RequestField::Seed, "seed", sampling.seed.is_some());
    sampling.stop = stop(fields.take("stop"), "stop")?;
    note(RequestField::Stop, "stop", !sampling.stop.is_empty());
    Ok(())
}

/// One text or a list of them.
pub(super) fn stop(value: Option<Value>, name: &str) -> Result<Vec<String>, GatewayError> {
    let wrong = || GatewayError::bad(name, format!("`{name}` must be a string or strings"));
    match value {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => {
            let texts = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong()),
            });
            texts.collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn message(value: Value, place: &str) -> Result<Message, GatewayError> {
    let mut fields = object(value, place)?;
    let bad = |field: &str, message: &str| GatewayError::bad(&format!("{place}.{field}"), message);
    let role = fields.text("role")?.unwrap_or_default();
    let role = match role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(bad("role", "`role` must be system, developer, user, assistant or tool")),
    };
    let mut blocks = Vec::new();
    let content = fields.take("content");
    if role == Role::Tool {
        let call_id = fields.text("tool_call_id")?;
        let call_id = call_id.ok_or_else(|| bad("tool_call_id", "`tool_call_id` is missing"))?;
        let content = match content {
            Some(Value::String(text)) => vec![Part::Text { text }.into()],
            Some(Value::Array(parts)) => self::blocks(parts, &format!("{place}.content"))?,
            _ => return Err(bad("content", "a tool's `content` must be text")),
        };
        blocks.push(Part::ToolResult { call_id, content, is_error: false }.into());
    } else {
        match content {
            None => {}
            Some(Value::String(text)) => blocks.push(Part::Text { text }.into()),
            Some(Value::Array(parts)) => {
                blocks.extend(self::blocks(parts, &format!("{place}.content"))?);
            }
            Some(_) => return Err(bad("content", "`content` must be a string or an array")),
        }
    }
    if let Some(text) = fields.text("refusal")? {
        blocks.push(Part::Refusal { text }.into());
    }
    for call in fields.list("tool_calls")?.unwrap_or_default() {
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let (Some(id), Some(name), Some(arguments)) =
            (text("/id"), text("/function/name"), text("/function/arguments"))
        else {
            return Err(bad(
                "tool_calls",
                "a tool call needs `id`, `function.name` and `.arguments`",
            ));
        };
        let mut rest = call.as_object().cloned().unwrap_or_default();
        rest.retain(|name, _| !["id", "type", "function", "index"].contains(&name.as_str()));
        blocks.push(Block { part: Part::ToolCall { id, name, arguments }, rest });
    }
    if role == Role::User && blocks.is_empty() {
        return Err(bad("content", "`content` is missing"));
    }
    // The field of thinking models that we give out ourselves; nobody takes it back.
    fields.take("reasoning_content");
    fields.take("annotations");
    Ok(Message { role, blocks, rest: fields.0 })
}

fn blocks(parts: Vec<Value>, place: &str) -> Result<Vec<Block>, GatewayError> {
    let parts = parts.into_iter().enumerate();
    parts.map(|(index, part)| block(part, &format!("{place}[{index}]"))).collect()
}

fn block(value: Value, place: &str) -> Result<Block, GatewayError> {
    let mut fields = object(value, place)?;
    let kind = fields.0.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let part = match kind.as_str() {
        "text" => {
            let text = fields.text("text")?;
            let missing = || GatewayError::bad(&format!("{place}.text"), "`text` is missing");
            Part::Text { text: text.ok_or_else(missing)? }
        }
        "image_url" => {
            let place = format!("{place}.image_url");
            let mut image = object(fields.take("image_url").unwrap_or_default(), &place)?;
            let url = image.text("url")?;
            let url = url.ok_or_else(|| GatewayError::bad(&place, "`url` is missing"))?;
            let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
            let image_part = match inline {
                Some((media_type, data)) => {
                    Image::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
                }
                None => Image::Url { url },
            };
            return Ok(Block { part: Part::Image(image_part), rest: image.0 });
        }
        "refusal" => Part::Refusal { text: fields.text("refusal")?.unwrap_or_default() },
        "" => {
            let place = format!("{place}.type");
            return Err(GatewayError::bad(&place, "`type` is missing"));
        }
        _ => return Ok(Part::Other { dialect: Speaks::OpenAi, value: fields.0.into() }.into()),
    };
    let mut rest = fields.0;
    rest.shift_remove("type");
    Ok(Block { part, rest })
}

fn tool(value: Value, place: &str) -> Result<Tool, GatewayError> {
    if value.get("type").and_then(Value::as_str) != Some("function") {
        return match value {
            Value::Object(_) => Ok(Tool::Other { dialect: Speaks::OpenAi, value }),
            _ => Err(GatewayError::bad(place, format!("`{place}` must be an object"))),
        };
    }
    let mut fields = object(value, place)?;
    let place = format!("{place}.function");
    let mut function = object(fields.take("function").unwrap_or_default(), &place)?;
    let name = function.text("name")?;
    Ok(Tool::Function(Function {
        name: name.ok_or_else(|| GatewayError::bad(&place, "`name` is missing"))?,
        description: function.text("description")?,
        parameters: function
            .take("parameters")
            .unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        strict: function.flag("strict")?,
        rest: function.0,
    }))
}

fn tool_choice(choice: Value) -> Result<ToolChoice, GatewayError> {
    let named = choice.pointer("/function/name").and_then(Value::as_str);
    match (choice.as_str(), named) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("required"), _) => Ok(ToolChoice::Required),
        (None, Some(name)) => Ok(ToolChoice::Named(name.to_owned())),
        _ => {
            let message = "`tool_choice` must be auto, none, required or name a function";
            Err(GatewayError::bad("tool_choice", message))
        }
    }
}

fn response_format(format: Value) -> Result<ResponseFormat, GatewayError> {
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(ResponseFormat::Text),
        Some("json_object") => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => {
            let inner = format.get("json_schema").cloned().unwrap_or_default();
            let mut inner = object(inner, "response_format.json_schema")?;
            let missing = |name: &str| {
                let place = format!("response_format.json_schema.{name}");
                GatewayError::bad(&place, format!("`{name}` is missing"))
            };
            Ok(ResponseFormat::JsonSchema {
                name: inner.text("name")?.ok_or_else(|| missing("name"))?,
                schema: inner.take("schema").ok_or_else(|| missing("schema"))?,
                strict: inner.flag("strict")?,
                rest: inner.0,
            })
        }
        _ => {
            let message = "`type` must be text, json_object or json_schema";
            Err(GatewayError::bad("response_format.type", message))
        }
    }
}

fn join<'a>(answer: &'a Answer, text: impl Fn(&'a Part) -> Option<&'a String>) -> String {
    answer.content.iter().filter_map(|block| text(&block.part)).map(String::as_str).collect()
}

/// The unknown fields of a place; they all are OpenAI's, for no other provider has such places.
fn rest(answer: &Answer, place: RestPlace) -> Map<String, Value> {
    answer.rest.get(&place).cloned().unwrap_or_default()
}

fn tool_call(block: &Block) -> Option<Value> {
    let Part::ToolCall { id, name, arguments } = &block.part else { return None };
    let function = json!({"name": name, "arguments": arguments});
    let mut call = json!({"id": id, "type": "function", "function": function});
    call.as_object_mut()?.extend(block.rest.clone());
    Some(call)
}

/// The annotations that an OpenAI provider made itself.
fn native_annotations(block: &Block) -> Option<Vec<Value>> {
    let cited = block.rest.get("citations")?.as_array()?.iter();
    Some(cited.filter(|cited| cited["type"] == "url_citation").cloned().collect())
}

fn finish_reason(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Other(reason) => reason,
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    })
}

/// Our citations, each with where its words first stand in the answer, in characters.
fn annotations(answer: &Answer, text: &str) -> Vec<Value> {
    let place = |citation: &Citation| {
        let at = text.find(&citation.cited_text)?;
        let start = text[..at].chars().count();
        Some((start, start + citation.cited_text.chars().count()))
    };
    let cited = answer.citations.iter();
    cited.map(|citation| annotation(citation, place(citation).unwrap_or((0, 0)))).collect()
}

fn annotation(citation: &Citation, (start, end): (usize, usize)) -> Value {
    let mut annotation = json!({
        "type": "url_citation",
        "url_citation": {
            "start_index": start,
            "end_index": end,
            "title": citation.title,
            "url": citation.source,
        },
        "passage": {
            "id": citation.id,
            "cited_text": citation.cited_text,
            "start": citation.start,
            "end": citation.end,
        },
    });
    if !citation.copies.is_empty() {
        annotation["passage"]["copies"] = citation.copies.clone().into();
    }
    annotation
}

/// Writes `chat.completion.chunk` events.
pub struct ChunkEncoder {
    id: String,
    model: String,
    reply: Reply,
    include_usage: bool,
    fingerprint: Option<String>,
    /// Unknown fields of the provider's, repeated with every chunk as the provider does.
    rest: Map<String, Value>,
    usage: Usage,
    /// Characters of text so far, and before the last piece.
    length: usize,
    last: usize,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    model: &'a str,
    system_fingerprint: Option<&'a str>,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    #[serde(flatten)]
    rest: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'a str>,
    #[serde(flatten)]
    rest: Option<&'a Map<String, Value>>,
}

#[derive(Default, Serialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Value; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[Value; 1]>,
    #[serde(flatten)]
    rest: Option<&'a Map<String, Value>>,
}

impl ChunkEncoder {
    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.choice(Choice { index: 0, delta, finish_reason: None, rest: None }, out);
    }

    fn choice(&self, choice: Choice<'_>, out: &mut Vec<u8>) {
        self.line(&[choice], Value::Null, out);
    }

    fn line(&self, choices: &[Choice<'_>], usage: Value, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.reply.created,
            model: &self.model,
            system_fingerprint: self.fingerprint.as_deref(),
            choices,
            usage: self.include_usage.then_some(usage),
            rest: &self.rest,
        };
        write_json(out, &chunk);
        out.extend_from_slice(b"\n\n");
    }
}

impl Encoder for ChunkEncoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        let delta = match event {
            Event::Started(started) => {
                self.model = self.reply.model(&started.model).to_owned();
                self.fingerprint.clone_from(&started.fingerprint);
                Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }
            }
            Event::TextDelta { text } => {
                self.last = self.length;
                self.length += text.chars().count();
                Delta { content: Some(text), ..Delta::default() }
            }
            Event::ReasoningDelta { text, .. } if text.is_empty() => return,
            Event::ReasoningDelta { text, .. } => {
                Delta { reasoning_content: Some(text), ..Delta::default() }
            }
            Event::RefusalDelta { text } => Delta { refusal: Some(text), ..Delta::default() },
            Event::ToolCallStarted { index, id, name, rest } => {
                let function = json!({"name": name, "arguments": ""});
                let mut call =
                    json!({"index": index, "id": id, "type": "function", "function": function});
                if let Some(call) = call.as_object_mut() {
                    call.extend(rest.clone());
                }
                Delta { tool_calls: Some([call]), ..Delta::default() }
            }
            Event::ToolCallDelta { index, fragment } => {
                let call = json!({"index": index, "function": {"arguments": fragment}});
                Delta { tool_calls: Some([call]), ..Delta::default() }
            }
            Event::Citation(citation) => {
                let annotation = annotation(citation, (self.last, self.length));
                Delta { annotations: Some([annotation]), ..Delta::default() }
            }
            Event::ProviderCitation { dialect: Speaks::OpenAi, value } => {
                Delta { annotations: Some([value.clone()]), ..Delta::default() }
            }
            Event::Rest { dialect: Speaks::OpenAi, place, fields } => match place {
                RestPlace::Answer => return self.rest.extend(fields.clone()),
                RestPlace::Choice => {
                    let (delta, rest) = (Delta::default(), Some(fields));
                    return self.choice(Choice { index: 0, delta, finish_reason: None, rest }, out);
                }
                RestPlace::Message => Delta { rest: Some(fields), ..Delta::default() },
            },
            Event::Usage(usage) => {
                self.usage = *usage;
                return;
            }
            // Pieces that only another dialect's clients could have asked for.
            Event::TextStarted
            | Event::Unreadable
            | Event::ProviderCitation { .. }
            | Event::Other { .. }
            | Event::Rest { .. }
            | Event::Finished(_) => return,
        };
        self.delta(delta, out);
    }

    fn finish(&mut self, finish: &FinishReason, out: &mut Vec<u8>) {
        let (delta, finish_reason) = (Delta::default(), Some(finish_reason(finish)));
        self.choice(Choice { index: 0, delta, finish_reason, rest: None }, out);
        if self.include_usage {
            self.line(&[], usage(&self.usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        write_json(out, &OpenAi::error(error, None));
        out.extend_from_slice(b"\n\n");
    }
}
