//! Golden queries: what a knowledge base must find, and what its newest snapshot found.

use knowledge::{GoldenQueries, Manifest, MustFind, SnapshotCache, read_golden};
use release::Digest;

use crate::catalog::KnowledgeRecord;
use crate::{DeliveryError, TenantDelivery};

impl TenantDelivery {
    /// What the snapshots of a knowledge base must find; none if it has no golden queries.
    pub(crate) async fn must_find(
        &self,
        record: &KnowledgeRecord,
    ) -> Result<Option<MustFind>, DeliveryError> {
        let Some(golden) = record.golden else { return Ok(None) };
        let text = self.blobs.get(&golden).await?;
        let queries = read_golden(&String::from_utf8_lossy(&text));
        let queries = queries.map_err(|(line, why)| {
            let why = format!("line {line} of its golden queries: {why}");
            knowledge::KnowledgeError::Corrupt { part: golden, why }
        })?;
        Ok(Some(MustFind { queries, before: self.found(record).await? }))
    }

    /// What the newest snapshot of a knowledge base finds for its golden queries.
    async fn found(
        &self,
        record: &KnowledgeRecord,
    ) -> Result<Option<GoldenQueries>, DeliveryError> {
        let Some(found) = record.found else { return Ok(None) };
        Ok(Some(GoldenQueries::read(found, &self.blobs.get(&found).await?)?))
    }

    /// What is found for the golden queries in a snapshot that was made from others. They were asked
    /// of the newest, so that no vector has to be made; one of another embedder is not asked. A person
    /// wanted it so: nothing is judged.
    pub(crate) async fn found_again(
        &self,
        record: &KnowledgeRecord,
        made: &Manifest,
    ) -> Result<Option<Digest>, DeliveryError> {
        let (Some(before), Some(newest)) = (self.found(record).await?, record.snapshot) else {
            return Ok(None);
        };
        if self.manifest(newest).await?.embedding != made.embedding {
            return Ok(None);
        }
        let manifest = self.blobs.put(made.bytes()?.into()).await?;
        let snapshot = SnapshotCache::default().open(&self.blobs, manifest).await?;
        let asked = tokio::task::spawn_blocking(move || before.again(&snapshot)).await;
        let found = asked.map_err(|_| knowledge::KnowledgeError::Stopped)??;
        Ok(Some(self.blobs.put(found.bytes()?.into()).await?))
    }
}
