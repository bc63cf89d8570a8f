//! Sweeping: blobs that nobody needs go in two steps, so that one that somebody has just begun to need
//! is not lost.
//!
//! ```text
//!  in its place ── not pinned, old enough ──► set aside ── not pinned, long enough ──► gone
//!        ▲                                        │
//!        └──────────── pinned meanwhile ──────────┘   (and readable all the time)
//! ```
//!
//! A writer puts its blobs first and commits the record that names them afterwards. In between nothing
//! pins them, and putting a blob that is there already writes nothing. Whatever way a sweep and a
//! writer interleave, the blob is there as long as the writer commits within the grace after its put:
//! a blob that was put before it was set aside is set aside for at least the grace, is read from there
//! meanwhile, and the pins of the sweep that would delete it name it. One that is put after that is
//! written to its place anew. No lock, and no clock that two machines would have to share. The key of
//! a sealed blob stays when its bytes go: whoever puts it anew may have read the key already.

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::time::Duration;

use bytes::Bytes;
use release::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::{BlobError, Entry, TenantBlobs};

/// Where blobs are that are set aside, beside the tenants' own: no tenant's name begins with a dot.
const ASIDE: &str = ".aside/";
/// How what is left of a write that was cut off ends.
const CUT_OFF: &str = ".tmp";

/// What is swept.
#[derive(Debug, Clone, Copy)]
pub struct Sweep<'a> {
    /// The blobs that somebody needs, as read before the sweep.
    pub pins: &'a BTreeSet<Digest>,
    /// Now, by about the clock of the place.
    pub now: Timestamp,
    /// How old a blob must be to be set aside, and how long it then stays there.
    pub grace: Duration,
    /// Whether what is set aside long enough is deleted; else it stays.
    pub delete: bool,
    /// Whether it is only told what would be done.
    pub dry_run: bool,
}

/// Some blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their bytes, as they are kept.
    pub bytes: u64,
}

/// What a sweep did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// What is pinned.
    pub pinned: Amount,
    /// What is not pinned, and too young to be looked at.
    pub young: Amount,
    /// What was set aside now.
    pub set_aside: Amount,
    /// What was set aside before, and is waiting.
    pub waiting: Amount,
    /// What was put back to its place: it is pinned now.
    pub put_back: Amount,
    /// What is gone.
    pub deleted: Amount,
}

impl AddAssign<&Entry> for Amount {
    fn add_assign(&mut self, entry: &Entry) {
        self.blobs += 1;
        self.bytes += entry.bytes;
    }
}

impl TenantBlobs {
    /// Sweeps the tenant's blobs. One that is cut off anywhere loses nothing, and the next goes on.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn sweep(&self, sweep: Sweep<'_>) -> Result<Swept, BlobError> {
        let mut swept = Swept::default();
        let old = |entry: &Entry| {
            let age = Duration::try_from(sweep.now.duration_since(entry.written_at));
            age.is_ok_and(|age| age >= sweep.grace)
        };
        // Those set aside first: what goes aside below is not looked at again.
        for entry in self.backend.entries(&self.folder_aside()).await? {
            let Some(digest) = digest(&entry) else { continue };
            let [place, aside] = self.places(&digest);
            let pinned = sweep.pins.contains(&digest);
            if pinned {
                swept.put_back += &entry;
            } else if sweep.delete && old(&entry) {
                swept.deleted += &entry;
            } else {
                swept.waiting += &entry;
                continue;
            }
            if sweep.dry_run {
                continue;
            }
            if pinned && !self.backend.exists(&place).await? {
                self.backend.rename(&aside, &place).await?;
            } else {
                // What is in its place is the same, and newer.
                self.backend.delete(&aside).await?;
            }
        }
        for entry in self.backend.entries(&self.folder()).await? {
            let digest = digest(&entry);
            if digest.is_some_and(|digest| sweep.pins.contains(&digest)) {
                swept.pinned += &entry;
            } else if !old(&entry) {
                swept.young += &entry;
            } else if let Some(digest) = digest {
                swept.set_aside += &entry;
                if !sweep.dry_run {
                    let [place, aside] = self.places(&digest);
                    self.backend.rename(&place, &aside).await?;
                }
            } else if entry.name.ends_with(CUT_OFF) {
                swept.deleted += &entry;
                if !sweep.dry_run {
                    let shard = entry.name.get(..2).unwrap_or_default();
                    self.backend
                        .delete(&format!("{}{shard}/{}", self.folder(), entry.name))
                        .await?;
                }
            }
        }
        Ok(swept)
    }

    /// A blob as it is kept, wherever it is.
    pub(super) async fn stored(&self, digest: &Digest) -> Result<Option<Bytes>, BlobError> {
        let [place, aside] = self.places(digest);
        // The place once more: it may have been put back after the first look.
        for key in [&place, &aside, &place] {
            if let Some(stored) = self.backend.get(key).await? {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    /// Where a blob is, and where it is once it is set aside.
    pub(super) fn places(&self, digest: &Digest) -> [String; 2] {
        let place = self.key(digest);
        let aside = format!("{ASIDE}{place}");
        [place, aside]
    }

    pub(super) fn folder(&self) -> String {
        format!("{}/", self.tenant)
    }

    pub(super) fn folder_aside(&self) -> String {
        format!("{ASIDE}{}/", self.tenant)
    }
}

fn digest(entry: &Entry) -> Option<Digest> {
    format!("sha256:{}", entry.name).parse().ok()
}

#[cfg(test)]
mod tests;
