//! Where Groundcrew keeps what it must not lose: records, streams, leases and blobs.
//!
//! Everything the control plane knows is a record, an event, or an immutable blob; one transaction
//! changes records and appends events together, on SQLite in one process or on Postgres shared by
//! several. Every call has a scope in its type: a tenant's, or explicitly the installation's.
//!
//! The nouns: [`Record`] (a versioned JSON value in a [`Collection`]), [`Transaction`], [`Event`]
//! (an entry of a stream, and when emitted also of the global log), [`Lease`] and [`Blobs`].
//!
//! ```text
//!  TenantStore ─┐ Transaction                    ┌─ SQLite: one thread, one file, WAL, FULL
//!  TenantStore ─┼────────────► queue ─► batch ───┤  one BEGIN … COMMIT per batch,
//!  SystemStore ─┘                                │  one savepoint per transaction
//!       ▲                                        └─ Postgres: one task per process
//!       └── get · list · stream · log ◄── readers        │
//!                                  watch ◄── highest position of the global log
//! ```
//!
//! Start reading at [`Transaction`], then `batch.rs` (how transactions reach the disk together) and
//! [`Blobs`].
//!
//! ```
//! use release::{PrincipalId, TenantId, Timestamp};
//! use store::{Collection, Expect, List, Store, Transaction};
//!
//! const ENVIRONMENTS: Collection = Collection("environments");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let store = Store::open_sqlite(&directory.path().join("groundcrew.db")).await?;
//! let tenant = store.tenant(&TenantId::DEFAULT);
//! let committed = tenant
//!     .commit(
//!         Transaction::new(PrincipalId::user("ada")?, Timestamp::UNIX_EPOCH)
//!             .put(ENVIRONMENTS, "support/prod", &"release 1", Expect::Absent)
//!             .emit("deployments/support", "deployment.moved", &"release 1"),
//!     )
//!     .await?;
//! assert_eq!(committed.position, Some(1));
//! assert_eq!(tenant.list(ENVIRONMENTS, List::all().prefix("support/")).await?.len(), 1);
//! # Ok(())
//! # }
//! ```

mod apply;
mod batch;
mod blobs;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod error;
mod event;
mod lease;
mod migrations;
mod record;
mod scoped;
mod transaction;

use std::path::Path;
use std::sync::Arc;

pub use blobs::{BlobError, Blobs, S3Options, TenantBlobs};
pub use error::StoreError;
pub use event::Event;
pub use lease::Lease;
pub use record::{Collection, Expect, List, Record};
pub use scoped::{ScopedStore, System, SystemStore, Tenant, TenantStore};
pub use transaction::{Committed, Transaction};

use engine::Engine;
use release::{Secret, TenantId};

/// A handle on one database; cheap to clone, shared by every part of the process.
#[derive(Debug, Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
}

impl Store {
    /// Opens the SQLite database at `path`, creating it (but not its directory) when absent, and
    /// migrates it forward. The file beside it with the extension `lock` is held until the store is
    /// closed, so that one process alone writes.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open, [`StoreError::NewerSchema`] if a newer
    /// Groundcrew wrote it, [`StoreError::Engine`] if it cannot be read or created.
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: Arc::new(engine::Sqlite::open(path).await?) })
    }

    /// Connects to the Postgres database at `url` and migrates it forward. Several processes may
    /// share it.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer Groundcrew wrote it, [`StoreError::Engine`] if it
    /// cannot be reached.
    pub async fn open_postgres(url: &Secret) -> Result<Self, StoreError> {
        Ok(Self { engine: Arc::new(engine::Postgres::open(url).await?) })
    }

    /// The store as one tenant sees it.
    pub fn tenant(&self, tenant: &TenantId) -> TenantStore {
        ScopedStore::tenant(self.engine.clone(), tenant)
    }

    /// The store as the installation itself sees it: its own records, the whole log, and leases.
    pub fn system(&self) -> SystemStore {
        ScopedStore::system(self.engine.clone())
    }

    /// The highest committed position of the global log, 0 when it is empty. A wake-up, not data:
    /// positions may be skipped over, and other processes' are seen within about a second.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.engine.watch()
    }

    /// Commits what is queued, then closes the database; later calls are
    /// [`StoreError::Closed`]. Dropping every handle does the same in the background.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}
