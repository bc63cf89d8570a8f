//! What a knowledge base is made of.

mod source;

use release::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use source::{
    BucketSpec, DirectorySpec, FeedSpec, GitSpec, Objective, PushSpec, SiteSpec, SourceSpec,
    SqlSpec, Tier,
};

/// A knowledge base: `knowledge/NAME.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeSpec {
    /// What it knows, for people.
    #[serde(default)]
    pub description: String,
    /// Where its documents come from.
    #[schemars(length(min = 1))]
    pub sources: Vec<SourceSpec>,
    /// How they are cut into passages.
    #[serde(default)]
    pub chunking: Chunking,
}

/// How documents are cut into passages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chunking {
    /// The most tokens of a passage (about four bytes each).
    #[schemars(range(min = 32, max = 2048))]
    pub max_tokens: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { max_tokens: 220 }
    }
}

/// Names the code that extracts, cuts and analyses; changed whenever its results change, so that
/// a knowledge base is built anew.
const RECIPE: &str = "extract-1 chunk-1 analyse-1";

impl KnowledgeSpec {
    /// The digest of how documents become chunks. Another recipe never shares a segment.
    pub fn recipe(&self) -> Digest {
        Digest::of_fields([RECIPE.as_bytes(), &self.chunking.max_tokens.to_be_bytes()])
    }
}
