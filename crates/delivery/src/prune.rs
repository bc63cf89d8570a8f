//! Pruning: what is not kept any more goes, first its records and then its blobs.
//!
//! ```text
//!  lease ─► doom (retention) ─► drop the records ─► pins ─► sweep the blobs ─► event
//! ```

use async_trait::async_trait;
use release::{PrincipalId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Backups, Lease, Sweep, Swept};
use workflow::Fault;
use workflow::engine::{Task, TaskCall, output};

use crate::retention::{Doomed, Dropped, Retention};
use crate::{Delivery, DeliveryError};

/// What pruning did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Whether it is only told what would be done.
    pub dry_run: bool,
    /// The records that are not kept any more.
    pub dropped: Dropped,
    /// The contents.
    pub swept: Swept,
    /// Whether nothing was deleted because a backup is being taken.
    pub backup_under_way: bool,
}

/// `storage.prune`: drops what is not kept any more. Doing it twice does nothing more.
#[derive(Debug)]
pub struct PruneTask {
    delivery: Delivery,
    retention: Retention,
}

impl PruneTask {
    /// Prunes by `retention`.
    pub fn new(delivery: Delivery, retention: Retention) -> Self {
        Self { delivery, retention }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prune {
    /// Whether it is only told what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[async_trait]
impl Task for PruneTask {
    fn name(&self) -> &'static str {
        "storage.prune"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Prune { dry_run } = call.read()?;
        let whose = (&call.tenant, call.actor.clone());
        let pruned = self.delivery.prune(whose, &call.key, &self.retention, dry_run).await;
        output(&pruned?)
    }
}

impl Delivery {
    /// Drops what a tenant does not keep any more; with `dry_run` it only tells what that is.
    /// `holder` names this attempt: another one waits for its end.
    ///
    /// # Errors
    /// If another one is under way, somebody proposed or moved something meanwhile, or something
    /// cannot be read or written. What was not dropped is the next time.
    pub async fn prune(
        &self,
        (tenant, actor): (&TenantId, PrincipalId),
        holder: &str,
        retention: &Retention,
        dry_run: bool,
    ) -> Result<Pruned, DeliveryError> {
        let (system, clock) = (self.store.system(), &*self.clock);
        let own = system.take(&format!("storage.prune/{tenant}"), holder, clock).await?;
        let own = own.ok_or(DeliveryError::Busy("pruning"))?;
        // While somebody copies, nothing is deleted.
        let backup = system.take(Backups::LEASE, holder, clock).await?;
        let delete = backup.is_some();
        let leases: Vec<Lease> = std::iter::once(own).chain(backup).collect();
        let work = self.prune_alone((tenant, actor), *retention, (dry_run, delete));
        let pruned = system.holding(&leases, clock, work).await?;
        pruned.ok_or(DeliveryError::Busy("pruning, or a backup,"))?
    }

    async fn prune_alone(
        &self,
        (tenant, actor): (&TenantId, PrincipalId),
        retention: Retention,
        (dry_run, delete): (bool, bool),
    ) -> Result<Pruned, DeliveryError> {
        let delivery = self.tenant(tenant, actor);
        let mut doomed = delivery.doom(&retention).await?;
        let mut pins = delivery.named(&doomed).await?;
        delivery.doom_artifacts(&retention, pins.all(), &mut doomed).await?;
        if !dry_run {
            delivery.drop_doomed(&doomed).await?;
            // The records are gone, and others may name something by now.
            pins = delivery.named(&Doomed::default()).await?;
        }
        let left_out = if dry_run { &doomed } else { &Doomed::default() };
        delivery.pin_artifacts(left_out, &mut pins).await?;
        let sweep = Sweep {
            pins: pins.all(),
            now: self.clock.now(),
            grace: retention.grace(),
            delete,
            dry_run,
        };
        let swept = delivery.blobs.sweep(sweep).await?;
        let (dropped, backup_under_way) = (doomed.told(), !delete);
        let pruned = Pruned { dry_run, dropped, swept, backup_under_way };
        let swept = &pruned.swept;
        let changed = [swept.set_aside, swept.put_back, swept.deleted];
        if !dry_run && changed.iter().any(|amount| amount.blobs > 0) {
            let told = delivery.transaction().emit("storage", "storage.swept", swept)?;
            delivery.store.commit(told).await?;
        }
        Ok(pruned)
    }
}

#[cfg(test)]
mod tests;
