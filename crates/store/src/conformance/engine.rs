//! The suite for database engines.

use std::time::Duration;

use futures::future::join_all;
use release::{PrincipalId, TenantId, Timestamp};
use serde_json::{Value, json};

use super::EngineFixture;
use crate::{Collection, Expect, List, Store, StoreError, TenantStore, Transaction};

const APPS: Collection = Collection("apps");

fn transaction() -> Transaction {
    Transaction::new(PrincipalId::system("conformance"), Timestamp::UNIX_EPOCH)
}

fn tenant(store: &Store, name: &str) -> TenantStore {
    store.tenant(&name.parse::<TenantId>().unwrap())
}

async fn keys(store: &TenantStore, list: List) -> Vec<String> {
    store.list(APPS, list).await.unwrap().into_iter().map(|record| record.key).collect()
}

async fn version(store: &TenantStore, key: &str) -> Option<u64> {
    store.get(APPS, key).await.unwrap().map(|record| record.version)
}

pub async fn a_record_is_put_read_changed_and_deleted(fixture: &impl EngineFixture) {
    let store = tenant(&fixture.open().await, "ada");
    assert!(store.get(APPS, "support").await.unwrap().is_none());
    store
        .commit(transaction().put(APPS, "support", &json!({"n": 1}), Expect::Absent))
        .await
        .unwrap();
    let record = store.get(APPS, "support").await.unwrap().unwrap();
    assert_eq!((record.version, record.read::<Value>().unwrap()), (1, json!({"n": 1})));
    store.commit(transaction().put(APPS, "support", &2, Expect::Version(1))).await.unwrap();
    store.commit(transaction().put(APPS, "support", &3, Expect::Any)).await.unwrap();
    let record = store.get(APPS, "support").await.unwrap().unwrap();
    assert_eq!((record.version, record.read::<u32>().unwrap()), (3, 3));
    assert!(matches!(record.read::<String>(), Err(StoreError::Corrupt { .. })));
    store.commit(transaction().delete(APPS, "support", Expect::Version(3))).await.unwrap();
    store.commit(transaction().delete(APPS, "support", Expect::Any)).await.unwrap();
    assert!(store.get(APPS, "support").await.unwrap().is_none());
}

pub async fn a_stale_expectation_conflicts_and_nothing_of_the_transaction_happens(
    fixture: &impl EngineFixture,
) {
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    store.commit(transaction().put(APPS, "support", &1, Expect::Absent)).await.unwrap();
    let stale = [
        transaction().put(APPS, "new", &0, Expect::Any).put(APPS, "support", &2, Expect::Absent),
        transaction().put(APPS, "new", &0, Expect::Any).put(
            APPS,
            "support",
            &2,
            Expect::Version(9),
        ),
        transaction().emit("s", "k", &1).delete(APPS, "support", Expect::Version(2)),
        transaction().emit("s", "k", &1).put(APPS, "missing", &2, Expect::Version(1)),
    ];
    for (transaction, expected) in stale.into_iter().zip([Some(1), Some(1), Some(1), None::<u64>]) {
        match store.commit(transaction).await {
            Err(StoreError::Conflict { found, collection: "apps", .. }) => {
                assert_eq!(found, expected);
            }
            other => panic!("expected a conflict, got {other:?}"),
        }
    }
    assert_eq!(keys(&store, List::all()).await, ["support"]);
    assert_eq!(version(&store, "support").await, Some(1));
    assert!(store.stream("s", 0, 10).await.unwrap().is_empty());
    let position = store.commit(transaction().emit("s", "k", &1)).await.unwrap().position;
    assert_eq!(position, Some(1), "a failed transaction uses no position");
    assert_eq!(store.stream("s", 0, 10).await.unwrap()[0].sequence, 1);
}

pub async fn records_are_listed_by_prefix_index_and_page_in_byte_order(
    fixture: &impl EngineFixture,
) {
    let store = tenant(&fixture.open().await, "ada");
    let all = ["A", "a", "a/1", "a/10", "a/2", "a0", "b", "é", "\u{10fffe}"];
    let mut fill = transaction();
    for key in all.iter().rev() {
        let parity = if key.len() % 2 == 0 { "even" } else { "odd" };
        fill = fill.put_indexed(
            APPS,
            *key,
            key,
            Expect::Absent,
            &[("length", parity.to_owned()), ("first", key.chars().take(1).collect())],
        );
    }
    store.commit(fill).await.unwrap();
    assert_eq!(keys(&store, List::all()).await, all);
    assert_eq!(keys(&store, List::all().prefix("a/")).await, ["a/1", "a/10", "a/2"]);
    assert_eq!(keys(&store, List::all().prefix("a/").after("a/1")).await, ["a/10", "a/2"]);
    assert_eq!(keys(&store, List::all().prefix("a/").after("A")).await, ["a/1", "a/10", "a/2"]);
    assert_eq!(keys(&store, List::all().limit(2).after("a")).await, ["a/1", "a/10"]);
    assert_eq!(keys(&store, List::all().limit(0)).await, [""; 0]);
    let even = ["a/10", "a0", "é", "\u{10fffe}"];
    assert_eq!(keys(&store, List::all().by("length", "even")).await, even);
    let page = List::all().by("length", "even").after("a/10").limit(1);
    assert_eq!(keys(&store, page).await, ["a0"]);
    assert_eq!(keys(&store, List::all().by("first", "a").prefix("a/1")).await, ["a/1", "a/10"]);
    assert_eq!(keys(&store, List::all().by("nothing", "a")).await, [""; 0]);
}

pub async fn a_put_replaces_the_records_index_entries(fixture: &impl EngineFixture) {
    let store = tenant(&fixture.open().await, "ada");
    let state = |value: &str| [("state", value.to_owned())];
    let put = |expect, value| transaction().put_indexed(APPS, "x", &1, expect, &state(value));
    store.commit(put(Expect::Absent, "open")).await.unwrap();
    store.commit(put(Expect::Version(1), "closed")).await.unwrap();
    assert!(keys(&store, List::all().by("state", "open")).await.is_empty());
    assert_eq!(keys(&store, List::all().by("state", "closed")).await, ["x"]);
    store.commit(transaction().put(APPS, "x", &1, Expect::Any)).await.unwrap();
    assert!(keys(&store, List::all().by("state", "closed")).await.is_empty());
    store.commit(put(Expect::Any, "open")).await.unwrap();
    store.commit(transaction().delete(APPS, "x", Expect::Any)).await.unwrap();
    store.commit(transaction().put(APPS, "x", &1, Expect::Absent)).await.unwrap();
    assert!(keys(&store, List::all().by("state", "open")).await.is_empty());
}

pub async fn failing_transactions_do_not_disturb_those_committed_beside_them(
    fixture: &impl EngineFixture,
) {
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    let commits = (0..90).map(|number| {
        let key = format!("{number:02}");
        let expect = if number % 3 == 0 { Expect::Version(7) } else { Expect::Absent };
        store.commit(
            transaction()
                .emit("s", "k", &number)
                .put(APPS, key, &number, expect)
                .emit("s", "k", &0),
        )
    });
    let outcomes = join_all(commits).await;
    let failed: Vec<_> = (0..90).filter(|number| outcomes[*number].is_err()).collect();
    assert_eq!(failed, (0..90).filter(|number| number % 3 == 0).collect::<Vec<_>>());
    assert_eq!(keys(&store, List::all()).await.len(), 60);
    let log = opened.system().log(0, 1000).await.unwrap();
    let positions: Vec<_> = log.iter().map(|event| event.position.unwrap()).collect();
    assert_eq!(positions, (1..=120).collect::<Vec<_>>());
    for outcome in outcomes.into_iter().flatten() {
        let last = &log[outcome.position.unwrap() as usize - 1];
        assert_eq!(outcome.sequences.last(), Some(&last.sequence));
    }
}

pub async fn concurrent_increments_lose_none(fixture: &impl EngineFixture) {
    let store = tenant(&fixture.open().await, "ada");
    store.commit(transaction().put(APPS, "n", &0, Expect::Absent)).await.unwrap();
    let increment = |_| async {
        for _ in 0..8 {
            loop {
                let record = store.get(APPS, "n").await.unwrap().unwrap();
                let next = record.read::<u64>().unwrap() + 1;
                let put = transaction().put(APPS, "n", &next, Expect::Version(record.version));
                match store.commit(put).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    };
    join_all((0..4).map(increment)).await;
    let record = store.get(APPS, "n").await.unwrap().unwrap();
    assert_eq!((record.version, record.read::<u64>().unwrap()), (33, 32));
}

pub async fn a_stream_is_dense_from_one_and_guarded_by_its_last_sequence(
    fixture: &impl EngineFixture,
) {
    let store = tenant(&fixture.open().await, "ada");
    store.commit(transaction().append("run/1", "started", &"a", Some(0))).await.unwrap();
    let two =
        transaction().append("run/1", "step", &"b", Some(1)).append("run/1", "step", &"c", Some(2));
    assert_eq!(store.commit(two).await.unwrap().sequences, [2, 3]);
    match store.commit(transaction().append("run/1", "step", &"x", Some(2))).await {
        Err(StoreError::StreamConflict { stream, expected: 2, found: 3 }) => {
            assert_eq!(stream, "run/1");
        }
        other => panic!("expected a conflict, got {other:?}"),
    }
    store.commit(transaction().append("run/1", "ended", &"d", None)).await.unwrap();
    store.commit(transaction().append("run/2", "started", &"e", Some(0))).await.unwrap();
    let events = store.stream("run/1", 1, 2).await.unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.sequence, event.read::<String>().unwrap(), event.position))
        .collect();
    assert_eq!(seen, [(2, "b".to_owned(), None), (3, "c".to_owned(), None)]);
    assert!(store.stream("run/1", 4, 10).await.unwrap().is_empty());
}

pub async fn only_emitted_events_are_in_the_global_log(fixture: &impl EngineFixture) {
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    let mixed =
        transaction().append("s", "quiet", &1, None).emit("s", "loud", &2).emit("t", "loud", &3);
    let committed = store.commit(mixed).await.unwrap();
    assert_eq!((committed.position, committed.sequences), (Some(2), vec![1, 2, 1]));
    let log = opened.system().log(0, 10).await.unwrap();
    let seen: Vec<_> =
        log.iter().map(|e| (e.position, e.stream.as_str(), e.sequence, e.kind.as_str())).collect();
    assert_eq!(seen, [(Some(1), "s", 2, "loud"), (Some(2), "t", 1, "loud")]);
    let stream = store.stream("s", 0, 10).await.unwrap();
    assert_eq!(stream.iter().map(|e| e.position).collect::<Vec<_>>(), [None, Some(1)]);
}

pub async fn a_transaction_reports_what_it_brought_about(fixture: &impl EngineFixture) {
    let store = tenant(&fixture.open().await, "ada");
    let first =
        transaction().put(APPS, "a", &1, Expect::Any).put(APPS, "a", &2, Expect::Version(1));
    let committed = store.commit(first).await.unwrap();
    assert_eq!((committed.versions, committed.position), (vec![1, 2], None));
    let nothing = store.commit(transaction()).await.unwrap();
    assert_eq!(nothing, crate::Committed::default());
}

pub async fn one_tenant_never_sees_anothers_records_streams_or_events(
    fixture: &impl EngineFixture,
) {
    let opened = fixture.open().await;
    let (ada, bob, system) = (tenant(&opened, "ada"), tenant(&opened, "bob"), opened.system());
    let change = |owner: &str| {
        let indexes = [("owner", "same".to_owned())];
        transaction()
            .put_indexed(APPS, "support", &owner, Expect::Absent, &indexes)
            .emit("s", "put", &owner)
    };
    ada.commit(change("ada")).await.unwrap();
    bob.commit(change("bob")).await.unwrap();
    system.commit(change("system")).await.unwrap();
    for (store, owner) in [(&ada, "ada"), (&bob, "bob")] {
        let record = store.get(APPS, "support").await.unwrap().unwrap();
        assert_eq!(record.read::<String>().unwrap(), owner);
        for list in [List::all(), List::all().by("owner", "same")] {
            let listed = store.list(APPS, list).await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].read::<String>().unwrap(), owner);
        }
        for events in [store.log(0, 10).await.unwrap(), store.stream("s", 0, 10).await.unwrap()] {
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].read::<String>().unwrap(), owner);
            assert_eq!(events[0].tenant.as_ref().unwrap().as_str(), owner);
        }
    }
    let record = system.get(APPS, "support").await.unwrap().unwrap();
    assert_eq!(record.read::<String>().unwrap(), "system");
    let whole = system.log(0, 10).await.unwrap();
    let owners: Vec<_> = whole.iter().map(|e| e.tenant.as_ref().map(TenantId::as_str)).collect();
    assert_eq!(owners, [Some("ada"), Some("bob"), None]);
    ada.commit(transaction().delete(APPS, "support", Expect::Any)).await.unwrap();
    assert!(bob.get(APPS, "support").await.unwrap().is_some());
}

pub async fn a_reader_racing_sixteen_writers_misses_no_event(fixture: &impl EngineFixture) {
    const WRITERS: u64 = 16;
    const EACH: u64 = 20;
    let opened = fixture.open().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = tenant(&opened, &format!("tenant-{}", writer % 3));
            tokio::spawn(async move {
                for number in 0..EACH {
                    let stream = format!("writer/{writer}");
                    let mut change = transaction().emit(&stream, "k", &number);
                    if number % 2 == 0 {
                        change = change.emit("shared", "k", &number);
                    }
                    store.commit(change).await.unwrap();
                }
            })
        })
        .collect();
    let total = WRITERS * (EACH + EACH / 2);
    let (system, mut watch) = (opened.system(), opened.watch());
    let mut seen = 0;
    while seen < total {
        let events = system.log(seen, 50).await.unwrap();
        if events.is_empty() {
            let waited =
                tokio::time::timeout(Duration::from_secs(20), watch.wait_for(|at| *at > seen))
                    .await;
            waited.unwrap().unwrap();
        }
        for event in events {
            seen += 1;
            assert_eq!(event.position, Some(seen), "positions are read densely and in order");
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(system.log(total, 10).await.unwrap().is_empty());
}

pub async fn a_watch_shows_the_highest_position(fixture: &impl EngineFixture) {
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    let watch = opened.watch();
    assert_eq!(*watch.borrow(), 0);
    store.commit(transaction().put(APPS, "a", &1, Expect::Any)).await.unwrap();
    assert_eq!(*watch.borrow(), 0, "a record alone is no event");
    store.commit(transaction().emit("s", "k", &1).emit("s", "k", &2)).await.unwrap();
    assert_eq!(*watch.borrow(), 2);
    opened.close().await;
    assert_eq!(*fixture.open().await.watch().borrow(), 2);
}

pub async fn a_lease_is_held_by_one_until_it_expires_or_is_released(fixture: &impl EngineFixture) {
    let system = fixture.open().await.system();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let ttl = Duration::from_secs(10);
    let first = system.acquire("reconcile", "node-1", ttl, at(100)).await.unwrap().unwrap();
    assert_eq!((first.fence, first.expires), (1, at(110)));
    assert_eq!(system.acquire("reconcile", "node-2", ttl, at(109)).await.unwrap(), None);
    assert!(system.acquire("other", "node-2", ttl, at(109)).await.unwrap().is_some());
    let renewed = system.renew(&first, ttl, at(109)).await.unwrap().unwrap();
    assert_eq!((renewed.fence, renewed.expires), (1, at(119)));
    assert_eq!(system.acquire("reconcile", "node-2", ttl, at(118)).await.unwrap(), None);
    let second = system.acquire("reconcile", "node-2", ttl, at(119)).await.unwrap().unwrap();
    assert_eq!(second.fence, 2);
    assert_eq!(system.renew(&renewed, ttl, at(119)).await.unwrap(), None);
    system.release(renewed).await.unwrap();
    assert_eq!(system.acquire("reconcile", "node-1", ttl, at(120)).await.unwrap(), None);
    system.release(second).await.unwrap();
    let third = system.acquire("reconcile", "node-1", ttl, at(120)).await.unwrap().unwrap();
    assert_eq!(third.fence, 3, "a release does not forget the fence");
    assert_eq!(system.renew(&third, ttl, at(130)).await.unwrap(), None, "it expired");
    let again = system.acquire("reconcile", "node-1", ttl, at(120)).await.unwrap().unwrap();
    assert_eq!(again.fence, 4, "its own holder acquires it anew");
}

pub async fn a_fenced_transaction_fails_once_the_lease_was_acquired_anew(
    fixture: &impl EngineFixture,
) {
    let opened = fixture.open().await;
    let (store, system) = (tenant(&opened, "ada"), opened.system());
    let ttl = Duration::from_secs(1);
    let now = Timestamp::UNIX_EPOCH;
    let lease = system.acquire("l", "node-1", ttl, now).await.unwrap().unwrap();
    let put = |lease| transaction().put(APPS, "a", &1, Expect::Any).fenced_by(lease);
    store.commit(put(&lease)).await.unwrap();
    let newer = system.acquire("l", "node-2", ttl, now + ttl).await.unwrap().unwrap();
    match store.commit(put(&lease)).await {
        Err(StoreError::LeaseLost { name, fence: 1 }) => assert_eq!(name, "l"),
        other => panic!("expected a lost lease, got {other:?}"),
    }
    assert_eq!(version(&store, "a").await, Some(1));
    store.commit(put(&newer)).await.unwrap();
}

pub async fn what_was_committed_is_there_after_reopening(fixture: &impl EngineFixture) {
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    store.commit(transaction().put(APPS, "a", &1, Expect::Any).emit("s", "k", &1)).await.unwrap();
    opened.close().await;
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    assert_eq!(version(&store, "a").await, Some(1));
    let next = store.commit(transaction().emit("s", "k", &2)).await.unwrap();
    assert_eq!((next.position, next.sequences), (Some(2), vec![2]));
}

pub async fn a_closed_store_answers_closed(fixture: &impl EngineFixture) {
    let opened = fixture.open().await;
    let store = tenant(&opened, "ada");
    let queued = join_all((0..20).map(|n| store.commit(transaction().emit("s", "k", &n))));
    let (queued, ()) = tokio::join!(queued, opened.close());
    let kept = queued.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(queued.iter().flatten().count() == kept);
    assert!(queued.into_iter().all(|o| matches!(o, Ok(_) | Err(StoreError::Closed))));
    assert!(matches!(store.commit(transaction()).await, Err(StoreError::Closed)));
    assert!(matches!(store.get(APPS, "a").await, Err(StoreError::Closed)));
    opened.close().await;
    assert_eq!(fixture.open().await.system().log(0, 100).await.unwrap().len(), kept);
}

pub async fn unusable_names_and_values_are_refused(fixture: &impl EngineFixture) {
    let store = tenant(&fixture.open().await, "ada");
    let long = "k".repeat(513);
    let large = "v".repeat(9 << 20);
    let refused = [
        transaction().put(APPS, "", &1, Expect::Any),
        transaction().put(APPS, "a\0b", &1, Expect::Any),
        transaction().put(APPS, long.as_str(), &1, Expect::Any),
        transaction().put(APPS, "a", &large, Expect::Any),
        transaction().put_indexed(APPS, "a", &1, Expect::Any, &[("i", "\n".to_owned())]),
        transaction().delete(APPS, "a", Expect::Absent),
        transaction().emit("", "k", &1),
        transaction().append("s", "", &1, None),
    ];
    for mistaken in refused {
        let outcome = store.commit(mistaken.put(APPS, "fine", &1, Expect::Any)).await;
        assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
    }
    let not_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    let outcome = store.commit(transaction().put(APPS, "a", &not_json, Expect::Any)).await;
    assert!(matches!(outcome, Err(StoreError::Encode { .. })), "{outcome:?}");
    assert!(matches!(store.get(APPS, "\0").await, Err(StoreError::Refused { .. })));
    assert!(matches!(store.stream("\0", 0, 1).await, Err(StoreError::Refused { .. })));
    let list = List::all().after("\0");
    assert!(matches!(store.list(APPS, list).await, Err(StoreError::Refused { .. })));
    assert!(keys(&store, List::all()).await.is_empty());
}

pub async fn values_and_moments_come_back_as_they_were(fixture: &impl EngineFixture) {
    let store = tenant(&fixture.open().await, "ada");
    let moments =
        [Timestamp::MIN, Timestamp::MAX, "2026-02-28T23:59:59.123456789Z".parse().unwrap()];
    let actor = PrincipalId::user("ada@example.org").unwrap();
    let value = json!({"z": "é\u{0}\"", "a": [1.5, u64::MAX, null], "": {"nested": true}});
    for at in moments {
        let put = Transaction::new(actor.clone(), at).emit("s", "k", &value);
        store.commit(put.put(APPS, "a", &value, Expect::Any)).await.unwrap();
    }
    let events = store.log(0, 10).await.unwrap();
    for (event, at) in events.iter().zip(moments) {
        assert_eq!((event.at, &event.actor), (at, &actor));
        assert_eq!(event.payload, serde_json::to_vec(&value).unwrap());
    }
    let record = store.get(APPS, "a").await.unwrap().unwrap();
    assert_eq!(record.value, serde_json::to_vec(&value).unwrap());
    assert!(store.log(u64::MAX, usize::MAX).await.unwrap().is_empty());
}
