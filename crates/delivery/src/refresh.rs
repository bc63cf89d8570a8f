//! Refreshing knowledge: a new snapshot becomes a candidate of every app it grounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use knowledge::{BatchReport, Embedding, EmbeddingCache, KnowledgeSpec, RefreshInput, Watch};
use release::{ArtifactName, Change, DeploymentEntry, Digest, Reproducibility};
use serde::{Deserialize, Serialize};

use crate::catalog::{APPS, AppRecord, Filled, KNOWLEDGE, KnowledgeRecord, snapshot_ref};
use crate::project::Prepared;
use crate::project::files::Entry;
use crate::propose::{Proposal, Proposed};
use crate::{DeliveryError, TenantDelivery};

/// What a refresh found and led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refreshed {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// Its newest snapshot.
    pub snapshot: Digest,
    /// Whether nothing had changed, so that the snapshot is the one before.
    pub unchanged: bool,
    /// What happened to each document.
    pub report: BatchReport,
    /// Changes proposed, each with its candidate release.
    pub changes: Vec<Change>,
    /// Moves into the first environment that the apps' policy made at once.
    pub promoted: Vec<DeploymentEntry>,
}

impl TenantDelivery {
    /// Reads the sources of a knowledge base and, if anything changed, proposes its new snapshot
    /// to every app that it grounds.
    ///
    /// # Errors
    /// If the knowledge base is unknown, a source cannot be listed, or a record cannot be written.
    /// The snapshot before keeps serving.
    pub async fn refresh(
        &self,
        name: &ArtifactName,
        watch: &Arc<Watch>,
    ) -> Result<Refreshed, DeliveryError> {
        let known = self.find::<KnowledgeRecord>(KNOWLEDGE, name.as_str()).await?;
        let known = known.ok_or_else(|| DeliveryError::UnknownKnowledge(name.clone()))?;
        let batch = knowledge::refresh(RefreshInput {
            name: name.clone(),
            spec: known.value.spec.clone(),
            directories: Arc::clone(&self.directories),
            parent: known.value.snapshot,
            blobs: self.blobs.clone(),
            tenant: self.tenant.clone(),
            watch: Arc::clone(watch),
            embedding: self.embedding(&known.value.spec).await?,
        })
        .await?;
        let record = KnowledgeRecord {
            snapshot: Some(batch.manifest),
            refreshed_at: Some(self.clock.now()),
            ..known.value.clone()
        };
        let mut refreshed = Refreshed {
            knowledge: name.clone(),
            snapshot: batch.manifest,
            unchanged: batch.unchanged,
            report: batch.report,
            changes: Vec::new(),
            promoted: Vec::new(),
        };
        let mut transaction = self
            .transaction()
            .put(KNOWLEDGE, name.as_str(), &record, known.expect())?
            .emit(&format!("knowledge/{name}"), "knowledge.refreshed", &refreshed)?;
        let artifact = snapshot_ref(name, batch.manifest);
        let bytes = batch.bytes;
        let prepared =
            Prepared { artifact: artifact.clone(), bytes, reproducible: Reproducibility::Bytes };
        let parents = known.value.snapshot.filter(|parent| *parent != batch.manifest);
        let lineage = parents.into_iter().collect();
        (transaction, _) = self.register(&prepared, lineage, transaction).await?;

        let fresh = BTreeMap::from([(name.clone(), artifact)]);
        let proposal = Proposal { commit: None, reason: format!("knowledge `{name}` refreshed") };
        for app in self.all::<AppRecord>(APPS, "").await? {
            let grounded = |filled: &Filled| *filled == Filled::Knowledge(name.clone());
            if !app.value.slots.values().any(grounded) {
                continue;
            }
            let (next, app, proposed) = self.propose(app, &fresh, &proposal, transaction).await?;
            transaction = next;
            if let Proposed::Candidate(change) = proposed {
                if app.policy.enter == Entry::Automatic {
                    let (next, moved) = self.enter(&app, &change, transaction).await?;
                    transaction = next;
                    refreshed.promoted.extend(moved);
                }
                refreshed.changes.push(change);
            }
        }
        self.store.commit(transaction).await?;
        Ok(refreshed)
    }

    /// What embeds a knowledge base's passages, if anything does.
    async fn embedding(&self, spec: &KnowledgeSpec) -> Result<Option<Embedding>, DeliveryError> {
        let Some(spec) = &spec.embedding else { return Ok(None) };
        let cache = EmbeddingCache {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            actor: self.actor.clone(),
            clock: Arc::clone(&self.clock),
        };
        let open = self.models.embedder(&self.tenant, spec, None).await?;
        Ok(Some(Embedding { spec: spec.clone(), open, cache }))
    }
}
