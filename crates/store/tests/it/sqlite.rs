//! The embedded database.

use std::path::PathBuf;

use async_trait::async_trait;
use store::conformance::EngineFixture;
use store::{Store, StoreError};
use tempfile::TempDir;

store::engine_conformance!(Sqlite::new());

/// A database file in a directory of its own.
pub struct Sqlite(TempDir);

impl Sqlite {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("groundcrew.db")
    }
}

#[async_trait]
impl EngineFixture for Sqlite {
    async fn open(&self) -> Store {
        Store::open_sqlite(&self.path()).await.unwrap()
    }
}

#[tokio::test]
async fn a_database_is_open_in_one_place_at_a_time() {
    let fixture = Sqlite::new();
    let first = fixture.open().await;
    let error = Store::open_sqlite(&fixture.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("groundcrew.lock` is in use by another process"));
    first.close().await;
    fixture.open().await;
}

#[tokio::test]
async fn a_database_of_a_newer_groundcrew_is_refused_and_left_alone() {
    let fixture = Sqlite::new();
    fixture.open().await.close().await;
    let set = |version: u32| {
        let database = rusqlite::Connection::open(fixture.path()).unwrap();
        database.execute("UPDATE schema_version SET version = ?1", [version]).unwrap();
    };
    set(99);
    let error = Store::open_sqlite(&fixture.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 1 }), "{error:?}");
    set(1);
    fixture.open().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let fixture = Sqlite::new();
    std::fs::write(fixture.path(), vec![b'x'; 5000]).unwrap();
    let error = Store::open_sqlite(&fixture.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Engine { .. }), "{error:?}");
    assert!(Store::open_sqlite(&fixture.path().join("missing/x.db")).await.is_err());
}
