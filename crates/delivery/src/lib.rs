//! The release path: a change becomes a candidate, is promoted, and can be taken back at once.
//!
//! Every way to change what an app answers (an edited file, fresh knowledge, another model) goes
//! through [`Delivery`]: it stores artifact versions, seals a release, records who proposed it and
//! moves environments by compare-and-swap. The routing table it publishes is all the gateway sees.
//!
//! The nouns: [`project::Project`], [`AppRecord`], [`release::Change`], [`release::Environment`]
//! and [`release::RoutingTable`].
//!
//! ```text
//!  files ─► project ─► apply ─┐
//!                             ├─► propose ─► moves ──► deployment log ─► reconcile ─► RoutingTable
//!  sources ─────► refresh ────┘   (Change,  gates ▲                                   (watched by
//!                                  Release)  ▼   │                                     the gateway)
//!                              rollouts ─► rollout::next ◄── what came of it so far
//! ```
//!
//! Start reading at `propose.rs`, then `gate.rs`, `moves.rs`, `rollout.rs` and `reconcile.rs`.

mod apply;
mod catalog;
mod compact;
mod contributors;
mod decisions;
#[cfg(test)]
mod desk;
mod documents;
mod due;
mod erasure;
mod error;
mod evaluations;
mod events;
pub mod experiment;
mod experiments;
mod freshness;
pub mod gate;
mod gates;
mod golden;
mod history;
mod holds;
mod imported;
#[cfg(test)]
mod kills;
mod listed;
mod monitors;
mod moves;
mod pins;
mod pipeline;
pub mod project;
mod propose;
mod provenance;
mod prune;
mod quarantine;
mod queries;
mod reconcile;
mod refresh;
mod report;
mod retention;
pub mod rollout;
mod rollouts;
pub mod simulate;
mod tasks;
mod turns;
mod versions;
mod waiting;
mod workflows;

use std::sync::Arc;

use knowledge::{KnowledgeModels, NoModels, Offered, Workshop};
use release::{Clock, PrincipalId, TenantId};
use store::{Backups, Blobs, Store, SystemStore, TenantBlobs, TenantStore};

pub use apply::{Applied, Pending, Upload};
pub use catalog::{
    AppRecord, BatchCause, BatchRecord, Filled, KnowledgeRecord, ProjectRecord, ReleaseRecord,
};
pub use compact::{CompactTask, Compacted};
pub use decisions::{Approval, Waiving};
pub use erasure::{Completed, Erase, ErasureRecord, Reach, ReachedRelease};
pub use error::DeliveryError;
pub use evaluations::{
    Draw, DrawnCases, EvaluationPlan, EvaluationRecord, EvaluationVerdict, Evaluations, FromTraces,
    NewEvaluation, OnlineAnswer, OnlineScores, SavedSuite, StoredLedger,
};
pub use experiments::{ExperimentRecord, NewExperiment, NewMetric, NewVariant};
pub use freshness::{KnowledgeFreshness, ServingFreshness, SourceFreshness};
pub use history::{ArtifactDiff, ReleaseDiff, Status};
pub use holds::Hold;
pub use imported::imported_model;
pub use moves::{Promotion, Rollback};
pub use pins::Pinned;
pub use pipeline::{NewPipeline, Outcome, PipelineReport, PipelineTask, Stage, StageState};
pub use propose::{Proposal, Proposed, ProposedApp};
pub use provenance::{End, Evaluated, Live, Provenance, Whereabouts};
pub use prune::{PruneTask, Pruned};
pub use quarantine::{AffectedEnvironment, AffectedRelease, Reached};
pub use queries::SavedQuery;
pub use reconcile::Reconciler;
pub use refresh::{Refresh, Refreshed};
pub use report::{DocumentChange, ReportedBatch};
pub use retention::{Dropped, Retention};
pub use rollouts::Observed;
pub use tasks::{PromoteTask, ProposeTask, RefreshTask};
pub use versions::Excised;
pub use waiting::Waits;

use gate::sources::{GateSources, NoSources};
use turns::Turns;

/// The release path of one installation.
#[derive(Debug, Clone)]
pub struct Delivery {
    store: Store,
    blobs: Blobs,
    offered: Arc<Offered>,
    workshop: Arc<Workshop>,
    models: Arc<dyn KnowledgeModels>,
    turns: Turns,
    clock: Arc<dyn Clock>,
    backups: Arc<[Backups]>,
    gate_sources: Arc<dyn GateSources>,
}

impl Delivery {
    /// The release path over a store and its blobs; knowledge is read from what is `offered`, and
    /// worked on in `workshop`.
    pub fn new(
        (store, blobs): (Store, Blobs),
        offered: Arc<Offered>,
        workshop: Arc<Workshop>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (models, turns, backups) = (Arc::new(NoModels), Turns::default(), Arc::new([]));
        let gate_sources = Arc::new(NoSources);
        Self { store, blobs, offered, workshop, models, turns, clock, backups, gate_sources }
    }

    /// The same, with models for knowledge; else it has none.
    #[must_use]
    pub fn with_models(self, models: Arc<dyn KnowledgeModels>) -> Self {
        Self { models, ..self }
    }

    /// The same, with the places of backups that erasures reach.
    #[must_use]
    pub fn with_backups(self, backups: Vec<Backups>) -> Self {
        Self { backups: backups.into(), ..self }
    }

    /// The same, with what gates ask; else what they ask is not known.
    #[must_use]
    pub fn with_gate_sources(self, gate_sources: Arc<dyn GateSources>) -> Self {
        Self { gate_sources, ..self }
    }

    /// The release path of one tenant, acting as `actor`.
    pub fn tenant(&self, tenant: &TenantId, actor: PrincipalId) -> TenantDelivery {
        TenantDelivery {
            store: self.store.tenant(tenant),
            system: self.store.system(),
            backups: Arc::clone(&self.backups),
            blobs: self.blobs.tenant(tenant),
            tenant: tenant.clone(),
            offered: Arc::clone(&self.offered),
            workshop: Arc::clone(&self.workshop),
            models: Arc::clone(&self.models),
            turns: self.turns.clone(),
            clock: Arc::clone(&self.clock),
            gate_sources: Arc::clone(&self.gate_sources),
            actor,
        }
    }
}

/// The release path as one principal sees it in one tenant: every event it writes names the actor.
#[derive(Debug, Clone)]
pub struct TenantDelivery {
    store: TenantStore,
    system: SystemStore,
    backups: Arc<[Backups]>,
    blobs: TenantBlobs,
    tenant: TenantId,
    offered: Arc<Offered>,
    workshop: Arc<Workshop>,
    models: Arc<dyn KnowledgeModels>,
    turns: Turns,
    clock: Arc<dyn Clock>,
    gate_sources: Arc<dyn GateSources>,
    actor: PrincipalId,
}
