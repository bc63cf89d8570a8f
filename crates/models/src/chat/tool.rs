//! Tools: what a model may call, that it calls, and what came of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Dialect, Part, Rest};

/// Something a model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// A function that the client runs.
    Function {
        /// Its name.
        name: String,
        /// What it does, for the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The JSON Schema of its arguments; absent for a function without arguments.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters: Option<Value>,
        /// Whether arguments are constrained to the schema.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        /// Fields of the definition that we have no name for.
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    /// A tool of a kind only its dialect knows, such as a provider's web search.
    Other {
        /// The dialect it was defined in.
        dialect: Dialect,
        /// The whole definition.
        value: Value,
    },
}

/// Whether and what the model must call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// Nothing.
    None,
    /// At least one tool.
    Any,
    /// This tool.
    Named(String),
}

/// The model's wish to call a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What the result will refer to.
    pub id: String,
    /// The function.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote them.
    pub arguments: String,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call it answers.
    pub call_id: String,
    /// The content: texts and images.
    pub content: Vec<Part>,
    /// Whether the call failed; dialects without the notion leave it out.
    #[serde(default)]
    pub is_error: bool,
}
