//! The pieces of an answer as they come.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Dialect, FinishReason, Usage};

/// One piece of an answer.
///
/// A whole answer is `Started`, then content, then `Usage`, then `Finished`, each of these three
/// exactly once. A stream that ends otherwise ends with an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The provider began to answer.
    Started {
        /// The provider's id for the answer.
        id: String,
        /// The model that the provider says answers.
        model: String,
        /// OpenAI's `system_fingerprint`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// Tokens as the provider reports them at the start; provisional.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// More text.
    TextDelta(String),
    /// More reasoning.
    ReasoningDelta(String),
    /// The current stretch of reasoning is over and this is its seal.
    ReasoningSignature(String),
    /// More of the model's refusal.
    RefusalDelta(String),
    /// The model begins to call a function. Calls come one after the other: none is open now.
    ToolCallStarted {
        /// Counts the answer's calls from 0.
        index: u32,
        /// What the result will refer to.
        id: String,
        /// The function.
        name: String,
    },
    /// More of a call's arguments.
    ToolCallDelta {
        /// The call.
        index: u32,
        /// The next piece of its JSON text.
        fragment: String,
    },
    /// A call is complete: its arguments are whole, valid JSON. A call without this event was
    /// cut off and must not be run.
    ToolCallFinished {
        /// The call.
        index: u32,
    },
    /// A passage supports a stretch of the text.
    Citation(Citation),
    /// Something only its dialect has a name for.
    Other(Other),
    /// An event of the provider could not be read and was left out; to be counted, never sent on.
    Dropped {
        /// Why.
        reason: String,
    },
    /// What the answer used.
    Usage(Usage),
    /// The answer is complete.
    Finished {
        /// Why it ended.
        reason: FinishReason,
    },
}

/// A stretch of characters (Unicode scalar values), `start` inclusive, `end` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first character.
    pub start: u64,
    /// The character after the last.
    pub end: u64,
}

/// The support that a stretch of the answer's text has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The ids of the passages, best first; empty when the provider cites what it found itself.
    pub passages: Vec<String>,
    /// The supporting words.
    pub cited_text: String,
    /// The supported stretch, counted from the start of the answer's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// The document's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The document's path or URI, for a passage of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The page, for a provider's own search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The citation exactly as the provider wrote it, to be passed on in its dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Box<(Dialect, Value)>>,
}

/// A piece of an answer that only its dialect has a name for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Other {
    /// The dialect.
    pub dialect: Dialect,
    /// Where it stood.
    pub place: Place,
    /// The unknown fields, or the whole block.
    pub value: Value,
}

/// Where in an answer a piece stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Fields of the answer itself: OpenAI's chunk or body, Anthropic's message.
    Answer,
    /// Fields of OpenAI's choice, such as `logprobs`.
    Choice,
    /// Fields of OpenAI's message or delta.
    Message,
    /// A whole content block of Anthropic's.
    Block,
}
