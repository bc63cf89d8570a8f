//! Quarantine reaches everything that was made from something bad, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::invariants::nothing_quarantined_is_live;
use crate::{ArtifactState, Release, SlotName};

fn artifact(n: usize) -> Digest {
    Digest::of(&n.to_be_bytes())
}

/// Whether `from` was made from `bad`, found by walking up its sources.
fn descends(from: usize, bad: &BTreeSet<usize>, sources: &[Vec<usize>]) -> bool {
    bad.contains(&from) || sources[from].iter().any(|source| descends(*source, bad, sources))
}

proptest! {
    #[test]
    fn the_closure_is_what_walking_up_the_lineage_finds(
        // An artifact is made from earlier ones only.
        picks in prop::collection::vec(
            prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..12),
        bad in prop::collection::btree_set(0..12_usize, 0..3),
    ) {
        let count = picks.len();
        let sources: Vec<Vec<usize>> = (picks.iter().enumerate())
            .map(|(n, picks)| picks.iter().filter(|_| n > 0).map(|pick| pick.index(n)).collect())
            .collect();
        let bad: BTreeSet<usize> = bad.into_iter().filter(|n| *n < count).collect();
        let derived_from: BTreeMap<_, _> = (sources.iter().enumerate())
            .map(|(n, from)| (artifact(n), from.iter().map(|n| artifact(*n)).collect()))
            .collect();
        let quarantined: BTreeSet<_> = bad.iter().map(|n| artifact(*n)).collect();
        let closure = quarantined_closure(&quarantined, &derived_from);
        let states = quarantined.iter().map(|bad| (*bad, ArtifactState::Quarantined)).collect();
        for n in 0..count {
            let reached = descends(n, &bad, &sources);
            prop_assert_eq!(closure.contains(&artifact(n)), reached);
            let slot = [(SlotName::MODEL, artifact(n))];
            let release = Release::seal("support".parse().unwrap(), slot).unwrap();
            let healthy = nothing_quarantined_is_live([&release], &states, &derived_from);
            prop_assert_eq!(healthy, !reached);
        }
    }
}
