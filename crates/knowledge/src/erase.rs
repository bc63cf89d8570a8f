//! Erasing documents: where they are, and segments without them.
//!
//! ```text
//!  snapshots ─► whereabouts ─► segments ─► hide ─► rewrite ─► succeed ─► shred
//!                                            └─ masked from here on, whatever snapshot is asked
//! ```
//!
//! Manifests stay what their digests say: they go on naming the segments that they named. What
//! stands for a segment is kept beside its blob, and looked at whenever a snapshot is opened.

use std::collections::{BTreeMap, BTreeSet};

use release::Digest;
use store::TenantBlobs;

use crate::embed::{CacheKey, passage_text};
use crate::segment::{self, Segment};
use crate::{EmbeddingSpec, Filter, KnowledgeError, Manifest, Snapshot, SnapshotCache};

/// What stands for a segment that manifests name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The blob that does; none if all of it was erased.
    pub at: Option<Digest>,
    /// The documents that were erased of it.
    pub hidden: BTreeSet<String>,
    /// The blobs that stood for it before, the segment itself first.
    before: Vec<Digest>,
}

impl Standing {
    pub async fn of(blobs: &TenantBlobs, digest: Digest) -> Result<Self, KnowledgeError> {
        let mut standing = Self { at: Some(digest), hidden: BTreeSet::new(), before: Vec::new() };
        while let Some(at) = standing.at {
            let erasure = blobs.erasure(&at).await?;
            standing.hidden.extend(erasure.hidden);
            match erasure.successor {
                None if !erasure.shredded => break,
                next => {
                    standing.before.push(at);
                    standing.at = next;
                }
            }
        }
        Ok(standing)
    }
}

impl Manifest {
    /// Its documents that were erased since.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn erased(&self, blobs: &TenantBlobs) -> Result<BTreeSet<String>, KnowledgeError> {
        let mut standing = BTreeMap::new();
        for digest in self.segments() {
            standing.insert(digest, Standing::of(blobs, digest).await?);
        }
        Ok(self.hidden(&standing))
    }

    pub(crate) fn hidden(&self, standing: &BTreeMap<Digest, Standing>) -> BTreeSet<String> {
        let hidden = self.documents.iter().filter(|(path, entry)| {
            let stands = entry.segment.and_then(|segment| standing.get(&segment));
            stands.is_some_and(|stands| stands.hidden.contains(*path))
        });
        hidden.map(|(path, _)| path.clone()).collect()
    }
}

/// Where documents are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Whereabouts {
    /// Those that are anywhere.
    pub documents: BTreeSet<String>,
    /// The snapshots that have any of them.
    pub snapshots: BTreeSet<Digest>,
    /// The documents of each segment that has any, by the segment's name in manifests.
    pub segments: BTreeMap<Digest, BTreeSet<String>>,
    /// How these snapshots' passages were embedded.
    pub embeddings: Vec<EmbeddingSpec>,
}

/// Where `documents` are in `snapshots`.
///
/// # Errors
/// If a manifest cannot be read.
pub async fn whereabouts(
    blobs: &TenantBlobs,
    snapshots: &BTreeSet<Digest>,
    documents: &BTreeSet<String>,
) -> Result<Whereabouts, KnowledgeError> {
    let mut found = Whereabouts::default();
    for digest in snapshots {
        let manifest = Manifest::read(*digest, &blobs.get(digest).await?)?;
        for path in documents {
            let Some(entry) = manifest.documents.get(path) else { continue };
            found.snapshots.insert(*digest);
            found.documents.insert(path.clone());
            if let Some(segment) = entry.segment {
                found.segments.entry(segment).or_default().insert(path.clone());
            }
        }
        if let Some(embedding) = manifest.embedding
            && found.snapshots.contains(digest)
            && !found.embeddings.contains(&embedding.spec)
        {
            found.embeddings.push(embedding.spec);
        }
    }
    Ok(found)
}

/// The documents of `snapshots` that pass all of `filters`.
///
/// # Errors
/// If a snapshot cannot be opened.
pub async fn documents_where(
    blobs: &TenantBlobs,
    snapshots: &BTreeSet<Digest>,
    filters: &[Filter],
) -> Result<BTreeSet<String>, KnowledgeError> {
    let (cache, mut found) = (SnapshotCache::default(), BTreeSet::new());
    // The one before is held until the next is open: they share most segments.
    let mut held: Option<Snapshot> = None;
    for digest in snapshots {
        let snapshot = &*held.insert(cache.open(blobs, *digest).await?);
        for part in snapshot.parts() {
            let documents = part.segment.documents.iter().filter(|document| {
                let passes = |filter: &Filter| {
                    filter.passes(snapshot.manifest.property(document, &filter.key).as_deref())
                };
                let entry = snapshot.manifest.documents.get(&document.path);
                entry.is_some_and(|entry| entry.segment == Some(part.segment.digest))
                    && !snapshot.erased.contains(&document.path)
                    && filters.iter().all(passes)
            });
            found.extend(documents.map(|document| document.path.clone()));
        }
    }
    Ok(found)
}

/// What of a segment holds erased documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remains {
    /// The blobs that do.
    pub blobs: Vec<Digest>,
    /// What names the texts of their passages in the cache of vectors.
    pub texts: BTreeSet<CacheKey>,
}

/// What still holds `documents`, or others that are hidden, of a segment; embedded as `embeddings`
/// say.
///
/// # Errors
/// If a segment cannot be read.
pub async fn remains(
    blobs: &TenantBlobs,
    digest: Digest,
    documents: &BTreeSet<String>,
    embeddings: &[EmbeddingSpec],
) -> Result<Remains, KnowledgeError> {
    let Standing { at, mut hidden, before } = Standing::of(blobs, digest).await?;
    hidden.extend(documents.iter().cloned());
    let mut remains = Remains::default();
    for blob in before.into_iter().chain(at) {
        if blobs.erasure(&blob).await?.shredded {
            continue;
        }
        let segment = open(blobs, blob).await?;
        let mut held = false;
        for document in segment.documents.iter().filter(|it| hidden.contains(&it.path)) {
            held = true;
            for chunk in segment.cut(document)?.chunks {
                let texts = embeddings.iter().map(|spec| passage_text(spec, &chunk));
                remains.texts.extend(texts.map(|text| CacheKey::of(&text)));
            }
        }
        if held {
            remains.blobs.push(blob);
        }
    }
    Ok(remains)
}

/// Rewrites what stands for a segment without its hidden documents; if nothing is hidden in it, or
/// nothing would be left, it stays as it is. The blob that stands for the other from now on has to
/// be noted by whoever calls: `(old, new)`.
///
/// # Errors
/// If a segment cannot be read or written.
pub async fn rewrite(
    blobs: &TenantBlobs,
    digest: Digest,
) -> Result<Option<(Digest, Digest)>, KnowledgeError> {
    let Standing { at, hidden, .. } = Standing::of(blobs, digest).await?;
    let Some(at) = at else { return Ok(None) };
    let segment = open(blobs, at).await?;
    let rewritten = tokio::task::spawn_blocking(move || {
        let documents = segment.documents.iter();
        let kept: Vec<_> = documents.filter(|document| !hidden.contains(&document.path)).collect();
        if kept.is_empty() || kept.len() == segment.documents.len() {
            return Ok(None);
        }
        let kept: Vec<_> = kept.into_iter().map(|document| (&segment, document)).collect();
        segment::rewrite(&kept).map(Some)
    });
    match rewritten.await.map_err(|_| KnowledgeError::Stopped)?? {
        Some(bytes) => Ok(Some((at, blobs.put_sealed(bytes).await?))),
        None => Ok(None),
    }
}

async fn open(blobs: &TenantBlobs, digest: Digest) -> Result<Segment, KnowledgeError> {
    let bytes = blobs.get(&digest).await?;
    let opened = tokio::task::spawn_blocking(move || Segment::open(digest, bytes));
    opened.await.map_err(|_| KnowledgeError::Stopped)?
}

#[cfg(test)]
mod tests;
