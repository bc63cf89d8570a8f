//! From the internal form to the body of `POST /chat/completions`.

mod check;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::{Value, json};

use super::{BORDER, LimitField};
use crate::crossing::Seq;
use crate::{
    Call, ChatRequest, Content, Image, ImageSource, Message, Part, ProviderError, ResponseFormat,
    Role, Sampling, Tool, ToolCall, ToolChoice, ToolResult,
};

/// The top-level fields that the translation writes itself.
const OWN: [&str; 17] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "metadata",
    "n",
];

/// The body that asks `call`; an error names what OpenAI's dialect cannot express.
pub(super) fn write(call: &Call, limit: LimitField) -> Result<Vec<u8>, ProviderError> {
    check::call(call)?;
    serde_json::to_vec(&Body { call, limit })
        .map_err(|e| ProviderError::Protocol { what: format!("the request is no JSON: {e}") })
}

struct Body<'a> {
    call: &'a Call,
    limit: LimitField,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (spec, request) = (&*self.call.model, &*self.call.request);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", &spec.model)?;
        map.serialize_entry("messages", &Messages(&request.messages))?;
        map.serialize_entry("stream", &request.stream)?;
        if request.stream {
            map.serialize_entry("stream_options", &json!({"include_usage": true}))?;
        }
        write_tools(&mut map, request)?;
        if let Some(format) = &request.response_format {
            map.serialize_entry("response_format", &response_format(format))?;
        }
        self.write_sampling(&mut map, &request.sampling)?;
        let effort =
            request.reasoning_effort.as_ref().or(spec.parameters.reasoning_effort.as_ref());
        if let Some(effort) = effort {
            map.serialize_entry("reasoning_effort", effort)?;
        }
        for (field, value) in &spec.parameters.extra {
            if request.rest.dialect() != Some(BORDER.dialect) || request.rest.get(field).is_none() {
                map.serialize_entry(field, value)?;
            }
        }
        BORDER.write_rest(&mut map, &request.rest, &OWN)?;
        map.end()
    }
}

impl Body<'_> {
    fn write_sampling<M: SerializeMap>(
        &self,
        map: &mut M,
        asked: &Sampling,
    ) -> Result<(), M::Error> {
        let given = &self.call.model.parameters;
        if let Some(temperature) = asked.temperature.or(given.temperature) {
            map.serialize_entry("temperature", &temperature)?;
        }
        if let Some(top_p) = asked.top_p.or(given.top_p) {
            map.serialize_entry("top_p", &top_p)?;
        }
        if let Some(max) = asked.max_tokens.or(given.max_tokens) {
            let field = match self.limit {
                LimitField::MaxCompletionTokens => "max_completion_tokens",
                LimitField::MaxTokens => "max_tokens",
            };
            map.serialize_entry(field, &max)?;
        }
        let stop = if asked.stop.is_empty() { &given.stop } else { &asked.stop };
        if !stop.is_empty() {
            map.serialize_entry("stop", stop)?;
        }
        if let Some(seed) = asked.seed.or(given.seed) {
            map.serialize_entry("seed", &seed)?;
        }
        Ok(())
    }
}

fn write_tools<M: SerializeMap>(map: &mut M, request: &ChatRequest) -> Result<(), M::Error> {
    if !request.tools.is_empty() {
        map.serialize_entry("tools", &Seq(|| request.tools.iter().map(ToolBody)))?;
    }
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => map.serialize_entry("tool_choice", "auto")?,
        Some(ToolChoice::None) => map.serialize_entry("tool_choice", "none")?,
        Some(ToolChoice::Any) => map.serialize_entry("tool_choice", "required")?,
        Some(ToolChoice::Named(name)) => {
            let choice = json!({"type": "function", "function": {"name": name}});
            map.serialize_entry("tool_choice", &choice)?;
        }
    }
    if let Some(parallel) = request.parallel_tool_calls {
        map.serialize_entry("parallel_tool_calls", &parallel)?;
    }
    Ok(())
}

/// A name is required here; a schema that came without one is called `answer`.
fn response_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let mut body = json!({"name": name.as_deref().unwrap_or("answer"), "schema": schema});
            if let Some(description) = description {
                body["description"] = json!(description);
            }
            if let Some(strict) = strict {
                body["strict"] = json!(strict);
            }
            json!({"type": "json_schema", "json_schema": body})
        }
    }
}

struct ToolBody<'a>(&'a Tool);

impl Serialize for ToolBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Tool::Other { value, .. } => value.serialize(serializer),
            Tool::Function { .. } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", "function")?;
                map.serialize_entry("function", &FunctionBody(self.0))?;
                map.end()
            }
        }
    }
}

struct FunctionBody<'a>(&'a Tool);

impl Serialize for FunctionBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Tool::Function { name, description, parameters, strict, rest } = self.0 {
            map.serialize_entry("name", name)?;
            if let Some(description) = description {
                map.serialize_entry("description", description)?;
            }
            if let Some(parameters) = parameters {
                map.serialize_entry("parameters", parameters)?;
            }
            if let Some(strict) = strict {
                map.serialize_entry("strict", strict)?;
            }
            BORDER.write_rest(&mut map, rest, &[])?;
        }
        map.end()
    }
}

/// A message of ours is one of theirs, except that each tool result is a message of its own,
/// before what else the message says.
struct Messages<'a>(&'a [Message]);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for message in self.0 {
            let mut only_results = !message.parts.is_empty();
            for part in &message.parts {
                match &part.content {
                    Content::ToolResult(result) => seq.serialize_element(&ToolMessage(result))?,
                    _ => only_results = false,
                }
            }
            if !only_results {
                seq.serialize_element(&MessageBody(message))?;
            }
        }
        seq.end()
    }
}

struct MessageBody<'a>(&'a Message);

impl Serialize for MessageBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let mut map = serializer.serialize_map(None)?;
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        map.serialize_entry("role", role)?;
        write_content(&mut map, &message.parts)?;
        let refusals: String = message
            .parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::Refusal(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        if !refusals.is_empty() {
            map.serialize_entry("refusal", &refusals)?;
        }
        if calls(&message.parts).next().is_some() {
            map.serialize_entry("tool_calls", &Seq(|| calls(&message.parts).map(CallBody)))?;
        }
        if let Some(name) = &message.name {
            map.serialize_entry("name", name)?;
        }
        BORDER.write_rest(&mut map, &message.rest, &[])?;
        map.end()
    }
}

/// One plain text is a string, as every server knows it; all else is a list; nothing is `null`.
fn write_content<M: SerializeMap>(map: &mut M, parts: &[Part]) -> Result<(), M::Error> {
    let mut shown = shown(parts);
    match (shown.next(), shown.next()) {
        (None, _) => map.serialize_entry("content", &()),
        (Some(Part { content: Content::Text(text), rest }), None)
            if rest.dialect() != Some(BORDER.dialect) =>
        {
            map.serialize_entry("content", text)
        }
        _ => map.serialize_entry("content", &Seq(|| self::shown(parts).map(PartBody))),
    }
}

/// The parts that belong into `content`. Reasoning stays behind: the dialect has no place for it.
fn shown(parts: &[Part]) -> impl Iterator<Item = &Part> {
    parts.iter().filter(|part| {
        matches!(part.content, Content::Text(_) | Content::Image(_) | Content::Other { .. })
    })
}

fn calls(parts: &[Part]) -> impl Iterator<Item = &ToolCall> {
    parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    })
}

struct PartBody<'a>(&'a Part);

impl Serialize for PartBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Content::Other { value, .. } = &self.0.content {
            return value.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        match &self.0.content {
            Content::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Content::Image(image) => {
                map.serialize_entry("type", "image_url")?;
                map.serialize_entry("image_url", &ImageBody(image))?;
            }
            _ => {}
        }
        BORDER.write_rest(&mut map, &self.0.rest, &[])?;
        map.end()
    }
}

struct ImageBody<'a>(&'a Image);

impl Serialize for ImageBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.0.source {
            ImageSource::Url(url) => map.serialize_entry("url", url)?,
            ImageSource::Base64 { media_type, data } => {
                map.serialize_entry("url", &format_args!("data:{media_type};base64,{data}"))?;
            }
        }
        if let Some(detail) = &self.0.detail {
            map.serialize_entry("detail", detail)?;
        }
        map.end()
    }
}

struct CallBody<'a>(&'a ToolCall);

impl Serialize for CallBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let function = Function { name: &self.0.name, arguments: &self.0.arguments };
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("id", &self.0.id)?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &function)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

struct ToolMessage<'a>(&'a ToolResult);

impl Serialize for ToolMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("role", "tool")?;
        map.serialize_entry("tool_call_id", &self.0.call_id)?;
        if self.0.content.is_empty() {
            map.serialize_entry("content", "")?;
        } else {
            write_content(&mut map, &self.0.content)?;
        }
        map.end()
    }
}
