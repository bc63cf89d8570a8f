//! Erased documents leave evaluations: the answers that quote them, not what was made of those.
//!
//! Runs under way are told first. Whatever is kept after that is kept without the documents, and
//! whatever was kept before is found by looking.

use std::collections::BTreeSet;

use evaluation::run::Run;
use release::{Digest, SlotName};
use store::BlobError;

use super::{EVALUATIONS, EvaluationPlan, EvaluationRecord, UNDER_WAY};
use crate::{DeliveryError, TenantDelivery};

/// Documents that are erased, and the snapshots that had any of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone<'a> {
    pub documents: &'a BTreeSet<String>,
    pub snapshots: &'a BTreeSet<Digest>,
}

impl TenantDelivery {
    /// Tells runs under way that may quote what is gone, and takes it out of their ledgers.
    pub(crate) async fn tell_evaluations(&self, gone: Gone<'_>) -> Result<(), DeliveryError> {
        for found in self.all::<EvaluationPlan>(UNDER_WAY, "").await? {
            if !self.may_quote(&found.value, gone).await? {
                continue;
            }
            let mut plan = found.value.clone();
            plan.erased.extend(gone.documents.iter().cloned());
            // A run that ended meanwhile conflicts: the erasure is tried again, and finds it over.
            let put = self.transaction().put(UNDER_WAY, &plan.id, &plan, found.expect())?;
            self.store.commit(put).await?;
            self.evaluation_ledger(&plan).forget(&plan.erased).await?;
        }
        Ok(())
    }

    /// The blobs of runs that are over and quote what is gone.
    pub(crate) async fn quoting_runs(&self, gone: Gone<'_>) -> Result<Vec<Digest>, DeliveryError> {
        let mut quoting = Vec::new();
        for found in self.all::<EvaluationRecord>(EVALUATIONS, "").await? {
            quoting.extend(self.quoting(&found.value, gone).await?.map(|(blob, _)| blob));
        }
        Ok(quoting)
    }

    /// Has every such run stood for by itself without what is gone.
    pub(crate) async fn rewrite_runs(&self, gone: Gone<'_>) -> Result<(), DeliveryError> {
        for found in self.all::<EvaluationRecord>(EVALUATIONS, "").await? {
            let Some((blob, left)) = self.quoting(&found.value, gone).await? else { continue };
            let left = self.put_run(&left).await?;
            self.alone(async { Ok(self.blobs.succeed(&blob, left).await?) }).await?;
        }
        Ok(())
    }

    /// The blob that a run is in, and what is left of the run; none if it quotes nothing of it.
    async fn quoting(
        &self,
        record: &EvaluationRecord,
        gone: Gone<'_>,
    ) -> Result<Option<(Digest, Run)>, DeliveryError> {
        if !self.may_quote(&record.plan, gone).await? {
            return Ok(None);
        }
        let blob = self.blobs.standing(&record.run).await?;
        let mut run = self.run_in(&blob).await?;
        Ok(run.without(gone.documents).then_some((blob, run)))
    }

    /// Whether a run's release answers from a snapshot that had any of the documents. One whose
    /// snapshot is not kept any more may.
    async fn may_quote(
        &self,
        plan: &EvaluationPlan,
        gone: Gone<'_>,
    ) -> Result<bool, DeliveryError> {
        let release = self.open_release(plan.release).await?;
        let Some(snapshot) = release.slots().get(&SlotName::KNOWLEDGE) else { return Ok(false) };
        if gone.snapshots.contains(snapshot) {
            return Ok(true);
        }
        match self.manifest(*snapshot).await {
            Ok(_) => Ok(false),
            Err(DeliveryError::Blob(BlobError::Missing(_))) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
