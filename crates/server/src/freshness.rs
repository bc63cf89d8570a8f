//! Keeping knowledge fresh: sources are read when they are due, and who waits too long is told of.

use std::sync::Arc;
use std::time::Duration;

use delivery::Delivery;
use release::PrincipalId;
use security::KeyRing;
use workflow::engine::Engine;

/// How often it is looked at what is due, and at what waits.
const LOOK: Duration = Duration::from_secs(5);

/// Starts reading what is due, until the server stops.
pub async fn read(delivery: Delivery, workflows: Engine, keys: Arc<KeyRing>) {
    let actor = PrincipalId::system("freshness");
    loop {
        tokio::time::sleep(LOOK).await;
        let read = async {
            for tenant in keys.tenant_names().await? {
                let engine = workflows.tenant(&tenant, actor.clone());
                delivery.tenant(&tenant, actor.clone()).start_due(&engine).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = read.await {
            tracing::warn!(%error, "nothing is read that is due; trying again");
        }
    }
}

/// Tells of promises that are used up, broken or kept again, until the server stops. Sources that
/// answer slowly do not delay it.
pub async fn tell(delivery: Delivery, keys: Arc<KeyRing>) {
    let actor = PrincipalId::system("freshness");
    loop {
        tokio::time::sleep(LOOK).await;
        let told = async {
            for tenant in keys.tenant_names().await? {
                delivery.tenant(&tenant, actor.clone()).keep_freshness().await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = told.await {
            tracing::warn!(%error, "how fresh knowledge is cannot be told; trying again");
        }
    }
}
