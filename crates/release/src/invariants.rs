//! What must always hold, named once: used by debug assertions and property tests alike.
//!
//! Each predicate takes plain values and answers yes or no. The numbers are those of the list of
//! invariants in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ArtifactState, DeploymentEntry, Digest, Environment, Move, Release, ReleaseDigest, TrafficPlan,
    bucket, fold, quarantined_closure,
};

/// 1. A sealed release never changes: its bytes still have its digest and read back as itself.
pub fn release_is_sealed(release: &Release) -> bool {
    Release::open(release.bytes().to_vec(), release.digest()).is_ok_and(|opened| opened == *release)
}

/// 1. Every slot resolves to an artifact before the release is eligible.
pub fn every_slot_resolves(release: &Release, resolves: impl Fn(Digest) -> bool) -> bool {
    release.slots().values().all(|digest| resolves(*digest))
}

/// 2. The pointer is what the deployment log says.
pub fn pointer_equals_folded_log(pointer: &Environment, log: &[DeploymentEntry]) -> bool {
    fold(pointer.app.clone(), pointer.name.clone(), log) == *pointer
}

/// 2. The log has no gap: generations count up from 1, each stable move starts where the last ended.
pub fn log_is_contiguous(log: &[DeploymentEntry]) -> bool {
    let mut stable = None;
    log.iter().zip(1..).all(|(entry, generation)| {
        let starts_where_it_stood = match &entry.r#move {
            Move::Stable { from, to, .. } => {
                let fits = *from == stable;
                stable = Some(*to);
                fits
            }
            Move::Plan { .. } | Move::Hold { .. } | Move::Clear { .. } => true,
        };
        entry.generation == generation && starts_where_it_stood
    })
}

/// 3. The arms of a traffic plan own each of the 10,000 basis points exactly once.
pub fn plan_is_whole(plan: &TrafficPlan) -> bool {
    plan.check().is_ok()
}

/// 4. What a rollback would restore, and all its artifacts, are pinned against collection.
pub fn rollback_is_pinned(target: &Release, pinned: &BTreeSet<Digest>) -> bool {
    pinned.contains(&target.digest().digest())
        && target.slots().values().all(|digest| pinned.contains(digest))
}

/// 5. A release rolled back or put on hold stays held until a person clears it or promotes it.
pub fn held_stays_held(log: &[DeploymentEntry]) -> bool {
    let mut held = BTreeSet::new();
    log.iter().all(|entry| {
        let mut touched = entry.r#move.releases();
        let freed =
            touched.any(|to| held.contains(&to)) || matches!(entry.r#move, Move::Clear { .. });
        match &entry.r#move {
            Move::Stable { to, hold, .. } => {
                held.remove(to);
                held.extend(*hold);
            }
            Move::Hold { release } => {
                held.insert(*release);
            }
            Move::Clear { release } => {
                held.remove(release);
            }
            Move::Plan { .. } => entry.r#move.releases().for_each(|to| {
                held.remove(&to);
            }),
        }
        !(freed && entry.actor.is_automation())
    })
}

/// 6. No live release uses a quarantined artifact or something derived from one.
pub fn nothing_quarantined_is_live<'a>(
    live: impl IntoIterator<Item = &'a Release>,
    states: &BTreeMap<Digest, ArtifactState>,
    derived_from: &BTreeMap<Digest, BTreeSet<Digest>>,
) -> bool {
    let quarantined = states
        .iter()
        .filter(|(_, state)| **state == ArtifactState::Quarantined)
        .map(|(digest, _)| *digest)
        .collect();
    let closure = quarantined_closure(&quarantined, derived_from);
    live.into_iter().all(|release| release.slots().values().all(|slot| !closure.contains(slot)))
}

/// 7. Growing an arm moves no unit that is already in it.
pub fn growth_keeps_units<'a>(
    before: &TrafficPlan,
    after: &TrafficPlan,
    grown: ReleaseDigest,
    units: impl IntoIterator<Item = &'a str>,
) -> bool {
    let release =
        |plan: &TrafficPlan, unit: &str| plan.arm(bucket(&plan.id.0, unit)).map(|arm| arm.release);
    units
        .into_iter()
        .all(|unit| release(before, unit) != Some(grown) || release(after, unit) == Some(grown))
}
