//! Refreshing: what changed in the sources becomes a new segment and a new manifest.
//!
//! The manifest is written last. Until then the snapshot before is the newest, whatever fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use release::{ArtifactName, Digest, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::TenantBlobs;

use crate::chunk::{Chunk, Origin, chunks};
use crate::extract::extract;
use crate::{
    DocumentEntry, KnowledgeError, KnowledgeSpec, Manifest, Offered, RawDocument, SegmentEntry,
    Watch, segment, source,
};

/// What a refresh works on.
#[derive(Debug, Clone)]
pub struct RefreshInput {
    /// The knowledge base.
    pub name: ArtifactName,
    /// What it is made of.
    pub spec: KnowledgeSpec,
    /// What it may be made from.
    pub offered: Arc<Offered>,
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
    let read = source::collect(&input.spec.sources, &input.offered, &input.tenant, &input.name);
    let read = read.await?;
    let built = tokio::task::spawn_blocking(move || build(&input, read, before));
    let (mut manifest, built_segment, mut report) =
        built.await.map_err(|_| KnowledgeError::Stopped)??;
    report.changed_since(earlier.as_ref(), &manifest);
    if let Some(bytes) = built_segment {
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

type Built = (Manifest, Option<Bytes>, BatchReport);

/// Extracts, cuts and indexes; blocking.
fn build(
    input: &RefreshInput,
    read: BTreeMap<String, Result<RawDocument, String>>,
    before: Manifest,
) -> Result<Built, KnowledgeError> {
    let mut report = BatchReport::default();
    let mut documents = Vec::new();
    for (path, read) in read {
        match read.and_then(Document::of) {
            Ok(document) => documents.push(document),
            Err(reason) => report.skipped.push(Skipped { document: path, reason }),
        }
    }
    let mut manifest = Manifest::empty(before.recipe);
    let mut fresh: Vec<Chunk> = Vec::new();
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
                let count = cut.len() as u64;
                fresh.extend(cut);
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
    let segment = if fresh.is_empty() { None } else { Some(segment::build(&fresh)?) };
    Ok((manifest, segment, report))
}

/// A document as text.
struct Document {
    path: String,
    /// A name whose ending says what kind of content it is.
    name: String,
    text: String,
    raw: Digest,
    modified_at: Timestamp,
}

impl Document {
    fn of(read: RawDocument) -> Result<Self, String> {
        if read.bytes.contains(&0) {
            return Err("binary, not text".to_owned());
        }
        let raw = Digest::of(&read.bytes);
        let text = String::from_utf8(read.bytes.into());
        let text = text.map_err(|error| {
            format!("not valid UTF-8 at byte {}", error.utf8_error().valid_up_to())
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
        let modified_at = read.modified_at.unwrap_or_default();
        let is = |kind: &str| read.media_type.as_ref().is_some_and(|of| of.starts_with(kind));
        let name = match () {
            () if is("text/html") => "page.html".to_owned(),
            () if is("text/markdown") => "page.md".to_owned(),
            () => read.path.clone(),
        };
        Ok(Self { path: read.path, name, text, raw, modified_at })
    }
}

fn cut(document: &Document, spec: &KnowledgeSpec) -> Result<Vec<Chunk>, String> {
    // Two documents of equal bytes are two documents: the path is part of the version.
    let version = Digest::of_fields([document.path.as_bytes(), document.raw.as_bytes()]);
    let origin = Origin { path: &document.path, version, recipe: spec.recipe() };
    let extracted = extract(&document.name, &document.text)?;
    Ok(chunks(origin, &extracted, spec.chunking.max_tokens))
}
