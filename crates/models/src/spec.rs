//! The model artifact: which model answers, with which parameters. Where it is reached and with
//! which credential is a binding, outside the digest.

use release::Reproducibility;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A model, as `models/*.toml` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The name of a provider in `server.toml`, or `extractive` for the built-in model.
    pub provider: String,
    /// The model's id at the provider, such as `gpt-5-mini`.
    pub model: String,
    /// What pins the model behind its id: `sha256:` and the digest of the weights, or a
    /// provider's own revision name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The most tokens that question and answer may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub context_tokens: Option<u64>,
    /// The most tokens an answer of this model may have. Where neither a request nor
    /// `parameters.max_tokens` sets a limit, a provider that insists on one is sent this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<u64>,
    /// What holds where a request says nothing.
    #[serde(default, skip_serializing_if = "Parameters::is_default")]
    pub parameters: Parameters,
}

impl ModelSpec {
    /// The model `model` of `provider` with the provider's own defaults.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            revision: None,
            context_tokens: None,
            max_output_tokens: None,
            parameters: Parameters::default(),
        }
    }

    /// Whether answering with this artifact again asks the very same model: `Bytes` only when the
    /// revision is the digest of the weights. The built-in extractive model is pinned by name,
    /// because its code comes with the binary.
    pub fn reproducibility(&self) -> Reproducibility {
        let digest = self.revision.as_deref().and_then(|revision| revision.strip_prefix("sha256:"));
        match digest {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Reproducibility::Bytes
            }
            _ => Reproducibility::ByName,
        }
    }
}

/// What holds where a request says nothing; absent means the provider's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Randomness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub top_p: Option<f64>,
    /// The most tokens the answer may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Asks for repeatable sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How hard a reasoning model should think: `low`, `medium`, `high`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// The built-in extractive model only: how many sentences it quotes; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub sentences: Option<u32>,
    /// Fields sent to the provider as they are, in its own dialect.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Parameters {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
