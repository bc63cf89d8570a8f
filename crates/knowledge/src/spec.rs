//! What a knowledge base is made of, and which directories it may be made from.

mod retrieval;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use release::{Digest, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::KnowledgeError;

pub use retrieval::{EmbeddingEntry, EmbeddingSpec, Mode, RerankSpec, RetrievalSpec, Scan};

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
    /// Which model turns passages and questions into vectors; none if absent.
    #[serde(default)]
    pub embedding: Option<EmbeddingSpec>,
    /// How passages are found.
    #[serde(default)]
    pub retrieval: RetrievalSpec,
}

/// Where documents come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceSpec {
    /// Markdown, HTML and text files of a directory.
    Directory {
        /// The directory's name in `server.toml`.
        directory: String,
        /// A path within it.
        #[serde(default)]
        path: String,
        /// Patterns of the files to read, relative to `path`.
        #[serde(default = "default_include")]
        include: Vec<String>,
        /// Patterns of files to leave out.
        #[serde(default)]
        exclude: Vec<String>,
    },
}

fn default_include() -> Vec<String> {
    ["**/*.md", "**/*.html", "**/*.txt"].map(str::to_owned).to_vec()
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
const RECIPE: &str = "extract-1 chunk-1 analyse-1 segment-3";

impl KnowledgeSpec {
    /// The digest of how documents become chunks. Another recipe never shares a segment.
    pub fn recipe(&self) -> Digest {
        Digest::of_fields([RECIPE.as_bytes(), &self.chunking.max_tokens.to_be_bytes()])
    }
}

/// A directory that the operator offers to tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// The tenants that may read it.
    pub tenants: Vec<TenantId>,
}

/// The directories that the operator offers, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directories(BTreeMap<String, Directory>);

impl Directories {
    /// These directories.
    pub fn new(directories: BTreeMap<String, Directory>) -> Self {
        Self(directories)
    }

    /// The real path of `path` within the directory `name`: links and `..` cannot lead out of it.
    ///
    /// # Errors
    /// If the tenant may not read the directory, or the path leads out of it or to nothing.
    pub fn resolve(
        &self,
        tenant: &TenantId,
        name: &str,
        path: &str,
    ) -> Result<PathBuf, KnowledgeError> {
        let offered = self.0.get(name).filter(|directory| directory.tenants.contains(tenant));
        let offered = offered.ok_or_else(|| KnowledgeError::UnknownDirectory(name.to_owned()))?;
        let real = |path: &Path| {
            let shown = path.display().to_string();
            path.canonicalize().map_err(|source| KnowledgeError::Listing { path: shown, source })
        };
        let root = real(&offered.path)?;
        let found = real(&root.join(path))?;
        if found.starts_with(&root) {
            Ok(found)
        } else {
            let (directory, path) = (name.to_owned(), path.to_owned());
            Err(KnowledgeError::Outside { directory, path })
        }
    }
}
