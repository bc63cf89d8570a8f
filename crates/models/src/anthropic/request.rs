//! From the internal form to the body of `POST /v1/messages`.

mod check;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::BORDER;
use crate::crossing::Seq;
use crate::{
    Call, ChatRequest, Content, ImageSource, Message, Part, ProviderError, ResponseFormat, Role,
    Tool, ToolCall, ToolChoice, ToolResult,
};

/// The top-level fields that the translation writes itself.
const OWN: [&str; 11] = [
    "model",
    "max_tokens",
    "system",
    "messages",
    "stream",
    "tools",
    "tool_choice",
    "output_config",
    "temperature",
    "top_p",
    "stop_sequences",
];

/// The limit on an answer's tokens, which the API insists on, where nobody sets one.
const MAX_TOKENS: u64 = 4_096;

/// The body that asks `call`; an error names what Anthropic's dialect cannot express.
pub(super) fn write(call: &Call) -> Result<Vec<u8>, ProviderError> {
    check::call(call)?;
    serde_json::to_vec(&Body(call))
        .map_err(|e| ProviderError::Protocol { what: format!("the request is no JSON: {e}") })
}

struct Body<'a>(&'a Call);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (spec, request) = (&*self.0.model, &*self.0.request);
        let (asked, given) = (&request.sampling, &spec.parameters);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", &spec.model)?;
        let max = asked.max_tokens.or(given.max_tokens).or(spec.max_output_tokens);
        map.serialize_entry("max_tokens", &max.unwrap_or(MAX_TOKENS))?;
        if system(request).next().is_some() {
            map.serialize_entry("system", &Seq(|| system(request).map(Block)))?;
        }
        map.serialize_entry("messages", &Turns(&request.messages))?;
        map.serialize_entry("stream", &request.stream)?;
        write_tools(&mut map, request)?;
        let output_config = self.output_config();
        if !output_config.is_empty() {
            map.serialize_entry("output_config", &output_config)?;
        }
        if let Some(temperature) = asked.temperature.or(given.temperature) {
            map.serialize_entry("temperature", &temperature)?;
        }
        if let Some(top_p) = asked.top_p.or(given.top_p) {
            map.serialize_entry("top_p", &top_p)?;
        }
        let stop = if asked.stop.is_empty() { &given.stop } else { &asked.stop };
        if !stop.is_empty() {
            map.serialize_entry("stop_sequences", stop)?;
        }
        let same = request.rest.dialect() == Some(BORDER.dialect);
        for (field, value) in &given.extra {
            if field != "output_config" && !(same && request.rest.get(field).is_some()) {
                map.serialize_entry(field, value)?;
            }
        }
        BORDER.write_rest(&mut map, &request.rest, &OWN)?;
        map.end()
    }
}

impl Body<'_> {
    /// `output_config`: the structured output (`format`), the effort, and what else the model's
    /// parameters or a client of this dialect put there.
    fn output_config(&self) -> Map<String, Value> {
        let (spec, request) = (&*self.0.model, &*self.0.request);
        let mut config = Map::new();
        let rest = (request.rest.dialect() == Some(BORDER.dialect)).then_some(&request.rest);
        let asked = rest.and_then(|rest| rest.get("output_config"));
        for fields in [spec.parameters.extra.get("output_config"), asked].into_iter().flatten() {
            config.extend(fields.as_object().cloned().unwrap_or_default());
        }
        if let Some(ResponseFormat::JsonSchema { schema, .. }) = &request.response_format {
            config.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
        }
        let effort =
            request.reasoning_effort.as_ref().or(spec.parameters.reasoning_effort.as_ref());
        if let Some(effort) = effort.filter(|effort| *effort != "none") {
            config.insert("effort".into(), json!(effort));
        }
        config
    }
}

fn write_tools<M: SerializeMap>(map: &mut M, request: &ChatRequest) -> Result<(), M::Error> {
    if !request.tools.is_empty() {
        map.serialize_entry("tools", &Seq(|| request.tools.iter().map(ToolBody)))?;
    }
    let serial = request.parallel_tool_calls == Some(false);
    let mut choice = match &request.tool_choice {
        None if serial && !request.tools.is_empty() => json!({"type": "auto"}),
        None => return Ok(()),
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::None) => json!({"type": "none"}),
        Some(ToolChoice::Any) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if serial && request.tool_choice != Some(ToolChoice::None) {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    map.serialize_entry("tool_choice", &choice)
}

struct ToolBody<'a>(&'a Tool);

impl Serialize for ToolBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, description, parameters, strict, rest) = match self.0 {
            Tool::Other { value, .. } => return value.serialize(serializer),
            Tool::Function { name, description, parameters, strict, rest } => {
                (name, description, parameters, strict, rest)
            }
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", name)?;
        if let Some(description) = description {
            map.serialize_entry("description", description)?;
        }
        match parameters {
            Some(schema) => map.serialize_entry("input_schema", schema)?,
            None => map.serialize_entry("input_schema", &json!({"type": "object"}))?,
        }
        if let Some(strict) = strict {
            map.serialize_entry("strict", strict)?;
        }
        BORDER.write_rest(&mut map, rest, &[])?;
        map.end()
    }
}

/// The parts of all system messages, as blocks of the one system prompt.
fn system(request: &ChatRequest) -> impl Iterator<Item = &Part> {
    let messages = request.messages.iter().filter(|message| message.role == Role::System);
    messages.flat_map(|message| message.parts.iter()).filter(is_block)
}

/// The conversation as turns: messages that the dialect gives to the same speaker, such as
/// several tool results and what the user says to them, are one turn.
struct Turns<'a>(&'a [Message]);

impl Serialize for Turns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spoken: Vec<&Message> =
            self.0.iter().filter(|message| message.role != Role::System).collect();
        let turns = spoken.chunk_by(|a, b| speaker(a.role) == speaker(b.role));
        serializer.collect_seq(turns.map(Turn))
    }
}

fn speaker(role: Role) -> &'static str {
    match role {
        Role::Assistant => "assistant",
        Role::System | Role::User | Role::Tool => "user",
    }
}

struct Turn<'a>(&'a [&'a Message]);

impl Serialize for Turn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = || self.0.iter().flat_map(|message| message.parts.iter()).filter(is_block);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", self.0.first().map_or("user", |first| speaker(first.role)))?;
        match (self.0, parts().next(), parts().nth(1)) {
            ([_], Some(Part { content: Content::Text(text), rest }), None)
                if rest.dialect() != Some(BORDER.dialect) =>
            {
                map.serialize_entry("content", text)?;
            }
            _ => map.serialize_entry("content", &Seq(|| parts().map(Block)))?,
        }
        for message in self.0 {
            BORDER.write_rest(&mut map, &message.rest, &[])?;
        }
        map.end()
    }
}

/// Whether a part becomes a block. The API refuses empty texts; reasoning without its seal
/// cannot be sent back.
fn is_block(part: &&Part) -> bool {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => !text.is_empty(),
        Content::Reasoning(reasoning) => reasoning.signature.is_some(),
        _ => true,
    }
}

struct Block<'a>(&'a Part);

impl Serialize for Block<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Content::Other { value, .. } = &self.0.content {
            return value.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        match &self.0.content {
            Content::Text(text) | Content::Refusal(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Content::Image(image) => {
                let source = match &image.source {
                    ImageSource::Url(url) => json!({"type": "url", "url": url}),
                    ImageSource::Base64 { media_type, data } => {
                        json!({"type": "base64", "media_type": media_type, "data": data})
                    }
                };
                map.serialize_entry("type", "image")?;
                map.serialize_entry("source", &source)?;
            }
            Content::ToolCall(call) => write_call(&mut map, call)?,
            Content::ToolResult(result) => write_result(&mut map, result)?,
            Content::Reasoning(reasoning) => {
                map.serialize_entry("type", "thinking")?;
                map.serialize_entry("thinking", &reasoning.text)?;
                map.serialize_entry("signature", &reasoning.signature)?;
            }
            Content::Other { .. } => {}
        }
        BORDER.write_rest(&mut map, &self.0.rest, &[])?;
        map.end()
    }
}

fn write_call<M: SerializeMap>(map: &mut M, call: &ToolCall) -> Result<(), M::Error> {
    map.serialize_entry("type", "tool_use")?;
    map.serialize_entry("id", &call.id)?;
    map.serialize_entry("name", &call.name)?;
    // That the arguments are an object was checked; they go out as the model wrote them.
    match serde_json::from_str::<&RawValue>(&call.arguments) {
        Ok(arguments) => map.serialize_entry("input", arguments),
        Err(_) => map.serialize_entry("input", &Map::new()),
    }
}

fn write_result<M: SerializeMap>(map: &mut M, result: &ToolResult) -> Result<(), M::Error> {
    map.serialize_entry("type", "tool_result")?;
    map.serialize_entry("tool_use_id", &result.call_id)?;
    let blocks = || result.content.iter().filter(is_block);
    match (blocks().next(), blocks().nth(1)) {
        (None, _) => {}
        (Some(Part { content: Content::Text(text), rest }), None) if rest.is_empty() => {
            map.serialize_entry("content", text)?;
        }
        _ => map.serialize_entry("content", &Seq(|| blocks().map(Block)))?,
    }
    if result.is_error {
        map.serialize_entry("is_error", &true)?;
    }
    Ok(())
}
