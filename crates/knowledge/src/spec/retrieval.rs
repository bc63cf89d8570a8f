//! How passages are embedded and found: `[embedding]` and `[retrieval]`.

use release::{ArtifactName, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::retrieve::Filter;

/// Which model turns passages and questions into vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSpec {
    /// The provider in `server.toml` that serves the model; without it, a model that was imported
    /// with `groundcrew models import` runs in this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ArtifactName>,
    /// The model: the provider's id of it, or the name under which it was imported.
    pub model: String,
    /// How many dimensions, where the provider's model can choose.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Tells versions of a provider's model apart that have one name: another value and everything is
    /// embedded anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Put before every passage that is embedded, for models that want it, as `passage: `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub passage_prefix: String,
    /// Put before every question, as `query: `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question_prefix: String,
}

/// How passages are found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalSpec {
    /// By words, by vectors or by both; `hybrid` if there is an `[embedding]`, else `bm25`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How many passages searches and golden queries look for (default 5); apps have their own `top_k`.
    #[schemars(range(min = 1, max = 50))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// How vectors are compared.
    #[serde(skip_serializing_if = "Scan::is_small")]
    pub scan: Scan,
    /// Only passages of documents that pass all of these are found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// A model that orders what was found anew; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<RerankSpec>,
}

impl RetrievalSpec {
    /// How many passages are looked for.
    pub fn limit(&self) -> usize {
        self.k.unwrap_or(5) as usize
    }
}

/// By what passages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By words.
    Bm25,
    /// By the question's vector.
    Vector,
    /// By both, fused by their ranks.
    Hybrid,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bm25 => "bm25",
            Self::Vector => "vector",
            Self::Hybrid => "hybrid",
        })
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bm25" => Ok(Self::Bm25),
            "vector" => Ok(Self::Vector),
            "hybrid" => Ok(Self::Hybrid),
            _ => Err(format!("`{text}` is not a mode; there are bm25, vector and hybrid")),
        }
    }
}

/// How vectors are compared. All of them are, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// In 8 bits a number first, the best of them again in 32 bits.
    #[default]
    Int8,
    /// In 32 bits.
    Exact,
}

impl Scan {
    fn is_small(&self) -> bool {
        *self == Self::Int8
    }
}

/// A model that orders passages anew. If it fails, the order stays what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankSpec {
    /// The provider in `server.toml` that serves the model.
    pub provider: ArtifactName,
    /// The model, by the provider's id.
    pub model: String,
    /// How it is asked.
    #[serde(default, skip_serializing_if = "Asking::is_chat")]
    pub api: Asking,
    /// How many passages it is shown.
    #[schemars(range(min = 2, max = 50))]
    #[serde(default = "default_candidates")]
    pub candidates: u32,
}

/// How a model is asked to order passages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asking {
    /// A chat model, in words: how well does each passage answer?
    #[default]
    Chat,
    /// A reranking model, by `/rerank` below the provider's endpoint, as Cohere, Jina and Voyage
    /// have it.
    Rerank,
}

impl Asking {
    fn is_chat(&self) -> bool {
        *self == Self::Chat
    }
}

fn default_candidates() -> u32 {
    20
}

/// What made a snapshot's vectors. Under another one nothing is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingEntry {
    /// The model, as the knowledge base names it.
    pub spec: EmbeddingSpec,
    /// The imported model's artifact; none for a provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Digest>,
    /// The embedder's identity.
    pub identity: Digest,
    /// How many numbers a vector has.
    pub dimension: u32,
}
