//! Sentence transformers in this process: texts become vectors without a service.
//!
//! Models of BERT's form, as all-MiniLM-L6-v2, are read from the files that sentence-transformers
//! writes, checked before anything is computed, and run on the CPU with candle.
//!
//! The nouns: [`ModelFiles`], [`ModelManifest`], [`SentenceTransformer`].
//!
//! ```text
//!  files ─► ModelFiles::check ─► SentenceTransformer ─► tokens ─► bert ─► mean ─► vectors
//!                └─► ModelManifest (its digest is the model)
//! ```
//!
//! Start reading at `transformer.rs`.

mod bert;
mod files;
mod transformer;

pub use files::{FILES, FileEntry, ModelFiles, ModelManifest};
pub use transformer::{SentenceTransformer, Vectors};

/// What is wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file that must be there is not.
    #[error("the model has no `{0}`")]
    Missing(&'static str),
    /// A file does not have its form.
    #[error("`{file}` is unreadable: {why}")]
    Unreadable {
        /// The file.
        file: &'static str,
        /// Why.
        why: String,
    },
    /// The model is of a kind that cannot be run here.
    #[error("the model cannot be run here: {0}")]
    Unsupported(String),
    /// Computing failed.
    #[error("the model failed: {0}")]
    Failed(String),
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
