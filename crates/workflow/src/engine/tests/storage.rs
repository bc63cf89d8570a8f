//! Where a scenario keeps its data. Each scenario is written once and run on both stores.

use std::path::PathBuf;
use std::sync::Arc;

use store::conformance::Database;
use store::{Store, StoreError};

/// A store's data, which outlives the servers on it.
#[derive(Debug)]
pub enum Storage {
    /// A file, which one process has open.
    Sqlite(tempfile::TempDir),
    /// A database, which several processes may share.
    Postgres(Database),
}

impl Storage {
    pub fn sqlite() -> Arc<Self> {
        Arc::new(Self::Sqlite(tempfile::tempdir().unwrap()))
    }

    pub async fn postgres() -> Arc<Self> {
        Arc::new(Self::Postgres(Database::make().await))
    }

    /// Opens it as a process does that begins.
    pub async fn open(&self) -> Store {
        match self {
            Self::Sqlite(directory) => open_file(directory.path().join("control.db")).await,
            Self::Postgres(database) => database.open().await.unwrap(),
        }
    }

    /// What two servers see of it: with SQLite both are in one process.
    pub async fn open_twice(&self) -> (Store, Store) {
        let first = self.open().await;
        let second = match self {
            Self::Sqlite(_) => first.clone(),
            Self::Postgres(_) => self.open().await,
        };
        (first, second)
    }

    /// Removes what does not go by itself.
    pub async fn remove(self: Arc<Self>) {
        if let Self::Postgres(database) = Arc::into_inner(self).unwrap() {
            database.drop().await;
        }
    }
}

async fn open_file(path: PathBuf) -> Store {
    loop {
        // Whoever had it open may hold it for a moment.
        match Store::open_sqlite(&path).await {
            Ok(store) => return store,
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Runs scenarios, functions of a [`Storage`], on both stores. One that is not named here is never
/// used, which is an error.
macro_rules! on_both_stores {
    ($($scenario:ident),+ $(,)?) => {
        mod on_sqlite {
            use crate::engine::tests::storage::Storage;
            $(#[tokio::test]
            async fn $scenario() {
                let storage = Storage::sqlite();
                super::$scenario(&storage).await;
                storage.remove().await;
            })+
        }

        mod on_postgres {
            use crate::engine::tests::storage::Storage;
            $(#[tokio::test]
            async fn $scenario() {
                let storage = Storage::postgres().await;
                super::$scenario(&storage).await;
                storage.remove().await;
            })+
        }
    };
}
pub(in crate::engine) use on_both_stores;
