//! Artifact versions: the immutable things that fill a release's slots.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ArtifactName, Digest, PrincipalId, Timestamp};

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// Provider name, model id, revision and parameters.
    Model,
    /// Weights that adapt a base model.
    Adapter,
    /// A prompt template with its front matter.
    Prompt,
    /// A knowledge snapshot's manifest.
    Knowledge,
    /// Rules that screen input and output.
    Guardrails,
    /// An app's settings.
    Config,
    /// Examples for training or evaluation.
    Dataset,
    /// An evaluation suite with its cases.
    EvalSuite,
    /// Code or a container image, by digest.
    Code,
}

impl ArtifactKind {
    /// The kind as written in records and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Adapter => "adapter",
            Self::Prompt => "prompt",
            Self::Knowledge => "knowledge",
            Self::Guardrails => "guardrails",
            Self::Config => "config",
            Self::Dataset => "dataset",
            Self::EvalSuite => "eval_suite",
            Self::Code => "code",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The full name of one artifact version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// What it is.
    pub kind: ArtifactKind,
    /// The name its versions share.
    pub name: ArtifactName,
    /// The digest of its bytes.
    pub digest: Digest,
}

impl fmt::Display for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}@{}", self.kind, self.name, self.digest.short())
    }
}

/// Whether using an artifact again gives the same behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reproducibility {
    /// Its bytes are pinned.
    Bytes,
    /// Only a name is pinned; somebody else may change what stands behind it.
    ByName,
}

/// Where an artifact version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactState {
    /// Its bytes are stored under its digest.
    Registered,
    /// It passed the checks of its kind.
    Validated,
    /// Still usable, no longer to be chosen.
    Deprecated,
    /// Not to be used: every release that contains it, or something derived from it, is affected.
    Quarantined,
    /// Its bytes are gone; the digest stays as a tombstone.
    Deleted,
}

impl ArtifactState {
    /// Whether a version may move from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        use ArtifactState::{Deleted, Deprecated, Quarantined, Registered, Validated};
        matches!(
            (self, next),
            (Registered, Validated)
                | (Validated, Deprecated)
                | (Registered | Validated | Deprecated, Quarantined)
                | (Registered | Validated | Deprecated | Quarantined, Deleted)
        )
    }
}

/// One immutable version of an artifact. Identical content is the same version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactVersion {
    /// Kind, name and digest.
    #[serde(flatten)]
    pub artifact: ArtifactRef,
    /// Counts the versions of this name from 1, for people.
    pub sequence: u64,
    /// Whether its bytes or only a name is pinned.
    pub reproducible: Reproducibility,
    /// The versions it was made from: the lineage.
    pub derived_from: Vec<Digest>,
    /// Where it is in its life.
    pub state: ArtifactState,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// Who registered it.
    pub created_by: PrincipalId,
}
