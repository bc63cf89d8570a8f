//! What a batch did, as it is told to people: each document with its source, when it was changed,
//! and why it is in the batch.

use std::collections::BTreeMap;

use knowledge::{BatchReport, Ledger};
use release::{ArtifactName, Timestamp};
use serde::{Deserialize, Serialize};
use store::BlobError;

use crate::{BatchCause, BatchRecord, DeliveryError, TenantDelivery};

/// How many documents of a kind are told of at most.
const TOLD: usize = 1_000;

/// A batch, and what it did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportedBatch {
    /// The batch.
    pub batch: BatchRecord,
    /// What happened to its documents.
    pub report: BatchReport,
    /// Documents that were added, changed and removed: the first thousand of each.
    pub documents: Vec<DocumentChange>,
}

/// What a batch did to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentChange {
    /// Its path.
    pub document: String,
    /// `added`, `changed` or `removed`.
    pub what: String,
    /// Where it comes from.
    pub source: String,
    /// When its source changed it; of one that is removed, when it was last seen.
    pub at: Option<Timestamp>,
    /// Whether that is only when it was first seen.
    pub estimated: bool,
    /// Why.
    pub why: String,
}

impl TenantDelivery {
    /// What a batch did; the newest, if none is named.
    ///
    /// # Errors
    /// If there is no such batch, or what is known of it cannot be read.
    pub async fn batch_report(
        &self,
        name: &ArtifactName,
        number: Option<u64>,
    ) -> Result<ReportedBatch, DeliveryError> {
        let number = match number {
            Some(number) => number,
            None => match self.knowledge_base(name).await?.value.batches {
                0 => return Err(DeliveryError::NeverRefreshed(name.clone())),
                newest => newest,
            },
        };
        let batch = self.batch(name, number).await?;
        let bytes = self.blobs.get(&batch.report).await?;
        let report: BatchReport = serde_json::from_slice(&bytes).map_err(|error| {
            knowledge::KnowledgeError::Corrupt { part: batch.report, why: error.to_string() }
        })?;
        let after = self.ledger(batch.ledger).await?;
        let before = match batch.parent_ledger {
            Some(ledger) => match self.ledger(ledger).await {
                // Batches before this one are not kept for ever.
                Err(DeliveryError::Blob(BlobError::Missing(_))) => Ledger::default(),
                ledger => ledger?,
            },
            None => Ledger::default(),
        };
        let documents = changes(&report, (&before, &after), &batch.cause);
        Ok(ReportedBatch { batch, report, documents })
    }
}

/// What a batch did to each document.
fn changes(
    report: &BatchReport,
    (before, after): (&Ledger, &Ledger),
    cause: &BatchCause,
) -> Vec<DocumentChange> {
    let skipped = report.skipped.iter().map(|skipped| (&skipped.document, &skipped.reason));
    let skipped: BTreeMap<_, _> = skipped.collect();
    let mut changes = Vec::new();
    let kinds = [
        ("added", &report.diff.added),
        ("changed", &report.diff.changed),
        ("removed", &report.diff.removed),
    ];
    for (what, paths) in kinds {
        for path in paths.iter().take(TOLD) {
            let known = after.documents.get(path).or_else(|| before.documents.get(path));
            let gone = after.gone.get(path);
            let why = match (what, cause) {
                ("removed", BatchCause::Excise { .. }) => "it was taken out".to_owned(),
                (_, BatchCause::Excise { .. }) => "what had replaced it was taken out".to_owned(),
                (_, BatchCause::Restore { batch }) => format!("it is as in batch {batch}"),
                ("added", _) if before.gone.contains_key(path) => "it came back".to_owned(),
                ("added", _) => "it is new".to_owned(),
                ("changed", _) => "its contents changed".to_owned(),
                _ => match (gone, skipped.get(path)) {
                    (Some(_), _) => "its source does not have it any more".to_owned(),
                    (None, Some(reason)) => format!("it cannot be read any more: {reason}"),
                    (None, None) => {
                        "its source is no part of the knowledge base any more".to_owned()
                    }
                },
            };
            let changed_at = known.map(|known| known.modified_at);
            changes.push(DocumentChange {
                document: path.clone(),
                what: what.to_owned(),
                source: known.map(|known| known.source.clone()).unwrap_or_default(),
                at: gone.filter(|_| what == "removed").map(|gone| gone.last_seen).or(changed_at),
                estimated: known.is_some_and(|known| known.estimated),
                why,
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests;
