//! Golden queries as a gate: a batch whose snapshot does not find what it must is rejected.
//!
//! The snapshot is opened and asked before it may land, by the same code as an evaluation. What it
//! found is kept: it is what a drill compares with, and it carries the queries' vectors, so that the
//! next batch embeds none of them again.

use std::collections::BTreeMap;
use std::sync::Arc;

use release::Digest;
use serde::{Deserialize, Serialize};

use super::{Check, NAMED};
use crate::evaluate::{GoldenQueries, Judged, embed_queries};
use crate::{BatchReport, KnowledgeError, RefreshInput, Retrieved, Snapshot, SnapshotCache};

/// The most golden queries of a knowledge base.
pub const MAX_GOLDEN: usize = 1_000;
/// How far down the rank of what is missed is looked for.
const DEEP: usize = 50;

/// What the snapshots of a knowledge base must find.
#[derive(Debug, Clone, PartialEq)]
pub struct MustFind {
    /// The queries.
    pub queries: Vec<Judged>,
    /// What the snapshot before found, if it was asked.
    pub before: Option<GoldenQueries>,
}

/// How a batch did at the golden queries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GoldenReport {
    /// How many were asked.
    pub queries: usize,
    /// How many passages each was given.
    pub k: usize,
    /// How many do not find all that they must.
    pub missing: usize,
    /// What they do not find, the first twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
}

/// Something that a golden query must find and does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The query.
    pub query: String,
    /// The document or passage.
    pub wanted: String,
    /// Its rank in the snapshot before; none if it was not among the first fifty.
    pub before: Option<usize>,
    /// Its rank now.
    pub after: Option<usize>,
}

/// Reads golden queries, a line of JSON each; blank lines are skipped.
///
/// # Errors
/// The number of the line, from 1, and what is wrong with it.
pub fn read_golden(text: &str) -> Result<Vec<Judged>, (usize, String)> {
    let mut queries = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: &str| (number, why.to_owned());
        let query: Judged =
            serde_json::from_str(line).map_err(|error| (number, error.to_string()))?;
        if query.query.trim().is_empty() {
            return Err(wrong("the query is empty"));
        }
        if query.relevant.is_empty() {
            return Err(wrong("`relevant` names nothing that the query must find"));
        }
        if queries.len() == MAX_GOLDEN {
            return Err((number, format!("more than {MAX_GOLDEN} golden queries")));
        }
        queries.push(query);
    }
    match queries.is_empty() {
        true => Err((1, "there are no queries".to_owned())),
        false => Ok(queries),
    }
}

/// Asks the candidate `digest` its golden queries, if there are any, and notes in `report` how it did.
/// Returns what it found, as a blob. One that is its own `parent` has been asked already.
///
/// # Errors
/// If a snapshot cannot be opened, or a query cannot be embedded.
pub async fn gate(
    input: &RefreshInput,
    digest: Digest,
    report: &mut BatchReport,
) -> Result<Option<Digest>, KnowledgeError> {
    let Some(must) = &input.golden else { return Ok(None) };
    let recorded = must.before.as_ref().filter(|before| Some(before.snapshot) == input.parent);
    if recorded.is_some_and(|before| before.snapshot == digest && before.asks(&must.queries)) {
        return Ok(None);
    }
    let cache = SnapshotCache::default();
    let candidate = Arc::new(cache.open(&input.blobs, digest).await?);
    let parent = match input.parent {
        Some(parent) => Some(Arc::new(cache.open(&input.blobs, parent).await?)),
        None => None,
    };
    let mut queries = must.queries.clone();
    let same = parent
        .as_ref()
        .is_some_and(|parent| parent.manifest.embedding == candidate.manifest.embedding);
    if let Some(before) = recorded.filter(|_| same) {
        before.carry_vectors(&mut queries)?;
    }
    let needed = queries.iter().any(|query| query.ask(&candidate, 1).needs_vector());
    if let Some(embedding) = input.embedding.as_ref().filter(|_| needed) {
        embed_queries(&candidate, embedding.open.embedder.as_ref(), &mut queries).await?;
    }
    let work = tokio::task::spawn_blocking(move || {
        let k = candidate.manifest.retrieval.limit();
        let found = GoldenQueries::record(&candidate, &queries, k)?;
        // A snapshot of another embedder would need vectors of its own.
        let parent = parent.as_deref().filter(|_| same);
        let report = told(&found, &queries, (parent, &candidate))?;
        Ok::<_, KnowledgeError>((found, report))
    });
    let (found, golden) = work.await.map_err(|_| KnowledgeError::Stopped)??;
    report.quality.checks.push(check(&found, input.spec.quality.max_missed));
    report.golden = Some(golden);
    Ok(Some(input.blobs.put(found.bytes()?.into()).await?))
}

fn check(found: &GoldenQueries, limit: f64) -> Check {
    let missing = found.missed().count();
    let measured = missing as f64 / found.queries.len().max(1) as f64;
    let mut documents: Vec<String> =
        found.missed().flat_map(|query| query.missed.iter().cloned()).collect();
    documents.sort();
    documents.dedup();
    documents.truncate(NAMED);
    let (gate, passed) = ("max_missed".to_owned(), measured <= limit);
    Check { gate, passed, measured, limit, documents }
}

/// What is missed, with its ranks before and now.
fn told(
    found: &GoldenQueries,
    queries: &[Judged],
    (parent, candidate): (Option<&Snapshot>, &Snapshot),
) -> Result<GoldenReport, KnowledgeError> {
    let by_text: BTreeMap<&str, &Judged> =
        queries.iter().map(|query| (query.query.as_str(), query)).collect();
    let mut missed = Vec::new();
    for golden in found.missed() {
        let Some(query) = by_text.get(golden.query.as_str()) else { continue };
        let ranks = |snapshot: &Snapshot| snapshot.retrieve(&query.ask(snapshot, DEEP));
        let before = parent.map(ranks).transpose()?.map(|found| found.passages);
        let after = ranks(candidate)?.passages;
        for wanted in &golden.missed {
            missed.push(Missed {
                query: golden.query.clone(),
                wanted: wanted.clone(),
                before: before.as_deref().and_then(|found| rank(found, wanted)),
                after: rank(&after, wanted),
            });
        }
        if missed.len() >= NAMED {
            missed.truncate(NAMED);
            break;
        }
    }
    let (queries, k, missing) = (found.queries.len(), found.k, found.missed().count());
    Ok(GoldenReport { queries, k, missing, missed })
}

/// The rank of the first passage that is `wanted`, or of it.
fn rank(found: &[Retrieved], wanted: &str) -> Option<usize> {
    found.iter().position(|passage| passage.answers(wanted)).map(|at| at + 1)
}

#[cfg(test)]
mod tests;
