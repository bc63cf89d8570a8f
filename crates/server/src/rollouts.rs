//! Rollouts and experiments, moved on by whoever holds the lease: what came of their arms is asked of
//! the tables, and which alarms went off of the alarms.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::{Delivery, Observed};
use monitoring::alarm::State;
use monitoring::alarm::engine::{AlarmView, Alarms};
use monitoring::arms::{self, ArmMeasure, ArmOutcomes, Copies};
use monitoring::query::Queries;
use monitoring::tables::Span;
use release::{AppName, Currency, EnvironmentName, PlanId, ReleaseDigest, TenantId, Timestamp};

use crate::holder::Holder;

/// How often rollouts are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// Looking takes at most this part of the time: a look that took a second is followed by nine
/// without one.
const REST: u32 = 9;
/// What whoever looks at rollouts holds a lease on.
const LEASE: &str = "rollouts";

/// What telemetry and alarms know of rollouts.
#[derive(Debug)]
pub struct Known {
    /// Where answers are counted.
    pub queries: Queries,
    /// The alarms.
    pub alarms: Alarms,
}

#[async_trait]
impl Observed for Known {
    async fn outcomes(
        &self,
        tenant: &TenantId,
        plan: (&PlanId, Timestamp),
        slow: Option<u64>,
    ) -> Result<Vec<ArmOutcomes>, String> {
        let told = arms::outcomes(&self.queries, tenant, plan, slow).await;
        told.map_err(|error| error.to_string())
    }

    async fn measures(
        &self,
        tenant: &TenantId,
        plan: (&PlanId, Timestamp),
    ) -> Result<Vec<ArmMeasure>, String> {
        let told = arms::measures(&self.queries, tenant, plan).await;
        told.map_err(|error| error.to_string())
    }

    async fn copies(
        &self,
        tenant: &TenantId,
        plan: (&PlanId, Timestamp),
        slow: Option<u64>,
        priced: (Currency, Timestamp),
    ) -> Result<(Vec<ArmOutcomes>, Copies), String> {
        let told = arms::copies(&self.queries, tenant, plan, slow, priced).await;
        told.map_err(|error| error.to_string())
    }

    async fn latency(
        &self,
        tenant: &TenantId,
        release: (&AppName, &EnvironmentName, ReleaseDigest),
        share: f64,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Option<u64>, String> {
        let told = arms::latency(&self.queries, tenant, release, (share, Span { from, until }));
        told.await.map_err(|error| error.to_string())
    }

    async fn alarm(
        &self,
        tenant: &TenantId,
        of: (&AppName, &EnvironmentName),
        since: Timestamp,
    ) -> Result<Option<String>, String> {
        let alarms = self.alarms.tenant(tenant).list().await.map_err(|error| error.to_string())?;
        let went_off = alarms.into_iter().find(|alarm| {
            let status = &alarm.status;
            status.state == State::Alarm && status.since > since && is_of(alarm, of)
        });
        Ok(went_off.map(|alarm| alarm.record.name))
    }
}

/// Whether an alarm's metrics are an app's, in this environment or in all of them.
fn is_of(alarm: &AlarmView, (app, environment): (&AppName, &EnvironmentName)) -> bool {
    let dimensions = alarm.record.dimensions();
    dimensions.get("app").is_some_and(|of| of == app.as_str())
        && dimensions.get("environment").is_none_or(|of| of == environment.as_str())
}

/// Moves rollouts on until the server stops.
pub async fn keep(delivery: Delivery, known: Known, holder: Holder) {
    let mut rest = LOOK;
    loop {
        tokio::time::sleep(rest).await;
        let begun = Instant::now();
        let kept = async {
            let tenants = holder.tenants(LEASE).await?;
            delivery.keep_rollouts(&tenants, &known).await?;
            anyhow::Ok(delivery.keep_experiments(&tenants, &known).await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "rollouts and experiments could not be looked at; trying again");
        }
        rest = LOOK.max(begun.elapsed() * REST);
    }
}
