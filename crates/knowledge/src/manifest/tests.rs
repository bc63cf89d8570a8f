use proptest::prelude::*;
use release::Digest;

use super::{DocumentEntry, Manifest};

fn entry(version: u8) -> DocumentEntry {
    let digest = Digest::of(&[version]);
    let modified_ms = i64::from(version);
    DocumentEntry { raw: digest, segment: Some(digest), modified_ms, chunks: 1, copy_of: None }
}

fn manifest(documents: &[(&str, u8)]) -> Manifest {
    let mut manifest = Manifest::empty(Digest::of(b"recipe"));
    let entries = documents.iter().map(|(path, version)| ((*path).to_owned(), entry(*version)));
    manifest.documents.extend(entries);
    manifest
}

#[test]
fn a_batch_that_never_was_leaves_what_later_ones_made() {
    let before = manifest(&[("kept", 1), ("changed", 1), ("gone", 1), ("twice", 1)]);
    let after = manifest(&[("kept", 1), ("changed", 2), ("new", 2), ("twice", 2)]);
    let newest = manifest(&[("kept", 3), ("changed", 2), ("new", 2), ("twice", 3), ("own", 3)]);
    let without = newest.without_batch(&before, &after);
    let expected = [("kept", 3), ("changed", 1), ("gone", 1), ("twice", 3), ("own", 3)];
    assert_eq!(without, manifest(&expected));
    let diff = newest.since(&before);
    assert_eq!(diff.added, ["new", "own"]);
    assert_eq!(diff.changed, ["changed", "kept", "twice"]);
    assert_eq!(diff.removed, ["gone"]);
}

proptest! {
    #[test]
    fn the_newest_batch_taken_back_is_the_snapshot_before(
        before in proptest::collection::btree_map("[a-d]", 0_u8..3, 0..5),
        after in proptest::collection::btree_map("[a-d]", 0_u8..3, 0..5),
    ) {
        let of = |all: &std::collections::BTreeMap<String, u8>| {
            let all: Vec<_> = all.iter().map(|(path, version)| (path.as_str(), *version)).collect();
            manifest(&all)
        };
        let (before, after) = (of(&before), of(&after));
        prop_assert_eq!(after.without_batch(&before, &after), before);
    }
}
