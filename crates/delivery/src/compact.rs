//! Compaction as a batch: the same knowledge in fewer segments becomes the newest snapshot.

use async_trait::async_trait;
use knowledge::{Check, Compaction, GoldenQueries, Manifest};
use release::ArtifactName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::Fault;
use workflow::engine::{Task, TaskCall, output};

use crate::catalog::BatchCause;
use crate::refresh::{Landing, Refreshed};
use crate::{Delivery, DeliveryError, TenantDelivery};

/// How many documents a check names at most.
const NAMED: usize = 20;

/// What a compaction did, or would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compacted {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// What was done, or would be; none if there is nothing to gain.
    pub compaction: Option<Compaction>,
    /// What came of it; none if nothing was done.
    pub batch: Option<Refreshed>,
}

/// `knowledge.compact`: rewrites a knowledge base's segments. Doing it twice does nothing more.
#[derive(Debug)]
pub struct CompactTask(pub Delivery);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compact {
    knowledge: ArtifactName,
    /// Whether it is only told what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[async_trait]
impl Task for CompactTask {
    fn name(&self) -> &'static str {
        "knowledge.compact"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Compact { knowledge, dry_run } = call.read()?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        output(&delivery.compact(&knowledge, dry_run).await?)
    }
}

impl TenantDelivery {
    /// Makes the newest snapshot of a knowledge base one of fewer segments, without rows that count no
    /// more, and proposes it. It lands only if it is found to be the same knowledge.
    ///
    /// # Errors
    /// If the knowledge base is unknown or was never refreshed, or something cannot be read or
    /// written. The snapshot before keeps serving.
    pub async fn compact(
        &self,
        name: &ArtifactName,
        dry_run: bool,
    ) -> Result<Compacted, DeliveryError> {
        let known = self.knowledge_base(name).await?;
        let (Some(snapshot), Some(ledger)) = (known.value.snapshot, known.value.ledger) else {
            return Err(DeliveryError::NeverRefreshed(name.clone()));
        };
        let golden = self.must_find(&known.value).await?;
        let mut questions = golden.as_ref().map_or_else(Vec::new, |must| must.queries.clone());
        if let Some(before) = golden.as_ref().and_then(|must| must.before.as_ref()) {
            before.carry_vectors(&mut questions)?;
        }
        let compacted = knowledge::compact(&self.blobs, snapshot, questions, dry_run).await?;
        let mut told = Compacted { knowledge: name.clone(), compaction: None, batch: None };
        let Some((compaction, made)) = compacted else { return Ok(told) };
        told.compaction = Some(compaction);
        if let Some(mut made) = made {
            let manifest = Manifest::read(made.manifest, &made.bytes)?;
            let found = self.found_again(&known.value, &manifest).await?;
            if let (Some(before), Some(found)) = (golden.and_then(|must| must.before), found) {
                let after = GoldenQueries::read(found, &self.blobs.get(&found).await?)?;
                made.report.quality.checks.push(still_found(&before, &after));
            }
            let landing = Landing {
                found,
                cause: BatchCause::Compact,
                snapshot: made.manifest,
                bytes: made.bytes,
                ledger,
                report: made.report,
                polls: known.value.polls.clone(),
            };
            told.batch = Some(self.land(known, landing, false).await?);
        }
        Ok(told)
    }

    /// Compacts what a refresh has made if it has many segments, and adds what came of it. The refresh
    /// stands whatever comes of that.
    pub(crate) async fn compact_worn(&self, refreshed: &mut Refreshed) {
        let Some(snapshot) = refreshed.snapshot.filter(|_| !refreshed.unchanged) else { return };
        let compacted = async {
            match knowledge::is_worn(&self.manifest(snapshot).await?) {
                true => {
                    Ok::<_, DeliveryError>(self.compact(&refreshed.knowledge, false).await?.batch)
                }
                false => Ok(None),
            }
        };
        match compacted.await {
            Ok(Some(batch)) if batch.accepted => {
                refreshed.snapshot = batch.snapshot;
                refreshed.report.compaction = batch.report.compaction;
                refreshed.changes.extend(batch.changes);
                refreshed.promoted.extend(batch.promoted);
                refreshed.gated.extend(batch.gated);
            }
            Ok(Some(batch)) => {
                let (knowledge, checks) = (&refreshed.knowledge, &batch.report.quality.checks);
                tracing::warn!(%knowledge, ?checks, "a compacted snapshot is not the same knowledge");
            }
            Ok(None) => {}
            Err(error) => {
                let knowledge = &refreshed.knowledge;
                tracing::warn!(%error, %knowledge, "many segments could not be compacted");
            }
        }
    }
}

/// Words are weighed anew, which may not make a golden query miss what it found.
fn still_found(before: &GoldenQueries, after: &GoldenQueries) -> Check {
    let pairs = before.queries.iter().zip(&after.queries);
    let lost =
        pairs.flat_map(|(was, is)| is.missed.iter().filter(|path| !was.missed.contains(path)));
    let documents: Vec<String> = lost.take(NAMED).cloned().collect();
    let (gate, passed) = ("golden_queries".to_owned(), documents.is_empty());
    Check { gate, passed, measured: documents.len() as f64, limit: 0.0, documents }
}

#[cfg(test)]
mod tests;
