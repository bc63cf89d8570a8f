//! Messages and their parts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Dialect, Rest, ToolCall, ToolResult};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The app: instructions. OpenAI's `developer` is the same.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// Results of tool calls.
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// The speaker's name, where a dialect has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fields of the message that we have no name for.
    #[serde(default, skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

impl Message {
    /// A message of `parts`.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None, rest: Rest::default() }
    }

    /// A message of one text.
    pub fn of_text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::text(text)])
    }

    /// The texts of its text parts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The texts of its text parts, a line break between two.
    pub fn text(&self) -> String {
        self.texts().collect::<Vec<_>>().join("\n")
    }
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it holds.
    pub content: Content,
    /// Fields of the part that we have no name for, such as `cache_control`.
    #[serde(default, skip_serializing_if = "Rest::is_empty")]
    pub rest: Rest,
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text(text.into()).into()
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, rest: Rest::default() }
    }
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text(String),
    /// A picture.
    Image(Image),
    /// The model calls a function (in assistant messages).
    ToolCall(ToolCall),
    /// What a call gave (in tool or user messages).
    ToolResult(ToolResult),
    /// The model's refusal in its own words (in assistant messages).
    Refusal(String),
    /// The model's reasoning (in assistant messages).
    Reasoning(Reasoning),
    /// A part of a kind only its dialect knows, such as a document or audio.
    Other {
        /// The dialect it came in.
        dialect: Dialect,
        /// The whole part.
        value: Value,
    },
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where its bytes are.
    pub source: ImageSource,
    /// OpenAI's `detail`: `auto`, `low`, `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where a picture's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// At an address the provider fetches.
    Url(String),
    /// Here.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// The bytes in standard base64.
        data: String,
    },
}

/// A stretch of the model's reasoning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoning {
    /// What it thought, as far as the provider shows it.
    pub text: String,
    /// The provider's seal, needed to send the reasoning back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}
