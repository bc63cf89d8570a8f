//! What gates ask of the installation: telemetry, drills of backups and functions. And whoever waits
//! before a gate is let in when it passes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::Delivery;
use delivery::gate::sources::{Answered, Drill, GateSources};
use monitoring::query::Queries;
use monitoring::spent::{self, Spent};
use monitoring::tables::Span;
use release::{AppName, Currency, EnvironmentName, ReleaseDigest, TenantId, Timestamp};
use serde_json::Value;

use crate::backups::Keeper;
use crate::functions::Functions;
use crate::holder::Holder;

/// How often it is looked whether something that waits may enter.
const LOOK: Duration = Duration::from_secs(30);
/// What whoever looks holds a lease on.
const LEASE: &str = "gates";
/// The most bytes that a function gives back.
const MOST: usize = 64 << 10;
/// The most characters that are told of a function's failure.
const TOLD: usize = 300;

/// What gates ask of the installation.
#[derive(Debug)]
pub struct Known {
    /// Where answers and their costs are.
    pub queries: Queries,
    /// The functions that are offered.
    pub functions: Arc<Functions>,
    /// Where drills are recorded.
    pub backups: Keeper,
}

#[async_trait]
impl GateSources for Known {
    async fn spent(
        &self,
        tenant: &TenantId,
        of: (&AppName, &EnvironmentName, ReleaseDigest),
        since: Timestamp,
        currency: Currency,
    ) -> Result<Spent, String> {
        let span = Span { from: since, ..Span::ALL };
        let spent = spent::spent(&self.queries, tenant, of, (currency, span)).await;
        spent.map_err(|error| error.to_string())
    }

    async fn drill(&self) -> Result<Option<Drill>, String> {
        let drills = self.backups.drills().await.map_err(|error| error.to_string())?;
        Ok(drills.into_iter().next().map(|drilled| Drill {
            backup: drilled.backup,
            ended_at: drilled.ended_at,
            faults: drilled.faults.len(),
        }))
    }

    async fn ask(
        &self,
        tenant: &TenantId,
        function: &str,
        payload: &Value,
    ) -> Result<Answered, String> {
        match self.functions.ask(function, tenant, payload, MOST).await {
            Ok(value) => Ok(Answered::Value(value)),
            Err(fault) => {
                let name = fault.error.unwrap_or_default();
                let cause = fault.cause.unwrap_or_default();
                let told: String = cause.chars().take(TOLD).collect();
                // What the service or its limits said is nothing that the function found.
                match name.starts_with("Lambda.") || name.starts_with("Sandbox.") {
                    true => Err(format!("{name}: {told}")),
                    false => Ok(Answered::Failed(format!("{name}: {told}"))),
                }
            }
        }
    }
}

/// Lets in what waits until the server stops.
pub async fn keep(delivery: Delivery, holder: Holder) {
    loop {
        tokio::time::sleep(LOOK).await;
        let kept =
            async { anyhow::Ok(delivery.keep_waiting(&holder.tenants(LEASE).await?).await?) };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "what waits before gates could not be looked at; trying again");
        }
    }
}
