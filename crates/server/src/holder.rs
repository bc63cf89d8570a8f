//! Work that one server does at a time, for all tenants: whoever holds its lease.

use std::sync::Arc;

use anyhow::Result;
use release::{Clock, TenantId};
use security::KeyRing;
use store::Store;

/// This server, as one of those that share a store.
#[derive(Clone)]
pub struct Holder {
    /// The store.
    pub store: Store,
    /// Who knows the tenants.
    pub keys: Arc<KeyRing>,
    /// What this server is called.
    pub node: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Holder {
    /// Whose work this server does now: all tenants' if it holds the lease, else nobody's.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn tenants(&self, lease: &str) -> Result<Vec<TenantId>> {
        match self.store.system().take(lease, &self.node, self.clock.as_ref()).await? {
            Some(_) => Ok(self.keys.tenant_names().await?),
            None => Ok(Vec::new()),
        }
    }
}
