//! From extracted to prepared text: what is cut, embedded and found.
//!
//! ```text
//!  Extracted ─► own steps ─► normalise ─► enrich ─► mask ─► names, language, signature ─► Prepared
//! ```
//!
//! The order matters: what own steps and metadata bring in is normalised and screened like the text
//! itself, and nothing that was masked reaches a signature.

mod duplicates;
mod enrich;
mod entities;
mod language;
mod normalise;
mod sensitive;
mod steps;

use std::sync::Arc;

use release::TenantId;

use crate::KnowledgeError;
use crate::document::{Extracted, RawDocument};
use crate::extract::{Extractor, Refusal};
use crate::spec::Preparation;

pub(crate) use entities::Entities;

pub use duplicates::{NearDuplicate, Signature, near_duplicates};
pub use sensitive::Finding;
pub use steps::{NoSteps, Steps};

/// What documents are worked on with: the server's own means.
#[derive(Debug)]
pub struct Workshop {
    /// Reads them.
    pub extractor: Extractor,
    /// Takes the steps that knowledge bases have of their own.
    pub steps: Arc<dyn Steps>,
}

/// A document that is ready to be cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Its title, text, headings, pages and metadata. All offsets are into this text.
    pub content: Extracted,
    /// The language it is in (ISO 639-1): as recognised, else as it says itself.
    pub language: Option<String>,
    /// Its tags: the folders it lies in, and those it names, in lower case.
    pub tags: Vec<String>,
    /// What was masked.
    pub findings: Vec<Finding>,
    /// Tells near-duplicates.
    pub signature: Signature,
}

/// Prepares the documents of a knowledge base.
#[derive(Debug, Clone)]
pub struct Preparer {
    spec: Arc<Preparation>,
    entities: Arc<Entities>,
    tenant: TenantId,
    steps: Arc<dyn Steps>,
}

impl Preparer {
    /// Prepares as `spec` says, for `tenant`.
    ///
    /// # Errors
    /// If names to look for cannot be looked for.
    pub fn new(
        spec: Preparation,
        tenant: TenantId,
        steps: Arc<dyn Steps>,
    ) -> Result<Self, KnowledgeError> {
        let entities = Arc::new(Entities::new(&spec.entities)?);
        Ok(Self { spec: Arc::new(spec), entities, tenant, steps })
    }

    /// Prepares a document.
    ///
    /// # Errors
    /// If a step of the knowledge base's own fails, or the document holds what it must not hold.
    pub async fn prepare(
        &self,
        mut extracted: Extracted,
        about: &RawDocument,
    ) -> Result<Prepared, Refusal> {
        for step in &self.spec.steps {
            extracted =
                steps::take(self.steps.as_ref(), (&self.tenant, step), &about.path, extracted)
                    .await?;
        }
        let (spec, path) = (Arc::clone(&self.spec), about.path.clone());
        let (told, entities) = (about.metadata.clone(), Arc::clone(&self.entities));
        let prepared = tokio::task::spawn_blocking(move || {
            normalise::normalise(&mut extracted);
            let tags = enrich::enrich(&mut extracted, &path, told);
            let findings = sensitive::screen(&mut extracted, &spec)?;
            entities.note(&mut extracted);
            let declared = extracted.metadata.get("language").and_then(|told| told.as_str());
            Ok(Prepared {
                language: language::of(&extracted.text, declared),
                signature: Signature::of(&extracted.text),
                content: extracted,
                tags,
                findings,
            })
        });
        prepared.await.unwrap_or_else(|error| Err(Refusal::Crash(error.to_string())))
    }
}

#[cfg(test)]
pub mod tests;
