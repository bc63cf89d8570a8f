//! The one internal form of a conversation: every dialect and every provider translates to and
//! from it.
//!
//! Fields that nobody here understands are kept in `rest`, tagged with the dialect they came in,
//! and go out again only in that dialect.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::tokens::of_bytes;

/// The API a client or a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's Chat Completions.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
}

/// A request for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The dialect it came in.
    pub dialect: Dialect,
    /// The conversation, oldest first. System messages may stand anywhere.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether and what it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form the answer must have.
    pub response_format: Option<ResponseFormat>,
    /// How tokens are drawn, and how many at most.
    pub sampling: Sampling,
    /// Whether the client reads the answer as it is made.
    pub stream: bool,
    /// What the client says about the request; template variables come from here.
    pub metadata: Map<String, Value>,
    /// Fields of the dialect that have no place above.
    pub rest: Map<String, Value>,
}

impl ChatRequest {
    /// An empty request in `dialect`.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            response_format: None,
            sampling: Sampling::default(),
            stream: false,
            metadata: Map::new(),
            rest: Map::new(),
        }
    }

    /// What it asks beside the conversation: the same request without its messages.
    #[must_use]
    pub fn settings(&self) -> Self {
        Self {
            dialect: self.dialect,
            messages: Vec::new(),
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            parallel_tool_calls: self.parallel_tool_calls,
            response_format: self.response_format.clone(),
            sampling: self.sampling.clone(),
            stream: self.stream,
            metadata: self.metadata.clone(),
            rest: self.rest.clone(),
        }
    }

    /// This request as a provider of `dialect` may get it. In its own dialect that is the request as
    /// it is; in another, without the hints that change no answer.
    ///
    /// # Errors
    /// The name of the first field or piece that only the request's own dialect understands.
    pub fn crossing(&self, dialect: Dialect) -> Result<Cow<'_, Self>, String> {
        if self.dialect == dialect {
            return Ok(Cow::Borrowed(self));
        }
        let mut request = self.clone();
        strip(&mut request.rest, "")?;
        if let Some(ResponseFormat::JsonSchema { rest, .. }) = &mut request.response_format {
            strip(rest, "response_format.json_schema.")?;
        }
        for tool in &mut request.tools {
            match tool {
                Tool::Function(function) => strip(&mut function.rest, "tools[].")?,
                Tool::Other { value, .. } => {
                    return Err(format!("tools of type {}", kind(value)));
                }
            }
        }
        for message in &mut request.messages {
            strip(&mut message.rest, "messages[].")?;
            cross(&mut message.blocks)?;
        }
        Ok(Cow::Owned(request))
    }

    /// Its size in tokens, as we count where a provider does not say.
    pub fn estimate(&self) -> u64 {
        let size = |message: &Message| {
            let words = message.words();
            let line_ends = words.len().saturating_sub(1);
            of_bytes(words.iter().map(|text| text.len()).sum::<usize>() + line_ends)
        };
        self.messages.iter().map(size).sum()
    }

    /// The text of the last user message that has any: what is retrieved for. A message that only
    /// brings a tool's results asks nothing.
    pub fn question(&self) -> Option<String> {
        let said = self.messages.iter().rev().filter(|m| m.role == Role::User).map(Message::text);
        said.into_iter().find(|text| !text.trim().is_empty())
    }
}

/// Fields that tell a provider how to cache or scale and change no answer: they may be left behind.
const HINTS: [&str; 4] = ["cache_control", "detail", "prompt_cache_key", "prompt_cache_retention"];

fn strip(rest: &mut Map<String, Value>, place: &str) -> Result<(), String> {
    match rest.keys().find(|name| !HINTS.contains(&name.as_str())) {
        Some(name) => Err(format!("{place}{name}")),
        None => {
            rest.clear();
            Ok(())
        }
    }
}

fn cross(blocks: &mut [Block]) -> Result<(), String> {
    for block in blocks {
        strip(&mut block.rest, "messages[].content[].")?;
        match &mut block.part {
            Part::Other { value, .. } => return Err(format!("content of type {}", kind(value))),
            Part::ToolResult { content, .. } => cross(content)?,
            _ => {}
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("unknown")
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions (OpenAI's `system` and `developer`, Anthropic's `system`).
    System,
    /// The person asking.
    User,
    /// The model.
    Assistant,
    /// A tool's results.
    Tool,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub blocks: Vec<Block>,
    /// Fields of the dialect that have no place above.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

/// A piece of a message with the fields of its dialect that nobody here understands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The piece.
    #[serde(flatten)]
    pub part: Part,
    /// What else stood there, as Anthropic's `cache_control`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

impl From<Part> for Block {
    fn from(part: Part) -> Self {
        Self { part, rest: Map::new() }
    }
}

impl Message {
    /// A message of plain text.
    pub fn text_of(role: Role, text: impl Into<String>) -> Self {
        Self { role, blocks: vec![Part::Text { text: text.into() }.into()], rest: Map::new() }
    }

    /// Its texts, joined by line ends.
    pub fn text(&self) -> String {
        let texts = self.blocks.iter().filter_map(|block| match &block.part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Everything in it that a model reads as words, in whatever piece it stands: what guardrails
    /// look at.
    pub fn said(&self) -> String {
        self.words().join("\n")
    }

    fn words(&self) -> Vec<&str> {
        let mut words = Vec::new();
        self.blocks.iter().for_each(|block| block.said(&mut words));
        words
    }
}

impl Block {
    fn said<'a>(&'a self, words: &mut Vec<&'a str>) {
        match &self.part {
            Part::Text { text } | Part::Reasoning { text, .. } | Part::Refusal { text } => {
                words.push(text);
            }
            Part::ToolCall { arguments, .. } => words.push(arguments),
            Part::ToolResult { content, .. } => {
                content.iter().for_each(|block| block.said(words));
            }
            Part::Other { value, .. } => strings(value, words),
            Part::Image(_) => {}
        }
    }
}

/// Every text in a value.
pub fn strings<'a>(value: &'a Value, words: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => words.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, words)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, words)),
        _ => {}
    }
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image(Image),
    /// The model wants a tool called.
    ToolCall {
        /// Names the call; its result refers to it.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments as JSON text, exactly as the model wrote them.
        arguments: String,
    },
    /// What a called tool returned.
    ToolResult {
        /// The call it answers.
        call_id: String,
        /// What it returned: texts, pictures, or what only its dialect understands.
        content: Vec<Block>,
        /// Whether it failed.
        is_error: bool,
    },
    /// The model's thinking, where the provider shows it.
    Reasoning {
        /// The thinking.
        text: String,
        /// What the provider signs it with; must go back unchanged.
        signature: Option<String>,
    },
    /// The model declines.
    Refusal {
        /// Why, in its words.
        text: String,
    },
    /// A piece only its dialect understands.
    Other {
        /// The dialect.
        dialect: Dialect,
        /// The piece.
        value: Value,
    },
}

/// A picture, by address or by value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Image {
    /// By address.
    Url {
        /// The address.
        url: String,
    },
    /// By value.
    Base64 {
        /// Its media type, as `image/png`.
        media_type: String,
        /// The bytes in base 64.
        data: String,
    },
}

/// Something the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// A function that the client runs.
    Function(Function),
    /// A tool that only its dialect understands, as the provider's own web search.
    Other {
        /// The dialect.
        dialect: Dialect,
        /// The definition.
        value: Value,
    },
}

/// A function that the model may call and the client runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// Whether the arguments must fit the schema exactly.
    pub strict: Option<bool>,
    /// Fields of the dialect that have no place above.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

/// Whether and what the model must call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// Nothing.
    None,
    /// At least one tool.
    Required,
    /// This tool.
    Named(String),
}

/// The form an answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether it must fit exactly.
        strict: Option<bool>,
        /// Fields of the dialect that have no place above.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        rest: Map<String, Value>,
    },
}

/// How tokens are drawn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Randomness, 0 to 2 (OpenAI) or 0 to 1 (Anthropic).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Only the `top_k` likeliest tokens (Anthropic).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Asks for the same draw again (OpenAI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
}

impl Sampling {
    /// These settings, with `over`'s where it has any.
    #[must_use]
    pub fn overridden_by(&self, over: &Self) -> Self {
        Self {
            temperature: over.temperature.or(self.temperature),
            top_p: over.top_p.or(self.top_p),
            top_k: over.top_k.or(self.top_k),
            max_tokens: over.max_tokens.or(self.max_tokens),
            stop: if over.stop.is_empty() { self.stop.clone() } else { over.stop.clone() },
            seed: over.seed.or(self.seed),
        }
    }
}

/// A piece of an answer as it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The provider has begun.
    Started(Started),
    /// A block of text begins, where the provider tells blocks apart.
    TextStarted,
    /// More text.
    TextDelta {
        /// The text.
        text: String,
    },
    /// More thinking.
    ReasoningDelta {
        /// The thinking.
        text: String,
        /// The signature, with the last piece.
        signature: Option<String>,
    },
    /// More of a refusal.
    RefusalDelta {
        /// The text.
        text: String,
    },
    /// A tool call begins; its arguments follow.
    ToolCallStarted {
        /// Counts the calls of this answer from 0.
        index: usize,
        /// Names the call.
        id: String,
        /// The tool.
        name: String,
        /// Fields of the dialect that have no place above, as a signature to give back.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        rest: Map<String, Value>,
    },
    /// More of a tool call's arguments.
    ToolCallDelta {
        /// Which call.
        index: usize,
        /// The next characters of the JSON text.
        fragment: String,
    },
    /// The provider sent something that could not be read, and it was passed over.
    Unreadable,
    /// What a part of the answer rests on.
    Citation(Citation),
    /// A citation that the provider makes itself, of the text last begun.
    ProviderCitation {
        /// The provider's dialect.
        dialect: Dialect,
        /// The citation, in the form of the dialect.
        value: Value,
    },
    /// A whole piece of the answer that only its dialect understands.
    Other {
        /// The provider's dialect.
        dialect: Dialect,
        /// The piece.
        value: Value,
    },
    /// Fields of the provider's answer that have no place here, as OpenAI's `logprobs`.
    Rest {
        /// The provider's dialect.
        dialect: Dialect,
        /// Where they stood.
        place: RestPlace,
        /// The fields.
        fields: Map<String, Value>,
    },
    /// What was used so far; the last one counts. It may come before everything else.
    Usage(Usage),
    /// The answer is complete.
    Finished(FinishReason),
}

impl Event {
    /// Whether this is something the model says, thinks or does, and no mere beginning.
    pub fn says_something(&self) -> bool {
        !matches!(self, Self::Started(_) | Self::TextStarted | Self::Usage(_) | Self::Rest { .. })
    }
}

/// Where in a provider's answer a field stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestPlace {
    /// Beside the answer's id.
    Answer,
    /// In OpenAI's choice.
    Choice,
    /// In OpenAI's message or delta.
    Message,
}

/// How the provider names what it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The provider's id of the answer.
    pub id: String,
    /// The model that answers, as the provider names it.
    pub model: String,
    /// The provider's fingerprint of its configuration.
    pub fingerprint: Option<String>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// One of the stop texts came up.
    StopSequence(String),
    /// The token limit was reached.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// The provider's filter cut it.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// A reason this version does not know.
    Other(String),
}

impl FinishReason {
    /// The reason as one word, for traces.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::StopSequence(_) => "stop_sequence",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Other(reason) => reason,
        }
    }
}

/// Tokens used. As in OpenTelemetry's GenAI conventions 1.41, `input_tokens` includes cached ones
/// and `output_tokens` includes reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of the input, read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Of the input, written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// Of the output, reasoning.
    pub reasoning_tokens: u64,
    /// Whether we counted because the provider did not say.
    pub estimated: bool,
}

/// What a part of the answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Which passage, counted from 0 in the order they were given to the model.
    pub passage: usize,
    /// Its id.
    pub id: String,
    /// The document's title.
    pub title: String,
    /// Where the document is.
    pub source: String,
    /// Where documents are that say the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// The words it rests on.
    pub cited_text: String,
    /// Where the cited words stand in the document's text, in bytes.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// Where they start, in characters.
    pub start_char: usize,
}

/// A passage given to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Its id: the chunk's.
    pub id: String,
    /// The document's title, with the heading it stands under.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Where the document is.
    pub source: String,
    /// Where documents are that say the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// Where the passage starts in the document's text, in bytes.
    pub start: usize,
    /// Where it starts, in characters.
    pub start_char: usize,
}

/// A whole answer: its events, folded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// How the provider names it.
    pub started: Started,
    /// Its pieces in the order they came: text, thinking, refusals, tool calls and others.
    pub content: Vec<Block>,
    /// What its text rests on.
    pub citations: Vec<Citation>,
    /// Fields of the provider's answer that have no place here, by where they stood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rest: BTreeMap<RestPlace, Map<String, Value>>,
    /// How many of the provider's events could not be read, and were passed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// What it used.
    pub usage: Usage,
    /// Why it ended; none if it did not.
    pub finish: Option<FinishReason>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Answer {
    /// Adds the next event.
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Started(started) => self.started.clone_from(started),
            Event::TextStarted => self.content.push(Part::Text { text: String::new() }.into()),
            Event::TextDelta { text } => match self.last() {
                Some(Part::Text { text: before }) => before.push_str(text),
                _ => self.content.push(Part::Text { text: text.clone() }.into()),
            },
            Event::ReasoningDelta { text, signature } => match self.last() {
                // A signed thought is whole; what follows is another.
                Some(Part::Reasoning { text: before, signature: signed @ None }) => {
                    before.push_str(text);
                    signed.clone_from(signature);
                }
                _ => {
                    let (text, signature) = (text.clone(), signature.clone());
                    self.content.push(Part::Reasoning { text, signature }.into());
                }
            },
            Event::RefusalDelta { text } => match self.last() {
                Some(Part::Refusal { text: before }) => before.push_str(text),
                _ => self.content.push(Part::Refusal { text: text.clone() }.into()),
            },
            Event::ToolCallStarted { id, name, rest, .. } => {
                let (id, name) = (id.clone(), name.clone());
                let part = Part::ToolCall { id, name, arguments: String::new() };
                self.content.push(Block { part, rest: rest.clone() });
            }
            Event::ToolCallDelta { index, fragment } => {
                let calls = self.content.iter_mut().filter_map(|block| match &mut block.part {
                    Part::ToolCall { arguments, .. } => Some(arguments),
                    _ => None,
                });
                if let Some(arguments) = calls.into_iter().nth(*index) {
                    arguments.push_str(fragment);
                }
            }
            Event::Unreadable => self.unreadable += 1,
            Event::Citation(citation) => self.citations.push(citation.clone()),
            Event::ProviderCitation { value, .. } => {
                let texts = self.content.iter_mut().rev();
                let mut texts = texts.filter(|block| matches!(block.part, Part::Text { .. }));
                if let Some(block) = texts.next() {
                    let cited = block.rest.entry("citations").or_insert_with(|| json!([]));
                    if let Some(cited) = cited.as_array_mut() {
                        cited.push(value.clone());
                    }
                }
            }
            Event::Other { dialect, value } => {
                self.content.push(Part::Other { dialect: *dialect, value: value.clone() }.into());
            }
            Event::Rest { place, fields, .. } => {
                self.rest.entry(*place).or_default().extend(fields.clone());
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Finished(reason) => self.finish = Some(reason.clone()),
        }
    }

    /// Its text, without what stands between.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|block| match &block.part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn last(&mut self) -> Option<&mut Part> {
        self.content.last_mut().map(|block| &mut block.part)
    }
}

/// A request for vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedRequest {
    /// The texts.
    pub input: Vec<String>,
    /// How many dimensions, where the model can choose.
    pub dimensions: Option<u32>,
}

/// Documents to be ordered by how well they answer a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerankRequest {
    /// The query.
    pub query: String,
    /// The documents.
    pub documents: Vec<String>,
}

/// Vectors, one for each text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The model, as the provider names it.
    pub model: String,
    /// The vectors, in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// What was used.
    pub usage: Usage,
}
