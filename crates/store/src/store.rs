//! The handles through which everything is read and written: none without a scope.

use std::path::Path;
use std::sync::Arc;

use release::{Secret, TenantId, Timestamp};
use tokio::sync::watch;

use crate::batch::{Done, Work, nanoseconds};
use crate::engine::postgres::Postgres;
use crate::engine::sqlite::Sqlite;
use crate::engine::{Engine, PAGE, StreamPage};
use crate::{Collection, Committed, Event, Lease, List, Record, StoreError, Transaction};

/// The control plane's database.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) engine: Arc<dyn Engine>,
}

/// The installation's own scope, as written in the tables; no tenant has an empty name.
const SYSTEM: &str = "";

impl Store {
    /// Opens or makes a SQLite database; its directory must exist.
    ///
    /// # Errors
    /// If another process has it open, its schema is newer than this program, or it cannot be
    /// opened.
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opening = tokio::task::spawn_blocking(move || Sqlite::open(&path));
        let engine = opening.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Connects to a Postgres database and brings its tables up to date.
    ///
    /// # Errors
    /// If it cannot be reached or its schema is newer than this program.
    pub async fn open_postgres(url: &Secret) -> Result<Self, StoreError> {
        Ok(Self { engine: Arc::new(Postgres::open(url).await?) })
    }

    /// What one tenant may see and change.
    pub fn tenant(&self, tenant: &TenantId) -> TenantStore {
        TenantStore { engine: Arc::clone(&self.engine), tenant: tenant.clone() }
    }

    /// The installation's own records, the leases and the whole log.
    pub fn system(&self) -> SystemStore {
        SystemStore { engine: Arc::clone(&self.engine) }
    }

    /// The highest committed position of the global log: a wake-up for whoever follows it.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.engine.position()
    }
}

macro_rules! scoped {
    ($handle:ident) => {
        impl $handle {
            /// One record.
            ///
            /// # Errors
            /// If the database fails.
            pub async fn get(
                &self,
                collection: Collection,
                key: &str,
            ) -> Result<Option<Record>, StoreError> {
                self.engine.get(self.scope(), collection.0, key).await
            }

            /// Records in the order of their keys.
            ///
            /// # Errors
            /// If the database fails.
            pub async fn list(
                &self,
                collection: Collection,
                list: List,
            ) -> Result<Vec<Record>, StoreError> {
                self.engine.list(self.scope(), collection.0, list).await
            }

            /// Every record whose key starts with `prefix`, in the order of their keys.
            ///
            /// # Errors
            /// If the database fails.
            pub async fn all(
                &self,
                collection: Collection,
                prefix: &str,
            ) -> Result<Vec<Record>, StoreError> {
                let mut found: Vec<Record> = Vec::new();
                loop {
                    let after = found.last().map(|record| record.key.clone());
                    let prefix = prefix.to_owned();
                    let page = List { prefix, index: None, after, limit: PAGE };
                    let page = self.list(collection, page).await?;
                    let complete = page.len() < PAGE;
                    found.extend(page);
                    if complete {
                        return Ok(found);
                    }
                }
            }

            /// Commits a transaction; when this returns, it is on disk.
            ///
            /// # Errors
            /// [`StoreError::Conflict`] or [`StoreError::StreamConflict`] if something is not as
            /// expected; nothing was written then.
            pub async fn commit(&self, transaction: Transaction) -> Result<Committed, StoreError> {
                match self.engine.write(self.scope(), Work::Commit(transaction)).await? {
                    Done::Committed(committed) => Ok(committed),
                    Done::Lease(_) => Ok(Committed::default()),
                }
            }

            /// The entries of a stream after sequence number `after`.
            ///
            /// # Errors
            /// If the database fails.
            pub async fn stream(
                &self,
                stream: &str,
                after: u64,
                limit: usize,
            ) -> Result<Vec<Event>, StoreError> {
                let (scope, stream) = (self.scope().to_owned(), stream.to_owned());
                self.engine.stream(StreamPage { scope, stream, after, limit }).await
            }
        }
    };
}

/// What one tenant may see and change.
#[derive(Debug, Clone)]
pub struct TenantStore {
    engine: Arc<dyn Engine>,
    tenant: TenantId,
}

scoped!(TenantStore);

impl TenantStore {
    fn scope(&self) -> &str {
        self.tenant.as_str()
    }

    /// The tenant's entries of the global log after `after`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn log(&self, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.engine.log(Some(self.tenant.to_string()), after, limit).await
    }
}

/// The installation's own records, the leases and the whole log.
#[derive(Debug, Clone)]
pub struct SystemStore {
    engine: Arc<dyn Engine>,
}

scoped!(SystemStore);

impl SystemStore {
    #[expect(clippy::unused_self, reason = "the same shape as a tenant's scope")]
    fn scope(&self) -> &str {
        SYSTEM
    }

    /// Leaves nothing of what was deleted before in the database's files. On Postgres that is up to
    /// its vacuum, and nothing is done.
    ///
    /// # Errors
    /// If the database fails, or is too busy.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        self.engine.scrub().await
    }

    /// The global log after `after`, of all tenants.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn log(&self, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.engine.log(None, after, limit).await
    }

    /// Takes or renews a lease until `expires`. `None` if somebody else holds it at `now`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn acquire(
        &self,
        name: &str,
        holder: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let work = Work::AcquireLease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            expires: nanoseconds(expires),
            now: nanoseconds(now),
        };
        let Done::Lease(Some(fence)) = self.engine.write(SYSTEM, work).await? else {
            return Ok(None);
        };
        Ok(Some(Lease { name: name.to_owned(), holder: holder.to_owned(), fence, expires }))
    }

    /// Gives a lease back before its time. A lease that was lost meanwhile stays with its holder.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let work = Work::ReleaseLease {
            name: lease.name.clone(),
            holder: lease.holder.clone(),
            fence: lease.fence as i64,
        };
        self.engine.write(SYSTEM, work).await.map(|_| ())
    }
}
