//! An open snapshot: the segments it is made of, and which of their rows count.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use release::Digest;
use store::{BlobError, TenantBlobs};

use crate::erase::Standing;
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
    /// Documents that it had and that were erased since: they are found no more, and what is found
    /// in their place may have other scores.
    pub erased: BTreeSet<String>,
    parts: Vec<Part>,
    /// What stood for each of its segments when it was opened.
    standing: BTreeMap<Digest, Standing>,
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
        let (mut segments, mut standing) = (Vec::new(), BTreeMap::new());
        for digest in manifest.segments() {
            let (stands, segment) = self.standing(blobs, digest).await?;
            if let Some(segment) = segment {
                let dimension = segment.vectors.as_ref().map(|vectors| vectors.dimension());
                let wanted = manifest.embedding.as_ref().map(|entry| entry.dimension as usize);
                if dimension != wanted {
                    let why = "its vectors are not those that the snapshot names".to_owned();
                    return Err(KnowledgeError::Corrupt { part: digest, why });
                }
                segments.push(segment);
            }
            standing.insert(digest, stands);
        }
        let erased = manifest.hidden(&standing);
        // What said the same as a document that was erased is found in its place.
        let mut shown = manifest.clone();
        shown.retain(|path, _| !erased.contains(path));
        let part = |segment: Arc<Segment>| {
            let digest = segment.digest;
            let counts = |path: &str| {
                let entry = shown.documents.get(path);
                entry.is_some_and(|entry| entry.segment == Some(digest) && entry.copy_of.is_none())
            };
            Part::new(segment, counts)
        };
        let parts: Vec<_> = segments.into_iter().map(part).collect();
        let copies = Copies::new(&parts, &shown);
        Ok(Snapshot { digest, manifest, erased, parts, standing, copies })
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

    /// Whether something was erased of its segments before it was opened: then scores may differ from
    /// those of before.
    pub fn is_redacted(&self) -> bool {
        let redacted = |(digest, stands): (&Digest, &Standing)| {
            stands.at != Some(*digest) || !stands.hidden.is_empty()
        };
        self.standing.iter().any(redacted)
    }

    /// Whether the same stands for its segments as for those of another opening of it.
    pub fn stands_as(&self, other: &Self) -> bool {
        self.standing == other.standing
    }

    /// About how many bytes it has in memory, segments that others share included.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.segment.bytes).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests;
