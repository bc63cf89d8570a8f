//! Leases: who may run what must run once.

use std::time::Duration;

use release::{Clock, Timestamp};

use crate::{StoreError, SystemStore};

/// How long a lease lasts that work holds unless it is renewed, and how often it is.
const HELD: Duration = Duration::from_secs(60);
const RENEWED: Duration = Duration::from_secs(20);

/// A lease on a name. Its fence grows with every holder, so that work done under an older lease
/// can be told and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is a lease on.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Grows with every change of holder.
    pub fence: u64,
    /// When it ends unless renewed.
    pub expires: Timestamp,
}

impl SystemStore {
    /// Takes or renews a lease for work of which nobody knows how long it takes: it lasts a minute
    /// unless [`Self::holding`] renews it. `None` if somebody else holds it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take(
        &self,
        name: &str,
        holder: &str,
        clock: &dyn Clock,
    ) -> Result<Option<Lease>, StoreError> {
        let now = clock.now();
        let expires = now.checked_add(HELD).unwrap_or(Timestamp::MAX);
        self.acquire(name, holder, expires, now).await
    }

    /// What `work` gives, done while `leases` are renewed; they are given back then. `None` if one was
    /// lost, and the work stopped for that.
    ///
    /// # Errors
    /// If the database fails. The work is stopped then, too.
    pub async fn holding<T>(
        &self,
        leases: &[Lease],
        clock: &dyn Clock,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, StoreError> {
        let done = tokio::select! {
            done = work => Ok(Some(done)),
            lost = self.renew(leases, clock) => lost.map(|()| None),
        };
        for lease in leases {
            self.release(lease).await?;
        }
        done
    }

    /// Renews leases; ends when one is lost.
    async fn renew(&self, leases: &[Lease], clock: &dyn Clock) -> Result<(), StoreError> {
        loop {
            tokio::time::sleep(RENEWED).await;
            for lease in leases {
                if self.take(&lease.name, &lease.holder, clock).await?.is_none() {
                    return Ok(());
                }
            }
        }
    }
}
