//! What can go wrong with knowledge.

use release::{CanonicalError, Digest};
use store::{BlobError, StoreError};

/// An error of the knowledge side. The snapshot before keeps serving.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// A source names what the operator did not offer to this tenant.
    #[error("there is no {what} `{name}` for this tenant in server.toml")]
    NotOffered {
        /// What is looked for: `directory`, `bucket`, ….
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A source cannot be read, or not as a whole. Never taken for "everything was deleted".
    #[error("{of}: {why}")]
    Source {
        /// The source, or the part of it.
        of: String,
        /// Why.
        why: String,
    },
    /// A source's path leads out of its directory.
    #[error("`{path}` is outside the directory `{directory}`")]
    Outside {
        /// The directory.
        directory: String,
        /// The path.
        path: String,
    },
    /// A source could not be listed. Never taken for "everything was deleted".
    #[error("`{path}` cannot be listed")]
    Listing {
        /// What could not be listed.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A source holds more files than one knowledge base may have.
    #[error("the sources hold more than {0} documents")]
    TooMany(usize),
    /// An include or exclude pattern is wrong.
    #[error("`{pattern}` is not a file pattern: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why not.
        why: String,
    },
    /// A snapshot has no such document.
    #[error("the snapshot has no document `{0}`")]
    UnknownDocument(String),
    /// A segment or manifest is not what its digest says, or does not have its form.
    #[error("snapshot part `{part}` is corrupt: {why}")]
    Corrupt {
        /// The segment or manifest.
        part: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// The index failed.
    #[error("the index failed: {0}")]
    Index(String),
    /// A model did not turn texts into vectors, or rate passages, or not in the form.
    #[error("model `{model}` does not serve knowledge: {why}")]
    Model {
        /// The model.
        model: String,
        /// Why not.
        why: String,
    },
    /// What was asked does not fit the snapshot.
    #[error("{0}")]
    Ask(String),
    /// A manifest has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// A blob could not be read or written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Background work was stopped.
    #[error("the work was stopped")]
    Stopped,
}

impl KnowledgeError {
    /// A model that does not do what it should.
    pub fn model(model: &str, why: impl Into<String>) -> Self {
        Self::Model { model: model.to_owned(), why: why.into() }
    }
}

impl From<tantivy::TantivyError> for KnowledgeError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Index(error.to_string())
    }
}

/// An error with what it was caused by.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        told = format!("{told}: {source}");
        cause = source.source();
    }
    told
}
