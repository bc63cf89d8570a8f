//! Changes: who proposed a release, against which parent, and why.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{
    AppName, Digest, InvalidName, PrincipalId, Release, ReleaseDigest, SlotName, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The identity of a change: its app and the how-manieth change of that app it is, written
/// `support-7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChangeId {
    app: AppName,
    number: u64,
}

impl ChangeId {
    /// The `number`-th change of `app`, from 1.
    pub const fn new(app: AppName, number: u64) -> Self {
        Self { app, number }
    }

    /// The app that is changed.
    pub const fn app(&self) -> &AppName {
        &self.app
    }

    /// Counts the app's changes from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.app, self.number)
    }
}

impl FromStr for ChangeId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parsed = text.rsplit_once('-').and_then(|(app, number)| {
            Some(Self { app: app.parse().ok()?, number: number.parse().ok()? })
        });
        parsed.ok_or_else(|| InvalidName {
            noun: "change id",
            value: text.chars().take(80).collect(),
        })
    }
}

impl TryFrom<String> for ChangeId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ChangeId> for String {
    fn from(id: ChangeId) -> String {
        id.to_string()
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
    /// Who wrote that commit, as git has it: `Ada <ada@example.com>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_author: Option<String>,
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
