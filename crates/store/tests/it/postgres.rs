//! Postgres, shared by several processes.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use release::{PrincipalId, Secret, TenantId, Timestamp};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use store::conformance::EngineFixture;
use store::{Collection, Expect, Store, StoreError, Transaction};

store::engine_conformance!(Postgres::new().await);

/// A schema of its own in the database of the tests, dropped with this.
pub struct Postgres {
    schema: String,
}

fn url() -> String {
    std::env::var("GROUNDCREW_TEST_POSTGRES")
        .expect("GROUNDCREW_TEST_POSTGRES is not set: run `cargo xtask test`")
}

async fn execute(sql: String) {
    let mut connection = PgConnection::connect(&url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

impl Postgres {
    pub async fn new() -> Self {
        let schema = format!("test_{}", uuid::Uuid::now_v7().simple());
        execute(format!("CREATE SCHEMA {schema}")).await;
        Self { schema }
    }

    pub fn url(&self) -> String {
        let url = url();
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}options=-csearch_path%3D{0}&application_name={0}", self.schema)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drop_schema = execute(format!("DROP SCHEMA {} CASCADE", self.schema));
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(drop_schema));
    }
}

#[async_trait]
impl EngineFixture for Postgres {
    async fn open(&self) -> Store {
        Store::open_postgres(&Secret::new(self.url())).await.unwrap()
    }
}

const APPS: Collection = Collection("apps");

fn transaction() -> Transaction {
    Transaction::new(PrincipalId::system("test"), Timestamp::UNIX_EPOCH)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_groundcrew_is_refused() {
    let fixture = Postgres::new().await;
    fixture.open().await.close().await;
    execute(format!("UPDATE {}.schema_version SET version = 99", fixture.schema)).await;
    let error = Store::open_postgres(&Secret::new(fixture.url())).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 1 }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_migrate_once() {
    let fixture = Postgres::new().await;
    let stores = join_all((0..3).map(|_| fixture.open())).await;
    for store in &stores {
        store.system().commit(transaction().emit("s", "k", &1)).await.unwrap();
    }
    assert_eq!(stores[0].system().log(0, 10).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_is_woken_by_anothers_event() {
    let fixture = Postgres::new().await;
    let (one, other) = (fixture.open().await, fixture.open().await);
    let mut watch = one.watch();
    other.system().commit(transaction().emit("s", "k", &1)).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(10), watch.wait_for(|at| *at == 1)).await;
    woken.unwrap().unwrap();
    assert_eq!(one.system().log(0, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_stay_dense_when_two_processes_write_the_same_records_in_opposite_orders() {
    let fixture = Postgres::new().await;
    let stores = [fixture.open().await, fixture.open().await];
    let commits = (0..120).map(|number| {
        let store = stores[number % 2].tenant(&TenantId::DEFAULT);
        let (first, second) = if number % 2 == 0 { ("a", "b") } else { ("b", "a") };
        async move {
            let change = transaction()
                .put(APPS, first, &number, Expect::Any)
                .put(APPS, second, &number, Expect::Any)
                .emit("s", "k", &number);
            store.commit(change).await.unwrap()
        }
    });
    join_all(commits).await;
    let log = stores[0].system().log(0, 1000).await.unwrap();
    let positions: Vec<_> = log.iter().map(|event| event.position.unwrap()).collect();
    assert_eq!(positions, (1..=120).collect::<Vec<_>>());
    let sequences: Vec<_> = log.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, positions, "one stream's sequences follow the commit order");
    let tenant = stores[1].tenant(&TenantId::DEFAULT);
    assert_eq!(tenant.get(APPS, "a").await.unwrap().unwrap().version, 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_database_refuses_fails_its_batch_and_the_next_commit_works() {
    let fixture = Postgres::new().await;
    let store = fixture.open().await;
    store.system().commit(transaction().emit("s", "k", &1)).await.unwrap();
    let schema = &fixture.schema;
    execute(format!("ALTER TABLE {schema}.events ADD CHECK (kind <> 'refused')")).await;
    let outcome = store.system().commit(transaction().emit("s", "refused", &1)).await;
    assert!(matches!(outcome, Err(StoreError::Engine { .. })), "{outcome:?}");
    let committed = store.system().commit(transaction().emit("s", "k", &2)).await.unwrap();
    assert_eq!((committed.position, committed.sequences), (Some(2), vec![2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_all_its_connections_broke_a_store_commits_and_is_woken_again() {
    let fixture = Postgres::new().await;
    let (one, other) = (fixture.open().await, fixture.open().await);
    one.system().commit(transaction().emit("s", "k", &1)).await.unwrap();
    let sessions = format!("pg_stat_activity WHERE application_name = '{}'", fixture.schema);
    execute(format!("SELECT pg_terminate_backend(pid) FROM {sessions}")).await;
    let mut watch = other.watch();
    let committed = one.system().commit(transaction().emit("s", "k", &2)).await.unwrap();
    assert_eq!(committed.position, Some(2));
    let woken = tokio::time::timeout(Duration::from_secs(10), watch.wait_for(|at| *at == 2)).await;
    woken.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_handles_are_gone_ends_its_writer_and_its_watch() {
    let fixture = Postgres::new().await;
    let store = fixture.open().await;
    let mut watch = store.watch();
    drop(store);
    let ended = async { while watch.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
}
