//! Holds: contents that a person has asked to keep, however old they are.

use release::{Digest, PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use store::Expect;

use crate::catalog::HOLDS;
use crate::{DeliveryError, TenantDelivery};

/// A content that is kept: a release, a snapshot, or any blob. With a release or a snapshot goes all
/// that it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The content.
    pub digest: Digest,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: PrincipalId,
    /// When.
    pub at: Timestamp,
}

impl TenantDelivery {
    /// Keeps a content until [`TenantDelivery::release_hold`]. Holding it again changes the reason.
    ///
    /// # Errors
    /// If there is no such content, or that cannot be written.
    pub async fn hold(&self, digest: Digest, reason: &str) -> Result<Hold, DeliveryError> {
        self.blobs.get(&digest).await?;
        let (by, at) = (self.actor.clone(), self.clock.now());
        let hold = Hold { digest, reason: reason.to_owned(), by, at };
        let transaction = self
            .transaction()
            .put(HOLDS, &digest.to_hex(), &hold, Expect::Any)?
            .emit("storage", "storage.held", &hold)?;
        self.store.commit(transaction).await?;
        Ok(hold)
    }

    /// Ends a hold. Whether there was one.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn release_hold(&self, digest: Digest) -> Result<bool, DeliveryError> {
        let Some(hold) = self.find::<Hold>(HOLDS, &digest.to_hex()).await? else {
            return Ok(false);
        };
        let transaction = self.transaction().delete(HOLDS, &digest.to_hex(), hold.expect()).emit(
            "storage",
            "storage.released",
            &hold.value,
        )?;
        self.store.commit(transaction).await?;
        Ok(true)
    }

    /// All holds.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, DeliveryError> {
        Ok(self.all(HOLDS, "").await?.into_iter().map(|found| found.value).collect())
    }
}
