//! Refreshing: what changed in the sources becomes a new segment and a new manifest.
//!
//! The manifest is written last. Until then the snapshot before is the newest, whatever fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use release::{ArtifactName, Digest, TenantId};
use serde::{Deserialize, Serialize};
use store::TenantBlobs;

use crate::chunk::{Chunk, Origin, chunks};
use crate::embed::{Embedding, EmbeddingReport};
use crate::extract::extract;
use crate::segment::Cut;
use crate::source::{self, Document};
use crate::{
    Directories, DocumentEntry, KnowledgeError, KnowledgeSpec, Manifest, SegmentEntry, Watch,
    segment,
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
    /// What embeds its passages; none if they are found by words alone.
    pub embedding: Option<Embedding>,
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
    /// Documents that are new.
    pub added: Vec<String>,
    /// Documents that were changed.
    pub changed: Vec<String>,
    /// Documents that are gone.
    pub removed: Vec<String>,
    /// Documents that could not be read, and why.
    pub skipped: Vec<Skipped>,
    /// How many documents the snapshot has.
    pub documents: u64,
    /// How many passages it has.
    pub chunks: u64,
    /// What embedding new passages took; none if nothing embeds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingReport>,
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
    let embedding = input.embedding.clone();
    let same_vectors = |parent: &Manifest| match (&embedding, &parent.embedding) {
        (Some(embedding), Some(entry)) => embedding.fits(entry),
        (None, None) => true,
        _ => false,
    };
    let shared = parent.clone().filter(|parent| parent.recipe == recipe && same_vectors(parent));
    let before = shared.unwrap_or_else(|| Manifest::empty(recipe));
    let entry = before.embedding.clone();
    let (blobs, earlier, watch) = (input.blobs.clone(), parent, Arc::clone(&input.watch));
    let built = tokio::task::spawn_blocking(move || build(&input, before));
    let (mut manifest, fresh, mut report) = built.await.map_err(|_| KnowledgeError::Stopped)??;
    report.changed_since(earlier.as_ref(), &manifest);
    manifest.embedding = entry;
    let chunks: Vec<&Chunk> = fresh.iter().flat_map(|document| &document.chunks).collect();
    let mut vectors = None;
    if let Some(embedding) = &embedding {
        let (matrix, took) = embedding.vectors(&chunks, &watch).await?;
        report.embedding = Some(took);
        if !chunks.is_empty() {
            let made = embedding.entry(matrix.dimension);
            let entry = manifest.embedding.get_or_insert_with(|| made.clone());
            if *entry != made {
                let (now, before) = (made.dimension, entry.dimension);
                let why = format!("it gives {now} dimensions now, and {before} before");
                return Err(KnowledgeError::model(&made.spec.model, why));
            }
            vectors = Some(matrix);
        }
    }
    if !chunks.is_empty() {
        let built = tokio::task::spawn_blocking(move || segment::build(&fresh, vectors.as_ref()));
        let bytes = built.await.map_err(|_| KnowledgeError::Stopped)??;
        let digest = blobs.put(bytes).await?;
        manifest.segments.push(SegmentEntry { digest, removed: Vec::new() });
    }
    let bytes = manifest.bytes()?;
    let digest = blobs.put(Bytes::from(bytes.clone())).await?;
    let unchanged = earlier.is_some_and(|earlier| earlier == manifest);
    Ok(Refreshed { manifest: digest, bytes, unchanged, report })
}

impl BatchReport {
    fn changed_since(&mut self, before: Option<&Manifest>, now: &Manifest) {
        let none = BTreeMap::new();
        let before = before.map_or(&none, |before| &before.documents);
        for (path, entry) in &now.documents {
            match before.get(path) {
                None => self.added.push(path.clone()),
                Some(old) if old.raw != entry.raw => self.changed.push(path.clone()),
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|path| !now.documents.contains_key(*path));
        self.removed.extend(gone.cloned());
        self.documents = now.documents.len() as u64;
        self.chunks = now.chunks;
    }
}

type Built = (Manifest, Vec<Cut>, BatchReport);

/// Reads, extracts and cuts; blocking.
fn build(input: &RefreshInput, before: Manifest) -> Result<Built, KnowledgeError> {
    let mut report = BatchReport::default();
    let documents =
        source::read(&input.spec, &input.directories, &input.tenant, &mut report.skipped)?;
    let mut manifest = Manifest::empty(before.recipe);
    manifest.retrieval = input.spec.retrieval.clone();
    let mut fresh: Vec<Cut> = Vec::new();
    let mut outdated: BTreeSet<&str> = before.documents.keys().map(String::as_str).collect();
    input.watch.expect(documents.len());
    for document in &documents {
        input.watch.step()?;
        let known = before.documents.get(&document.path).filter(|old| old.raw == document.raw);
        let entry = match known {
            Some(same) => {
                outdated.remove(document.path.as_str());
                same.clone()
            }
            None => {
                let cut = match cut(document, &input.spec) {
                    Ok(cut) => cut,
                    Err(reason) => {
                        let document = document.path.clone();
                        report.skipped.push(Skipped { document, reason });
                        continue;
                    }
                };
                let count = cut.chunks.len() as u64;
                fresh.push(cut);
                let modified_ms = document.modified_at.as_millisecond();
                DocumentEntry { raw: document.raw, modified_ms, chunks: count }
            }
        };
        manifest.documents.insert(document.path.clone(), entry);
    }
    // A document that cannot be read now keeps its last good version.
    for skipped in &report.skipped {
        if let Some(kept) = before.documents.get(&skipped.document) {
            outdated.remove(skipped.document.as_str());
            manifest.documents.insert(skipped.document.clone(), kept.clone());
        }
    }
    for segment in &before.segments {
        let mut segment = segment.clone();
        segment.removed.extend(outdated.iter().map(|path| (*path).to_owned()));
        segment.removed.sort();
        segment.removed.dedup();
        manifest.segments.push(segment);
    }
    manifest.watermark_ms =
        manifest.documents.values().map(|entry| entry.modified_ms).max().unwrap_or(0);
    manifest.chunks = manifest.documents.values().map(|entry| entry.chunks).sum();
    Ok((manifest, fresh, report))
}

fn cut(document: &Document, spec: &KnowledgeSpec) -> Result<Cut, String> {
    // Two documents of equal bytes are two documents: the path is part of the version.
    let version = Digest::of_fields([document.path.as_bytes(), document.raw.as_bytes()]);
    let origin = Origin { path: &document.path, version, recipe: spec.recipe() };
    let extracted = extract(&document.path, &document.text)?;
    let chunks = chunks(origin, &extracted, spec.chunking.max_tokens);
    let mut metadata = extracted.metadata;
    metadata.insert("title".to_owned(), extracted.title.into());
    Ok(Cut { path: document.path.clone(), metadata, chunks })
}
