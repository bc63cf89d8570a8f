//! An open snapshot: the segments it is made of, and which of their rows count.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use release::Digest;
use store::TenantBlobs;

use crate::retrieve::{Filter, Rows};
use crate::segment::{DocumentRows, Segment};
use crate::{KnowledgeError, Manifest};

/// An open snapshot. Snapshots share the segments they have in common.
#[derive(Debug)]
pub struct Snapshot {
    /// Its digest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    parts: Vec<Part>,
    copies: Copies,
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
            if self.live.holds(document.rows.start) && passes(document, filters, manifest) {
                rows.add(document.rows.clone());
            }
        }
        rows
    }
}

fn passes(document: &DocumentRows, filters: &[Filter], manifest: &Manifest) -> bool {
    let passes =
        |filter: &Filter| filter.passes(manifest.property(document, &filter.key).as_deref());
    filters.iter().all(passes)
}

/// Documents that say the same, each by its part and its number there; the one that is found first.
#[derive(Debug, Default)]
struct Copies {
    groups: Vec<Vec<(usize, usize)>>,
    /// Which group a path is in.
    of: HashMap<String, usize>,
}

impl Copies {
    fn new(parts: &[Part], manifest: &Manifest) -> Self {
        let wanted = manifest.copies();
        let paths: HashSet<&str> = wanted.values().flatten().copied().collect();
        let mut places = HashMap::new();
        for (number, part) in parts.iter().enumerate() {
            for (at, document) in part.segment.documents.iter().enumerate() {
                let entry = manifest.documents.get(&document.path);
                let here = entry.is_some_and(|entry| entry.segment == Some(part.segment.digest));
                if here && paths.contains(document.path.as_str()) {
                    places.insert(document.path.as_str(), (number, at));
                }
            }
        }
        let mut copies = Self::default();
        for group in wanted.values() {
            let of = group.iter().map(|path| ((*path).to_owned(), copies.groups.len()));
            copies.of.extend(of);
            copies.groups.push(group.iter().filter_map(|path| places.get(path).copied()).collect());
        }
        copies
    }
}

impl Snapshot {
    /// The rows of each part that count and pass all of `filters`. Of documents that say the same,
    /// those of the first that passes.
    pub(crate) fn counting(&self, filters: &[Filter]) -> Vec<Rows> {
        let parts = self.parts.iter();
        let mut rows: Vec<Rows> =
            parts.map(|part| part.counting(filters, &self.manifest)).collect();
        if filters.is_empty() {
            return rows;
        }
        for group in &self.copies.groups {
            let passing =
                group.iter().find(|place| passes(self.document(**place), filters, &self.manifest));
            if let Some(place) = passing {
                rows[place.0].add(self.document(*place).rows.clone());
            }
        }
        rows
    }

    /// The documents that say the same as `path` and pass all of `filters`.
    pub(crate) fn same_as(&self, path: &str, filters: &[Filter]) -> Vec<String> {
        let Some(group) = self.copies.of.get(path) else { return Vec::new() };
        let group = self.copies.groups[*group].iter().map(|place| self.document(*place));
        let others = group
            .filter(|document| document.path != path && passes(document, filters, &self.manifest));
        others.map(|document| document.path.clone()).collect()
    }

    fn document(&self, (part, number): (usize, usize)) -> &DocumentRows {
        &self.parts[part].segment.documents[number]
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
        let mut parts = Vec::new();
        for digest in manifest.segments() {
            let segment = self.segment(blobs, digest).await?;
            let dimension = segment.vectors.as_ref().map(|vectors| vectors.dimension());
            let wanted = manifest.embedding.as_ref().map(|entry| entry.dimension as usize);
            if dimension != wanted {
                let why = "its vectors are not those that the snapshot names".to_owned();
                return Err(KnowledgeError::Corrupt { part: digest, why });
            }
            let counts = |path: &str| {
                let entry = manifest.documents.get(path);
                entry.is_some_and(|entry| entry.segment == Some(digest) && entry.copy_of.is_none())
            };
            parts.push(Part::new(segment, counts));
        }
        let copies = Copies::new(&parts, &manifest);
        Ok(Snapshot { digest, manifest, parts, copies })
    }

    async fn segment(
        &self,
        blobs: &TenantBlobs,
        digest: Digest,
    ) -> Result<Arc<Segment>, KnowledgeError> {
        let key = (blobs.tenant().clone(), digest);
        let known = || {
            let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
            segments.get(&key).and_then(Weak::upgrade)
        };
        if let Some(segment) = known() {
            return Ok(segment);
        }
        let bytes = blobs.get(&digest).await?;
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

    /// About how many bytes it has in memory, segments that others share included.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.segment.bytes).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests;
