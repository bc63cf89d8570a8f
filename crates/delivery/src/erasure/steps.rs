//! Completing an erasure: what is left once nothing finds the documents any more.
//!
//! The blobs to be shredded are noted before anything that leads to them goes, and they are shredded
//! last: until then everything can be found and done again.

use std::collections::BTreeSet;

use knowledge::{CacheKey, Remains, Whereabouts, rewrite};
use release::{PrincipalId, TenantId};
use store::{BackupError, ERASURES, List, OPEN, StoreError};

use super::{ErasureRecord, erasure_key};
use crate::catalog::{PAGE, Versioned, versioned};
use crate::evaluations::Gone;
use crate::{Delivery, DeliveryError, TenantDelivery};

/// What is done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Hide the documents, and take them out of the newest snapshot: both were done when the erasure
    /// was asked for, unless a backup was restored since.
    Mask,
    /// Tell the places of backups, so that no restore brings them back.
    Tell,
    /// Note which blobs hold them.
    Note,
    /// Rewrite segments, ledgers and evaluations without them.
    Rewrite,
    /// Forget their vectors and their records.
    Forget,
    /// Shred the blobs.
    Shred,
    /// Shred them in the backups, which get what stands for them.
    Follow,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Mask,
        Self::Tell,
        Self::Note,
        Self::Rewrite,
        Self::Forget,
        Self::Shred,
        Self::Follow,
    ];
}

/// What came of completing erasures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Completed {
    /// How many are.
    pub done: usize,
    /// How many wait for something.
    pub waiting: usize,
}

/// An erasure at work.
struct Work {
    record: Versioned<ErasureRecord>,
    found: Whereabouts,
    texts: BTreeSet<CacheKey>,
    /// Why backups could not be reached.
    away: Option<BackupError>,
}

impl Work {
    fn gone(&self) -> Gone<'_> {
        let documents = &self.record.value.documents;
        Gone { documents, snapshots: &self.found.snapshots }
    }
}

impl Delivery {
    /// Completes the erasures of `tenants` that are not, as far as that goes: what fails is told by
    /// the record, and tried again at the next call. `node` is the server's name.
    ///
    /// # Errors
    /// If the records cannot be read or written.
    pub async fn complete_erasures(
        &self,
        tenants: &[TenantId],
        node: &str,
    ) -> Result<Completed, DeliveryError> {
        let mut completed = Completed::default();
        for tenant in tenants {
            let scoped = self.tenant(tenant, PrincipalId::system("erasure"));
            if scoped.open_erasures().await?.is_empty() {
                continue;
            }
            let (system, clock) = (self.store.system(), &*self.clock);
            let lease = system.take(&format!("erasures/{tenant}"), node, clock).await?;
            let Some(lease) = lease else { continue };
            let work = async {
                for record in scoped.open_erasures().await? {
                    match scoped.complete(record).await? {
                        true => completed.done += 1,
                        false => completed.waiting += 1,
                    }
                }
                Ok::<_, DeliveryError>(())
            };
            // What is left when the lease is lost, whoever holds it then completes.
            system.holding(&[lease], clock, work).await?.unwrap_or(Ok(()))?;
        }
        Ok(completed)
    }

    /// Hides the documents of erasures that are not completed. A server does this before it serves:
    /// its data may come from a backup of before.
    ///
    /// # Errors
    /// If something cannot be read or written.
    pub async fn mask_erasures(&self, tenants: &[TenantId]) -> Result<(), DeliveryError> {
        for tenant in tenants {
            let scoped = self.tenant(tenant, PrincipalId::system("erasure"));
            for record in scoped.open_erasures().await? {
                let ErasureRecord { knowledge, documents, .. } = &record.value;
                scoped.mask(&scoped.whereabouts(knowledge, documents).await?).await?;
            }
        }
        Ok(())
    }
}

impl TenantDelivery {
    pub(crate) async fn open_erasures(
        &self,
    ) -> Result<Vec<Versioned<ErasureRecord>>, DeliveryError> {
        let index = Some(("state", OPEN.to_owned()));
        let list = List { prefix: String::new(), index, after: None, limit: PAGE };
        let open = self.store.list(ERASURES, list).await?;
        Ok(open.into_iter().map(versioned).collect::<Result<_, _>>()?)
    }

    /// Does all that is left of an erasure; whether nothing is left then.
    async fn complete(&self, record: Versioned<ErasureRecord>) -> Result<bool, DeliveryError> {
        let mut work = self.work(record).await?;
        let mut failed = None;
        for step in Step::ALL {
            match self.step(step, &mut work).await {
                Ok(()) => {}
                Err(error) => {
                    failed = Some(error.to_string());
                    break;
                }
            }
        }
        let failed = failed.or(work.away.take().map(|error| format!("backups: {error}")));
        if let Some(why) = failed {
            tracing::warn!(
                why, knowledge = %work.record.value.knowledge, erasure = work.record.value.number,
                "an erasure is not completed; trying again"
            );
            work.record.value.waits_for = Some(why);
            self.save(&mut work.record, None).await?;
            return Ok(false);
        }
        work.record.value.waits_for = None;
        work.record.value.done_at = Some(self.clock.now());
        self.save(&mut work.record, Some("knowledge.erasure_completed")).await?;
        Ok(true)
    }

    async fn work(&self, record: Versioned<ErasureRecord>) -> Result<Work, DeliveryError> {
        let ErasureRecord { knowledge, documents, .. } = &record.value;
        let found = self.whereabouts(knowledge, documents).await?;
        Ok(Work { record, found, texts: BTreeSet::new(), away: None })
    }

    async fn step(&self, step: Step, work: &mut Work) -> Result<(), DeliveryError> {
        let erasure = work.record.value.clone();
        let name = &erasure.knowledge;
        match step {
            Step::Mask => {
                self.mask(&work.found).await?;
                self.exclude_again(&erasure).await?;
                // A batch that came between is excluded by now: what it brought is found too.
                work.found = self.whereabouts(name, &erasure.documents).await?;
                self.mask(&work.found).await?;
                self.tell_evaluations(work.gone()).await?;
            }
            Step::Tell => {
                let key = erasure_key(name, erasure.number);
                let told =
                    ErasureRecord { blobs: BTreeSet::new(), waits_for: None, ..erasure.clone() };
                for place in self.backups.iter() {
                    let noted = place.note_erasure(&self.tenant, &key, &told).await;
                    work.away = work.away.take().or(noted.err());
                }
            }
            Step::Note => {
                let Remains { blobs, texts } =
                    self.remains(name, &erasure.documents, &work.found).await?;
                work.record.value.blobs.extend(blobs);
                work.texts = texts;
                self.save(&mut work.record, None).await?;
            }
            Step::Rewrite => {
                for segment in work.found.segments.keys() {
                    if let Some((old, new)) = rewrite(&self.blobs, *segment).await? {
                        self.alone(async { Ok(self.blobs.succeed(&old, new).await?) }).await?;
                    }
                }
                self.rewrite_ledgers(&erasure).await?;
                self.rewrite_runs(work.gone()).await?;
            }
            Step::Forget => {
                self.embedding_cache().forget(&work.texts).await?;
                if let Some(pushed) = self.pushed(name).await? {
                    for path in erasure.documents.iter().filter_map(|it| pushed.path(it)) {
                        let by = (self.actor.clone(), self.clock.now());
                        pushed.pushes.forget(path, by).await?;
                    }
                }
                self.system.scrub().await?;
            }
            Step::Shred => {
                for blob in &erasure.blobs {
                    self.alone(async { Ok(self.blobs.shred(blob).await?) }).await?;
                }
            }
            Step::Follow => {
                for place in self.backups.iter() {
                    for blob in erasure.blobs.iter().chain(work.found.segments.keys()) {
                        let followed = place.follow(&self.blobs, blob).await;
                        work.away = work.away.take().or(followed.err());
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the documents out of the newest snapshot, if they are in it, and notes that they are
    /// not admitted.
    async fn exclude_again(&self, erasure: &ErasureRecord) -> Result<(), DeliveryError> {
        loop {
            let known = self.knowledge_base(&erasure.knowledge).await?;
            let ledger = match known.value.ledger {
                Some(digest) => self.ledger(digest).await?,
                None => knowledge::Ledger::default(),
            };
            if erasure.documents.is_subset(&ledger.erased) {
                return Ok(());
            }
            match self.exclude(known, erasure, self.transaction()).await {
                Ok(_) => return Ok(()),
                Err(DeliveryError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the ledgers that know anything of the documents without it.
    async fn rewrite_ledgers(&self, erasure: &ErasureRecord) -> Result<(), DeliveryError> {
        for digest in self.ledgers(&erasure.knowledge).await? {
            let mut ledger = self.ledger(digest).await?;
            if ledger.without(&erasure.documents) {
                let standing = self.blobs.standing(&digest).await?;
                let new = self.blobs.put_sealed(ledger.bytes()?.into()).await?;
                self.alone(async { Ok(self.blobs.succeed(&standing, new).await?) }).await?;
            }
        }
        Ok(())
    }

    async fn save(
        &self,
        record: &mut Versioned<ErasureRecord>,
        event: Option<&str>,
    ) -> Result<(), DeliveryError> {
        let key = erasure_key(&record.value.knowledge, record.value.number);
        let open = [("state", OPEN.to_owned())];
        let index = if record.value.done_at.is_none() { &open[..] } else { &[] };
        let (at, expect) = ((ERASURES, key.as_str()), record.expect());
        let mut put = self.transaction().put_indexed(at, &record.value, expect, index)?;
        if let Some(kind) = event {
            let stream = format!("knowledge/{}", record.value.knowledge);
            put = put.emit(&stream, kind, &record.value)?;
        }
        self.store.commit(put).await?;
        record.version += 1;
        Ok(())
    }
}
