//! Quarantine spreads along lineage: what was made from something bad is bad.

use std::collections::{BTreeMap, BTreeSet};

use crate::Digest;

/// The quarantined artifacts and everything derived from them, directly or not.
///
/// `derived_from` maps an artifact to the artifacts it was made from.
pub fn quarantined_closure(
    quarantined: &BTreeSet<Digest>,
    derived_from: &BTreeMap<Digest, BTreeSet<Digest>>,
) -> BTreeSet<Digest> {
    let mut closure = quarantined.clone();
    let mut grew = true;
    while grew {
        let before = closure.len();
        let reached = derived_from
            .iter()
            .filter(|(_, sources)| !sources.is_disjoint(&closure))
            .map(|(artifact, _)| *artifact)
            .collect::<Vec<_>>();
        closure.extend(reached);
        grew = closure.len() > before;
    }
    closure
}

#[cfg(test)]
mod tests;
