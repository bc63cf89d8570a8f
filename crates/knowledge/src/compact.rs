//! Compaction: a snapshot's documents in few segments, without the rows that count no more.
//!
//! ```text
//!  worn segments ─► documents that count ─► rewrite ─► new segments ─► manifest ─► the same? ─► batch
//! ```
//!
//! Every refresh adds a segment, and what it replaces stays in the older ones. Compaction copies
//! what counts into new segments: nothing is read, cut or embedded anew. It is another snapshot, since
//! its segments have other digests, and it counts only if it is found to be the same knowledge: the
//! same documents, passages and vectors, found alike.

mod equivalence;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use release::Digest;
use serde::{Deserialize, Serialize};
use store::TenantBlobs;

use crate::segment::{self, DocumentRows, Segment};
use crate::{
    BatchReport, Check, Judged, KnowledgeError, Manifest, QualityReport, Snapshot, SnapshotCache,
};

use equivalence::Comparison;

/// How many rows a segment of a compaction has at most, about: they are in memory while it is built.
const ROWS: u64 = 100_000;
/// From how many rows on a segment is rewritten only for rows that count no more.
const LARGE: u64 = ROWS / 2;
/// From which share of such rows on a segment is worth to be rewritten.
const WORN: f64 = 0.2;
/// From how many segments on a snapshot is compacted without being asked for.
const MANY: usize = 32;

/// How worn a snapshot is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wear {
    /// How many segments it has.
    pub segments: usize,
    /// How many passages these have.
    pub rows: u64,
    /// How many of them do not count any more.
    pub dead: u64,
}

/// What a compaction did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// How worn the snapshot before is.
    pub before: Wear,
    /// How worn the one after is.
    pub after: Wear,
    /// How many segments are rewritten.
    pub rewritten: usize,
    /// Bytes of these.
    pub bytes_before: u64,
    /// Bytes of the segments that take their place; none before that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<u64>,
    /// How many questions both snapshots were asked.
    #[serde(default)]
    pub questions: usize,
    /// How many of them find passages in another order in practice, because words are weighed by
    /// what counts, and no longer by what is gone too.
    #[serde(default)]
    pub reweighed: usize,
}

/// A snapshot that was compacted.
#[derive(Debug, Clone, PartialEq)]
pub struct Compacted {
    /// The new manifest.
    pub manifest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What was done, and whether it is the same knowledge.
    pub report: BatchReport,
}

/// Whether a snapshot is to be compacted without being asked for: questions wait for every segment.
pub fn is_worn(manifest: &Manifest) -> bool {
    manifest.segments().len() > MANY
}

/// How worn a snapshot is.
fn wear(snapshot: &Snapshot) -> Wear {
    let mut wear = Wear { segments: snapshot.parts().len(), ..Wear::default() };
    for part in snapshot.parts() {
        let rows = u64::from(part.segment.rows());
        wear.rows += rows;
        wear.dead += rows - part.counting(&[], &snapshot.manifest).count();
    }
    wear
}

/// Compacts a snapshot; with `dry_run` it only tells what it would do. Both snapshots are asked
/// `questions`; if there are none, what their own passages ask. The report's gate says whether they
/// answer alike. Either way nothing is the newest snapshot yet; `None` if there is nothing to gain.
///
/// # Errors
/// If a segment cannot be read or written.
pub async fn compact(
    blobs: &TenantBlobs,
    digest: Digest,
    questions: Vec<Judged>,
    dry_run: bool,
) -> Result<Option<(Compaction, Option<Compacted>)>, KnowledgeError> {
    // Not shared with what serves: the memory goes when this ends.
    let cache = SnapshotCache::default();
    let before = Arc::new(cache.open(blobs, digest).await?);
    let worn = worn(&before);
    let mut done = Compaction { before: wear(&before), ..Compaction::default() };
    let plan = plan(&before, &worn);
    done.rewritten = worn.len();
    let worn_parts = || before.parts().iter().filter(|part| worn.contains(&part.segment.digest));
    done.bytes_before = worn_parts().map(|part| part.segment.size as u64).sum();
    done.after = after(&before, &worn, plan.len());
    if done.after == done.before {
        return Ok(None);
    }
    if dry_run {
        return Ok(Some((done, None)));
    }
    let (mut manifest, mut written) = (before.manifest.clone(), 0);
    for paths in plan {
        let (whole, own) = (Arc::clone(&before), paths.clone());
        let built = tokio::task::spawn_blocking(move || rewrite(&whole, &own)).await;
        let bytes = built.map_err(|_| KnowledgeError::Stopped)??;
        written += bytes.len() as u64;
        let segment = blobs.put_sealed(bytes).await?;
        for path in paths {
            if let Some(entry) = manifest.documents.get_mut(&path) {
                entry.segment = Some(segment);
            }
        }
    }
    done.bytes_after = Some(written);
    let bytes = manifest.bytes()?;
    let digest = blobs.put(Bytes::from(bytes.clone())).await?;
    let after = cache.open(blobs, digest).await?;
    let (earlier, later) = (Arc::clone(&before), Arc::new(after));
    let compared =
        tokio::task::spawn_blocking(move || equivalence::compare(&earlier, &later, &questions));
    let Comparison { asked, reweighed, differences } =
        compared.await.map_err(|_| KnowledgeError::Stopped)??;
    (done.questions, done.reweighed) = (asked, reweighed);
    let check = Check {
        gate: "same_knowledge".to_owned(),
        passed: differences.is_empty(),
        measured: differences.len() as f64,
        limit: 0.0,
        documents: differences,
    };
    let report = BatchReport {
        documents: manifest.documents.len() as u64,
        chunks: manifest.chunks(),
        compaction: Some(done.clone()),
        quality: QualityReport { checks: vec![check] },
        ..BatchReport::default()
    };
    Ok(Some((done, Some(Compacted { manifest: digest, bytes, report }))))
}

/// The segments to be rewritten: small ones, and those with many rows that count no more.
fn worn(snapshot: &Snapshot) -> BTreeSet<Digest> {
    let parts = snapshot.parts().iter();
    let worn = parts.filter(|part| {
        let rows = u64::from(part.segment.rows());
        let live = part.counting(&[], &snapshot.manifest).count();
        live < LARGE || (rows - live) as f64 > WORN * rows as f64
    });
    worn.map(|part| part.segment.digest).collect()
}

/// The documents of each new segment, by path.
fn plan(snapshot: &Snapshot, worn: &BTreeSet<Digest>) -> Vec<Vec<String>> {
    let (mut plan, mut rows) = (Vec::new(), ROWS);
    for (path, entry) in &snapshot.manifest.documents {
        if entry.segment.is_none_or(|segment| !worn.contains(&segment)) {
            continue;
        }
        if rows >= ROWS {
            plan.push(Vec::new());
            rows = 0;
        }
        rows += entry.chunks;
        if let Some(last) = plan.last_mut() {
            last.push(path.clone());
        }
    }
    plan
}

/// How worn the snapshot is once `worn` are `new` segments.
fn after(snapshot: &Snapshot, worn: &BTreeSet<Digest>, new: usize) -> Wear {
    let mut wear = Wear { segments: new, ..Wear::default() };
    for part in snapshot.parts() {
        let rows = u64::from(part.segment.rows());
        let live = part.counting(&[], &snapshot.manifest).count();
        match worn.contains(&part.segment.digest) {
            true => wear.rows += live,
            false => {
                wear.segments += 1;
                wear.rows += rows;
                wear.dead += rows - live;
            }
        }
    }
    wear
}

fn rewrite(snapshot: &Snapshot, paths: &[String]) -> Result<Bytes, KnowledgeError> {
    let wanted: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let mut rows: Vec<_> = counting(snapshot).collect();
    rows.retain(|(path, _)| wanted.contains(path));
    rows.sort_by_key(|(path, _)| *path);
    let rows: Vec<_> = rows.into_iter().map(|(_, found)| found).collect();
    segment::rewrite(&rows)
}

/// The documents that count and have passages, by path, each where it is.
fn counting(snapshot: &Snapshot) -> impl Iterator<Item = (&str, (&Segment, &DocumentRows))> {
    snapshot.parts().iter().flat_map(|part| {
        let segment: &Segment = &part.segment;
        let counts = |document: &&DocumentRows| {
            let entry = snapshot.manifest.documents.get(&document.path);
            entry.is_some_and(|entry| entry.segment == Some(segment.digest))
        };
        let documents = segment.documents.iter().filter(counts);
        documents.map(move |document| (document.path.as_str(), (segment, document)))
    })
}

/// Where each document is, by path.
fn places(snapshot: &Snapshot) -> BTreeMap<&str, (&Segment, &DocumentRows)> {
    counting(snapshot).collect()
}

#[cfg(test)]
mod tests;
