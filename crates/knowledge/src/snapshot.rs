//! An open snapshot: the segments it is made of, and which of their rows count.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use release::Digest;
use store::{BlobError, TenantBlobs};

use crate::erase::Standing;
use crate::retrieve::{Filter, Rows};
use crate::segment::Segment;
use crate::{KnowledgeError, Manifest};

/// An open snapshot. Snapshots share the segments they have in common.
#[derive(Debug)]
pub struct Snapshot {
    /// Its digest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Documents that it had and that were erased since: they are found no more, and what is found
    /// in their place may have other scores.
    pub erased: BTreeSet<String>,
    parts: Vec<Part>,
    /// What stood for each of its segments when it was opened.
    standing: BTreeMap<Digest, Standing>,
}

/// A segment of a snapshot.
#[derive(Debug)]
pub(crate) struct Part {
    pub segment: Arc<Segment>,
    /// Rows of documents that count.
    live: Rows,
}

impl Part {
    /// The segment's documents that `counts` says count.
    fn new(segment: Arc<Segment>, counts: impl Fn(&str) -> bool) -> Self {
        let mut live = Rows::none(segment.rows());
        let counting = segment.documents.iter().filter(|document| counts(&document.path));
        counting.for_each(|document| live.add(document.rows.clone()));
        Self { segment, live }
    }

    /// The rows that count and pass all of `filters`.
    pub fn counting(&self, filters: &[Filter], manifest: &Manifest) -> Rows {
        if filters.is_empty() {
            return self.live.clone();
        }
        let mut rows = Rows::none(self.segment.rows());
        for document in &self.segment.documents {
            let passes = |filter: &Filter| {
                filter.passes(manifest.property(document, &filter.key).as_deref())
            };
            if self.live.holds(document.rows.start) && filters.iter().all(passes) {
                rows.add(document.rows.clone());
            }
        }
        rows
    }
}

/// Keeps track of open segments, so that snapshots share them. Segments of one tenant are never
/// found by another: the key has the tenant.
#[derive(Debug, Default)]
pub struct SnapshotCache {
    segments: Mutex<HashMap<(release::TenantId, Digest), Weak<Segment>>>,
}

impl SnapshotCache {
    /// Opens a snapshot, verifying manifest and segments.
    ///
    /// # Errors
    /// If a part is missing or corrupt; the error names it.
    pub async fn open(
        &self,
        blobs: &TenantBlobs,
        digest: Digest,
    ) -> Result<Snapshot, KnowledgeError> {
        let manifest = Manifest::read(digest, &blobs.get(&digest).await?)?;
        let (mut parts, mut standing) = (Vec::new(), BTreeMap::new());
        for digest in manifest.segments() {
            let (stands, segment) = self.standing(blobs, digest).await?;
            if let Some(segment) = segment {
                let dimension = segment.vectors.as_ref().map(|vectors| vectors.dimension());
                let wanted = manifest.embedding.as_ref().map(|entry| entry.dimension as usize);
                if dimension != wanted {
                    let why = "its vectors are not those that the snapshot names".to_owned();
                    return Err(KnowledgeError::Corrupt { part: digest, why });
                }
                let counts = |path: &str| {
                    let entry = manifest.documents.get(path);
                    entry.is_some_and(|entry| entry.segment == Some(digest))
                        && !stands.hidden.contains(path)
                };
                parts.push(Part::new(segment, counts));
            }
            standing.insert(digest, stands);
        }
        let erased = manifest.hidden(&standing);
        Ok(Snapshot { digest, manifest, erased, parts, standing })
    }

    /// What stands for a segment, and that, open; none if all of it was erased.
    async fn standing(
        &self,
        blobs: &TenantBlobs,
        digest: Digest,
    ) -> Result<(Standing, Option<Arc<Segment>>), KnowledgeError> {
        loop {
            let stands = Standing::of(blobs, digest).await?;
            let Some(at) = stands.at else { return Ok((stands, None)) };
            match self.segment(blobs, (digest, at)).await {
                Ok(segment) => return Ok((stands, Some(segment))),
                // It was erased this moment: by now something else stands for it.
                Err(KnowledgeError::Blob(BlobError::Erased(gone)))
                    if blobs.erasure(&gone).await?.shredded => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The segment that manifests name `digest`, from the blob that stands for it.
    async fn segment(
        &self,
        blobs: &TenantBlobs,
        (digest, at): (Digest, Digest),
    ) -> Result<Arc<Segment>, KnowledgeError> {
        let key = (blobs.tenant().clone(), at);
        let known = || {
            let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
            segments.get(&key).and_then(Weak::upgrade)
        };
        if let Some(segment) = known() {
            return Ok(segment);
        }
        let bytes = blobs.get(&at).await?;
        let opened = tokio::task::spawn_blocking(move || Segment::open(digest, bytes));
        let segment = Arc::new(opened.await.map_err(|_| KnowledgeError::Stopped)??);
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        segments.retain(|_, segment| segment.strong_count() > 0);
        segments.insert(key, Arc::downgrade(&segment));
        Ok(segment)
    }
}

impl Snapshot {
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether nothing was erased of it since it was opened.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn is_current(&self, blobs: &TenantBlobs) -> Result<bool, KnowledgeError> {
        for (digest, before) in &self.standing {
            if Standing::of(blobs, *digest).await? != *before {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// About how many bytes it has in memory, segments that others share included.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.segment.bytes).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests;
