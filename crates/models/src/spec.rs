//! What a release pins of a model, and how an app calls it.

use std::collections::BTreeSet;

use release::{ArtifactName, Reproducibility};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sampling;

/// The name of the built-in provider that answers with sentences of the passages.
pub const EXTRACTIVE: &str = "extractive";

/// A model artifact: `models/NAME.toml`. Where it is reached and with which credential is bound
/// per environment in `server.toml`, outside the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Who serves it: a provider named in `server.toml`, or the built-in `extractive`.
    pub provider: ArtifactName,
    /// The model's id, as the provider knows it.
    pub model: String,
    /// A dated revision, where the provider has them; sent as the model id if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the model is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Settings of every call.
    #[serde(default)]
    pub parameters: Parameters,
}

impl ModelSpec {
    /// The id that is sent to the provider.
    pub fn id(&self) -> &str {
        self.revision.as_deref().unwrap_or(&self.model)
    }

    /// The built-in model is code of this binary's version and reads only pinned bytes; all others
    /// are pinned by name only.
    pub fn reproducibility(&self) -> Reproducibility {
        if self.provider.as_str() == EXTRACTIVE {
            Reproducibility::Bytes
        } else {
            Reproducibility::ByName
        }
    }
}

/// Settings of every call of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Randomness, 0 to 2.
    #[schemars(range(min = 0.0, max = 2.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability kept, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens of an answer.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Asks for the same draw again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How many sentences the built-in `extractive` model answers with at most (default 3).
    #[schemars(range(min = 1, max = 10))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentences: Option<u32>,
}

impl Parameters {
    /// The settings as sampling.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: None,
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            seed: self.seed,
        }
    }
}

/// A request field that clients may set, if the app allows it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RequestField {
    /// Randomness.
    Temperature,
    /// Nucleus sampling.
    TopP,
    /// Only the likeliest tokens.
    TopK,
    /// The token limit.
    MaxTokens,
    /// Texts that end the answer.
    Stop,
    /// The seed.
    Seed,
    /// Tools.
    Tools,
    /// Whether tools must be called.
    ToolChoice,
    /// The form of the answer.
    ResponseFormat,
    /// Every field this version does not know by name.
    Other,
}

/// What an app does with a client's own system message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSystemMessage {
    /// It follows ours.
    #[default]
    Append,
    /// It is refused.
    Forbid,
}

/// How much of a conversation is kept in the trace log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapturePolicy {
    /// Whole messages.
    #[default]
    Full,
    /// Their SHA-256 digests.
    Hashed,
    /// Their lengths only.
    None,
}

/// An app's settings: the `[config]` table of `apps/NAME.toml`, the artifact of the slot `config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppConfig {
    /// How many passages ground an answer.
    #[schemars(range(min = 1, max = 50))]
    pub top_k: u32,
    /// The most tokens (about four bytes each) that passages may have in all; none by default. A parent
    /// that does not fit gives way to its passage, and what comes after a passage that does not fit is
    /// left out. The first passage is always given.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_passage_tokens: Option<u32>,
    /// The request fields that clients may set; others are refused.
    pub overridable: BTreeSet<RequestField>,
    /// What is done with a client's own system message.
    pub client_system_message: ClientSystemMessage,
    /// How much of a conversation is kept in the trace log.
    pub capture: CapturePolicy,
}

impl Default for AppConfig {
    fn default() -> Self {
        use RequestField as Field;
        Self {
            top_k: 5,
            max_passage_tokens: None,
            overridable: BTreeSet::from([
                Field::Temperature,
                Field::TopP,
                Field::TopK,
                Field::MaxTokens,
                Field::Stop,
                Field::Seed,
                Field::Tools,
                Field::ToolChoice,
                Field::ResponseFormat,
            ]),
            client_system_message: ClientSystemMessage::default(),
            capture: CapturePolicy::default(),
        }
    }
}
