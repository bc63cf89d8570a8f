//! Providers that speak OpenAI's Chat Completions.

use std::borrow::Cow;
use std::collections::VecDeque;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::calls::ToolCalls;
use crate::chat::{Block, Started};
use crate::http::{Decoder, Endpoint, embedded_refusal, misconfigured, secret_header, url};
use crate::provider::{Call, EventStream, Provider, ProviderBinding, TokenLimitField};
use crate::sse::SseEvent;
use crate::tokens::estimate;
use crate::{
    ChatRequest, Dialect, EmbedRequest, Embeddings, Event, FinishReason, Image, Message, ModelSpec,
    Part, ProviderError, RerankRequest, ResponseFormat, RestPlace, Role, Tool, ToolChoice, Usage,
};

/// A provider that speaks OpenAI's Chat Completions.
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    chat: Url,
    embeddings: Url,
    rerank: Url,
    token_limit: &'static str,
}

impl OpenAi {
    /// Sets the provider up.
    ///
    /// # Errors
    /// If the endpoint or the credential cannot be used.
    pub fn new(name: &str, binding: &ProviderBinding) -> Result<Self, ProviderError> {
        let mut headers = HeaderMap::new();
        if let Some(credential) = &binding.credential {
            let value = format!("Bearer {}", credential.expose());
            headers.insert(AUTHORIZATION, secret_header(name, &value)?);
        }
        let token_limit = match binding.token_limit_field {
            TokenLimitField::MaxCompletionTokens => "max_completion_tokens",
            TokenLimitField::MaxTokens => "max_tokens",
        };
        Ok(Self {
            endpoint: Endpoint::new(name, binding, headers)?,
            chat: url(name, binding, "/chat/completions")?,
            embeddings: url(name, binding, "/embeddings")?,
            rerank: url(name, binding, "/rerank")?,
            token_limit,
        })
    }
}

#[async_trait]
impl Provider for OpenAi {
    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        let name = &self.endpoint.name;
        let body = request(&call, self.token_limit)
            .map_err(|field| ProviderError::Unsupported { field, provider: name.clone() })?;
        let bytes =
            serde_json::to_vec(&body).map_err(|error| misconfigured(name, &error.to_string()))?;
        let decoder = ChatDecoder::new(name, &call.request);
        self.endpoint.events((&self.chat, bytes), call.request.stream, decoder).await
    }

    async fn embed(
        &self,
        model: &ModelSpec,
        request: EmbedRequest,
    ) -> Result<Embeddings, ProviderError> {
        let name = &self.endpoint.name;
        let mut body =
            json!({"model": model.id(), "input": request.input, "encoding_format": "float"});
        if let (Some(dimensions), Some(body)) = (request.dimensions, body.as_object_mut()) {
            body.insert("dimensions".to_owned(), dimensions.into());
        }
        let answer = self.endpoint.json(&self.embeddings, body.to_string().into_bytes()).await?;
        embeddings(&answer, &request).ok_or_else(|| ProviderError::Protocol {
            provider: name.clone(),
            what: "vectors that do not fit the request".to_owned(),
        })
    }

    async fn rerank(
        &self,
        model: &ModelSpec,
        request: RerankRequest,
    ) -> Result<Vec<f32>, ProviderError> {
        let name = &self.endpoint.name;
        let RerankRequest { query, documents } = request;
        let count = documents.len();
        let body = json!({"model": model.id(), "query": query, "documents": documents});
        let answer = self.endpoint.json(&self.rerank, body.to_string().into_bytes()).await?;
        relevance(&answer, count).ok_or_else(|| ProviderError::Protocol {
            provider: name.clone(),
            what: "scores that do not fit the request".to_owned(),
        })
    }
}

/// The score of each of `count` documents. Cohere and Jina list them as `results`, Voyage as `data`.
fn relevance(answer: &Value, count: usize) -> Option<Vec<f32>> {
    let mut scores = vec![None; count];
    for item in answer.get("results").or_else(|| answer.get("data"))?.as_array()? {
        let index = usize::try_from(item.get("index")?.as_u64()?).ok()?;
        let score = item.get("relevance_score")?.as_f64()? as f32;
        *scores.get_mut(index)? = Some(score).filter(|score| score.is_finite());
    }
    scores.into_iter().collect()
}

fn embeddings(answer: &Value, request: &EmbedRequest) -> Option<Embeddings> {
    let mut vectors = vec![Vec::new(); request.input.len()];
    for item in answer.get("data")?.as_array()? {
        let index = usize::try_from(item.get("index")?.as_u64()?).ok()?;
        let numbers = item.get("embedding")?.as_array()?.iter();
        let vector: Option<Vec<f32>> = numbers.map(|n| n.as_f64().map(|n| n as f32)).collect();
        *vectors.get_mut(index)? = vector?;
    }
    if vectors.iter().any(Vec::is_empty) {
        return None;
    }
    let tokens = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
    let estimated: u64 = request.input.iter().map(|text| estimate(text)).sum();
    let usage = Usage {
        input_tokens: tokens.unwrap_or(estimated),
        estimated: tokens.is_none(),
        ..Usage::default()
    };
    let model = answer.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Embeddings { model, vectors, usage })
}

/// The request as OpenAI has it; `Err` names a field that cannot cross.
fn request(call: &Call, token_limit: &str) -> Result<Value, String> {
    let request = call.request.crossing(Dialect::OpenAi)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), call.model.id().into());
    let messages: Result<Vec<_>, String> = request.messages.iter().map(self::messages).collect();
    let messages: Vec<Value> = messages?.into_iter().flatten().collect();
    body.insert("messages".to_owned(), messages.into());
    if !request.tools.is_empty() {
        let tools: Vec<_> = request.tools.iter().map(tool).collect();
        body.insert("tools".to_owned(), tools.into());
    }
    if let Some(choice) = &request.tool_choice {
        let value = match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        };
        body.insert("tool_choice".to_owned(), value);
    }
    let sampling = call.model.parameters.sampling().overridden_by(&request.sampling);
    if sampling.top_k.is_some() {
        return Err("top_k".to_owned());
    }
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("parallel_tool_calls", request.parallel_tool_calls.map(Into::into));
    set("response_format", request.response_format.as_ref().map(response_format));
    set("temperature", sampling.temperature.map(Into::into));
    set("top_p", sampling.top_p.map(Into::into));
    set(token_limit, sampling.max_tokens.map(Into::into));
    set("seed", sampling.seed.map(Into::into));
    set("stop", Some(sampling.stop).filter(|stop| !stop.is_empty()).map(Into::into));
    body.extend(request.rest.clone());
    if request.stream {
        body.insert("stream".to_owned(), true.into());
        let options = body.entry("stream_options").or_insert_with(|| json!({}));
        options["include_usage"] = true.into();
    }
    Ok(body.into())
}

fn response_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, schema, strict, rest } => {
            let mut inner = json!({"name": name, "schema": schema});
            keep(&mut inner, rest);
            if let (Some(strict), Some(inner)) = (strict, inner.as_object_mut()) {
                inner.insert("strict".to_owned(), (*strict).into());
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}

fn tool(tool: &Tool) -> Value {
    match tool {
        Tool::Function(function) => {
            let mut inner = Map::new();
            inner.insert("name".to_owned(), function.name.clone().into());
            inner
                .extend(function.description.clone().map(|d| ("description".to_owned(), d.into())));
            inner.insert("parameters".to_owned(), function.parameters.clone());
            inner.extend(function.strict.map(|strict| ("strict".to_owned(), strict.into())));
            inner.extend(function.rest.clone());
            json!({"type": "function", "function": inner})
        }
        Tool::Other { value, .. } => value.clone(),
    }
}

/// A request's conversation in the form of OpenAI's chat completions.
///
/// # Errors
/// The name of the first piece that has no place there.
pub fn openai_messages(request: &ChatRequest) -> Result<Vec<Value>, String> {
    let request = request.crossing(Dialect::OpenAi)?;
    let mut all = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        all.extend(messages(message)?);
    }
    Ok(all)
}

/// One of our messages as OpenAI's: tool results become messages of their own.
fn messages(message: &Message) -> Result<Vec<Value>, String> {
    let mut content = Vec::new();
    let mut calls = Vec::new();
    let mut results = Vec::new();
    let mut refusal = None;
    for Block { part, rest } in &message.blocks {
        match part {
            Part::Text { text } => {
                let mut block = json!({"type": "text", "text": text});
                keep(&mut block, rest);
                content.push(block);
            }
            Part::Image(image) => {
                let url = match image {
                    Image::Url { url } => url.clone(),
                    Image::Base64 { media_type, data } => {
                        format!("data:{media_type};base64,{data}")
                    }
                };
                let mut inner = json!({"url": url});
                keep(&mut inner, rest);
                content.push(json!({"type": "image_url", "image_url": inner}));
            }
            Part::ToolCall { id, name, arguments } => {
                let function = json!({"name": name, "arguments": arguments});
                let mut call = json!({"id": id, "type": "function", "function": function});
                keep(&mut call, rest);
                calls.push(call);
            }
            Part::ToolResult { call_id, content, is_error } => {
                let content = tool_result(content, *is_error)?;
                let mut result =
                    json!({"role": "tool", "tool_call_id": call_id, "content": content});
                keep(&mut result, rest);
                if message.role == Role::Tool {
                    keep(&mut result, &message.rest);
                }
                results.push(result);
            }
            // Another provider's thinking cannot be given back to OpenAI, and need not be.
            Part::Reasoning { .. } => {}
            Part::Refusal { text } => refusal = Some(text.clone()),
            Part::Other { value, .. } => content.push(value.clone()),
        }
    }
    let mut all = results;
    if content.is_empty() && calls.is_empty() && refusal.is_none() {
        return Ok(all);
    }
    let role = match message.role {
        Role::System => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    };
    let plain = match content.as_slice() {
        [only]
            if only.get("type") == Some(&json!("text"))
                && only.as_object().map(Map::len) == Some(2) =>
        {
            only.get("text").cloned()
        }
        [] => Some(Value::Null),
        _ => None,
    };
    let mut own = json!({"role": role, "content": plain.unwrap_or(Value::Array(content))});
    if let Some(own) = own.as_object_mut() {
        if !calls.is_empty() {
            own.insert("tool_calls".to_owned(), calls.into());
        }
        own.extend(refusal.map(|text| ("refusal".to_owned(), text.into())));
        own.extend(message.rest.clone());
    }
    all.push(own);
    Ok(all)
}

/// What a tool returned: one text, or texts; nothing else can be told to OpenAI's models this way.
/// That it failed has no field of its own there: the first text says so.
fn tool_result(content: &[Block], is_error: bool) -> Result<Value, String> {
    let texts = content.iter().map(|block| match &block.part {
        Part::Text { text } => Ok(text.as_str()),
        Part::Image(_) => Err("a tool's result of type image".to_owned()),
        _ => Err("a tool's result that is not text".to_owned()),
    });
    let mut texts: Vec<String> =
        texts.map(|text| text.map(str::to_owned)).collect::<Result<_, _>>()?;
    if is_error {
        match texts.first_mut() {
            Some(first) => first.insert_str(0, "Error: "),
            None => texts.push("Error".to_owned()),
        }
    }
    Ok(match texts.as_slice() {
        [] => "".into(),
        [only] => only.as_str().into(),
        texts => texts.iter().map(|text| json!({"type": "text", "text": text})).collect(),
    })
}

/// Keeps unknown fields.
fn keep(own: &mut Value, rest: &Map<String, Value>) {
    if let Some(own) = own.as_object_mut() {
        own.extend(rest.clone());
    }
}

/// Reads OpenAI's answers, streamed or whole.
struct ChatDecoder {
    provider: String,
    /// What to fall back on when usage is missing: the request's size in tokens.
    input_estimate: u64,
    strict_json: bool,
    started: bool,
    /// The unknown fields of the answer that were passed on.
    rest: Map<String, Value>,
    /// Our index of each of the provider's tool calls.
    calls: Vec<u64>,
    /// What they are called with.
    arguments: ToolCalls,
    written: u64,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    done: bool,
}

impl ChatDecoder {
    fn new(provider: &str, request: &ChatRequest) -> Self {
        Self {
            provider: provider.to_owned(),
            input_estimate: request.estimate(),
            strict_json: matches!(
                request.response_format,
                Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. })
            ),
            started: false,
            rest: Map::new(),
            calls: Vec::new(),
            arguments: ToolCalls::default(),
            written: 0,
            usage: None,
            finish: None,
            done: false,
        }
    }

    fn start(&mut self, document: &Value, out: &mut VecDeque<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        out.push_back(Event::Started(Started {
            id: text("id").unwrap_or_default(),
            model: text("model").unwrap_or_default(),
            fingerprint: text("system_fingerprint"),
        }));
    }

    /// A message or a delta; both have the same fields.
    fn said(&mut self, said: &Value, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        if let Some(text) = text("reasoning_content").or_else(|| text("reasoning")) {
            self.written += estimate(text);
            out.push_back(Event::ReasoningDelta { text: text.to_owned(), signature: None });
        }
        self.text(text("content").unwrap_or_default().into(), out);
        if let Some(text) = text("refusal") {
            out.push_back(Event::RefusalDelta { text: text.to_owned() });
        }
        let calls = said.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        for (position, call) in calls.enumerate() {
            let theirs = call.get("index").and_then(Value::as_u64).unwrap_or(position as u64);
            let index = match self.calls.iter().position(|known| *known == theirs) {
                Some(index) => index,
                None => {
                    let text = |at: &str| call.pointer(at).and_then(Value::as_str);
                    let (Some(id), Some(name)) = (text("/id"), text("/function/name")) else {
                        return Err(self.protocol("a tool call without id or name"));
                    };
                    let index = self.calls.len();
                    self.calls.push(theirs);
                    let (id, name) = (id.to_owned(), name.to_owned());
                    let rest = unknown(call, &["index", "id", "type", "function"]);
                    self.arguments.push(index, "");
                    out.push_back(Event::ToolCallStarted { index, id, name, rest });
                    index
                }
            };
            let fragment = call.pointer("/function/arguments").and_then(Value::as_str);
            if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
                self.written += estimate(fragment);
                self.arguments.push(index, fragment);
                out.push_back(Event::ToolCallDelta { index, fragment: fragment.to_owned() });
            }
        }
        let cited = said.get("annotations").and_then(Value::as_array).into_iter().flatten();
        out.extend(cited.map(|value| {
            let (dialect, value) = (Dialect::OpenAi, value.clone());
            Event::ProviderCitation { dialect, value }
        }));
        rest(said, RestPlace::Message, &MESSAGE_FIELDS, out);
        Ok(())
    }

    fn text(&mut self, text: Cow<'_, str>, out: &mut VecDeque<Event>) {
        if !text.is_empty() {
            self.written += estimate(&text);
            out.push_back(Event::TextDelta { text: text.into_owned() });
        }
    }

    fn choice(
        &mut self,
        document: &Value,
        said: &str,
        out: &mut VecDeque<Event>,
    ) -> Result<(), ProviderError> {
        self.start(document, out);
        let mut fields = unknown(document, &ANSWER_FIELDS);
        fields.retain(|name, value| self.rest.get(name) != Some(value));
        if !fields.is_empty() {
            self.rest.extend(fields.clone());
            let (dialect, place) = (Dialect::OpenAi, RestPlace::Answer);
            out.push_back(Event::Rest { dialect, place, fields });
        }
        if let Some(choice) = document.pointer("/choices/0") {
            if let Some(said) = choice.get(said) {
                self.said(said, out)?;
            }
            rest(choice, RestPlace::Choice, &CHOICE_FIELDS, out);
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
                self.finish = Some(match reason {
                    "stop" => FinishReason::Stop,
                    "length" => FinishReason::Length,
                    "tool_calls" | "function_call" => FinishReason::ToolCalls,
                    "content_filter" => FinishReason::ContentFilter,
                    other => FinishReason::Other(other.to_owned()),
                });
            }
        }
        if let Some(usage) = document.get("usage").filter(|usage| usage.is_object()) {
            self.usage = usage_of(usage);
        }
        Ok(())
    }

    fn protocol(&self, what: &str) -> ProviderError {
        ProviderError::Protocol { provider: self.provider.clone(), what: what.to_owned() }
    }
}

/// A chunk that holds no more than text: nearly all of them do, and reading them as such costs a
/// third. Whatever else a chunk holds makes it something else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextChunk<'a> {
    #[serde(borrow)]
    choices: [TextChoice<'a>; 1],
    #[serde(borrow, default)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(default, rename = "usage")]
    _usage: Option<()>,
    #[serde(default, rename = "error")]
    _error: Option<()>,
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[serde(default, rename = "object")]
    _object: IgnoredAny,
    #[serde(default, rename = "created")]
    _created: IgnoredAny,
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
    #[serde(default, rename = "system_fingerprint")]
    _system_fingerprint: IgnoredAny,
    #[serde(default, rename = "obfuscation")]
    _obfuscation: IgnoredAny,
}

impl TextChunk<'_> {
    /// Whether it says nothing new beside its text.
    fn is_plain(&self, known: &Map<String, Value>) -> bool {
        let known = known.get("service_tier").and_then(Value::as_str);
        self.service_tier.is_none() || self.service_tier.as_deref() == known
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextChoice<'a> {
    #[serde(borrow)]
    delta: TextDelta<'a>,
    #[serde(default, rename = "index")]
    _index: IgnoredAny,
    #[serde(default, rename = "logprobs")]
    _logprobs: Option<()>,
    #[serde(default, rename = "finish_reason")]
    _finish_reason: Option<()>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextDelta<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl Decoder for ChatDecoder {
    fn event(&mut self, event: &SseEvent, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        if event.data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if self.started
            && let Ok(chunk) = serde_json::from_str::<TextChunk<'_>>(&event.data)
            && chunk.is_plain(&self.rest)
        {
            let [choice] = chunk.choices;
            self.text(choice.delta.content, out);
            return Ok(());
        }
        let Ok(document) = serde_json::from_str::<Value>(&event.data) else {
            // One broken event of plain text is lost without harm; of a tool call or of an answer
            // with a schema it would leave something that looks whole and is not.
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
        self.choice(&document, "delta", out)
    }

    fn document(&mut self, body: &Value, out: &mut VecDeque<Event>) -> Result<(), ProviderError> {
        if body.pointer("/choices/0").is_none() {
            return Err(self.protocol("a document without choices"));
        }
        self.choice(body, "message", out)
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
        out.push_back(Event::Usage(self.usage.take().unwrap_or(estimated)));
        out.push_back(Event::Finished(finish));
        Ok(())
    }

    fn done(&self) -> bool {
        self.done
    }
}

/// The fields that have a place in our form; `obfuscation` is noise by design.
const ANSWER_FIELDS: [&str; 8] =
    ["id", "object", "created", "model", "choices", "usage", "system_fingerprint", "obfuscation"];
const CHOICE_FIELDS: [&str; 4] = ["index", "message", "delta", "finish_reason"];
const MESSAGE_FIELDS: [&str; 7] =
    ["role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls", "annotations"];

/// Passes the unknown fields of `value` on.
fn rest(value: &Value, place: RestPlace, known: &[&str], out: &mut VecDeque<Event>) {
    let fields = unknown(value, known);
    if !fields.is_empty() {
        out.push_back(Event::Rest { dialect: Dialect::OpenAi, place, fields });
    }
}

fn unknown(value: &Value, known: &[&str]) -> Map<String, Value> {
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null());
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Usage as reported; `None` if it is not whole or absurd (more than a thousand million tokens).
fn usage_of(usage: &Value) -> Option<Usage> {
    const ABSURD: u64 = 1_000_000_000;
    let count = |at: &str| usage.pointer(at).and_then(Value::as_u64);
    let (input, output) = (count("/prompt_tokens")?, count("/completion_tokens")?);
    (input < ABSURD && output < ABSURD).then(|| Usage {
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        cache_creation_tokens: 0,
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
        estimated: false,
    })
}

#[cfg(test)]
mod tests;
