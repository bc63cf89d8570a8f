//! Leases: who alone may do a thing, for a while.

use std::time::Duration;

use release::Timestamp;

use crate::record::check_key;
use crate::{StoreError, SystemStore};

/// The right to do alone what its name says, until it expires.
///
/// The fence grows with every acquisition of the name. A transaction
/// [fenced by](crate::Transaction::fenced_by) a lease commits only while nobody acquired it since,
/// so that a holder that slept through its expiry cannot do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who holds it, unique per process start.
    pub holder: String,
    /// The fencing token.
    pub fence: u64,
    /// When it ends unless renewed, to the microsecond.
    pub expires: Timestamp,
}

/// A change of a lease, carried out by the writer.
#[derive(Debug)]
pub(crate) enum LeaseChange {
    Acquire { wanted: Lease, now: Timestamp },
    Renew { lease: Lease, now: Timestamp },
    Release { lease: Lease },
}

impl SystemStore {
    /// Takes the lease `name` for `holder` until `now + ttl` if it is free, expired, or `holder`'s
    /// already; `None` while another holds it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an unusable name or time, else as any commit.
    pub async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        check_key("lease", name)?;
        check_key("lease holder", holder)?;
        let expires = expiry(name, ttl, now)?;
        let wanted = Lease { name: name.to_owned(), holder: holder.to_owned(), fence: 0, expires };
        self.change_lease(LeaseChange::Acquire { wanted, now }).await
    }

    /// Extends `lease` until `now + ttl`; `None` if it was lost.
    ///
    /// # Errors
    /// As [`SystemStore::acquire`].
    pub async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let lease = Lease { expires: expiry(&lease.name, ttl, now)?, ..lease.clone() };
        self.change_lease(LeaseChange::Renew { lease, now }).await
    }

    /// Gives `lease` up, so that another may take it at once; nothing happens if it was lost.
    ///
    /// # Errors
    /// As any commit.
    pub async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.change_lease(LeaseChange::Release { lease }).await.map(|_| ())
    }
}

fn expiry(name: &str, ttl: Duration, now: Timestamp) -> Result<Timestamp, StoreError> {
    now.checked_add(ttl).map_err(|_| StoreError::Refused {
        object: format!("lease `{name}`"),
        reason: "it would end after the last representable moment",
    })
}
