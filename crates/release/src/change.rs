//! Changes: who proposed a release, against which parent, and why.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppName, Digest, PrincipalId, Release, ReleaseDigest, SlotName, Timestamp};

/// The identity of a change; ids sort by the time of proposal (UUID version 7, RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(Uuid);

impl ChangeId {
    /// Wraps an id made by the caller's source of randomness.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ChangeId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// The proposal of a release. The same content proposed twice is one release and two changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its identity.
    pub id: ChangeId,
    /// The app it changes.
    pub app: AppName,
    /// The release it proposes.
    pub release: ReleaseDigest,
    /// The release it was proposed against; none for an app's first.
    pub parent: Option<ReleaseDigest>,
    /// What differs from the parent, slot by slot.
    pub diff: Vec<SlotDiff>,
    /// Who proposed it.
    pub author: PrincipalId,
    /// The commit of the project it was read from, where known.
    pub commit: Option<String>,
    /// Why, in the author's words.
    pub reason: String,
    /// When.
    pub proposed_at: Timestamp,
}

/// One slot that differs between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotDiff {
    /// The slot.
    pub slot: SlotName,
    /// What filled it before.
    pub from: Option<Digest>,
    /// What fills it now.
    pub to: Option<Digest>,
}

/// The slots in which `to` differs from `from`, in the order of their names.
pub fn slot_diff(from: Option<&Release>, to: &Release) -> Vec<SlotDiff> {
    let before = |slot: &SlotName| from.and_then(|release| release.slots().get(slot).copied());
    let names: BTreeSet<&SlotName> =
        from.into_iter().chain([to]).flat_map(|release| release.slots().keys()).collect();
    names
        .into_iter()
        .map(|slot| SlotDiff {
            slot: slot.clone(),
            from: before(slot),
            to: to.slots().get(slot).copied(),
        })
        .filter(|diff| diff.from != diff.to)
        .collect()
}
