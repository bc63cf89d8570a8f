//! The one internal form: what is asked ([`ChatRequest`]) and what is answered ([`Event`]).

mod answer;
mod event;
mod finish;
mod message;
mod rest;
mod tool;
mod usage;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use answer::Answer;
pub use event::{Citation, Event, Other, Place, Span};
pub use finish::FinishReason;
pub use message::{Content, Image, ImageSource, Message, Part, Reasoning, Role};
pub use rest::{Dialect, Rest};
pub use tool::{Tool, ToolCall, ToolChoice, ToolResult};
pub use usage::Usage;

/// One question to a model, whatever dialect it was asked in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether and what it must call; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several tools at once; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The form the answer's text must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// How tokens are chosen and when to stop; what is absent comes from the model's parameters.
    #[serde(default)]
    pub sampling: Sampling,
    /// How hard a reasoning model should think: `none`, `minimal`, `low`, `medium`, `high`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Whether the provider is asked to stream.
    #[serde(default)]
    pub stream: bool,
    /// The client's own key-value pairs: template variables, session id. Never sent upstream.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Top-level fields we have no name for.
    #[serde(default, skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

impl ChatRequest {
    /// The text of the last message of the user: the retrieval query. `None` if there is none.
    pub fn last_user_text(&self) -> Option<String> {
        let message = self.messages.iter().rev().find(|message| {
            message.role == Role::User && message.texts().any(|text| !text.trim().is_empty())
        })?;
        Some(message.text())
    }
}

/// How tokens are chosen and when to stop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Randomness, 0 and up; the bound is the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability considered, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens the answer may have, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Asks for repeatable sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
}

/// The form the answer's text must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema's name; dialects without one leave it out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What the schema is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The JSON Schema.
        schema: Value,
        /// Whether decoding is constrained to the schema; the provider's default when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

impl ResponseFormat {
    /// Whether the answer's text must be JSON.
    pub fn is_json(&self) -> bool {
        !matches!(self, Self::Text)
    }
}

#[cfg(test)]
mod tests;
