//! Watching files: a knowledge base of which a source is `continuous` is refreshed when its files
//! look different.
//!
//! They are looked at, not subscribed to: that works on every file system, and nothing is missed
//! while the server is down. An execution is named after what the files look like, so that one look
//! starts one refresh, however many servers look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use delivery::Delivery;
use release::{ArtifactName, Digest, PrincipalId, TenantId};
use security::KeyRing;
use serde_json::json;
use workflow::engine::{Engine, EngineError};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What files looked like when a refresh was last started for them.
type Looks = HashMap<(TenantId, ArtifactName), Digest>;

/// Watches until the server stops.
pub async fn watch(delivery: Delivery, workflows: Engine, keys: Arc<KeyRing>) {
    let mut looks = Looks::new();
    loop {
        tokio::time::sleep(LOOK).await;
        match keys.tenant_names().await {
            Ok(tenants) => {
                for tenant in tenants {
                    look(&tenant, (&delivery, &workflows), &mut looks).await;
                }
            }
            Err(error) => tracing::warn!(%error, "files are not watched; trying again"),
        }
    }
}

async fn look(tenant: &TenantId, (delivery, workflows): (&Delivery, &Engine), looks: &mut Looks) {
    let actor = PrincipalId::system("watch");
    let watched = match delivery.tenant(tenant, actor.clone()).watched().await {
        Ok(watched) => watched,
        Err(error) => {
            tracing::warn!(%error, %tenant, "files are not watched; trying again");
            return;
        }
    };
    let engine = workflows.tenant(tenant, actor);
    for (name, digest) in watched {
        let key = (tenant.clone(), name.clone());
        if looks.get(&key) == Some(&digest) {
            continue;
        }
        let execution = format!(
            "watch-{}",
            Digest::of_fields([name.as_str().as_bytes(), digest.as_bytes(),]).to_hex()
        );
        let input = json!({"knowledge": name});
        match engine.start("groundcrew.knowledge.refresh", Some(&execution), input).await {
            // Another server, or this one before it stopped, saw the same.
            Ok(_) | Err(EngineError::Exists(_)) => {
                looks.insert(key, digest);
            }
            Err(error) => {
                tracing::warn!(%error, knowledge = %name, "a refresh could not be started");
            }
        }
    }
}
