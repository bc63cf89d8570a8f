//! Every engine and every blob store keeps the store's promises, also when killed.
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests speak by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use release::{Clock, PrincipalId, Secret, TenantId, Timestamp};
use store::conformance::Database;
use store::{
    BlobError, Blobs, Collection, Expect, Files, S3Options, Store, StoreError, Transaction,
};

const NOTES: Collection = Collection("notes");

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_promises_of_an_engine() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
    store::conformance::engine(&store, &store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_promises_of_an_engine() {
    let database = Database::make().await;
    let (store, other) = (database.open().await.unwrap(), database.open().await.unwrap());
    store::conformance::engine(&store, &other).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_postgres_share_one_dense_log() {
    let database = Database::make().await;
    let (one, two) = (database.open().await.unwrap(), database.open().await.unwrap());
    let tenant = TenantId::DEFAULT;
    let writers = [one.clone(), two.clone()].map(|store| {
        let tenant = store.tenant(&tenant);
        tokio::spawn(async move {
            for n in 0..50 {
                tenant.commit(write().emit("s", "k", &n).unwrap()).await.unwrap();
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let log = one.system().log(0, 1_000).await.unwrap();
    let positions: Vec<_> = log.iter().map(|event| event.position.unwrap()).collect();
    assert_eq!(positions, (1..=100).collect::<Vec<_>>());
    two.watch().wait_for(|position| *position == 100).await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn a_binary_older_than_the_data_refuses_to_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.db");
    drop(Store::open_sqlite(&path).await.unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let refused = wait_until_unlocked(&path).await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");

    let database = Database::make().await;
    drop(database.open().await.unwrap());
    database.sql("INSERT INTO schema_version VALUES (99)").await;
    let refused = database.open().await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
    database.drop().await;
}

async fn wait_until_unlocked(path: &Path) -> Result<Store, StoreError> {
    loop {
        match Store::open_sqlite(path).await {
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_database_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.db");
    let _open = Store::open_sqlite(&path).await.unwrap();
    assert!(matches!(Store::open_sqlite(&path).await, Err(StoreError::Locked { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_on_disk_keep_their_promises() {
    let directory = tempfile::tempdir().unwrap();
    store::conformance::blobs(&Blobs::disk(directory.path().join("blobs"))).await;
    store::conformance::files(&Files::disk(directory.path().join("files"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_on_s3_keep_their_promises() {
    let endpoint = variable("GROUNDCREW_TEST_S3");
    let bucket = format!("blobs-{}", std::process::id());
    let made = Command::new("curl")
        .args(["-sf", "-X", "PUT", &format!("{endpoint}/{bucket}")])
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success(), "the test server made no bucket");
    let options = S3Options {
        endpoint: Some(endpoint),
        bucket,
        region: "us-east-1".to_owned(),
        prefix: "groundcrew".to_owned(),
        access_key_id: "test".to_owned(),
        secret_access_key: Secret::new("test"),
    };
    store::conformance::blobs(&Blobs::s3(&options).unwrap()).await;
    store::conformance::files(&Files::s3(&options).unwrap()).await;
}

#[tokio::test]
async fn a_flipped_byte_in_a_blob_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::disk(directory.path().to_owned()).tenant(&TenantId::DEFAULT);
    let digest = blobs.put(Bytes::from_static(b"immutable")).await.unwrap();
    let hex = digest.to_hex();
    let file = directory.path().join("default").join(&hex[..2]).join(&hex);
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let corrupt = blobs.get(&digest).await.unwrap_err();
    assert!(matches!(&corrupt, BlobError::Corrupt { digest: named, .. } if *named == digest));
}

fn write() -> Transaction {
    Transaction::new(PrincipalId::system("test"), Timestamp::UNIX_EPOCH)
}

/// Runs as a child of the test below: commits a record with its event, tells, and goes on until
/// it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_commits_until_killed() {
    let Ok(path) = std::env::var("COMMIT_INTO") else { return };
    let store = Store::open_sqlite(Path::new(&path)).await.unwrap();
    let notes = store.tenant(&TenantId::DEFAULT);
    let last = notes.get(NOTES, "count").await.unwrap();
    let (mut count, mut version) = last.map_or((0, 0), |r| (r.read::<u64>().unwrap(), r.version));
    loop {
        count += 1;
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        let both = write().put(NOTES, "count", &count, expect).unwrap();
        notes.commit(both.emit("counts", "counted", &count).unwrap()).await.unwrap();
        version += 1;
        println!("committed {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_process_loses_nothing_acknowledged_and_leaves_nothing_half_done() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.db");
    let mut acknowledged = 0;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_killed", "--nocapture"])
            .env("COMMIT_INTO", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Kills after a different number of commits each round.
        let commits = lines.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        for (done, count) in commits.enumerate() {
            acknowledged = count;
            if done as u64 == round * 7 % 31 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let store = Store::open_sqlite(&path).await.unwrap();
        let notes = store.tenant(&TenantId::DEFAULT);
        let record = notes.get(NOTES, "count").await.unwrap().unwrap();
        let count: u64 = record.read().unwrap();
        let events = notes.stream("counts", 0, 100_000).await.unwrap();
        assert!(count >= acknowledged, "acknowledged {acknowledged}, found {count}");
        assert_eq!(events.len() as u64, count, "record and events must agree");
        assert_eq!(events.last().unwrap().position, Some(count));
        drop((store, notes));
        drop(wait_until_unlocked(&path).await.unwrap());
    }
}

/// A clock that is set by hand.
#[derive(Debug)]
struct Hands(std::sync::Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn work_under_a_lease_gives_it_back_and_is_stopped_when_somebody_else_has_it() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
    let (system, clock) = (store.system(), Hands(std::sync::Mutex::new(Timestamp::UNIX_EPOCH)));
    let lease = system.take("job", "a", &clock).await.unwrap().unwrap();
    assert!(system.take("job", "b", &clock).await.unwrap().is_none());
    let work = async { "done" };
    assert_eq!(system.holding(&[lease], &clock, work).await.unwrap(), Some("done"));
    let lease = system.take("job", "b", &clock).await.unwrap().unwrap();
    *clock.0.lock().unwrap() += std::time::Duration::from_secs(61);
    assert!(system.take("job", "c", &clock).await.unwrap().is_some());
    let stopped = system.holding(&[lease], &clock, std::future::pending::<()>()).await.unwrap();
    assert_eq!(stopped, None);
    assert!(system.take("job", "b", &clock).await.unwrap().is_none(), "it stays with its holder");
}
