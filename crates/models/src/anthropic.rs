//! Providers that speak Anthropic's Messages.

use std::collections::VecDeque;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use crate::calls::ToolCalls;
use crate::chat::{Block, Started};
use crate::http::{Decoder, Endpoint, embedded_refusal, misconfigured, secret_header, url};
use crate::provider::{Call, EventStream, Provider, ProviderBinding};
use crate::sse::SseEvent;
use crate::tokens::estimate;
use crate::{
    ChatRequest, Dialect, EmbedRequest, Embeddings, Event, FinishReason, Image, Message, ModelSpec,
    Part, ProviderError, RerankRequest, ResponseFormat, Role, Tool, ToolChoice, Usage,
};

/// The API version this code speaks.
const VERSION: &str = "2023-06-01";
/// The token limit sent where neither the request nor the model sets one: Anthropic requires it.
const DEFAULT_MAX_TOKENS: u32 = 4_096;

/// A provider that speaks Anthropic's Messages.
#[derive(Debug)]
pub struct Anthropic {
    endpoint: Endpoint,
    messages: Url,
}

impl Anthropic {
    /// Sets the provider up.
    ///
    /// # Errors
    /// If the endpoint or the credential cannot be used.
    pub fn new(name: &str, binding: &ProviderBinding) -> Result<Self, ProviderError> {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", HeaderValue::from_static(VERSION));
        if let Some(credential) = &binding.credential {
            headers.insert("x-api-key", secret_header(name, credential.expose())?);
        }
        let messages = url(name, binding, "/messages")?;
        Ok(Self { endpoint: Endpoint::new(name, binding, headers)?, messages })
    }
}

#[async_trait]
impl Provider for Anthropic {
    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        let name = &self.endpoint.name;
        let body = request(&call)
            .map_err(|field| ProviderError::Unsupported { field, provider: name.clone() })?;
        let bytes =
            serde_json::to_vec(&body).map_err(|error| misconfigured(name, &error.to_string()))?;
        let decoder = MessageDecoder::new(name, &call.request);
        self.endpoint.events((&self.messages, bytes), call.request.stream, decoder).await
    }

    async fn embed(&self, _: &ModelSpec, _: EmbedRequest) -> Result<Embeddings, ProviderError> {
        let (field, provider) = ("embeddings".to_owned(), self.endpoint.name.clone());
        Err(ProviderError::Unsupported { field, provider })
    }

    async fn rerank(&self, _: &ModelSpec, _: RerankRequest) -> Result<Vec<f32>, ProviderError> {
        let (field, provider) = ("rerank".to_owned(), self.endpoint.name.clone());
        Err(ProviderError::Unsupported { field, provider })
    }
}

/// The request as Anthropic has it; `Err` names a field that cannot cross.
fn request(call: &Call) -> Result<Value, String> {
    let request = call.request.crossing(Dialect::Anthropic)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), call.model.id().into());
    let (system, messages) = conversation(&request.messages)?;
    body.insert("messages".to_owned(), messages.into());
    let plain = system.iter().all(|block| block.as_object().map(Map::len) == Some(2));
    if plain && !system.is_empty() {
        let texts = system.iter().filter_map(|block| block.get("text")?.as_str());
        body.insert("system".to_owned(), texts.collect::<Vec<_>>().join("\n\n").into());
    } else if !system.is_empty() {
        body.insert("system".to_owned(), system.into());
    }
    if !request.tools.is_empty() {
        let tools: Vec<_> = request.tools.iter().map(tool).collect();
        body.insert("tools".to_owned(), tools.into());
    }
    if !request.tools.is_empty() || request.tool_choice.is_some() {
        let mut choice = match request.tool_choice.as_ref() {
            None | Some(ToolChoice::Auto) => json!({"type": "auto"}),
            Some(ToolChoice::None) => json!({"type": "none"}),
            Some(ToolChoice::Required) => json!({"type": "any"}),
            Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
        };
        if let (Some(false), Some(choice)) = (request.parallel_tool_calls, choice.as_object_mut()) {
            choice.insert("disable_parallel_tool_use".to_owned(), true.into());
        }
        if request.tool_choice.is_some() || request.parallel_tool_calls == Some(false) {
            body.insert("tool_choice".to_owned(), choice);
        }
    }
    match &request.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => return Err("response_format json_object".to_owned()),
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            let format = json!({"format": {"type": "json_schema", "schema": schema}});
            body.insert("output_config".to_owned(), format);
        }
    }
    let sampling = call.model.parameters.sampling().overridden_by(&request.sampling);
    if sampling.seed.is_some() {
        return Err("seed".to_owned());
    }
    let max_tokens = sampling.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    body.insert("max_tokens".to_owned(), max_tokens.into());
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("temperature", sampling.temperature.map(Into::into));
    set("top_p", sampling.top_p.map(Into::into));
    set("top_k", sampling.top_k.map(Into::into));
    set("stop_sequences", Some(sampling.stop).filter(|stop| !stop.is_empty()).map(Into::into));
    set("stream", request.stream.then(|| true.into()));
    for (name, value) in &request.rest {
        // `output_config` may hold more than the format set above.
        match (body.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
            (Some(present), Some(more)) => present.extend(more.clone()),
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(body.into())
}

fn tool(tool: &Tool) -> Value {
    match tool {
        Tool::Function(function) => {
            let mut own = Map::new();
            own.insert("name".to_owned(), function.name.clone().into());
            own.extend(function.description.clone().map(|d| ("description".to_owned(), d.into())));
            own.insert("input_schema".to_owned(), function.parameters.clone());
            own.extend(function.strict.map(|strict| ("strict".to_owned(), strict.into())));
            own.extend(function.rest.clone());
            own.into()
        }
        Tool::Other { value, .. } => value.clone(),
    }
}

/// System blocks, and the turns: Anthropic wants user and assistant to alternate, and a tool's
/// results in the user's turn.
fn conversation(messages: &[Message]) -> Result<(Vec<Value>, Vec<Value>), String> {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let blocks: Result<Vec<_>, String> = message.blocks.iter().map(block).collect();
        let blocks = blocks?.into_iter().flatten();
        let role = match message.role {
            Role::System => {
                system.extend(blocks);
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        match turns.last_mut() {
            Some((last, content)) if *last == role => content.extend(blocks),
            _ => turns.push((role, blocks.collect())),
        }
    }
    turns.retain(|(_, content)| !content.is_empty());
    let turns = turns.into_iter();
    let turns = turns.map(|(role, content)| json!({"role": role, "content": plain(content)}));
    Ok((system, turns.collect()))
}

/// Content as plain text where it is no more than that.
fn plain(mut content: Vec<Value>) -> Value {
    match content.as_mut_slice() {
        [only] if only["type"] == "text" && only.as_object().map(Map::len) == Some(2) => {
            only["text"].take()
        }
        _ => content.into(),
    }
}

fn block(block: &Block) -> Result<Option<Value>, String> {
    let mut own = match &block.part {
        Part::Text { text } if text.is_empty() => return Ok(None),
        Part::Text { text } | Part::Refusal { text } => json!({"type": "text", "text": text}),
        Part::Image(Image::Url { url }) => {
            json!({"type": "image", "source": {"type": "url", "url": url}})
        }
        Part::Image(Image::Base64 { media_type, data }) => json!({
            "type": "image",
            "source": {"type": "base64", "media_type": media_type, "data": data},
        }),
        Part::ToolCall { id, name, arguments } => {
            let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
            let input: Value = serde_json::from_str(arguments)
                .map_err(|_| format!("tool call `{id}` whose arguments are not JSON"))?;
            json!({"type": "tool_use", "id": id, "name": name, "input": input})
        }
        Part::ToolResult { call_id, content, is_error } => {
            let content: Result<Vec<_>, String> = content.iter().map(self::block).collect();
            let content = plain(content?.into_iter().flatten().collect());
            let mut result =
                json!({"type": "tool_result", "tool_use_id": call_id, "content": content});
            if let (true, Some(result)) = (*is_error, result.as_object_mut()) {
                result.insert("is_error".to_owned(), true.into());
            }
            result
        }
        Part::Reasoning { text, signature: Some(signature) } => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        // Unsigned thinking is another provider's; Anthropic would refuse it.
        Part::Reasoning { signature: None, .. } => return Ok(None),
        Part::Other { value, .. } => value.clone(),
    };
    if let Some(own) = own.as_object_mut() {
        own.extend(block.rest.clone());
    }
    Ok(Some(own))
}

/// Reads Anthropic's answers, streamed or whole.
struct MessageDecoder {
    provider: String,
    input_estimate: u64,
    strict_json: bool,
    started: bool,
    /// The provider's block index of each tool call.
    calls: Vec<u64>,
    /// What they are called with.
    arguments: ToolCalls,
    /// A block that is not understood, in the making: its index, its head and its input.
    other: Option<(u64, Value, String)>,
    written: u64,
    usage: Map<String, Value>,
    finish: Option<FinishReason>,
    done: bool,
}

impl MessageDecoder {
    fn new(provider: &str, request: &ChatRequest) -> Self {
        Self {
            provider: provider.to_owned(),
            input_estimate: request.estimate(),
            strict_json: matches!(request.response_format, Some(ResponseFormat::JsonSchema { .. })),
            started: false,
            calls: Vec::new(),
            arguments: ToolCalls::default(),
            other: None,
            written: 0,
            usage: Map::new(),
            finish: None,
            done: false,
        }
    }

    fn start(&mut self, message: &Value, out: &mut VecDeque<Event>) {
        self.started = true;
        let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
        let (id, model) = (text("id").to_owned(), text("model").to_owned());
        self.used(message.get("usage"));
        // What the beginning is told to have used already.
        out.extend(usage_of(&self.usage).map(Event::Usage));
        out.push_back(Event::Started(Started { id, model, fingerprint: None }));
    }

    fn used(&mut self, usage: Option<&Value>) {
        let fields = usage.and_then(Value::as_object).into_iter().flatten();
        let known = fields.filter(|(_, value)| !value.is_null());
        self.usage.extend(known.map(|(name, value)| (name.clone(), value.clone())));
    }

    fn stopped(&mut self, delta: &Value) {
        let text = |name: &str| delta.get(name).and_then(Value::as_str);
        self.finish = text("stop_reason").map(|reason| match reason {
            "end_turn" => FinishReason::Stop,
            "stop_sequence" => {
                FinishReason::StopSequence(text("stop_sequence").unwrap_or_default().to_owned())
            }
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "tool_use" => FinishReason::ToolCalls,
            "refusal" => FinishReason::Refusal,
            other => FinishReason::Other(other.to_owned()),
        });
    }

    /// A block of a whole message, or the head of a streamed one.
    fn block(
        &mut self,
        index: u64,
        block: &Value,
        out: &mut VecDeque<Event>,
    ) -> Result<(), ProviderError> {
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "text" => {
                out.push_back(Event::TextStarted);
                self.delta(index, &json!({"type": "text_delta", "text": text("text")}), out)?;
                let cited = block.get("citations").and_then(Value::as_array).into_iter().flatten();
                out.extend(cited.cloned().map(cited_by_provider));
                Ok(())
            }
            "thinking" => {
                let signature = Some(text("signature").to_owned()).filter(|s| !s.is_empty());
                let text = text("thinking").to_owned();
                if !text.is_empty() || signature.is_some() {
                    out.push_back(Event::ReasoningDelta { text, signature });
                }
                Ok(())
            }
            "tool_use" => {
                if text("id").is_empty() || text("name").is_empty() {
                    return Err(self.protocol("a tool call without id or name"));
                }
                let (id, name) = (text("id").to_owned(), text("name").to_owned());
                let ours = self.calls.len();
                self.calls.push(index);
                self.arguments.push(ours, "");
                let mut rest = block.as_object().cloned().unwrap_or_default();
                rest.retain(|name, _| !["type", "id", "name", "input"].contains(&name.as_str()));
                out.push_back(Event::ToolCallStarted { index: ours, id, name, rest });
                match block
                    .get("input")
                    .filter(|input| input.as_object().is_some_and(|i| !i.is_empty()))
                {
                    Some(input) => {
                        let fragment = input.to_string();
                        self.written += estimate(&fragment);
                        out.push_back(Event::ToolCallDelta { index: ours, fragment });
                    }
                    None if self.done => {
                        out.push_back(Event::ToolCallDelta {
                            index: ours,
                            fragment: "{}".to_owned(),
                        });
                    }
                    None => {}
                }
                Ok(())
            }
            // A piece of the provider's own, as a search of its: passed on once it is whole.
            _ => {
                self.other = Some((index, block.clone(), String::new()));
                Ok(())
            }
        }
    }

    /// The end of a block.
    fn block_stop(&mut self, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        let Some((_, mut value, input)) = self.other.take() else { return Ok(()) };
        if !input.is_empty() {
            let input: Value = serde_json::from_str(&input)
                .map_err(|_| self.protocol("a block whose input is not JSON"))?;
            if let Some(value) = value.as_object_mut() {
                value.insert("input".to_owned(), input);
            }
        }
        out.push_back(Event::Other { dialect: Dialect::Anthropic, value });
        Ok(())
    }

    fn delta(
        &mut self,
        index: u64,
        delta: &Value,
        out: &mut VecDeque<Event>,
    ) -> Result<(), ProviderError> {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "text_delta" if !text("text").is_empty() => {
                self.written += estimate(text("text"));
                out.push_back(Event::TextDelta { text: text("text").to_owned() });
            }
            "thinking_delta" => {
                self.written += estimate(text("thinking"));
                let text = text("thinking").to_owned();
                out.push_back(Event::ReasoningDelta { text, signature: None });
            }
            "signature_delta" => {
                let signature = Some(text("signature").to_owned());
                out.push_back(Event::ReasoningDelta { text: String::new(), signature });
            }
            "citations_delta" => out.extend(delta.get("citation").cloned().map(cited_by_provider)),
            "input_json_delta" => {
                if let Some((_, _, input)) = self.other.as_mut().filter(|(at, ..)| *at == index) {
                    input.push_str(text("partial_json"));
                    return Ok(());
                }
                let ours = self.calls.iter().position(|known| *known == index);
                let index = ours.ok_or_else(|| self.protocol("arguments of no tool call"))?;
                let fragment = text("partial_json").to_owned();
                self.written += estimate(&fragment);
                if !fragment.is_empty() {
                    self.arguments.push(index, &fragment);
                    out.push_back(Event::ToolCallDelta { index, fragment });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn protocol(&self, what: &str) -> ProviderError {
        ProviderError::Protocol { provider: self.provider.clone(), what: what.to_owned() }
    }
}

impl Decoder for MessageDecoder {
    fn event(&mut self, event: &SseEvent, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        let Ok(document) = serde_json::from_str::<Value>(&event.data) else {
            if self.strict_json || !self.calls.is_empty() {
                return Err(self.protocol("an event with broken JSON"));
            }
            tracing::warn!(provider = self.provider, "dropped an event with broken JSON");
            out.push_back(Event::Unreadable);
            return Ok(());
        };
        if let Some(refusal) = embedded_refusal(&document) {
            let (provider, refusal) = (self.provider.clone(), Box::new(refusal));
            return Err(ProviderError::Refused { provider, refusal });
        }
        let index = document.get("index").and_then(Value::as_u64).unwrap_or(0);
        match document.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => {
                self.start(document.get("message").unwrap_or(&Value::Null), out);
            }
            "content_block_start" => {
                self.block(index, document.get("content_block").unwrap_or(&Value::Null), out)?;
            }
            "content_block_delta" => {
                self.delta(index, document.get("delta").unwrap_or(&Value::Null), out)?;
            }
            "content_block_stop" => self.block_stop(out)?,
            "message_delta" => {
                self.stopped(document.get("delta").unwrap_or(&Value::Null));
                self.used(document.get("usage"));
            }
            "message_stop" => self.done = true,
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, body: &Value, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        let Some(blocks) = body.get("content").and_then(Value::as_array) else {
            return Err(self.protocol("a document without content"));
        };
        self.done = true;
        self.start(body, out);
        for (index, block) in blocks.iter().enumerate() {
            self.block(index as u64, block, out)?;
            self.block_stop(out)?;
        }
        self.stopped(body);
        Ok(())
    }

    fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        if !self.started {
            return Err(self.protocol("a stream without an answer"));
        }
        let Some(finish) = self.finish.take() else {
            return Err(ProviderError::Truncated { provider: self.provider.clone() });
        };
        if let Some(what) = self.arguments.broken(&finish) {
            return Err(self.protocol(what));
        }
        let estimated = Usage {
            input_tokens: self.input_estimate,
            output_tokens: self.written,
            estimated: true,
            ..Usage::default()
        };
        out.push_back(Event::Usage(usage_of(&self.usage).unwrap_or(estimated)));
        out.push_back(Event::Finished(finish));
        Ok(())
    }

    fn done(&self) -> bool {
        self.done
    }
}

fn cited_by_provider(value: Value) -> Event {
    Event::ProviderCitation { dialect: Dialect::Anthropic, value }
}

/// Usage as reported; Anthropic counts cached input apart, our form within.
fn usage_of(usage: &Map<String, Value>) -> Option<Usage> {
    const ABSURD: u64 = 1_000_000_000;
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    let (fresh, output) = (count("input_tokens")?, count("output_tokens")?);
    let read = count("cache_read_input_tokens").unwrap_or(0);
    let creation = count("cache_creation_input_tokens").unwrap_or(0);
    [fresh, output, read, creation].iter().all(|tokens| *tokens < ABSURD).then(|| Usage {
        input_tokens: fresh + read + creation,
        output_tokens: output,
        cache_read_tokens: read,
        cache_creation_tokens: creation,
        reasoning_tokens: 0,
        estimated: false,
    })
}

#[cfg(test)]
mod tests;
