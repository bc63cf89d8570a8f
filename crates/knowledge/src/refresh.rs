//! Refreshing: what changed in the sources becomes a new segment and a new manifest.
//!
//! The manifest is written last. Until then the snapshot before is the newest, whatever fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use release::{ArtifactName, Digest, TenantId};
use serde::{Deserialize, Serialize};
use store::TenantBlobs;

use crate::chunk::{Chunk, Origin, chunks};
use crate::extract::extract;
use crate::source::{self, Document};
use crate::{
    Diff, Directories, DocumentEntry, KnowledgeError, KnowledgeSpec, Manifest, Watch, segment,
};

/// What a refresh works on.
#[derive(Debug, Clone)]
pub struct RefreshInput {
    /// The knowledge base.
    pub name: ArtifactName,
    /// What it is made of.
    pub spec: KnowledgeSpec,
    /// The directories it may be made from.
    pub directories: Arc<Directories>,
    /// Its newest snapshot.
    pub parent: Option<Digest>,
    /// Where segments and manifests are kept.
    pub blobs: TenantBlobs,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who looks at it.
    pub watch: Arc<Watch>,
}

/// What a refresh made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// The snapshot's manifest.
    pub manifest: Digest,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    /// Whether it is the one before.
    pub unchanged: bool,
    /// What happened to each document.
    pub report: BatchReport,
}

/// What happened to each document of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Documents that are new, were changed, and are gone.
    #[serde(flatten)]
    pub diff: Diff,
    /// Documents that could not be read, and why.
    pub skipped: Vec<Skipped>,
    /// How many documents the snapshot has.
    pub documents: u64,
    /// How many passages it has.
    pub chunks: u64,
}

/// A document that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The document.
    pub document: String,
    /// Why not.
    pub reason: String,
}

/// Reads the sources and makes the snapshot of what is there now.
///
/// # Errors
/// If a source cannot be listed, the parent cannot be read, the snapshot cannot be written, or whoever
/// looks at it has stopped it.
pub async fn refresh(input: RefreshInput) -> Result<Refreshed, KnowledgeError> {
    let recipe = input.spec.recipe();
    let parent = match input.parent {
        Some(digest) => Some(Manifest::read(digest, &input.blobs.get(&digest).await?)?),
        None => None,
    };
    // Under another recipe nothing is shared, so that segments never mix.
    let shared = parent.clone().filter(|parent| parent.recipe == recipe);
    let before = shared.unwrap_or_else(|| Manifest::empty(recipe));
    let (blobs, earlier) = (input.blobs.clone(), parent);
    let built = tokio::task::spawn_blocking(move || build(&input, before));
    let Built { mut manifest, segment, fresh, mut report } =
        built.await.map_err(|_| KnowledgeError::Stopped)??;
    if let Some(bytes) = segment {
        let digest = blobs.put(bytes).await?;
        for path in &fresh {
            if let Some(entry) = manifest.documents.get_mut(path).filter(|entry| entry.chunks > 0) {
                entry.segment = Some(digest);
            }
        }
    }
    let none = Manifest::empty(recipe);
    report.diff = manifest.since(earlier.as_ref().unwrap_or(&none));
    report.documents = manifest.documents.len() as u64;
    report.chunks = manifest.chunks();
    let bytes = manifest.bytes()?;
    let digest = blobs.put(Bytes::from(bytes.clone())).await?;
    let unchanged = earlier.is_some_and(|earlier| earlier == manifest);
    Ok(Refreshed { manifest: digest, bytes, unchanged, report })
}

struct Built {
    manifest: Manifest,
    segment: Option<Bytes>,
    /// The documents whose passages are in the segment.
    fresh: BTreeSet<String>,
    report: BatchReport,
}

/// Reads, extracts, cuts and indexes; blocking.
fn build(input: &RefreshInput, before: Manifest) -> Result<Built, KnowledgeError> {
    let mut report = BatchReport::default();
    let documents =
        source::read(&input.spec, &input.directories, &input.tenant, &mut report.skipped)?;
    let mut manifest = Manifest::empty(before.recipe);
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut fresh = BTreeSet::new();
    input.watch.expect(documents.len());
    for document in &documents {
        input.watch.step()?;
        let known = before.documents.get(&document.path).filter(|old| old.raw == document.raw);
        let entry = match known {
            Some(same) => same.clone(),
            None => {
                let cut = match cut(document, &input.spec) {
                    Ok(cut) => cut,
                    Err(reason) => {
                        let document = document.path.clone();
                        report.skipped.push(Skipped { document, reason });
                        continue;
                    }
                };
                let count = cut.len() as u64;
                chunks.extend(cut);
                fresh.insert(document.path.clone());
                let modified_ms = document.modified_at.as_millisecond();
                DocumentEntry { raw: document.raw, segment: None, modified_ms, chunks: count }
            }
        };
        manifest.documents.insert(document.path.clone(), entry);
    }
    // A document that cannot be read now keeps its last good version.
    for skipped in &report.skipped {
        if let Some(kept) = before.documents.get(&skipped.document) {
            manifest.documents.insert(skipped.document.clone(), kept.clone());
        }
    }
    let segment = if chunks.is_empty() { None } else { Some(segment::build(&chunks)?) };
    Ok(Built { manifest, segment, fresh, report })
}

fn cut(document: &Document, spec: &KnowledgeSpec) -> Result<Vec<Chunk>, String> {
    // Two documents of equal bytes are two documents: the path is part of the version.
    let version = Digest::of_fields([document.path.as_bytes(), document.raw.as_bytes()]);
    let origin = Origin { path: &document.path, version, recipe: spec.recipe() };
    let extracted = extract(&document.path, &document.text)?;
    Ok(chunks(origin, &extracted, spec.chunking.max_tokens))
}
