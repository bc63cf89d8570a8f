//! How fresh what serves is: measured from the change at the source to the moment it serves.
//!
//! - **Staleness** is how long the oldest known change has not been served. Zero if all are.
//! - **Unknown age** is how long the source could not be read: what changed meanwhile nobody knows,
//!   so a poll that fails never makes anything fresh.
//! - **Lag** is how long changes that do serve took to get there.
//!
//! A change is a version of a document, or that it is gone. It is known once its source was read,
//! also if the gates rejected what came of it. What was taken out, or cannot be read, is no change
//! that could serve.

use std::collections::{BTreeMap, BTreeSet};

use release::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Ledger, Manifest};

/// How many lags are remembered of each source.
pub const REMEMBERED: usize = 1_000;
/// From how much of a promise on somebody is told that it is being used up.
const BURNING: f64 = 0.8;

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

/// The changes of a source that do not serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// How many there are.
    pub pending: u64,
    /// When the oldest was made.
    pub oldest: Option<Timestamp>,
}

/// How a source stands where it serves: what is kept of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What does not serve.
    pub backlog: Backlog,
    /// How long took what does.
    pub lags: Lags,
    /// What was told of it.
    pub alert: Alert,
}

/// What was told of a promise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// It is kept.
    #[default]
    Kept,
    /// Most of it is used up.
    Burning,
    /// It is broken.
    Broken,
}

/// How fresh a source is where it serves. Durations are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Freshness {
    /// The source.
    pub source: String,
    /// How long the oldest known change does not serve.
    pub staleness: i64,
    /// How many known changes do not serve.
    pub pending: u64,
    /// How long the source was not read whole; none if it never was.
    pub unknown_age: Option<i64>,
    /// How long half, 95 % and all of the changes that serve took to.
    pub lag: Option<Lag>,
    /// What is promised.
    pub objective: Option<i64>,
    /// How much of the promise is used up: 1 is broken.
    pub burn: Option<f64>,
    /// What was told of that.
    pub alert: Alert,
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

    /// With what looks at the source told. A look that found nothing new is a poll like any other,
    /// and whichever was later counts.
    #[must_use]
    pub fn and(&self, looks: &Self) -> Self {
        let succeeded_at = self.succeeded_at.max(looks.succeeded_at);
        let both = [&self.failing, &looks.failing].into_iter().flatten();
        // What failed before the source was last reached is over.
        let failing = both.filter(|failing| succeeded_at.is_none_or(|at| failing.since >= at));
        Self { succeeded_at, failing: failing.max_by_key(|failing| failing.since).cloned() }
    }

    /// How long nobody knows what changed, since it cannot be read.
    fn blind(&self, now: Timestamp) -> i64 {
        let Some(failing) = &self.failing else { return 0 };
        // It may have changed at once after it was last read.
        between(self.succeeded_at.unwrap_or(failing.since), now)
    }
}

impl Lags {
    /// Remembers more of them.
    pub fn extend(&mut self, lags: impl IntoIterator<Item = i64>) {
        self.0.extend(lags);
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

impl Backlog {
    fn add(&mut self, changed_at: Timestamp) {
        self.pending += 1;
        self.oldest = Some(self.oldest.map_or(changed_at, |oldest| oldest.min(changed_at)));
    }
}

impl Standing {
    /// How fresh the source is at `now`, if that much, in seconds, is promised.
    pub fn freshness(
        &self,
        source: &str,
        (objective, polls): (Option<i64>, &Polls),
        now: Timestamp,
    ) -> Freshness {
        let staleness = self.backlog.oldest.map_or(0, |oldest| between(oldest, now));
        let used = staleness.max(polls.blind(now));
        Freshness {
            source: source.to_owned(),
            staleness,
            pending: self.backlog.pending,
            unknown_age: polls.succeeded_at.map(|at| between(at, now)),
            lag: self.lags.quantiles(),
            objective,
            burn: objective.map(|objective| used as f64 / objective.max(1) as f64),
            alert: self.alert,
        }
    }
}

impl Alert {
    /// What is to be told now. A promise that is broken stays so until most of it is there again.
    #[must_use]
    pub fn next(self, burn: Option<f64>) -> Self {
        match burn {
            Some(burn) if burn >= 1.0 => Self::Broken,
            Some(burn) if burn >= BURNING => self.max(Self::Burning),
            _ => Self::Kept,
        }
    }
}

/// What does not serve of the documents known, by source, if `serving` does. What was taken out of the
/// `newest` snapshot is not to serve.
pub fn backlog(
    known: &Ledger,
    newest: &Ledger,
    serving: Option<&Manifest>,
) -> BTreeMap<String, Backlog> {
    let serves = |path: &str| serving.and_then(|manifest| manifest.documents.get(path));
    let mut waiting: BTreeMap<String, Backlog> = BTreeMap::new();
    for (path, known) in &known.documents {
        let waits = serves(path).is_none_or(|entry| entry.raw != known.raw);
        if waits && !newest.is_excised(path, &known.raw) {
            waiting.entry(known.source.clone()).or_default().add(known.modified_at);
        }
    }
    for (path, gone) in &known.gone {
        if serves(path).is_some() {
            waiting.entry(gone.source.clone()).or_default().add(gone.last_seen);
        }
    }
    waiting
}

/// How long each change took that serves from `at` on, by source: what is known of the snapshot that
/// serves, and of the one before, which was made at `since`.
///
/// Only what was found since then counts: going back to an earlier snapshot serves no change, and
/// the first documents of a source are none.
pub fn lags(
    now: &Ledger,
    (before, since): (&Ledger, Timestamp),
    at: Timestamp,
) -> BTreeMap<String, Vec<i64>> {
    let sources: BTreeSet<&str> =
        before.documents.values().map(|known| known.source.as_str()).collect();
    let mut lags: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut add = |source: &str, changed_at| {
        if sources.contains(source) {
            lags.entry(source.to_owned()).or_default().push(between(changed_at, at));
        }
    };
    for (path, known) in &now.documents {
        let was = before.documents.get(path).map(|was| was.raw);
        if was != Some(known.raw) && known.fetched_at > since {
            add(&known.source, known.modified_at);
        }
    }
    for (path, gone) in &now.gone {
        if before.documents.contains_key(path) && gone.found_at > since {
            add(&gone.source, gone.last_seen);
        }
    }
    lags
}

/// Seconds from `from` to `to`; none are negative, whatever clocks say.
fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0)
}

#[cfg(test)]
mod tests;
