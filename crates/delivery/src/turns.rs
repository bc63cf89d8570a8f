//! One refresh of a knowledge base at a time.
//!
//! Two at once would read the same, and the later could only throw away what it made. Servers that
//! share a store do not see each other's turns: there, whoever comes second reads again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use release::{ArtifactName, TenantId};
use tokio::sync::OwnedMutexGuard;

type Key = (TenantId, ArtifactName);

/// Whose turn it is, by knowledge base.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>);

impl Turns {
    /// Waits for its turn, which lasts until what this gives is dropped.
    pub async fn take(&self, tenant: &TenantId, name: &ArtifactName) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry((tenant.clone(), name.clone())).or_default())
        };
        turn.lock_owned().await
    }
}
