//! SQLite behaves as a map and a list do.

use std::collections::BTreeMap;

use proptest::prelude::*;
use release::{PrincipalId, TenantId, Timestamp};
use store::conformance::EngineFixture;
use store::{Collection, Expect, List, Transaction};

use crate::sqlite::Sqlite;

const THINGS: Collection = Collection("things");

#[derive(Debug, Clone)]
enum Change {
    Put(u8, Expect),
    Delete(u8, Expect),
    Append(Option<u64>),
    Emit,
}

fn change() -> impl Strategy<Value = Change> {
    let expect =
        prop_oneof![Just(Expect::Any), Just(Expect::Absent), (1..4u64).prop_map(Expect::Version)];
    let present = prop_oneof![Just(Expect::Any), (1..4u64).prop_map(Expect::Version)];
    prop_oneof![
        (0..4u8, expect).prop_map(|(key, expect)| Change::Put(key, expect)),
        (0..4u8, present).prop_map(|(key, expect)| Change::Delete(key, expect)),
        proptest::option::of(0..6u64).prop_map(Change::Append),
        Just(Change::Emit),
    ]
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    versions: BTreeMap<String, u64>,
    /// The global position of each entry of the stream.
    stream: Vec<Option<u64>>,
    position: u64,
}

impl Model {
    /// Applies all changes, or none.
    fn commit(&mut self, changes: &[Change]) -> bool {
        let mut next = self.clone();
        let all = changes.iter().all(|change| next.apply(change));
        if all {
            *self = next;
        }
        all
    }

    fn apply(&mut self, change: &Change) -> bool {
        let fits = |expect: Expect, found: Option<u64>| match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found == Some(version),
        };
        match change {
            Change::Put(key, expect) => {
                let found = self.versions.get(&key.to_string()).copied();
                self.versions.insert(key.to_string(), found.unwrap_or(0) + 1);
                fits(*expect, found)
            }
            Change::Delete(key, expect) => fits(*expect, self.versions.remove(&key.to_string())),
            Change::Append(expected) => {
                let fits = expected.is_none_or(|last| last == self.stream.len() as u64);
                self.stream.push(None);
                fits
            }
            Change::Emit => {
                self.position += 1;
                self.stream.push(Some(self.position));
                true
            }
        }
    }
}

fn transaction(changes: &[Change]) -> Transaction {
    let empty = Transaction::new(PrincipalId::system("model"), Timestamp::UNIX_EPOCH);
    changes.iter().fold(empty, |transaction, change| match change {
        Change::Put(key, expect) => transaction.put(THINGS, key.to_string(), key, *expect),
        Change::Delete(key, expect) => transaction.delete(THINGS, key.to_string(), *expect),
        Change::Append(expected) => transaction.append("s", "appended", &0, *expected),
        Change::Emit => transaction.emit("s", "emitted", &0),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn sqlite_and_a_map_agree_on_every_sequence_of_transactions(
        transactions in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Sqlite::new();
            let store = fixture.open().await.tenant(&TenantId::DEFAULT);
            let mut model = Model::default();
            for changes in &transactions {
                let committed = store.commit(transaction(changes)).await;
                prop_assert_eq!(committed.is_ok(), model.commit(changes), "{:?}", committed);
            }
            let records = store.list(THINGS, List::all()).await.unwrap();
            let versions = records.into_iter().map(|record| (record.key, record.version)).collect();
            let entries = store.stream("s", 0, 1000).await.unwrap();
            prop_assert!(entries.iter().map(|entry| entry.sequence).eq(1..=entries.len() as u64));
            let stream: Vec<_> = entries.into_iter().map(|entry| entry.position).collect();
            let position = stream.iter().flatten().max().copied().unwrap_or(0);
            prop_assert_eq!(Model { versions, stream, position }, model);
            Ok(())
        })?;
    }
}
