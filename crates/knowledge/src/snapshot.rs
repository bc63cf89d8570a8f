//! Searching a snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use release::Digest;
use store::TenantBlobs;
use tantivy::Term;
use tantivy::collector::TopDocs;
use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

use crate::analyse::terms;
use crate::segment::Segment;
use crate::{KnowledgeError, Manifest};

/// The most different terms of a question that are asked for.
const MAX_TERMS: usize = 64;

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieved {
    /// The chunk's id.
    pub id: Digest,
    /// The document's path.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// The headings it stands under.
    pub headings: Vec<String>,
    /// Its text.
    pub text: String,
    /// Its BM25 score.
    pub score: f32,
    /// Where it starts in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Where it starts in the document's text, in characters.
    pub start_char: usize,
}

/// An open snapshot. Snapshots share the segments they have in common.
#[derive(Debug)]
pub struct Snapshot {
    /// Its digest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    segments: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    segment: Arc<Segment>,
    /// Rows of documents that no longer count.
    removed: HashSet<u32>,
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
            let counts = |document: &str| {
                manifest.documents.get(document).is_some_and(|entry| entry.segment == Some(digest))
            };
            let rows = (0_u32..).zip(segment.chunks.iter());
            let removed = rows.filter(|(_, chunk)| !counts(&chunk.document)).map(|(row, _)| row);
            let removed = removed.collect();
            parts.push(Part { segment, removed });
        }
        Ok(Snapshot { digest, manifest, segments: parts })
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
        let opened = tokio::task::spawn_blocking(move || Segment::open(digest, &bytes));
        let segment = Arc::new(opened.await.map_err(|_| KnowledgeError::Stopped)??);
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        segments.retain(|_, segment| segment.strong_count() > 0);
        segments.insert(key, Arc::downgrade(&segment));
        Ok(segment)
    }
}

impl Snapshot {
    /// The `limit` passages that fit `question` best, best first. The same question always gets
    /// the same answer. Takes CPU time: call it where blocking is allowed.
    ///
    /// # Errors
    /// If the index fails.
    pub fn retrieve(&self, question: &str, limit: usize) -> Result<Vec<Retrieved>, KnowledgeError> {
        let mut seen = HashSet::new();
        let mut asked = terms(question);
        asked.retain(|term| seen.len() < MAX_TERMS && seen.insert(term.clone()));
        if asked.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut hits: Vec<(f32, usize, u32)> = Vec::new();
        for (number, part) in self.segments.iter().enumerate() {
            let query = query(part.segment.field, &asked);
            // At most all removed rows come before the ones that count.
            let collector = TopDocs::with_limit(limit + part.removed.len()).order_by_score();
            let found =
                part.segment.searcher.search_with_statistics_provider(&query, &collector, self)?;
            let counting = found.into_iter().filter(|(_, row)| !part.removed.contains(&row.doc_id));
            hits.extend(counting.map(|(score, row)| (score, number, row.doc_id)));
        }
        let chunk = |hit: &(f32, usize, u32)| &self.segments[hit.1].segment.chunks[hit.2 as usize];
        hits.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| chunk(a).id.cmp(&chunk(b).id)));
        hits.truncate(limit);
        let retrieved = hits.iter().map(|hit| {
            let chunk = chunk(hit);
            Retrieved {
                id: chunk.id,
                document: chunk.document.clone(),
                title: chunk.title.clone(),
                headings: chunk.headings.clone(),
                text: chunk.text.clone(),
                score: hit.0,
                start: chunk.start,
                end: chunk.start + chunk.text.len(),
                start_char: chunk.start_char,
            }
        });
        Ok(retrieved.collect())
    }
}

fn query(field: Field, asked: &[String]) -> BooleanQuery {
    let clauses = asked.iter().map(|term| {
        let term = Term::from_field_text(field, term);
        let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
        (Occur::Should, query)
    });
    BooleanQuery::new(clauses.collect())
}

/// Statistics are those of the whole snapshot, so that scores of different segments compare.
impl Bm25StatisticsProvider for Snapshot {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.segments.iter().map(|part| part.segment.searcher.total_num_tokens(field)).sum()
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.segments.iter().map(|part| part.segment.searcher.num_docs()).sum())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.segments.iter().map(|part| part.segment.searcher.doc_freq(term)).sum()
    }
}

#[cfg(test)]
mod tests;
