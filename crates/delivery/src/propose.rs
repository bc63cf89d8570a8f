//! Proposing: what fills an app's slots becomes a sealed release and a change.

use std::collections::BTreeMap;

use bytes::Bytes;
use release::{
    AppName, ArtifactRef, Change, ChangeId, DeploymentEntry, Release, ReleaseDigest, SlotName,
    slot_diff,
};
use serde::Serialize;
use store::{Expect, Transaction};

use crate::catalog::{
    APPS, AppRecord, CHANGES, Filled, KNOWLEDGE, KnowledgeRecord, RELEASES, ReleaseRecord,
    Versioned, change_key, expect, release_key, snapshot_ref,
};
use crate::moves::Entered;
use crate::waiting::Waits;
use crate::{DeliveryError, TenantDelivery};

/// Why something is proposed.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// The commit of the project it was read from, where known.
    pub commit: Option<String>,
    /// Who wrote that commit, as git has it.
    pub commit_author: Option<String>,
    /// Why, in the author's words.
    pub reason: String,
}

/// What came of proposing an app's present slots.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Proposed {
    /// A change with its candidate release.
    Candidate(Box<Change>),
    /// The newest candidate has exactly these slots.
    Unchanged {
        /// The app.
        app: AppName,
        /// Its newest candidate.
        release: ReleaseDigest,
    },
    /// A slot has nothing to fill it yet.
    Waiting {
        /// The app.
        app: AppName,
        /// The knowledge base that has no snapshot.
        knowledge: release::ArtifactName,
    },
}

/// What a proposal led to.
#[derive(Debug, Clone, Serialize)]
pub struct ProposedApp {
    /// What came of it.
    #[serde(flatten)]
    pub proposed: Proposed,
    /// The move into the first environment that the app's policy made at once.
    pub promoted: Option<DeploymentEntry>,
    /// Why it waits before the first environment, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
}

impl TenantDelivery {
    /// Proposes what fills an app's slots now; its policy may let the candidate into the first
    /// environment at once. Doing it twice proposes once.
    ///
    /// # Errors
    /// If there is no such app, or a record cannot be written.
    pub async fn propose_app(
        &self,
        app: &AppName,
        proposal: &Proposal,
    ) -> Result<ProposedApp, DeliveryError> {
        let (app, fresh) = (self.app(app).await?, BTreeMap::new());
        let (transaction, app, proposed) =
            self.propose(app, &fresh, proposal, self.transaction()).await?;
        let Proposed::Candidate(change) = &proposed else {
            return Ok(ProposedApp { proposed, promoted: None, waits: None });
        };
        let (transaction, Entered { moved: promoted, waits }) =
            self.enter(&app, change, transaction).await?;
        self.store.commit(transaction).await?;
        Ok(ProposedApp { proposed, promoted, waits })
    }

    /// Seals the slots of `app` as a release and adds it, with its change, to `transaction`.
    /// `fresh` holds artifacts that the same transaction registers.
    pub(crate) async fn propose(
        &self,
        app: Versioned<AppRecord>,
        fresh: &BTreeMap<release::ArtifactName, ArtifactRef>,
        proposal: &Proposal,
        transaction: Transaction,
    ) -> Result<(Transaction, AppRecord, Proposed), DeliveryError> {
        let expected = if app.version == 0 { Expect::Absent } else { app.expect() };
        let mut app = app.value;
        let slots = match self.fill(&app, fresh).await? {
            Ok(slots) => slots,
            Err(knowledge) => {
                let transaction = transaction.put(APPS, app.name.as_str(), &app, expected)?;
                let waiting = Proposed::Waiting { app: app.name.clone(), knowledge };
                return Ok((transaction, app, waiting));
            }
        };
        let digests = slots.iter().map(|(slot, artifact)| (slot.clone(), artifact.digest));
        let release = Release::seal(app.name.clone(), digests)?;
        if app.head == Some(release.digest()) {
            let transaction = transaction.put(APPS, app.name.as_str(), &app, expected)?;
            let unchanged =
                Proposed::Unchanged { app: app.name.clone(), release: release.digest() };
            return Ok((transaction, app, unchanged));
        }
        self.blobs.put(Bytes::copy_from_slice(release.bytes())).await?;

        let parent = match app.head {
            Some(head) => Some(self.open_release(head).await?),
            None => None,
        };
        app.changes += 1;
        app.head = Some(release.digest());
        let change = Change {
            id: ChangeId::new(app.name.clone(), app.changes),
            app: app.name.clone(),
            release: release.digest(),
            parent: parent.as_ref().map(Release::digest),
            diff: slot_diff(parent.as_ref(), &release),
            author: self.actor.clone(),
            commit: proposal.commit.clone(),
            commit_author: proposal.commit_author.clone(),
            reason: proposal.reason.clone(),
            proposed_at: self.clock.now(),
        };
        let key = release_key(&app.name, release.digest());
        let known = self.find::<ReleaseRecord>(RELEASES, &key).await?;
        let record = match &known {
            Some(known) => ReleaseRecord { change: change.id.clone(), ..known.value.clone() },
            None => ReleaseRecord {
                release: release.digest(),
                app: app.name.clone(),
                // The newest comes first, and older ones may be gone.
                sequence: self.releases(&app.name).await?.first().map_or(0, |it| it.sequence) + 1,
                slots,
                change: change.id.clone(),
                created_at: change.proposed_at,
            },
        };
        let transaction = transaction
            .put(APPS, app.name.as_str(), &app, expected)?
            .put(RELEASES, &key, &record, expect(&known))?
            .put(CHANGES, &change_key(&change.id), &change, Expect::Absent)?
            .emit(&format!("changes/{}", app.name), "change.proposed", &change)?;
        Ok((transaction, app, Proposed::Candidate(Box::new(change))))
    }

    /// Which artifact fills each slot; `Err` names a knowledge base that has no snapshot.
    async fn fill(
        &self,
        app: &AppRecord,
        fresh: &BTreeMap<release::ArtifactName, ArtifactRef>,
    ) -> Result<Result<BTreeMap<SlotName, ArtifactRef>, release::ArtifactName>, DeliveryError> {
        let mut slots = BTreeMap::new();
        for (slot, filled) in &app.slots {
            let artifact = match filled {
                Filled::Artifact(artifact) => artifact.clone(),
                Filled::Knowledge(name) => match fresh.get(name) {
                    Some(snapshot) => snapshot.clone(),
                    None => {
                        let base = self.find::<KnowledgeRecord>(KNOWLEDGE, name.as_str()).await?;
                        match base.and_then(|base| base.value.snapshot) {
                            Some(digest) => snapshot_ref(name, digest),
                            None => return Ok(Err(name.clone())),
                        }
                    }
                },
            };
            slots.insert(slot.clone(), artifact);
        }
        Ok(Ok(slots))
    }
}
