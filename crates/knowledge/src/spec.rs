//! What a knowledge base is made of.

mod preparation;
mod retrieval;
mod source;

use release::{CanonicalError, CanonicalJson, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::KnowledgeError;
use crate::prepare::Entities;
use crate::quality::Quality;

pub use source::{
    BucketSpec, DirectorySpec, FeedSpec, GitSpec, Objective, PushSpec, SiteSpec, SourceSpec,
    SqlSpec, Tier,
};

pub use preparation::{Duplicates, Preparation, StepSpec};

pub use retrieval::{Asking, EmbeddingEntry, EmbeddingSpec, Mode, RerankSpec, RetrievalSpec, Scan};

/// A knowledge base: `knowledge/NAME.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeSpec {
    /// What it knows, for people.
    #[serde(default)]
    pub description: String,
    /// Where its documents come from.
    #[schemars(length(min = 1))]
    pub sources: Vec<SourceSpec>,
    /// How they are prepared.
    #[serde(default)]
    pub preparation: Preparation,
    /// How they are cut into passages.
    #[serde(default)]
    pub chunking: Chunking,
    /// Which model turns passages and questions into vectors; none if absent.
    #[serde(default)]
    pub embedding: Option<EmbeddingSpec>,
    /// How passages are found.
    #[serde(default)]
    pub retrieval: RetrievalSpec,
    /// What a batch must keep to, so that its snapshot may become a candidate.
    #[serde(default)]
    pub quality: Quality,
}

/// How documents are cut into passages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chunking {
    /// The most tokens of a passage (about four bytes each).
    #[schemars(range(min = 32, max = 2048))]
    pub max_tokens: u32,
    /// The most tokens of a parent: passages are cut out of parents, under the same heading, and know
    /// theirs. What is found is the passage alone. Without it, there are no parents.
    #[schemars(range(min = 64, max = 8192))]
    pub parent_tokens: Option<u32>,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { max_tokens: 220, parent_tokens: None }
    }
}

/// Names the code that extracts, cuts and analyses; changed whenever its results change, so that
/// a knowledge base is built anew.
const RECIPE: &str = "extract-3 prepare-1 chunk-2 analyse-1 segment-3";

impl KnowledgeSpec {
    /// Checks what the form of the file alone does not tell.
    ///
    /// # Errors
    /// If sources cannot be told apart, or names cannot be looked for.
    pub fn check(&self) -> Result<(), KnowledgeError> {
        crate::source::check(&self.sources)?;
        Entities::new(&self.preparation.entities)?;
        Ok(())
    }

    /// The digest of how documents become chunks. Another recipe never shares a segment.
    ///
    /// # Errors
    /// If it has no canonical form.
    pub fn recipe(&self) -> Result<Digest, CanonicalError> {
        // Which documents are found in the place of others changes no passage.
        let preparation =
            Preparation { duplicates: Duplicates::default(), ..self.preparation.clone() };
        let settings = (&preparation, &self.chunking);
        Ok(Digest::of_fields([RECIPE.as_bytes(), CanonicalJson::of(&settings)?.as_bytes()]))
    }
}
