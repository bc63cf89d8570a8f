//! Why an answer ended, and what each dialect calls it.

use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// The token limit was reached.
    Length,
    /// The model waits for results of its calls.
    ToolCalls,
    /// The provider's filter cut it.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// This stop text came up.
    StopSequence(String),
    /// Another reason, in the provider's words.
    Other(String),
}

impl FinishReason {
    /// Reads OpenAI's `finish_reason`.
    pub fn from_openai(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Reads Anthropic's `stop_reason` with its `stop_sequence`.
    pub fn from_anthropic(reason: &str, sequence: Option<&str>) -> Self {
        match reason {
            "end_turn" => Self::Stop,
            "max_tokens" => Self::Length,
            "tool_use" => Self::ToolCalls,
            "refusal" => Self::Refusal,
            "stop_sequence" => Self::StopSequence(sequence.unwrap_or_default().to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }

    /// The reason as OpenAI's `finish_reason`. A refusal of Anthropic's is `content_filter`:
    /// there, too, an API policy and not the model's turn ended the answer.
    pub fn openai(&self) -> &str {
        match self {
            Self::Stop | Self::StopSequence(_) => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter | Self::Refusal => "content_filter",
            Self::Other(reason) => match reason.as_str() {
                "model_context_window_exceeded" => "length",
                other => other,
            },
        }
    }

    /// The reason as Anthropic's `stop_reason` and `stop_sequence`.
    pub fn anthropic(&self) -> (&str, Option<&str>) {
        match self {
            Self::Stop => ("end_turn", None),
            Self::Length => ("max_tokens", None),
            Self::ToolCalls => ("tool_use", None),
            Self::ContentFilter | Self::Refusal => ("refusal", None),
            Self::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
            Self::Other(reason) => match reason.as_str() {
                "function_call" => ("tool_use", None),
                other => (other, None),
            },
        }
    }
}
