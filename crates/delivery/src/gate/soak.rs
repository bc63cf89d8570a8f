//! `soak`: whether a release has been the stable one of an earlier environment for long enough.

use release::{DeploymentEntry, Move, ReleaseDigest, Timestamp};

use super::Verdict;
use super::file::SoakGate;

/// Since when `release` has been stable without interruption; none if it is not now. A row that is
/// dated before an earlier one was written by a clock that had gone back: it counts from the later.
fn stable_since(log: &[DeploymentEntry], release: ReleaseDigest) -> Option<Timestamp> {
    let (mut since, mut latest) = (None, Timestamp::MIN);
    for entry in log {
        latest = latest.max(entry.at);
        if let Move::Stable { to, .. } = entry.r#move {
            since = match to == release {
                true => since.or(Some(latest)),
                false => None,
            };
        }
    }
    since
}

/// What the deployment log of the earlier environment, oldest row first, says of a release.
pub(crate) fn decide(
    gate: &SoakGate,
    log: &[DeploymentEntry],
    release: ReleaseDigest,
    now: Timestamp,
) -> Verdict {
    let SoakGate { environment, hours, .. } = gate;
    let Some(since) = stable_since(log, release) else {
        let was =
            log.iter().any(|row| matches!(row.r#move, Move::Stable { to, .. } if to == release));
        return Verdict::pending(match was {
            true => format!("it is no longer the stable release of `{environment}`"),
            false => format!("it was never the stable release of `{environment}`"),
        });
    };
    let seconds = now.as_second() - since.as_second();
    let needed = (hours * 3_600.0).ceil() as i64;
    let stood = format!("stable in `{environment}` since {}", shown(since));
    match seconds >= needed {
        true => Verdict::passed(stood),
        false => {
            let passes = Timestamp::from_second(since.as_second().saturating_add(needed));
            let passes = passes.map(shown).unwrap_or_default();
            Verdict::pending(format!("{stood}, and {hours} h are needed: it passes at {passes}"))
        }
    }
}

/// A moment, to the second.
fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
