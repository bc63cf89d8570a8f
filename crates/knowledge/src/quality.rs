//! The gates that a batch must pass before its snapshot may become a candidate.
//!
//! What is judged is what stands in the ledgers before and after the batch, so a verdict can be had
//! again at any time. A batch that fails one is rejected whole: the snapshot before stays the newest.

mod drift;
mod golden;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Facts, Known, Ledger};

pub(crate) use drift::gate as judge_drift;
pub(crate) use golden::gate as ask_golden;
pub use golden::{GoldenReport, MAX_GOLDEN, Missed, MustFind, read_golden};

/// How many documents a check names at most.
const NAMED: usize = 20;
/// From how many documents on a knowledge base may lose a share of them without a word: one of two
/// documents is no flood.
const FEW: usize = 10;

/// What a batch must keep to. Shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quality {
    /// The largest share of the documents that may go in one batch (default 0.2; ten may always,
    /// unless none is left).
    #[schemars(range(min = 0, max = 1))]
    pub max_removed: f64,
    /// The largest share of the documents that may have failed (default 0.1; one may always).
    #[schemars(range(min = 0, max = 1))]
    pub max_failed: f64,
    /// The largest share of new and changed documents without text (default 0.05; one may always).
    #[schemars(range(min = 0, max = 1))]
    pub max_empty: f64,
    /// The largest share of changed documents that may be less than half as long as before (default
    /// 0.25; ten may always).
    #[schemars(range(min = 0, max = 1))]
    pub max_truncated: f64,
    /// The largest share of characters that could not be read (default 0.001).
    #[schemars(range(min = 0, max = 1))]
    pub max_unreadable: f64,
    /// The largest share of documents that are copies of others, or nearly (default 0.5).
    #[schemars(range(min = 0, max = 1))]
    pub max_copies: f64,
    /// The languages that documents are in, as `en`; any if empty (default).
    pub languages: BTreeSet<String>,
    /// The largest share of new and changed documents in other languages (default 0.05; one may
    /// always).
    #[schemars(range(min = 0, max = 1))]
    pub max_other_languages: f64,
    /// How often what should not be there may be found in new and changed documents, masked or not
    /// (default: any number).
    pub max_findings: Option<u64>,
    /// Metadata that every new and changed document must have.
    pub required: BTreeSet<String>,
    /// The farthest that the mean vector of all passages may move, as one less the cosine between
    /// before and after, as 0.02 (default: any distance). Knowledge bases of fewer than fifty passages
    /// are not judged.
    #[schemars(range(min = 0, max = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drift: Option<f64>,
    /// A file of golden queries beside this one, as `handbook.jsonl`: on each line `{"query": "…",
    /// "relevant": [paths of documents or ids of passages]}`. Each must find all that is relevant
    /// to it among the first `retrieval.k` passages.
    #[schemars(regex(pattern = r"^[^/]+\.jsonl$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub golden: Option<String>,
    /// The largest share of the golden queries that may not find all that they must (default 0).
    #[schemars(range(min = 0, max = 1))]
    pub max_missed: f64,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            max_removed: 0.2,
            max_failed: 0.1,
            max_empty: 0.05,
            max_truncated: 0.25,
            max_unreadable: 0.001,
            max_copies: 0.5,
            languages: BTreeSet::new(),
            max_other_languages: 0.05,
            max_findings: None,
            required: BTreeSet::new(),
            max_drift: None,
            golden: None,
            max_missed: 0.0,
        }
    }
}

/// One gate, and how a batch did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The gate, as the setting is called.
    pub gate: String,
    /// Whether it was passed.
    pub passed: bool,
    /// What was measured.
    pub measured: f64,
    /// What is allowed.
    pub limit: f64,
    /// Documents that count against it, the first twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
}

/// How a batch did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Every gate.
    pub checks: Vec<Check>,
}

impl QualityReport {
    /// Whether every gate was passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// Judges the batch that leads from `before` to `after`; `failed` are documents that could not be
/// read. `approved` lets documents go: a person has said that so many are to.
pub fn judge(
    quality: &Quality,
    (before, after): (&Ledger, &Ledger),
    failed: &[String],
    approved: bool,
) -> QualityReport {
    let mut checks = Vec::new();
    let mut share = |gate: &str, limit: f64, of: usize, free: usize, bad: Vec<&str>| {
        let measured = if of == 0 { 0.0 } else { bad.len() as f64 / of as f64 };
        let passed = bad.len() <= free || measured <= limit;
        let documents = bad.into_iter().take(NAMED).map(str::to_owned).collect();
        checks.push(Check { gate: gate.to_owned(), passed, measured, limit, documents });
    };
    let fresh: Vec<(&str, &Known, Option<&Known>)> = after
        .documents
        .iter()
        .map(|(path, now)| (path.as_str(), now, before.documents.get(path)))
        .filter(|(_, now, old)| old.is_none_or(|old| old.raw != now.raw))
        .collect();
    let named = |wrong: &dyn Fn(&Facts) -> bool| -> Vec<&str> {
        fresh.iter().filter(|(_, now, _)| wrong(&now.facts)).map(|(path, ..)| *path).collect()
    };
    let gone = before.documents.keys().filter(|path| !after.documents.contains_key(*path));
    let allowed = if approved { 1.0 } else { quality.max_removed };
    let gone: Vec<_> = gone.map(String::as_str).collect();
    // A few may go, but not the last ones: an empty place looks like that when it is not mounted.
    let few = if after.documents.is_empty() { 0 } else { FEW };
    share("max_removed", allowed, before.documents.len(), few, gone);
    let all = after.documents.len() + failed.len();
    share("max_failed", quality.max_failed, all, 1, failed.iter().map(String::as_str).collect());
    share("max_empty", quality.max_empty, fresh.len(), 1, named(&|facts| facts.characters == 0));
    let shorter = |old: &Known, now: &Known| now.facts.characters * 2 < old.facts.characters;
    let changed = fresh.iter().filter_map(|(path, now, old)| Some((*path, *now, (*old)?)));
    let changed: Vec<_> = changed.collect();
    let truncated = changed.iter().filter(|(_, now, old)| shorter(old, now));
    let truncated = truncated.map(|(path, ..)| *path).collect();
    share("max_truncated", quality.max_truncated, changed.len(), FEW, truncated);
    let copies = after.documents.iter().filter(|(_, known)| known.facts.copy_of.is_some());
    let copies = copies.map(|(path, _)| path.as_str()).collect();
    share("max_copies", quality.max_copies, after.documents.len(), 1, copies);
    if !quality.languages.is_empty() {
        let other = |facts: &Facts| {
            facts.language.as_ref().is_some_and(|language| !quality.languages.contains(language))
        };
        let limit = quality.max_other_languages;
        share("max_other_languages", limit, fresh.len(), 1, named(&other));
    }
    if !quality.required.is_empty() {
        let lacks = |facts: &Facts| !quality.required.is_subset(&facts.fields);
        share("required", 0.0, fresh.len(), 0, named(&lacks));
    }
    let mut count = |gate: &str, limit: f64, measured: f64, documents: Vec<&str>| {
        let (gate, passed) = (gate.to_owned(), measured <= limit);
        let documents = documents.into_iter().take(NAMED).map(str::to_owned).collect();
        checks.push(Check { gate, passed, measured, limit, documents });
    };
    let sum = |of: &dyn Fn(&Facts) -> u64| -> u64 {
        fresh.iter().map(|(_, now, _)| of(&now.facts)).sum()
    };
    let characters = sum(&|facts| facts.characters).max(1);
    let unreadable = sum(&|facts| facts.unreadable) as f64 / characters as f64;
    let documents = named(&|facts| facts.unreadable > 0);
    count("max_unreadable", quality.max_unreadable, unreadable, documents);
    if let Some(limit) = quality.max_findings {
        let found = sum(&|facts| facts.findings.values().sum());
        let documents = named(&|facts| !facts.findings.is_empty());
        count("max_findings", limit as f64, found as f64, documents);
    }
    QualityReport { checks }
}

#[cfg(test)]
mod tests;
