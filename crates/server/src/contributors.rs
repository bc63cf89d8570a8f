//! The rules of top contributors that projects define, watched.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use delivery::Delivery;
use monitoring::contributors::Contributors;
use release::{Clock, PrincipalId};
use security::KeyRing;

/// How often it is looked whether rules changed, here or by another server.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps watching whatever rules there are.
pub async fn follow(
    contributors: Arc<Contributors>,
    delivery: Delivery,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
) {
    loop {
        if let Err(error) = look(&contributors, &delivery, &keys, clock.as_ref()).await {
            tracing::warn!(%error, "rules of contributors cannot be read; trying again");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(
    contributors: &Contributors,
    delivery: &Delivery,
    keys: &KeyRing,
    clock: &dyn Clock,
) -> Result<()> {
    for tenant in keys.tenant_names().await? {
        let own = delivery.tenant(&tenant, PrincipalId::system("contributors"));
        contributors.watch(&tenant, own.contributor_rules().await?, clock.now());
    }
    Ok(())
}
