//! The suites that every engine and every blob store must pass.
//!
//! Each case is a plain async function over a fresh store; the caller brings the store and the
//! runtime. A case panics where the promise is broken.
#![expect(clippy::expect_used, clippy::panic, reason = "a suite speaks by panicking")]

mod cut;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use release::{Digest, PrincipalId, Secret, TenantId, Timestamp};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub use cut::Cut;

use crate::{
    BlobError, Blobs, Collection, Erasure, Expect, FileInfo, Files, List, Store, StoreError, Sweep,
    Transaction,
};

const NOTES: Collection = Collection("notes");

/// A database of its own on the Postgres server that `GROUNDCREW_TEST_POSTGRES` names.
#[derive(Debug)]
pub struct Database {
    /// Where it is.
    pub url: String,
    server: String,
    name: String,
}

impl Database {
    /// A fresh one.
    pub async fn make() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("GROUNDCREW_TEST_POSTGRES").unwrap_or_else(|_| {
            panic!("GROUNDCREW_TEST_POSTGRES is not set: run `cargo xtask test`")
        });
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let (base, _) = server.rsplit_once('/').expect("the server's address ends with a database");
        let made = Self { url: format!("{base}/{name}"), server, name };
        sql(&made.server, format!("CREATE DATABASE {}", made.name)).await;
        made
    }

    /// Opens it, as one more process would.
    ///
    /// # Errors
    /// As [`Store::open_postgres`].
    pub async fn open(&self) -> Result<Store, StoreError> {
        Store::open_postgres(&Secret::new(&self.url)).await
    }

    /// Runs a statement in it.
    pub async fn sql(&self, statement: &str) {
        sql(&self.url, statement.to_owned()).await;
    }

    /// Removes it, whoever still uses it.
    pub async fn drop(self) {
        sql(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn sql(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a statement");
}

fn write() -> Transaction {
    Transaction::new(PrincipalId::system("conformance"), Timestamp::UNIX_EPOCH)
}

fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant's name")
}

fn all(prefix: &str) -> List {
    List { prefix: prefix.to_owned(), index: None, after: None, limit: 100 }
}

/// Runs every case of the database suite, each in tenants of its own. `other` is the same database,
/// opened by a second process where it allows one.
pub async fn engine(store: &Store, other: &Store) {
    writes_meet_their_expectation_or_change_nothing(store).await;
    lists_are_ordered_bounded_and_indexed(store).await;
    a_whole_collection_is_read_page_by_page(store).await;
    records_and_events_commit_together(store).await;
    a_deleted_stream_begins_anew_and_the_log_is_kept(store).await;
    tenants_see_only_their_own(store).await;
    leases_are_exclusive_and_fenced(store).await;
    a_reader_racing_writers_misses_nothing(store, other).await;
    racing_compare_and_swaps_lose_no_update(store, other).await;
    racing_changes_of_several_records_wait_for_each_other_and_lose_nothing(store, other).await;
    a_write_that_the_database_refuses_fails_alone(store).await;
    a_batch_that_fails_in_part_leaves_no_gap_and_keeps_the_order(store).await;
    many_large_writes_at_once_are_all_kept(store).await;
}

async fn writes_meet_their_expectation_or_change_nothing(store: &Store) {
    let notes = store.tenant(&tenant("expectations"));
    let put = |value: &str, expect| write().put(NOTES, "a", &value, expect).expect("JSON");
    notes.commit(put("one", Expect::Absent)).await.expect("the first write");
    let again = notes.commit(put("two", Expect::Absent)).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    notes.commit(put("two", Expect::Version(1))).await.expect("the second write");
    let stale = notes.commit(put("three", Expect::Version(1))).await;
    assert!(matches!(stale, Err(StoreError::Conflict { .. })), "{stale:?}");
    let found = notes.get(NOTES, "a").await.expect("a read").expect("the record");
    assert_eq!((found.version, found.read::<String>().expect("text")), (2, "two".to_owned()));
    notes.commit(put("four", Expect::Any)).await.expect("an unconditional write");
    notes.commit(write().delete(NOTES, "a", Expect::Version(3))).await.expect("a delete");
    assert_eq!(notes.get(NOTES, "a").await.expect("a read"), None);
    notes.commit(write().delete(NOTES, "a", Expect::Absent)).await.expect("nothing to delete");
}

async fn lists_are_ordered_bounded_and_indexed(store: &Store) {
    let notes = store.tenant(&tenant("lists"));
    let mut batch = write();
    for key in ["b/2", "a/1", "b/10", "b/1", "c"] {
        let colour = [("colour", if key.ends_with('1') { "red" } else { "blue" }.to_owned())];
        batch = batch.put_indexed((NOTES, key), &key, Expect::Absent, &colour).expect("JSON");
    }
    notes.commit(batch).await.expect("a write");
    let keys = |list| async {
        let found = notes.list(NOTES, list).await.expect("a list");
        found.into_iter().map(|record| record.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(all("b/")).await, ["b/1", "b/10", "b/2"]);
    let page = List { after: Some("b/1".to_owned()), limit: 1, ..all("b/") };
    assert_eq!(keys(page).await, ["b/10"]);
    let red = List { index: Some(("colour", "red".to_owned())), ..all("") };
    assert_eq!(keys(red.clone()).await, ["a/1", "b/1"]);
    let repaint = [("colour", "blue".to_owned())];
    let repainted = write().put_indexed((NOTES, "a/1"), &"x", Expect::Version(1), &repaint);
    notes.commit(repainted.expect("JSON")).await.expect("a write");
    assert_eq!(keys(red.clone()).await, ["b/1"]);
    let kept = write().put_as_indexed((NOTES, "b/1"), &"y", Expect::Version(1)).expect("JSON");
    notes.commit(kept).await.expect("a write");
    assert_eq!(keys(red.clone()).await, ["b/1"], "what keeps its entries is found by them");
    let plain = write().put(NOTES, "b/1", &"z", Expect::Version(2)).expect("JSON");
    notes.commit(plain).await.expect("a write");
    assert!(keys(red).await.is_empty());
}

async fn a_whole_collection_is_read_page_by_page(store: &Store) {
    let notes = store.tenant(&tenant("whole"));
    let mut batch = write();
    for number in 0..2_001 {
        batch = batch.put(NOTES, &format!("n/{number:04}"), &number, Expect::Absent).expect("JSON");
    }
    batch = batch.put(NOTES, "other", &0, Expect::Absent).expect("JSON");
    notes.commit(batch).await.expect("a write");
    let found = notes.all(NOTES, "n/").await.expect("a list");
    let numbers: Vec<u32> = found.iter().map(|record| record.read().expect("a number")).collect();
    assert_eq!(numbers, (0..2_001).collect::<Vec<_>>());
    assert!(notes.all(NOTES, "none").await.expect("a list").is_empty());
}

async fn records_and_events_commit_together(store: &Store) {
    let notes = store.tenant(&tenant("together"));
    let both = |n: u64, expect| {
        write().put(NOTES, "n", &n, expect).expect("JSON").emit("n", "n.set", &n).expect("JSON")
    };
    let first = notes.commit(both(1, Expect::Absent)).await.expect("a write").position;
    let failed = notes.commit(both(2, Expect::Absent)).await;
    assert!(failed.is_err());
    let second = notes.commit(both(3, Expect::Version(1))).await.expect("a write").position;
    assert!(second > first);
    let events = notes.stream("n", 0, 10).await.expect("a stream");
    let told: Vec<_> = events.iter().map(|e| (e.sequence, e.read::<u64>().expect("n"))).collect();
    assert_eq!(told, [(1, 1), (2, 3)], "the failed write left an event or a gap");

    let local = |expected| write().append("quiet", "q", &0, expected).expect("JSON");
    notes.commit(local(Some(0))).await.expect("a first entry");
    let late = notes.commit(local(Some(0))).await;
    assert!(matches!(late, Err(StoreError::StreamConflict { found: 1, .. })), "{late:?}");
    let quiet = notes.stream("quiet", 0, 10).await.expect("a stream");
    assert_eq!(quiet[0].position, None);
}

async fn a_deleted_stream_begins_anew_and_the_log_is_kept(store: &Store) {
    let (ours, theirs) = (store.tenant(&tenant("deleting")), store.tenant(&tenant("keeping")));
    let entry = |n: u64| write().append("history/a", "h", &n, None).expect("JSON");
    for n in 0..3 {
        ours.commit(entry(n)).await.expect("an entry");
        theirs.commit(entry(n)).await.expect("an entry");
    }
    let beside = write().append("history/ab", "h", &0, None).expect("JSON");
    ours.commit(beside).await.expect("an entry of another stream");
    ours.commit(write().delete_stream("history/a")).await.expect("a deletion");
    ours.commit(write().delete_stream("history/none")).await.expect("nothing to delete");
    assert_eq!(ours.stream("history/a", 0, 9).await.expect("a stream"), []);
    assert_eq!(ours.stream("history/ab", 0, 9).await.expect("a stream").len(), 1);
    assert_eq!(theirs.stream("history/a", 0, 9).await.expect("a stream").len(), 3);
    let anew = write().append("history/a", "h", &7, Some(0)).expect("JSON");
    ours.commit(anew).await.expect("an entry of the stream that begins anew");

    let told = write().emit("told", "t", &1).expect("JSON");
    ours.commit(told.clone()).await.expect("an event");
    let both = write().put(NOTES, "x", &1, Expect::Any).expect("JSON").delete_stream("told");
    for refused in [both, told.delete_stream("told")] {
        let refused = ours.commit(refused).await;
        assert!(matches!(refused, Err(StoreError::Logged { .. })), "{refused:?}");
    }
    assert_eq!(ours.get(NOTES, "x").await.expect("a read"), None);
    assert_eq!(ours.stream("told", 0, 9).await.expect("a stream").len(), 1);
}

async fn tenants_see_only_their_own(store: &Store) {
    let (ours, theirs) = (store.tenant(&tenant("ours")), store.tenant(&tenant("theirs")));
    let secret = write().put(NOTES, "k", &"secret", Expect::Absent).expect("JSON");
    ours.commit(secret.emit("s", "k", &"secret").expect("JSON")).await.expect("a write");
    assert_eq!(theirs.get(NOTES, "k").await.expect("a read"), None);
    assert!(theirs.list(NOTES, all("")).await.expect("a list").is_empty());
    assert!(theirs.stream("s", 0, 9).await.expect("a stream").is_empty());
    assert!(theirs.log(0, 9).await.expect("a log").is_empty());
    assert_eq!(store.system().get(NOTES, "k").await.expect("a read"), None);
    assert_eq!(ours.log(0, 9).await.expect("a log").len(), 1);
}

async fn leases_are_exclusive_and_fenced(store: &Store) {
    let system = store.system();
    let at = |seconds| Timestamp::new(seconds, 0).expect("a moment");
    let first = system.acquire("job", "a", at(10), at(0)).await.expect("a lease").expect("free");
    assert_eq!(system.acquire("job", "b", at(11), at(1)).await.expect("an answer"), None);
    let renewed = system.acquire("job", "a", at(20), at(5)).await.expect("a lease").expect("ours");
    assert_eq!(renewed.fence, first.fence);
    let next = system.acquire("job", "b", at(40), at(20)).await.expect("a lease").expect("expired");
    assert!(next.fence > first.fence);
    system.release(&renewed).await.expect("a late release");
    assert_eq!(system.acquire("job", "a", at(50), at(21)).await.expect("an answer"), None);
    system.release(&next).await.expect("a release");
    assert!(system.acquire("job", "a", at(50), at(22)).await.expect("an answer").is_some());
}

async fn a_reader_racing_writers_misses_nothing(store: &Store, other: &Store) {
    const WRITERS: u64 = 16;
    const EACH: u64 = 20;
    let start = *store.watch().borrow();
    let writers = (0..WRITERS).map(|writer| {
        let through = if writer % 2 == 0 { store } else { other };
        let notes = through.tenant(&tenant(&format!("racer-{writer}")));
        tokio::spawn(async move {
            for n in 0..EACH {
                let event = write().emit("race", "lap", &(writer, n)).expect("JSON");
                notes.commit(event).await.expect("a write");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let system = store.system();
    let mut changes = store.watch();
    let (mut position, mut seen) = (start, 0);
    while seen < WRITERS * EACH {
        for event in system.log(position, 7).await.expect("a log") {
            let found = event.position.expect("a position");
            assert_eq!(found, position + 1, "positions must be dense and in order");
            position = found;
            seen += u64::from(event.kind == "lap");
        }
        if *changes.borrow_and_update() <= position && seen < WRITERS * EACH {
            changes.changed().await.expect("more commits");
        }
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    assert!(system.log(position, 1).await.expect("a log").is_empty());
}

async fn racing_compare_and_swaps_lose_no_update(store: &Store, other: &Store) {
    const EACH: u64 = 10;
    let notes = store.tenant(&tenant("counters"));
    let zero = write().put(NOTES, "count", &0_u64, Expect::Absent).expect("JSON");
    notes.commit(zero).await.expect("a write");
    let racers = (0..8).map(|racer| {
        let through = if racer % 2 == 0 { store } else { other };
        let notes = through.tenant(&tenant("counters"));
        tokio::spawn(async move {
            let mut added = 0;
            while added < EACH {
                let found = notes.get(NOTES, "count").await.expect("a read").expect("a record");
                let next = found.read::<u64>().expect("a number") + 1;
                let swap = write().put(NOTES, "count", &next, Expect::Version(found.version));
                match notes.commit(swap.expect("JSON")).await {
                    Ok(_) => added += 1,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.expect("a racer");
    }
    let found = notes.get(NOTES, "count").await.expect("a read").expect("a record");
    assert_eq!(found.read::<u64>().expect("a number"), 8 * EACH);
}

/// Two processes write the same records and streams in opposite orders: a database may take that for
/// a deadlock, which nobody is told.
async fn racing_changes_of_several_records_wait_for_each_other_and_lose_nothing(
    store: &Store,
    other: &Store,
) {
    const EACH: u64 = 10;
    let notes = store.tenant(&tenant("crossing"));
    for key in ["a", "b"] {
        let zero = write().put(NOTES, key, &0_u64, Expect::Absent).expect("JSON");
        notes.commit(zero).await.expect("a write");
    }
    let racers = (0..8_u64).map(|racer| {
        let through = if racer % 2 == 0 { store } else { other };
        let notes = through.tenant(&tenant("crossing"));
        tokio::spawn(async move {
            let keys = if racer % 4 < 2 { ["a", "b"] } else { ["b", "a"] };
            let mut done = 0;
            while done < EACH {
                let mut both = write();
                for key in keys {
                    let found = notes.get(NOTES, key).await.expect("a read").expect("a record");
                    let next = found.read::<u64>().expect("a number") + 1;
                    let expect = Expect::Version(found.version);
                    both = both.put(NOTES, key, &next, expect).expect("JSON");
                    both = both.emit(&format!("of-{key}"), "added", &next).expect("JSON");
                }
                match notes.commit(both).await {
                    Ok(_) => done += 1,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.expect("a racer");
    }
    for key in ["a", "b"] {
        let found = notes.get(NOTES, key).await.expect("a read").expect("a record");
        assert_eq!(found.read::<u64>().expect("a number"), 8 * EACH);
        let told = notes.stream(&format!("of-{key}"), 0, 1_000).await.expect("a stream");
        let told: Vec<_> = told.iter().map(|e| (e.sequence, e.read().expect("n"))).collect();
        let expected: Vec<(u64, u64)> = (1..=8 * EACH).map(|n| (n, n)).collect();
        assert_eq!(told, expected, "each change is told once, in the order of commits");
    }
}

/// Writes that come together are tried as a whole: one that is not as expected must neither take the
/// others with it nor leave a number unused.
async fn a_batch_that_fails_in_part_leaves_no_gap_and_keeps_the_order(store: &Store) {
    let notes = store.tenant(&tenant("parts"));
    let taken = write().put(NOTES, "taken", &0, Expect::Absent).expect("JSON");
    notes.commit(taken).await.expect("a write");
    let before = *store.watch().borrow();
    let writes = (0..60_u64).map(|n| {
        let notes = notes.clone();
        let key = if n % 3 == 0 { "taken".to_owned() } else { format!("key-{n}") };
        tokio::spawn(async move {
            let colour = [("colour", format!("{}", n % 2))];
            let put = write().put_indexed((NOTES, &key), &n, Expect::Absent, &colour);
            let both = put.expect("JSON").emit("parts", "made", &n).expect("JSON");
            notes.commit(both).await.map(|done| (done.position, n))
        })
    });
    let mut placed = Vec::new();
    for written in writes.collect::<Vec<_>>() {
        match written.await.expect("a writer") {
            Ok((position, n)) => placed.push((position.expect("a position"), n)),
            Err(error) => assert!(matches!(error, StoreError::Conflict { .. }), "{error}"),
        }
    }
    placed.sort_unstable();
    assert_eq!(placed.len(), 40);
    let log = notes.log(before, 100).await.expect("a log");
    let logged = log.iter().map(|e| (e.position.expect("a position"), e.read().expect("n")));
    assert_eq!(logged.collect::<Vec<_>>(), placed, "whoever wrote was told its own place");
    let sequences: Vec<_> = log.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=40).collect::<Vec<_>>());
    let coloured = |value: &str| List { index: Some(("colour", value.to_owned())), ..all("") };
    let (zero, one) = (coloured("0"), coloured("1"));
    let (zero, one) = (notes.list(NOTES, zero).await, notes.list(NOTES, one).await);
    assert_eq!(zero.expect("a list").len() + one.expect("a list").len(), 40);
}

/// More than a database would take in one message.
async fn many_large_writes_at_once_are_all_kept(store: &Store) {
    let notes = store.tenant(&tenant("large"));
    let writes = (0..48).map(|n| {
        let notes = notes.clone();
        tokio::spawn(async move {
            let body = format!("{n:03}").repeat(256 * 1_024 / 3);
            let put = write().put(NOTES, &format!("{n:03}"), &body, Expect::Absent);
            let both = put.expect("JSON").append("large", "l", &body, None).expect("JSON");
            notes.commit(both).await
        })
    });
    for written in writes.collect::<Vec<_>>() {
        written.await.expect("a writer").expect("a write");
    }
    for n in [0, 23, 47] {
        let found = notes.get(NOTES, &format!("{n:03}")).await.expect("a read");
        let body: String = found.expect("a record").read().expect("text");
        assert!(body.starts_with(&format!("{n:03}")) && body.len() > 256 * 1_000);
    }
    assert_eq!(notes.stream("large", 47, 9).await.expect("a stream").len(), 1);
}

/// Postgres takes no NUL in a text, SQLite does: either way nobody else's write is lost.
async fn a_write_that_the_database_refuses_fails_alone(store: &Store) {
    let notes = store.tenant(&tenant("mixed"));
    let writes = (0..40).map(|n| {
        let (notes, refused) = (notes.clone(), n % 4 == 0);
        let key = if refused { format!("{n}\0") } else { n.to_string() };
        tokio::spawn(async move {
            let put = write().put(NOTES, &key, &n, Expect::Absent).expect("JSON");
            (refused, notes.commit(put).await)
        })
    });
    for written in writes.collect::<Vec<_>>() {
        let (refused, outcome) = written.await.expect("a writer");
        assert!(refused || outcome.is_ok(), "{outcome:?}");
    }
}

/// Runs every case of the suite of files.
pub async fn files(files: &Files) {
    let (ours, theirs) = (files.tenant(&tenant("ours")), files.tenant(&tenant("theirs")));
    ours.put("spans", "a.parquet", Bytes::from_static(b"0123456789")).await.expect("a put");
    let part = ours.read("spans", "a.parquet", 3..6).await.expect("a part");
    assert_eq!(part.as_deref(), Some(b"345".as_slice()));
    assert!(ours.read("spans", "a.parquet", 8..12).await.is_err(), "it ends before");
    assert_eq!(ours.read("logs", "a.parquet", 0..1).await.expect("an answer"), None);
    assert_eq!(theirs.read("spans", "a.parquet", 0..1).await.expect("an answer"), None);

    ours.put("spans", "a.parquet", Bytes::from_static(b"anew")).await.expect("a put");
    let listed = ours.list("spans").await.expect("a list");
    let [FileInfo { name, bytes: 4, .. }] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(name, "a.parquet");
    assert!(theirs.list("spans").await.expect("a list").is_empty());

    ours.delete("spans", "a.parquet").await.expect("a delete");
    ours.delete("spans", "a.parquet").await.expect("nothing to delete");
    assert!(ours.list("spans").await.expect("a list").is_empty());
}

/// Runs every case of the blob suite.
pub async fn blobs(blobs: &Blobs) {
    let ours = blobs.tenant(&tenant("ours"));
    let bytes = Bytes::from_static(b"immutable");
    let digest = ours.put(bytes.clone()).await.expect("a put");
    assert_eq!(digest, Digest::of(&bytes));
    assert_eq!(ours.put(bytes.clone()).await.expect("the same again"), digest);
    assert_eq!(ours.get(&digest).await.expect("a get"), bytes);
    let empty = ours.put(Bytes::new()).await.expect("an empty blob");
    assert!(ours.get(&empty).await.expect("a get").is_empty());

    let theirs = blobs.tenant(&tenant("theirs"));
    assert!(!theirs.exists(&digest).await.expect("an answer"));
    assert!(matches!(theirs.get(&digest).await, Err(BlobError::Missing(_))));
    assert!(theirs.list().await.expect("a list").is_empty());

    let mut expected = vec![digest, empty];
    expected.sort();
    assert_eq!(ours.list().await.expect("a list"), expected);
    ours.delete(&digest).await.expect("a delete");
    ours.delete(&digest).await.expect("nothing to delete");
    assert!(!ours.exists(&digest).await.expect("an answer"));

    blobs_that_nobody_needs_go_in_two_steps(blobs).await;

    let racers = (0..8).map(|_| {
        let ours = ours.clone();
        tokio::spawn(async move { ours.put(Bytes::from(vec![7; 100_000])).await })
    });
    for racer in racers.collect::<Vec<_>>() {
        let digest = racer.await.expect("a racer").expect("a put");
        assert_eq!(ours.get(&digest).await.expect("a get").len(), 100_000);
    }

    sealed(blobs).await;
}

/// What is sealed reads as what is not, until it is shredded.
async fn sealed(blobs: &Blobs) {
    let ours = blobs.tenant(&tenant("sealing"));
    let racers = (0..8).map(|_| {
        let ours = ours.clone();
        tokio::spawn(async move { ours.put_sealed(Bytes::from(vec![9; 100_000])).await })
    });
    for racer in racers.collect::<Vec<_>>() {
        let digest = racer.await.expect("a racer").expect("a put");
        assert_eq!(ours.get(&digest).await.expect("a get").len(), 100_000);
    }
    let secret = ours.put_sealed(Bytes::from_static(b"a secret")).await.expect("a put");
    let successor = ours.put_sealed(Bytes::from_static(b"no secret")).await.expect("a put");
    assert_eq!(ours.erasure(&secret).await.expect("an answer"), Erasure::default());
    let names = ["letter".to_owned()].into();
    ours.hide(&secret, &names).await.expect("hidden");
    ours.succeed(&secret, successor).await.expect("succeeded");
    assert_eq!(ours.get(&secret).await.expect("still there"), "a secret");
    ours.shred(&secret).await.expect("shredded");
    ours.shred(&secret).await.expect("nothing to shred");
    assert!(matches!(ours.get(&secret).await, Err(BlobError::Erased(_))));
    let again = ours.put_sealed(Bytes::from_static(b"a secret")).await;
    assert!(matches!(again, Err(BlobError::Erased(_))), "{again:?}");
    let erasure = ours.erasure(&secret).await.expect("an answer");
    assert_eq!((erasure.hidden, erasure.shredded), (names, true));
    assert_eq!(ours.standing(&secret).await.expect("an answer"), successor);
    assert!(!ours.list().await.expect("a list").contains(&secret));

    ours.delete(&successor).await.expect("a delete");
    assert!(matches!(ours.get(&successor).await, Err(BlobError::Missing(_))));
    ours.put_sealed(Bytes::from_static(b"no secret")).await.expect("what was only deleted");
}

/// Set aside first, readable meanwhile; then gone, unless somebody needs it again.
async fn blobs_that_nobody_needs_go_in_two_steps(blobs: &Blobs) {
    let ours = blobs.tenant(&tenant("swept"));
    let put = async |text: &'static str| ours.put(Bytes::from_static(text.as_bytes())).await;
    let needed = put("needed").await.expect("a put");
    let gone = put("nobody needs it").await.expect("a put");
    let pins = BTreeSet::from([needed]);
    let sweep = async |pins: &BTreeSet<Digest>, hours: u64, dry_run: bool| {
        // The place tells the time of what is written, so the tests are far in its future.
        let now = Timestamp::from_second(4_000_000_000).expect("a moment");
        let grace = Duration::from_secs(3_600 * hours);
        let swept = ours.sweep(Sweep { pins, now, grace, delete: true, dry_run }).await;
        swept.expect("a sweep")
    };
    // Nothing is as old as a thousand years.
    assert_eq!(sweep(&pins, 10_000_000, false).await.young.blobs, 1);
    let would = sweep(&pins, 24, true).await;
    assert_eq!((would.set_aside.blobs, would.pinned.blobs, would.deleted.blobs), (1, 1, 0));
    assert_eq!(sweep(&pins, 24, false).await, would);
    assert!(ours.get(&gone).await.is_ok() && ours.exists(&gone).await.expect("an answer"));
    assert_eq!(ours.list().await.expect("a list").len(), 2);
    // Somebody needs it after all.
    let all = BTreeSet::from([needed, gone]);
    assert_eq!(sweep(&all, 24, false).await.put_back.blobs, 1);
    assert_eq!(sweep(&all, 24, false).await.pinned.blobs, 2);
    // Set aside again, put anew: what is aside goes and what was put stays.
    assert_eq!(sweep(&pins, 24, false).await.set_aside.blobs, 1);
    assert_eq!(put("nobody needs it").await.expect("a put"), gone);
    let swept = sweep(&pins, 10_000_000, false).await;
    assert_eq!((swept.waiting.blobs, swept.young.blobs), (1, 1));
    let all = sweep(&all, 24, false).await;
    assert_eq!((all.put_back.blobs, all.pinned.blobs), (1, 2));
    assert!(ours.get(&gone).await.is_ok());
    assert_eq!(sweep(&pins, 24, false).await.set_aside.blobs, 1);
    assert_eq!(sweep(&pins, 24, false).await.deleted.blobs, 1);
    assert!(matches!(ours.get(&gone).await, Err(BlobError::Missing(_))));
    assert_eq!(ours.list().await.expect("a list"), [needed]);
}
