//! The wire format of chat completions: an answer and a chunk of one have the same shape, except
//! that a choice holds a `message` or a `delta`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An answer or a chunk. What is needed once is not copied out of every chunk.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) system_fingerprint: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Value>,
    pub(super) error: Option<Value>,
    #[serde(rename = "object")]
    _object: Option<IgnoredAny>,
    #[serde(rename = "created")]
    _created: Option<IgnoredAny>,
    /// Random padding against traffic analysis.
    #[serde(rename = "obfuscation")]
    _obfuscation: Option<IgnoredAny>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) index: Option<u32>,
    #[serde(alias = "message")]
    pub(super) delta: Option<Message>,
    pub(super) finish_reason: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(rename = "role")]
    _role: Option<IgnoredAny>,
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
    /// DeepSeek's, vLLM's and others' name for visible reasoning.
    pub(super) reasoning_content: Option<String>,
    /// Ollama's and OpenRouter's.
    pub(super) reasoning: Option<String>,
    pub(super) tool_calls: Option<Vec<CallPiece>>,
    pub(super) annotations: Option<Vec<Value>>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CallPiece {
    pub(super) index: Option<u32>,
    pub(super) id: Option<String>,
    pub(super) function: Option<FunctionPiece>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct FunctionPiece {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

/// The text of a raw JSON string.
pub(super) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn nullable<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Choice>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
