//! The `config` artifact: an app's settings that shape its answers.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An app's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppConfig {
    /// How many passages are retrieved for a question.
    #[schemars(range(min = 1, max = 100))]
    pub top_k: u32,
    /// Which request fields clients may set; others are refused.
    pub overridable: BTreeSet<RequestField>,
    /// What happens to a client's own system message.
    pub client_system_message: ClientSystemMessage,
    /// What a trace keeps of questions and answers.
    pub capture: Capture,
}

impl Default for AppConfig {
    fn default() -> Self {
        use RequestField::{
            MaxTokens, ReasoningEffort, ResponseFormat, Seed, Stop, Temperature, Tools, TopP,
        };
        Self {
            top_k: 6,
            overridable: [
                Temperature,
                TopP,
                Seed,
                MaxTokens,
                Stop,
                Tools,
                ResponseFormat,
                ReasoningEffort,
            ]
            .into(),
            client_system_message: ClientSystemMessage::Append,
            capture: Capture::Full,
        }
    }
}

/// A part of a request that an app may leave to its clients.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RequestField {
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `seed`.
    Seed,
    /// `max_tokens`, `max_completion_tokens`.
    MaxTokens,
    /// `stop`, `stop_sequences`.
    Stop,
    /// `tools`, `tool_choice`, `parallel_tool_calls`.
    Tools,
    /// `response_format`, `output_config.format`.
    ResponseFormat,
    /// `reasoning_effort`, `output_config.effort`.
    ReasoningEffort,
    /// Every field that has no name here; such fields reach only a provider of the same dialect.
    Other,
}

/// What happens to a client's own system message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSystemMessage {
    /// It follows ours.
    #[default]
    Append,
    /// The request is refused.
    Forbid,
}

/// What a trace keeps of questions and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// The texts.
    #[default]
    Full,
    /// Their digests.
    Hashed,
    /// Nothing of them.
    None,
}

#[cfg(test)]
mod tests;
