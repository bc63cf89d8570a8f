//! Where everything that must not be lost is kept.
//!
//! The control plane is kept as records with compare-and-swap, append-only streams and one global
//! event log, on SQLite or Postgres; immutable content is kept as blobs, on disk or S3. One
//! transaction changes records and appends events together, and no call exists without a scope:
//! a tenant's, or explicitly the installation's.
//!
//! What belongs to others is read through [`Bucket`] and [`Database`].
//!
//! The nouns: [`Record`], [`Transaction`], [`Event`], [`Lease`] and [`Blobs`].
//!
//! ```text
//!  Store ── tenant(id) ─► TenantStore ── commit(Transaction) ─► writer ─► one database commit
//!    └───── system() ───► SystemStore        (put, delete, append, emit, …) for many transactions
//!  Blobs ── tenant(id) ─► TenantBlobs ── put(bytes) ─► Digest
//! ```
//!
//! Start reading at `transaction.rs`, then `batch.rs` (the writer that both databases share).
//!
//! ```no_run
//! # async fn example() -> Result<(), store::StoreError> {
//! use release::{PrincipalId, TenantId, Timestamp};
//! use store::{Collection, Expect, Store, Transaction};
//!
//! const APPS: Collection = Collection("apps");
//! let store = Store::open_sqlite("data/control.db".as_ref()).await?;
//! let write = Transaction::new(PrincipalId::system("example"), Timestamp::UNIX_EPOCH)
//!     .put(APPS, "support", &"a record", Expect::Absent)?
//!     .emit("apps/support", "app.created", &"an event of the same commit")?;
//! store.tenant(&TenantId::DEFAULT).commit(write).await?;
//! # Ok(())
//! # }
//! ```

mod backup;
mod batch;
mod blobs;
#[cfg(feature = "conformance")]
pub mod conformance;
mod database;
mod engine;
mod error;
mod files;
mod lease;
mod record;
mod schema;
mod store;
mod transaction;

pub use backup::{BackupError, Backups, ERASURES, Forgotten, Inventory, Moved, OPEN};
pub use blobs::derived_key;
pub use blobs::{
    Amount, BlobError, Blobs, Bucket, Erasure, Object, ObjectInfo, S3Options, Sweep, Swept,
    TenantBlobs,
};
pub use database::{Database, Query, Row};
pub use error::StoreError;
pub use files::{FileInfo, Files, TenantFiles};
pub use lease::Lease;
pub use record::{Collection, Event, List, Record};
pub use store::{Store, SystemStore, TenantStore};
pub use transaction::{Committed, Expect, Transaction};
