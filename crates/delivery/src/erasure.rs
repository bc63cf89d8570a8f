//! Erasure on request: documents that must be gone from everywhere.
//!
//! ```text
//!  erase ─► where they are ─► mask ─► one commit: record, newest snapshot without them, event
//!                                          └─► steps.rs, by whichever server comes first:
//!                        rewrite segments ─► forget vectors, records, ledgers ─► shred ─► backups follow
//! ```
//!
//! From the commit on no snapshot gives a passage of them. The rest is done step by step; each step
//! can be done again, so that what was cut off is completed by whoever looks next.

mod steps;

pub use steps::Completed;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use knowledge::source::Pushes;
use knowledge::{
    BatchReport, Filter, KnowledgeError, Ledger, Remains, SourceSpec, Whereabouts, documents_where,
    remains, whereabouts,
};
use release::{AppName, ArtifactName, Digest, PrincipalId, SlotName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{BlobError, ERASURES, Expect, OPEN, StoreError, Transaction};

use crate::catalog::{BatchCause, HOLDS, KNOWLEDGE, KnowledgeRecord, Versioned, batch_key};
use crate::evaluations::Gone;
use crate::holds::Hold;
use crate::refresh::Landing;
use crate::{DeliveryError, TenantDelivery};

/// How long a server may hold what only one may do at a time.
const HELD: Duration = Duration::from_secs(15);
/// How often it is asked for.
const ASK: Duration = Duration::from_millis(20);
/// How often an erasure is begun anew because a batch came between.
const TRIES: usize = 16;

/// What is to be erased, and why.
#[derive(Debug, Clone, Default)]
pub struct Erase {
    /// Documents, by their paths.
    pub documents: BTreeSet<String>,
    /// And those that pass all of these filters; none if there is no filter.
    pub filters: Vec<Filter>,
    /// Why.
    pub reason: String,
}

/// What an erasure reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The documents.
    pub documents: BTreeSet<String>,
    /// How many snapshots have any of them.
    pub snapshots: usize,
    /// How many segments are rewritten.
    pub segments: usize,
    /// The releases that pin such a snapshot: they keep their names, and are marked.
    pub releases: Vec<ReachedRelease>,
    /// How many of their texts have vectors that are kept.
    pub texts: usize,
    /// How many blobs are shredded: segments, pushed bytes, pages of vectors, ledgers, evaluations.
    pub blobs: usize,
    /// The backups that have any of these blobs.
    pub backups: BTreeSet<String>,
}

/// A release that an erasure reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachedRelease {
    /// Its app.
    pub app: AppName,
    /// Its number there.
    pub sequence: u64,
}

/// An erasure. It names documents, and never holds anything of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// Counts its erasures from 1.
    pub number: u64,
    /// The documents, by their paths.
    pub documents: BTreeSet<String>,
    /// Why.
    pub reason: String,
    /// By whom.
    pub actor: PrincipalId,
    /// When it was asked for. From then on nothing finds them.
    pub at: Timestamp,
    /// When everything was done; none as long as something is left.
    pub done_at: Option<Timestamp>,
    /// Why something is left, if it failed: it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The blobs that are shredded, here and in backups.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub blobs: BTreeSet<Digest>,
    /// Documents that a person has admitted again since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub admitted: BTreeSet<String>,
}

fn erasure_key(name: &ArtifactName, number: u64) -> String {
    batch_key(name, number)
}

impl TenantDelivery {
    /// The erasures of a knowledge base, the newest first.
    ///
    /// # Errors
    /// If there is no such knowledge base, or the records cannot be read.
    pub async fn erasures(&self, name: &ArtifactName) -> Result<Vec<ErasureRecord>, DeliveryError> {
        self.knowledge_base(name).await?;
        let found = self.all::<ErasureRecord>(ERASURES, &format!("{name}/")).await?;
        Ok(found.into_iter().rev().map(|found| found.value).collect())
    }

    /// What an erasure would reach. Nothing is changed.
    ///
    /// # Errors
    /// If there are no such documents, or something cannot be read.
    pub async fn erasure_reach(
        &self,
        name: &ArtifactName,
        erase: &Erase,
    ) -> Result<Reach, DeliveryError> {
        let documents = self.to_erase(name, erase).await?;
        let found = self.whereabouts(name, &documents).await?;
        let Remains { blobs, texts } = self.remains(name, &documents, &found).await?;
        let mut reach = Reach {
            snapshots: found.snapshots.len(),
            segments: found.segments.len(),
            texts: texts.len(),
            blobs: blobs.len(),
            documents,
            ..Reach::default()
        };
        for app in self.apps().await? {
            let reached = self.releases(&app.name).await?.into_iter().filter(|release| {
                let knowledge = release.slots.get(&SlotName::KNOWLEDGE);
                knowledge.is_some_and(|it| found.snapshots.contains(&it.digest))
            });
            reach.releases.extend(reached.map(|release| {
                let (app, sequence) = (release.app, release.sequence);
                ReachedRelease { app, sequence }
            }));
        }
        for place in self.backups.iter() {
            let holds = |backup: &store::Inventory| {
                let own = backup.blobs.get(&self.tenant);
                own.into_iter().flatten().any(|digest| blobs.contains(digest))
            };
            let backups = place.list().await?.into_iter().filter(holds);
            reach.backups.extend(backups.map(|backup| backup.id));
        }
        Ok(reach)
    }

    /// Erases documents. When this returns no snapshot gives a passage of them any more, the newest
    /// goes on without them, and they are not admitted again; what is left to be done is done by
    /// [`crate::Delivery::complete_erasures`]. Also gives the position of the event that tells it.
    ///
    /// # Errors
    /// If there are no such documents, or something cannot be read or written.
    pub async fn erase(
        &self,
        name: &ArtifactName,
        erase: &Erase,
    ) -> Result<(ErasureRecord, u64), DeliveryError> {
        let documents = self.to_erase(name, erase).await?;
        for _ in 0..TRIES {
            let known = self.knowledge_base(name).await?;
            let record = ErasureRecord {
                knowledge: name.clone(),
                number: known.value.erasures + 1,
                documents: documents.clone(),
                reason: erase.reason.clone(),
                actor: self.actor.clone(),
                at: self.clock.now(),
                done_at: None,
                waits_for: None,
                blobs: BTreeSet::new(),
                admitted: BTreeSet::new(),
            };
            self.check_holds(name, &documents).await?;
            // Before the commit: whoever hears of it finds them masked.
            let found = self.whereabouts(name, &documents).await?;
            self.mask(&found).await?;
            let key = erasure_key(name, record.number);
            let transaction = self
                .transaction()
                .put_indexed(
                    (ERASURES, &key),
                    &record,
                    Expect::Absent,
                    &[("state", OPEN.to_owned())],
                )?
                .emit(&format!("knowledge/{name}"), "knowledge.erased", &record)?;
            match self.exclude(known, &record, transaction).await {
                Ok(position) => return Ok((record, position)),
                // A batch came between: it may have brought other segments.
                Err(DeliveryError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(erasure_error(name, "batches keep coming between: try again"))
    }

    /// Refuses to erase what is held.
    async fn check_holds(
        &self,
        name: &ArtifactName,
        documents: &BTreeSet<String>,
    ) -> Result<(), DeliveryError> {
        let holds = self.all::<Hold>(HOLDS, "").await?;
        if holds.is_empty() {
            return Ok(());
        }
        let found = self.whereabouts(name, documents).await?;
        let blobs = self.remains(name, documents, &found).await?.blobs;
        let mut all: BTreeSet<_> = blobs.into_iter().collect();
        all.extend(found.snapshots.iter().chain(found.segments.keys()));
        for app in self.apps().await? {
            for release in self.releases(&app.name).await? {
                let knowledge = release.slots.get(&SlotName::KNOWLEDGE);
                if knowledge.is_some_and(|it| found.snapshots.contains(&it.digest)) {
                    all.insert(release.release.digest());
                }
            }
        }
        match holds.iter().find(|hold| all.contains(&hold.value.digest)) {
            Some(Versioned { value: Hold { digest, reason, by, .. }, .. }) => {
                let why = format!("`{digest}` is held by {by} ({reason}): end that hold first");
                Err(erasure_error(name, &why))
            }
            None => Ok(()),
        }
    }

    /// Lets an erased document come back, when its source has it or it is put again.
    ///
    /// # Errors
    /// If it was not erased, or its erasure is not completed.
    pub async fn admit(
        &self,
        name: &ArtifactName,
        document: &str,
    ) -> Result<ErasureRecord, DeliveryError> {
        let known = self.knowledge_base(name).await?;
        let mut ledger = match known.value.ledger {
            Some(digest) => self.ledger(digest).await?,
            None => Ledger::default(),
        };
        let found = self.all::<ErasureRecord>(ERASURES, &format!("{name}/")).await?;
        let named = |found: &Versioned<ErasureRecord>| found.value.documents.contains(document);
        let newest = found.into_iter().rev().find(named);
        let (Some(erasure), true) = (newest, ledger.erased.remove(document)) else {
            return Err(erasure_error(name, &format!("`{document}` was not erased")));
        };
        if erasure.value.done_at.is_none() {
            let why = format!("the erasure of `{document}` is not completed: try again later");
            return Err(erasure_error(name, &why));
        }
        let expect = erasure.expect();
        let mut record = erasure.value;
        record.admitted.insert(document.to_owned());
        let ledger = self.blobs.put_sealed(ledger.bytes()?.into()).await?;
        let base = KnowledgeRecord { ledger: Some(ledger), ..known.value.clone() };
        let told = serde_json::json!({"document": document, "erasure": record.number});
        let transaction = self
            .transaction()
            .put(KNOWLEDGE, name.as_str(), &base, known.expect())?
            .put(ERASURES, &erasure_key(name, record.number), &record, expect)?
            .emit(&format!("knowledge/{name}"), "knowledge.admitted", &told)?;
        self.store.commit(transaction).await?;
        Ok(record)
    }

    /// Refuses to have a document put that was erased.
    pub(crate) async fn check_admitted(
        &self,
        name: &ArtifactName,
        path: &str,
    ) -> Result<(), DeliveryError> {
        let known = self.knowledge_base(name).await?.value;
        // Most knowledge bases never had one erased: their ledgers are not read for each document.
        let ledger = known.ledger.filter(|_| known.erasures > 0);
        let prefix = self.pushed(name).await?.map(|pushed| pushed.prefix).unwrap_or_default();
        let document = format!("{prefix}{path}");
        match ledger {
            Some(digest) if self.ledger(digest).await?.erased.contains(&document) => {
                let why = format!(
                    "`{document}` was erased and is not taken again: `groundcrew knowledge admit \
                     {name} {document}` allows it"
                );
                Err(erasure_error(name, &why))
            }
            _ => Ok(()),
        }
    }

    /// The documents that are meant; all must be known.
    async fn to_erase(
        &self,
        name: &ArtifactName,
        erase: &Erase,
    ) -> Result<BTreeSet<String>, DeliveryError> {
        let mut documents = erase.documents.clone();
        let snapshots = self.all_snapshots(name).await?;
        let pushed = self.pushed(name).await?;
        let found = self.whereabouts(name, &documents).await?;
        for document in &documents {
            let known = found.documents.contains(document);
            let put = match &pushed {
                Some(pushed) => !pushed.blobs_of(document).await?.is_empty(),
                None => false,
            };
            if !known && !put {
                let why = format!("no snapshot ever had a document `{document}`");
                return Err(erasure_error(name, &why));
            }
        }
        if !erase.filters.is_empty() {
            documents.extend(documents_where(&self.blobs, &snapshots, &erase.filters).await?);
            if let Some(Pushed { pushes, prefix }) = &pushed {
                let put = pushes.paths_where(&erase.filters).await?.into_iter();
                documents.extend(put.map(|path| format!("{prefix}{path}")));
            }
        }
        if documents.is_empty() {
            return Err(erasure_error(name, "no document fits"));
        }
        Ok(documents)
    }

    /// Every snapshot that a batch of the knowledge base led from or to.
    async fn all_snapshots(&self, name: &ArtifactName) -> Result<BTreeSet<Digest>, DeliveryError> {
        let mut snapshots: BTreeSet<_> =
            self.knowledge_base(name).await?.value.snapshot.into_iter().collect();
        for batch in self.batches(name).await? {
            snapshots.insert(batch.snapshot);
            snapshots.extend(batch.parent);
        }
        Ok(snapshots)
    }

    async fn whereabouts(
        &self,
        name: &ArtifactName,
        documents: &BTreeSet<String>,
    ) -> Result<Whereabouts, DeliveryError> {
        Ok(whereabouts(&self.blobs, &self.all_snapshots(name).await?, documents).await?)
    }

    /// Everything that still holds `documents`, and the texts of their passages.
    async fn remains(
        &self,
        name: &ArtifactName,
        documents: &BTreeSet<String>,
        found: &Whereabouts,
    ) -> Result<Remains, DeliveryError> {
        let mut all = Remains::default();
        for (segment, own) in &found.segments {
            let more = remains(&self.blobs, *segment, own, &found.embeddings).await?;
            all.blobs.extend(more.blobs);
            all.texts.extend(more.texts);
        }
        all.blobs.extend(self.embedding_cache().holding(&all.texts).await?);
        if let Some(pushed) = self.pushed(name).await? {
            for document in documents {
                all.blobs.extend(pushed.blobs_of(document).await?);
            }
        }
        for digest in self.ledgers(name).await? {
            if self.ledger(digest).await?.without(documents) {
                all.blobs.push(self.blobs.standing(&digest).await?);
            }
        }
        let gone = Gone { documents, snapshots: &found.snapshots };
        all.blobs.extend(self.quoting_runs(gone).await?);
        Ok(all)
    }

    /// The ledgers of all batches, and of what sources were last seen to have.
    async fn ledgers(&self, name: &ArtifactName) -> Result<BTreeSet<Digest>, DeliveryError> {
        let batches = self.batches(name).await?.into_iter();
        Ok(batches
            .flat_map(|batch| batch.parent_ledger.into_iter().chain([batch.ledger]))
            .collect())
    }

    /// What was put into a knowledge base, if anything can be.
    async fn pushed(&self, name: &ArtifactName) -> Result<Option<Pushed>, DeliveryError> {
        let pushes = match self.offered.pushes(&self.tenant, name) {
            Ok(pushes) => pushes,
            Err(KnowledgeError::NotOffered { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let spec = self.knowledge_base(name).await?.value.spec;
        let push = spec.sources.iter().find(|source| matches!(source, SourceSpec::Push(_)));
        let prefix = push.map(|source| source.prefix().to_owned()).unwrap_or_default();
        Ok(Some(Pushed { pushes, prefix }))
    }

    /// Hides documents in every segment that has them.
    async fn mask(&self, found: &Whereabouts) -> Result<(), DeliveryError> {
        let mut seen = Vec::new();
        for (segment, documents) in &found.segments {
            if !documents.is_subset(&self.blobs.erasure(segment).await?.hidden) {
                seen.push((segment, documents));
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        self.alone(async {
            for (segment, documents) in seen {
                self.blobs.hide(segment, documents).await?;
            }
            Ok(())
        })
        .await
    }

    /// Makes a snapshot without the documents of `erasure` the newest, in one transaction with what
    /// `transaction` holds already. Gives the position of its last event.
    async fn exclude(
        &self,
        mut known: Versioned<KnowledgeRecord>,
        erasure: &ErasureRecord,
        transaction: Transaction,
    ) -> Result<u64, DeliveryError> {
        let name = erasure.knowledge.clone();
        known.value.erasures = known.value.erasures.max(erasure.number);
        let mut ledger = match known.value.ledger {
            Some(digest) => self.ledger(digest).await?,
            None => Ledger::default(),
        };
        ledger.without(&erasure.documents);
        ledger.erased.extend(erasure.documents.iter().cloned());
        let ledger = self.blobs.put_sealed(ledger.bytes()?.into()).await?;
        let Some(snapshot) = known.value.snapshot else {
            // Nothing was ever read: what was put is all there is.
            let record = KnowledgeRecord { ledger: Some(ledger), ..known.value.clone() };
            let put = transaction.put(KNOWLEDGE, name.as_str(), &record, known.expect())?;
            return Ok(self.store.commit(put).await?.position.unwrap_or(0));
        };
        let newest = self.manifest(snapshot).await?;
        let mut without = newest.clone();
        without.retain(|path, _| !erasure.documents.contains(path));
        let bytes = without.bytes()?;
        let landing = Landing {
            cause: BatchCause::Erase { erasure: erasure.number },
            snapshot: self.blobs.put(bytes.clone().into()).await?,
            bytes,
            ledger,
            report: BatchReport {
                diff: without.since(&newest),
                documents: without.documents.len() as u64,
                chunks: without.chunks(),
                ..BatchReport::default()
            },
            polls: known.value.polls.clone(),
            found: self.found_again(&known.value, &without).await?,
        };
        let unchanged = without == newest;
        let landed = self.land_with(known, landing, unchanged, transaction).await?;
        Ok(landed.1.position.unwrap_or(0))
    }

    /// Throws away what a batch made that did not become the newest because documents were erased
    /// meanwhile: it may have read them before.
    pub(crate) async fn discard(
        &self,
        before: &KnowledgeRecord,
        snapshot: Digest,
    ) -> Result<(), DeliveryError> {
        let now = self.knowledge_base(&before.name).await?.value;
        let (Some(ledger), true) = (now.ledger, now.erasures > before.erasures) else {
            return Ok(());
        };
        let erased = self.ledger(ledger).await?.erased;
        let made = self.manifest(snapshot).await?;
        let shared: BTreeSet<_> = match before.snapshot {
            Some(before) => self.manifest(before).await?.segments(),
            None => BTreeSet::new(),
        };
        let embeddings: Vec<_> = made.embedding.iter().map(|entry| entry.spec.clone()).collect();
        for segment in made.segments().difference(&shared) {
            let Remains { texts, .. } =
                remains(&self.blobs, *segment, &erased, &embeddings).await?;
            let pages = self.embedding_cache().holding(&texts).await?;
            self.embedding_cache().forget(&texts).await?;
            for blob in pages.iter().chain([segment]) {
                self.blobs.shred(blob).await?;
            }
        }
        Ok(())
    }

    /// The documents of a snapshot that were erased since it was made; none if it is not kept any
    /// more.
    ///
    /// # Errors
    /// If the snapshot cannot be read.
    pub async fn erased_of(
        &self,
        snapshot: Digest,
    ) -> Result<Option<BTreeSet<String>>, DeliveryError> {
        match self.manifest(snapshot).await {
            Ok(manifest) => Ok(Some(manifest.erased(&self.blobs).await?)),
            Err(DeliveryError::Blob(BlobError::Missing(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The documents that grounded an answer of that moment and were erased since. If its snapshot is
    /// not kept any more, documents of their names in any knowledge base are taken for them.
    ///
    /// # Errors
    /// If the snapshot or the records cannot be read.
    pub async fn erased_since(
        &self,
        snapshot: Digest,
        answered_at: Timestamp,
    ) -> Result<BTreeSet<String>, DeliveryError> {
        if let Some(erased) = self.erased_of(snapshot).await? {
            return Ok(erased);
        }
        let all = self.all::<ErasureRecord>(ERASURES, "").await?.into_iter();
        let since = all.map(|found| found.value).filter(|erasure| erasure.at >= answered_at);
        Ok(since.flat_map(|erasure| erasure.documents).collect())
    }

    /// Does what only one may do at a time: what is kept beside a blob is read, changed and written.
    pub(crate) async fn alone<T>(
        &self,
        work: impl Future<Output = Result<T, DeliveryError>>,
    ) -> Result<T, DeliveryError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let (now, process) = (self.clock.now().to_string(), std::process::id().to_be_bytes());
        let holder = Digest::of_fields([&count[..], now.as_bytes(), &process]).to_hex();
        let name = format!("erasing/{}", self.tenant);
        let lease = loop {
            let now = self.clock.now();
            if let Some(lease) = self.system.acquire(&name, &holder, now + HELD, now).await? {
                break lease;
            }
            tokio::time::sleep(ASK).await;
        };
        let done = work.await;
        self.system.release(&lease).await?;
        done
    }
}

/// What was put into a knowledge base, under the paths that documents have in snapshots.
pub(crate) struct Pushed {
    pushes: Pushes,
    prefix: String,
}

impl Pushed {
    /// The path under which a document was put, if it can have been.
    fn path<'a>(&self, document: &'a str) -> Option<&'a str> {
        document.strip_prefix(&self.prefix)
    }

    async fn blobs_of(&self, document: &str) -> Result<Vec<Digest>, DeliveryError> {
        match self.path(document) {
            Some(path) => Ok(self.pushes.blobs_of(path).await?),
            None => Ok(Vec::new()),
        }
    }
}

fn erasure_error(name: &ArtifactName, why: &str) -> DeliveryError {
    DeliveryError::Erasure { name: name.clone(), why: why.to_owned() }
}

#[cfg(test)]
mod tests;
