//! How fresh what serves is: measured from the change at the source to the moment it serves.
//!
//! - **Staleness** is how long the oldest known change has not been served. Zero if all are.
//! - **Unknown age** is how long the source could not be read: what changed meanwhile nobody knows,
//!   so a poll that fails never makes anything fresh.
//! - **Lag** is how long changes that do serve took to get there.

use std::collections::BTreeMap;

use release::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Ledger, Manifest};

/// How many lags are remembered of each source.
pub const REMEMBERED: usize = 1_000;

/// How the polls of a source went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polls {
    /// When it was last read whole.
    pub succeeded_at: Option<Timestamp>,
    /// Why it could not be read since, and since when.
    pub failing: Option<Failing>,
}

/// A source that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Why, the last time.
    pub reason: String,
}

/// How long changes took to be served, in seconds, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lags(Vec<i64>);

/// How fresh a source is where it serves. Durations are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Freshness {
    /// The source.
    pub source: String,
    /// How long the oldest change that does not serve is known.
    pub staleness: i64,
    /// How many changes do not serve.
    pub pending: u64,
    /// How long the source was not read whole; none if it never was.
    pub unknown_age: Option<i64>,
    /// How long half, 95 % and all of the changes that serve took to.
    pub lag: Option<Lag>,
    /// What is promised.
    pub objective: Option<i64>,
    /// How much of the promise is used up: 1 is broken.
    pub burn: Option<f64>,
}

/// Quantiles of lags, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Half are not longer.
    pub p50: i64,
    /// 95 % are not longer.
    pub p95: i64,
    /// The longest.
    pub max: i64,
}

impl Polls {
    /// The source was read whole.
    pub fn succeeded(&mut self, at: Timestamp) {
        (self.succeeded_at, self.failing) = (Some(at), None);
    }

    /// The source could not be read.
    pub fn failed(&mut self, at: Timestamp, reason: String) {
        let since = self.failing.as_ref().map_or(at, |failing| failing.since);
        self.failing = Some(Failing { since, reason });
    }
}

impl Lags {
    /// Remembers the lags of one source's documents that `now` serves and `before` did not.
    pub fn served(
        &mut self,
        (source, ledger): (&str, &Ledger),
        (before, now): (Option<&Manifest>, &Manifest),
        at: Timestamp,
    ) {
        let raw = |manifest: &Manifest, path: &str| -> Option<Digest> {
            manifest.documents.get(path).map(|entry| entry.raw)
        };
        let own = ledger.documents.iter().filter(|(_, known)| known.source == source);
        let fresh = own.filter(|(path, known)| {
            let was = before.and_then(|before| raw(before, path));
            raw(now, path) == Some(known.raw) && was != Some(known.raw)
        });
        self.0.extend(fresh.map(|(_, known)| between(known.modified_at, at)));
        let surplus = self.0.len().saturating_sub(REMEMBERED);
        self.0.drain(..surplus);
    }

    /// Their quantiles, by nearest rank; none if there are none.
    pub fn quantiles(&self) -> Option<Lag> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at =
            |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied();
        Some(Lag { p50: at(50)?, p95: at(95)?, max: at(100)? })
    }
}

/// How fresh each source of a knowledge base is at `now`, if `serving` is the snapshot that serves.
/// `sources` has what is promised of each, in seconds, and how its polls and lags are.
pub fn freshness(
    ledger: &Ledger,
    serving: Option<&Manifest>,
    sources: &BTreeMap<String, (Option<i64>, Polls, Lags)>,
    now: Timestamp,
) -> Vec<Freshness> {
    let serves = |path: &str| serving.and_then(|manifest| manifest.documents.get(path));
    sources
        .iter()
        .map(|(source, (objective, polls, lags))| {
            let own = ledger.documents.iter().filter(|(_, known)| known.source == *source);
            let waiting =
                own.filter(|(path, known)| serves(path).is_none_or(|entry| entry.raw != known.raw));
            let waits: Vec<_> = waiting.map(|(_, known)| between(known.modified_at, now)).collect();
            let staleness = waits.iter().copied().max().unwrap_or(0);
            let unknown_age = polls.succeeded_at.map(|at| between(at, now));
            // A failing source may have changed at once after it was last read.
            let blind = polls.failing.as_ref().and(unknown_age).unwrap_or(0);
            let burn =
                objective.map(|objective| staleness.max(blind) as f64 / objective.max(1) as f64);
            Freshness {
                source: source.clone(),
                staleness,
                pending: waits.len() as u64,
                unknown_age,
                lag: lags.quantiles(),
                objective: *objective,
                burn,
            }
        })
        .collect()
}

/// Seconds from `from` to `to`; none are negative, whatever clocks say.
fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0)
}

#[cfg(test)]
mod tests;
