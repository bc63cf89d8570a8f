//! Waivers: a gate does not count for one release, for a time and a reason.

use release::{Digest, EnvironmentName, PrincipalId, ReleaseDigest, Timestamp};
use serde::{Deserialize, Serialize};

use super::{GateState, NotTaken, Verdict, is_ahead};

/// The most days that a waiver lasts.
const MOST_DAYS: i64 = 30;

/// A gate does not count for a release until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The gate's name.
    pub gate: String,
    /// Its settings, by digest: with others it counts again.
    pub version: Digest,
    /// The release.
    pub release: ReleaseDigest,
    /// The environment.
    pub environment: EnvironmentName,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: PrincipalId,
    /// When.
    pub at: Timestamp,
}

/// Whether a waiver may last so long and has a reason.
pub(crate) fn check(until: Timestamp, reason: &str, now: Timestamp) -> Result<(), NotTaken> {
    let seconds = until.as_second() - now.as_second();
    if reason.trim().is_empty() {
        return Err(NotTaken::Waiver("a reason"));
    }
    if until <= now || seconds > MOST_DAYS * 86_400 {
        return Err(NotTaken::Waiver("an end that is to come, within 30 days"));
    }
    Ok(())
}

impl Waiver {
    /// Whether it counts for a gate of this version.
    pub(crate) fn counts(&self, version: Digest, now: Timestamp) -> bool {
        self.version == version && now < self.until && !is_ahead(self.at, now)
    }

    /// What the gate says with it. One that passes by itself needs no waiver.
    pub(crate) fn over(&self, verdict: Verdict) -> Verdict {
        if verdict.state == GateState::Passed {
            return verdict;
        }
        let Verdict { state, why, findings } = verdict;
        let (by, until, reason) = (&self.by, self.until, &self.reason);
        let waived = format!("waived by {by} until {until}: {reason}");
        let why = format!("{waived} (else {}: {why})", state.as_str());
        Verdict { findings, ..Verdict::of(GateState::Waived, why) }
    }
}

#[cfg(test)]
mod tests;
