//! Refreshing knowledge: a new snapshot becomes a candidate of every app it grounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use knowledge::{
    BatchReport, Embedding, EmbeddingCache, KnowledgeSpec, Poll, Polls, RefreshInput, Watch,
};
use release::{
    ArtifactName, ArtifactRef, CanonicalJson, Change, DeploymentEntry, Digest, Reproducibility,
};
use serde::{Deserialize, Serialize};
use store::{Committed, Expect, StoreError, Transaction};

use crate::catalog::{
    APPS, AppRecord, BATCHES, BatchCause, BatchRecord, Filled, KNOWLEDGE, KnowledgeRecord,
    Versioned, batch_key, snapshot_ref,
};
use crate::project::Prepared;
use crate::propose::{Proposal, Proposed};
use crate::waiting::Waits;
use crate::{DeliveryError, TenantDelivery};

/// How often sources are read anew because somebody else changed the knowledge base meanwhile.
const ATTEMPTS: usize = 3;

/// A wish to read a knowledge base's sources anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// The sources to be read; all if none are named. The others stay as they were.
    #[serde(default)]
    pub sources: BTreeSet<String>,
    /// Whether a person has said that as many documents as are gone are to go.
    #[serde(default)]
    pub approved: bool,
}

/// What a refresh found and led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refreshed {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// The number of its batch; none if nothing had changed.
    #[serde(default)]
    pub batch: Option<u64>,
    /// Its newest snapshot; none if the first batch was rejected.
    pub snapshot: Option<Digest>,
    /// Whether nothing had changed, so that the snapshot is the one before.
    pub unchanged: bool,
    /// Whether the batch passed its gates.
    pub accepted: bool,
    /// What happened to each document.
    pub report: BatchReport,
    /// Changes proposed, each with its candidate release.
    pub changes: Vec<Change>,
    /// Moves into the first environment that the apps' policy made at once.
    pub promoted: Vec<DeploymentEntry>,
    /// Candidates that gates do not let into the first environment yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gated: Vec<Waits>,
}

/// What a batch has made.
pub(crate) struct Landing {
    pub cause: BatchCause,
    pub snapshot: Digest,
    pub bytes: Vec<u8>,
    pub ledger: Digest,
    pub report: BatchReport,
    pub polls: BTreeMap<String, Polls>,
    /// What the snapshot finds for the golden queries.
    pub found: Option<Digest>,
}

impl TenantDelivery {
    /// Reads the sources of a knowledge base and, if anything changed and the batch passes its gates,
    /// proposes the new snapshot to every app that it grounds. One at a time: a second one waits for
    /// the first.
    ///
    /// # Errors
    /// If the knowledge base is unknown, no source can be read, or a record cannot be written. The
    /// snapshot before keeps serving.
    pub async fn refresh(
        &self,
        wish: &Refresh,
        watch: &Arc<Watch>,
    ) -> Result<Refreshed, DeliveryError> {
        self.knowledge_base(&wish.knowledge).await?;
        watch.begin("waiting for another refresh to end", "", None);
        let _turn = self.turns.take(&self.tenant, &wish.knowledge).await;
        for _ in 1..ATTEMPTS {
            match self.refresh_once(wish, watch).await {
                // On another server somebody was faster.
                Err(DeliveryError::Store(StoreError::Conflict { .. })) => {}
                done => return done,
            }
        }
        self.refresh_once(wish, watch).await
    }

    async fn refresh_once(
        &self,
        wish: &Refresh,
        watch: &Arc<Watch>,
    ) -> Result<Refreshed, DeliveryError> {
        let name = &wish.knowledge;
        let known = self.knowledge_base(name).await?;
        let record = &known.value;
        let now = self.clock.now();
        let read = knowledge::refresh(RefreshInput {
            name: name.clone(),
            spec: record.spec.clone(),
            offered: Arc::clone(&self.offered),
            parent: record.snapshot,
            ledger: record.ledger,
            poll: Poll {
                only: wish.sources.clone(),
                observed: record.observed,
                polls: record.polls.clone(),
            },
            blobs: self.blobs.clone(),
            tenant: self.tenant.clone(),
            now,
            approved: wish.approved,
            watch: Arc::clone(watch),
            workshop: Arc::clone(&self.workshop),
            embedding: self.embedding(&record.spec).await?,
            golden: self.must_find(record).await?,
        })
        .await;
        let sources = record.spec.sources.iter().map(|source| source.name().to_owned());
        let mut polls: BTreeMap<_, _> = sources
            .map(|source| {
                let polls = record.polls.get(&source).cloned().unwrap_or_default();
                (source, polls)
            })
            .collect();
        let batch = match read {
            Ok(batch) => batch,
            // Nothing was read: how old what serves is, nobody knows from here on.
            Err(error) => {
                let all = wish.sources.is_empty();
                polls
                    .iter_mut()
                    .filter(|(source, _)| all || wish.sources.contains(*source))
                    .for_each(|(_, polls)| polls.failed(now, error.to_string()));
                let failed = KnowledgeRecord { polls, ..record.clone() };
                let transaction = self.transaction();
                let transaction =
                    transaction.put(KNOWLEDGE, name.as_str(), &failed, known.expect())?;
                self.store.commit(transaction).await?;
                return Err(error.into());
            }
        };
        let read = |source: &String| batch.report.read.contains(source);
        for (source, polls) in polls.iter_mut().filter(|(source, _)| read(source)) {
            match batch.report.unread.iter().find(|unread| unread.source == *source) {
                Some(unread) => polls.failed(now, unread.reason.clone()),
                None => polls.succeeded(now),
            }
        }
        let landing = Landing {
            cause: BatchCause::Refresh,
            snapshot: batch.manifest,
            bytes: batch.bytes,
            ledger: batch.ledger,
            report: batch.report,
            polls,
            found: batch.golden,
        };
        self.land(known, landing, batch.unchanged).await
    }

    /// A knowledge base.
    pub(crate) async fn knowledge_base(
        &self,
        name: &ArtifactName,
    ) -> Result<Versioned<KnowledgeRecord>, DeliveryError> {
        let known = self.find::<KnowledgeRecord>(KNOWLEDGE, name.as_str()).await?;
        known.ok_or_else(|| DeliveryError::UnknownKnowledge(name.clone()))
    }

    /// Makes what a batch has made the newest snapshot and proposes it; one that the gates reject
    /// leaves a record and nothing else.
    pub(crate) async fn land(
        &self,
        known: Versioned<KnowledgeRecord>,
        landing: Landing,
        unchanged: bool,
    ) -> Result<Refreshed, DeliveryError> {
        Ok(self.land_with(known, landing, unchanged, self.transaction()).await?.0)
    }

    /// The same in one transaction with what `transaction` holds already; gives what that came to.
    pub(crate) async fn land_with(
        &self,
        known: Versioned<KnowledgeRecord>,
        landing: Landing,
        unchanged: bool,
        transaction: Transaction,
    ) -> Result<(Refreshed, Committed), DeliveryError> {
        let Landing { cause, snapshot, bytes, ledger, report, polls, found } = landing;
        let (expected, before) = (known.expect(), known.value);
        let (name, now) = (before.name.clone(), self.clock.now());
        let accepted = report.quality.passed();
        let number = before.batches + u64::from(!unchanged);
        let (newest, newest_ledger) = match accepted {
            true => (Some(snapshot), Some(ledger)),
            false => (before.snapshot, before.ledger),
        };
        let record = KnowledgeRecord {
            snapshot: newest,
            ledger: newest_ledger,
            refreshed_at: Some(now),
            batches: number,
            polls,
            found: if accepted && !(unchanged && found.is_none()) { found } else { before.found },
            observed: match cause {
                BatchCause::Refresh => Some(ledger),
                // What the sources have nobody has looked at.
                _ => before.observed.or(before.ledger),
            },
            ..before.clone()
        };
        let mut refreshed = Refreshed {
            knowledge: name.clone(),
            batch: (!unchanged).then_some(number),
            snapshot: newest,
            unchanged,
            accepted,
            report,
            changes: Vec::new(),
            promoted: Vec::new(),
            gated: Vec::new(),
        };
        let kind = if accepted { "knowledge.refreshed" } else { "knowledge.rejected" };
        let mut transaction = transaction.put(KNOWLEDGE, name.as_str(), &record, expected)?;
        if accepted {
            let artifact = snapshot_ref(&name, snapshot);
            let reproducible = Reproducibility::Bytes;
            let prepared = Prepared { artifact: artifact.clone(), bytes, reproducible };
            let parents = before.snapshot.filter(|parent| *parent != snapshot);
            let lineage = parents.into_iter().collect();
            (transaction, _) = self.register(&prepared, lineage, transaction).await?;
            transaction =
                self.propose_snapshot(&name, artifact, (transaction, &mut refreshed)).await?;
        }
        if !unchanged {
            let report = CanonicalJson::of(&refreshed.report);
            let report = report.map_err(knowledge::KnowledgeError::from)?.into_bytes();
            let batch = BatchRecord {
                knowledge: name.clone(),
                number,
                cause,
                parent: before.snapshot,
                parent_ledger: before.ledger,
                snapshot,
                ledger,
                accepted,
                actor: self.actor.clone(),
                at: now,
                report: self.blobs.put(report.into()).await?,
                found,
                changes: refreshed.changes.iter().map(|change| change.id.clone()).collect(),
                promoted: refreshed.promoted.clone(),
            };
            let key = batch_key(&name, number);
            transaction = transaction.put(BATCHES, &key, &batch, Expect::Absent)?;
        }
        let transaction = transaction.emit(&format!("knowledge/{name}"), kind, &refreshed)?;
        match self.store.commit(transaction).await {
            Ok(committed) => Ok((refreshed, committed)),
            Err(error) => {
                if matches!(error, StoreError::Conflict { .. }) {
                    self.discard(&before, snapshot).await?;
                }
                Err(error.into())
            }
        }
    }

    /// Proposes a snapshot to every app that it grounds.
    async fn propose_snapshot(
        &self,
        name: &ArtifactName,
        artifact: ArtifactRef,
        (mut transaction, refreshed): (Transaction, &mut Refreshed),
    ) -> Result<Transaction, DeliveryError> {
        let fresh = BTreeMap::from([(name.clone(), artifact)]);
        let proposal =
            Proposal { reason: format!("knowledge `{name}` refreshed"), ..Proposal::default() };
        for app in self.all::<AppRecord>(APPS, "").await? {
            let grounded = |filled: &Filled| *filled == Filled::Knowledge(name.clone());
            if !app.value.slots.values().any(grounded) {
                continue;
            }
            let (next, app, proposed) = self.propose(app, &fresh, &proposal, transaction).await?;
            transaction = next;
            if let Proposed::Candidate(change) = proposed {
                let (next, entered) = self.enter(&app, &change, transaction).await?;
                transaction = next;
                refreshed.promoted.extend(entered.moved);
                refreshed.gated.extend(entered.waits);
                refreshed.changes.push(*change);
            }
        }
        Ok(transaction)
    }

    /// What embeds a knowledge base's passages now; none if nothing does.
    pub(crate) async fn embedding(
        &self,
        spec: &KnowledgeSpec,
    ) -> Result<Option<Embedding>, DeliveryError> {
        let Some(spec) = spec.embedding.clone() else { return Ok(None) };
        let open = self.models.embedder(&self.tenant, &spec, None).await?;
        let cache = self.embedding_cache();
        Ok(Some(Embedding { spec, open, cache }))
    }

    /// The vectors that were made once.
    pub(crate) fn embedding_cache(&self) -> EmbeddingCache {
        EmbeddingCache {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            actor: self.actor.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}
