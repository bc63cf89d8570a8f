//! Versions of a knowledge base: its batches, what is different between two, what was the newest at a
//! moment, and snapshots without what must go.

use std::collections::BTreeSet;

use knowledge::{BatchReport, Diff, Ledger, Manifest};
use release::{ArtifactName, Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::catalog::{BATCHES, BatchCause, BatchRecord, KnowledgeRecord, Versioned, batch_key};
use crate::refresh::{Landing, Refreshed};
use crate::{DeliveryError, TenantDelivery};

/// What is taken out of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Excised {
    /// A document, by its path.
    Document(String),
    /// Everything that a batch brought, by its number; what it replaced or removed comes back.
    Batch(u64),
}

impl TenantDelivery {
    /// The batches of a knowledge base, the newest first.
    ///
    /// # Errors
    /// If there is no such knowledge base, or the records cannot be read.
    pub async fn batches(&self, name: &ArtifactName) -> Result<Vec<BatchRecord>, DeliveryError> {
        self.knowledge_base(name).await?;
        let found = self.all::<BatchRecord>(BATCHES, &format!("{name}/")).await?;
        Ok(found.into_iter().rev().map(|found| found.value).collect())
    }

    /// The batch whose snapshot was the newest at a moment; none if there was none yet.
    ///
    /// # Errors
    /// As [`TenantDelivery::batches`].
    pub async fn knowledge_at(
        &self,
        name: &ArtifactName,
        at: Timestamp,
    ) -> Result<Option<BatchRecord>, DeliveryError> {
        let batches = self.batches(name).await?;
        Ok(batches.into_iter().find(|batch| batch.accepted && batch.at <= at))
    }

    /// What is different between the snapshots that two batches made; without `to`, between that of
    /// `from` and the newest.
    ///
    /// # Errors
    /// If there is no such batch, or a snapshot cannot be read.
    pub async fn knowledge_diff(
        &self,
        name: &ArtifactName,
        (from, to): (u64, Option<u64>),
    ) -> Result<Diff, DeliveryError> {
        let known = self.knowledge_base(name).await?.value;
        let earlier = self.manifest(self.batch(name, from).await?.snapshot).await?;
        let later = match (to, known.snapshot) {
            (Some(to), _) => self.batch(name, to).await?.snapshot,
            (None, Some(newest)) => newest,
            (None, None) => return Err(no_snapshot(name)),
        };
        Ok(self.manifest(later).await?.since(&earlier))
    }

    /// Makes a snapshot without a document or a batch the newest and proposes it. Nothing is read,
    /// cut or embedded anew. What was taken out does not come back with the next refresh, as long as
    /// its bytes are the same.
    ///
    /// # Errors
    /// If there is no such document or batch, or a record cannot be written.
    pub async fn excise(
        &self,
        name: &ArtifactName,
        excised: &Excised,
    ) -> Result<Refreshed, DeliveryError> {
        let known = self.knowledge_base(name).await?;
        let record = &known.value;
        let (Some(snapshot), Some(ledger)) = (record.snapshot, record.ledger) else {
            return Err(no_snapshot(name));
        };
        let newest = self.manifest(snapshot).await?;
        let mut ledger = self.ledger(ledger).await?;
        let (without, restored, what) = match excised {
            Excised::Document(path) => (newest.without(path)?, Ledger::default(), path.clone()),
            Excised::Batch(number) => {
                let batch = self.batch(name, *number).await?;
                let before = match batch.parent {
                    Some(parent) => self.manifest(parent).await?,
                    None => Manifest::empty(newest.recipe),
                };
                let after = self.manifest(batch.snapshot).await?;
                if !batch.accepted || before.recipe != newest.recipe {
                    let why = "its passages are not in the newest snapshot".to_owned();
                    return Err(DeliveryError::Batch { name: name.clone(), number: *number, why });
                }
                let restored = match batch.parent_ledger {
                    Some(ledger) => self.ledger(ledger).await?,
                    None => Ledger::default(),
                };
                let mut without = newest.without_batch(&before, &after);
                // What was erased meanwhile does not come back.
                without.retain(|path, _| !ledger.erased.contains(path));
                (without, restored, format!("batch {number}"))
            }
        };
        let paths: BTreeSet<_> = newest.documents.keys().chain(without.documents.keys()).collect();
        for path in paths {
            let (was, is) = (newest.documents.get(path), without.documents.get(path));
            if was == is {
                continue;
            }
            if let Some(was) = was {
                ledger.excised.entry(path.clone()).or_default().insert(was.raw);
            }
            match restored.documents.get(path).filter(|_| is.is_some()) {
                Some(known) => ledger.documents.insert(path.clone(), known.clone()),
                None => ledger.documents.remove(path),
            };
        }
        self.land_made(known, (&newest, without, ledger), BatchCause::Excise { what }).await
    }

    /// Makes the snapshot that a batch made the newest again and proposes it, without what was taken
    /// out since. Nothing is read, cut or embedded anew. The next refresh brings what the sources have
    /// then.
    ///
    /// # Errors
    /// If there is no such batch, it was rejected, or a record cannot be written.
    pub async fn restore_knowledge(
        &self,
        name: &ArtifactName,
        number: u64,
    ) -> Result<Refreshed, DeliveryError> {
        let known = self.knowledge_base(name).await?;
        let (Some(snapshot), Some(ledger)) = (known.value.snapshot, known.value.ledger) else {
            return Err(no_snapshot(name));
        };
        let batch = self.batch(name, number).await?;
        if !batch.accepted {
            let why = "it was rejected".to_owned();
            return Err(DeliveryError::Batch { name: name.clone(), number, why });
        }
        let newest = self.manifest(snapshot).await?;
        let mut manifest = self.manifest(batch.snapshot).await?;
        let mut restored = self.ledger(batch.ledger).await?;
        let newest_ledger = self.ledger(ledger).await?;
        for (path, versions) in newest_ledger.excised {
            restored.excised.entry(path).or_default().extend(versions);
        }
        restored.erased.clone_from(&newest_ledger.erased);
        manifest.retain(|path, entry| {
            !restored.is_excised(path, &entry.raw) && !restored.erased.contains(path)
        });
        restored.documents.retain(|path, _| manifest.documents.contains_key(path));
        let cause = BatchCause::Restore { batch: number };
        self.land_made(known, (&newest, manifest, restored), cause).await
    }

    /// Lands a snapshot that was made from others.
    async fn land_made(
        &self,
        known: Versioned<KnowledgeRecord>,
        (newest, made, ledger): (&Manifest, Manifest, Ledger),
        cause: BatchCause,
    ) -> Result<Refreshed, DeliveryError> {
        let bytes = made.bytes()?;
        let report = BatchReport {
            diff: made.since(newest),
            documents: made.documents.len() as u64,
            chunks: made.chunks(),
            ..BatchReport::default()
        };
        let landing = Landing {
            cause,
            snapshot: self.blobs.put(bytes.clone().into()).await?,
            bytes,
            ledger: self.blobs.put_sealed(ledger.bytes()?.into()).await?,
            report,
            polls: known.value.polls.clone(),
            found: self.found_again(&known.value, &made).await?,
        };
        let unchanged = made == *newest;
        self.land(known, landing, unchanged).await
    }

    /// A batch by its number.
    pub(crate) async fn batch(
        &self,
        name: &ArtifactName,
        number: u64,
    ) -> Result<BatchRecord, DeliveryError> {
        let found = self.find::<BatchRecord>(BATCHES, &batch_key(name, number)).await?;
        let why = "there is none".to_owned();
        let unknown = || DeliveryError::Batch { name: name.clone(), number, why };
        Ok(found.ok_or_else(unknown)?.value)
    }

    pub(crate) async fn manifest(&self, digest: Digest) -> Result<Manifest, DeliveryError> {
        Ok(Manifest::read(digest, &self.blobs.get(&digest).await?)?)
    }

    pub(crate) async fn ledger(&self, digest: Digest) -> Result<Ledger, DeliveryError> {
        Ok(Ledger::open(&self.blobs, digest).await?)
    }
}

fn no_snapshot(name: &ArtifactName) -> DeliveryError {
    DeliveryError::NeverRefreshed(name.clone())
}

#[cfg(test)]
pub(crate) mod tests;
