//! A release is its bytes, and nothing else can pass for it.

use proptest::prelude::*;

use super::*;
use crate::invariants::{every_slot_resolves, release_is_sealed, rollback_is_pinned};

fn slots() -> impl Strategy<Value = BTreeMap<SlotName, Digest>> {
    let names = [SlotName::MODEL, SlotName::PROMPT, SlotName::KNOWLEDGE, SlotName::CONFIG];
    let slot = (0..names.len(), any::<[u8; 4]>());
    prop::collection::vec(slot, 1..6).prop_map(move |slots| {
        let filled = slots.into_iter().map(|(name, seed)| (names[name].clone(), Digest::of(&seed)));
        filled.collect()
    })
}

fn sealed(slots: BTreeMap<SlotName, Digest>) -> Release {
    Release::seal("support".parse().unwrap(), slots).unwrap()
}

#[test]
fn a_release_that_pins_nothing_is_refused() {
    let empty = Release::seal("support".parse().unwrap(), []);
    assert!(matches!(empty, Err(ReleaseError::Empty { .. })));
}

proptest! {
    #[test]
    fn what_is_sealed_opens_as_itself_and_no_changed_byte_does(
        slots in slots(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
    ) {
        let release = sealed(slots);
        prop_assert!(release_is_sealed(&release));
        let mut bytes = release.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(matches!(
            Release::open(bytes, release.digest()),
            Err(ReleaseError::Corrupt(_))
        ));
    }

    #[test]
    fn two_releases_are_one_only_if_their_slots_are(one in slots(), other in slots()) {
        let same = one == other;
        prop_assert_eq!(sealed(one).digest() == sealed(other).digest(), same);
    }

    #[test]
    fn a_release_is_eligible_and_pinned_with_all_of_its_artifacts_only(
        slots in slots(), missing in any::<prop::sample::Index>(),
    ) {
        let release = sealed(slots);
        let all: Vec<_> = release.slots().values().copied().collect();
        let missing = all[missing.index(all.len())];
        prop_assert!(every_slot_resolves(&release, |digest| all.contains(&digest)));
        prop_assert!(!every_slot_resolves(&release, |digest| digest != missing));
        let mut pinned: std::collections::BTreeSet<_> = all.iter().copied().collect();
        prop_assert!(!rollback_is_pinned(&release, &pinned));
        pinned.insert(release.digest().digest());
        prop_assert!(rollback_is_pinned(&release, &pinned));
        pinned.remove(&missing);
        prop_assert!(!rollback_is_pinned(&release, &pinned));
    }
}
