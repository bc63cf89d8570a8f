//! Top contributors: who or what causes most of something, by rules in the format of CloudWatch
//! Contributor Insights.
//!
//! ```text
//!  contributors/NAME.json ─► Rule ─┐
//!  Batch (spans, edges, scores, logs) ─► events ─► Summary of each minute ─► of each hour ─► Report
//! ```
//!
//! A summary is bounded (Space-Saving): what it tells of a contributor is never too little, and how
//! much it may be too much is told with it.

mod event;
mod kept;
mod rule;
mod summary;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use release::{Digest, TenantId, Timestamp};
use serde::Serialize;

use self::event::{Event, events};
use self::kept::Restoring;
pub use self::rule::{Aggregate, Rule, RuleError, RuleFile};
pub use self::summary::{CAPACITY, Entry, Summary};
use crate::rows::{Batch, MetricPoint};

/// Seconds of a minute's summary.
const MINUTE: i64 = 60;
/// Seconds of an hour's.
const HOUR: i64 = 3_600;
/// Seconds that minutes are kept before they become hours.
const MINUTES_KEPT: i64 = 3 * HOUR;
/// Seconds that anything is kept.
const KEPT: i64 = 15 * 86_400;
/// The most rules of a tenant, as CloudWatch has it.
pub const MAX_RULES: usize = 100;

/// Every tenant's rules and what they found.
#[derive(Debug, Default)]
pub struct Contributors {
    tenants: RwLock<HashMap<TenantId, Arc<Mutex<Rules>>>>,
    /// What rules found before a restart, by name and digest, until it is known which there are.
    restoring: Mutex<HashMap<TenantId, Found>>,
}

type Rules = BTreeMap<String, Watched>;
type Found = HashMap<(String, String), Restoring>;

/// A rule, and what it found by minute and hour.
#[derive(Debug)]
struct Watched {
    rule: Rule,
    digest: String,
    since: Timestamp,
    /// What was not drained yet, by minute.
    pending: BTreeMap<i64, Summary>,
    minutes: BTreeMap<i64, Summary>,
    hours: BTreeMap<i64, Summary>,
}

/// A rule, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Its name.
    pub rule: String,
    /// What contributors are told apart by.
    pub keys: Vec<String>,
    /// What is summed up, if not how often.
    pub value_of: Option<String>,
    /// Since when it is watched.
    pub since: Timestamp,
}

/// The top contributors of a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The rule.
    pub rule: String,
    /// What contributors are told apart by.
    pub keys: Vec<String>,
    /// `Sum` or `Count`.
    pub aggregate_on: Aggregate,
    /// From when on; a whole minute, or a whole hour where it is long ago.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// All contributions, exactly.
    pub total: f64,
    /// How many events contributed.
    pub events: u64,
    /// The contributors, the greatest first.
    pub contributors: Vec<Contributor>,
    /// The most that anybody who is not listed by the summary can have contributed.
    pub unlisted_at_most: f64,
}

/// One contributor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contributor {
    /// The values of the keys.
    pub keys: Vec<String>,
    /// What it contributed at most.
    pub value: f64,
    /// What it contributed at least.
    pub at_least: f64,
}

impl Contributors {
    /// Watches exactly these rules from `now` on. What an unchanged rule found is kept, before a
    /// restart too.
    pub fn watch(&self, tenant: &TenantId, rules: BTreeMap<String, Rule>, now: Timestamp) {
        let mut restoring = {
            let mut all = self.restoring.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(tenant).unwrap_or_default()
        };
        let known = self.tenant(tenant);
        let mut watched = known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *watched);
        for (name, rule) in rules.into_iter().take(MAX_RULES) {
            let same = before.remove(&name).filter(|known| known.rule == rule);
            let same = same.unwrap_or_else(|| {
                let mut fresh = Watched::new(rule, now);
                if let Some(found) = restoring.remove(&(name.clone(), fresh.digest.clone())) {
                    fresh.restore(found, now);
                }
                fresh
            });
            watched.insert(name, same);
        }
    }

    /// What was found since this was last called, as rows of kind `rollup`.
    pub fn drain(&self) -> Vec<(TenantId, Vec<MetricPoint>)> {
        let tenants: Vec<_> = {
            let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
            tenants.iter().map(|(tenant, rules)| (tenant.clone(), Arc::clone(rules))).collect()
        };
        let drained = tenants.into_iter().map(|(tenant, rules)| {
            let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
            let mut rows = Vec::new();
            for (name, watched) in rules.iter_mut() {
                for (minute, part) in std::mem::take(&mut watched.pending) {
                    rows.extend(kept::rows((name, &watched.digest), minute, &part));
                }
            }
            (tenant, rows)
        });
        drained.filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// Takes back what was drained before a restart, of the last day. Rows of anything else are
    /// passed over.
    pub fn restore(&self, tenant: &TenantId, rows: &[MetricPoint], now: Timestamp) {
        let mut all = self.restoring.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_second();
        for row in rows {
            let second = row.at.as_second();
            let Some((name, digest)) = kept::rule_of(row) else { continue };
            if second < now - kept::REMEMBERED {
                continue;
            }
            let of = all.entry(tenant.clone()).or_default();
            let found = of.entry((name.to_owned(), digest.to_owned())).or_default();
            found.add(slot(second, now), row);
        }
    }

    /// Counts what a batch tells, as it is received at `now`.
    pub fn observe(&self, tenant: &TenantId, batch: &Batch, now: Timestamp) {
        let known = self.tenant(tenant);
        let mut rules = known.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.is_empty() {
            return;
        }
        let now = now.as_second();
        for event in events(batch) {
            let second = event.at().as_second().min(now);
            if second < now - KEPT {
                continue;
            }
            for watched in rules.values_mut() {
                watched.count(&event, second, now);
            }
        }
        for watched in rules.values_mut() {
            watched.fold(now);
        }
    }

    /// The rules, by name.
    pub fn list(&self, tenant: &TenantId) -> Vec<Listed> {
        let known = self.tenant(tenant);
        let rules = known.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = rules.iter().map(|(name, watched)| Listed {
            rule: name.clone(),
            keys: watched.rule.keys(),
            value_of: watched.rule.value_of(),
            since: watched.since,
        });
        listed.collect()
    }

    /// The `top` contributors from `from` to `to`; `None` if there is no such rule.
    pub fn report(
        &self,
        tenant: &TenantId,
        rule: &str,
        (from, to): (Timestamp, Timestamp),
        top: usize,
    ) -> Option<Report> {
        let known = self.tenant(tenant);
        let rules = known.lock().unwrap_or_else(PoisonError::into_inner);
        Some(rules.get(rule)?.report(rule, (from, to), top))
    }

    fn tenant(&self, tenant: &TenantId) -> Arc<Mutex<Rules>> {
        let known = {
            let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
            tenants.get(tenant).cloned()
        };
        known.unwrap_or_else(|| {
            let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tenants.entry(tenant.clone()).or_default())
        })
    }
}

impl Watched {
    fn new(rule: Rule, since: Timestamp) -> Self {
        // The same rule is written out alike, whatever its file looks like.
        let digest = Digest::of(format!("{rule:?}").as_bytes()).to_string();
        let (pending, minutes, hours) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { rule, digest, since, pending, minutes, hours }
    }

    fn restore(&mut self, found: Restoring, now: Timestamp) {
        for (start, summary) in found.summaries() {
            self.since = self.since.min(Timestamp::from_second(start).unwrap_or(self.since));
            self.at(start, now.as_second()).merge(&summary);
        }
    }

    /// The summary of a moment: of its minute, or of its hour if it is long ago.
    fn at(&mut self, second: i64, now: i64) -> &mut Summary {
        let slots = if is_minute(second, now) { &mut self.minutes } else { &mut self.hours };
        slots.entry(slot(second, now)).or_default()
    }

    fn count(&mut self, event: &Event<'_>, second: i64, now: i64) {
        let Some((keys, value)) = self.rule.contribution(event) else { return };
        let minute = second.div_euclid(MINUTE) * MINUTE;
        self.pending.entry(minute).or_default().add(keys.clone(), value);
        self.at(second, now).add(keys, value);
    }

    /// Makes hours of old minutes, and forgets old hours.
    fn fold(&mut self, now: i64) {
        // Whole hours, so that none is in both for long.
        let until = (now - MINUTES_KEPT).div_euclid(HOUR) * HOUR;
        while let Some(first) = self.minutes.first_entry().filter(|it| *it.key() < until) {
            let (minute, summary) = first.remove_entry();
            self.hours.entry(minute.div_euclid(HOUR) * HOUR).or_default().merge(&summary);
        }
        while let Some(first) = self.hours.first_entry().filter(|it| *it.key() < now - KEPT) {
            first.remove();
        }
    }

    fn report(&self, name: &str, (from, to): (Timestamp, Timestamp), top: usize) -> Report {
        let (first, end) = (from.as_second(), to.as_second());
        let mut begin = first.div_euclid(MINUTE) * MINUTE;
        let mut all = Summary::default();
        let hour = begin.div_euclid(HOUR) * HOUR;
        for (start, summary) in self.hours.range(hour..end.max(hour)) {
            begin = begin.min(*start);
            all.merge(summary);
        }
        for (_, summary) in self.minutes.range(begin..end.max(begin)) {
            all.merge(summary);
        }
        let contributors = all.top(top).into_iter().map(|(keys, entry)| Contributor {
            keys,
            value: entry.value,
            at_least: entry.value - entry.error,
        });
        Report {
            rule: name.to_owned(),
            keys: self.rule.keys(),
            aggregate_on: self.rule.aggregate(),
            from: Timestamp::from_second(begin).unwrap_or(from),
            to,
            total: all.total(),
            events: all.events(),
            contributors: contributors.collect(),
            unlisted_at_most: all.floor(),
        }
    }
}

fn is_minute(second: i64, now: i64) -> bool {
    second >= now - MINUTES_KEPT
}

/// When the slot of a moment begins.
fn slot(second: i64, now: i64) -> i64 {
    let length = if is_minute(second, now) { MINUTE } else { HOUR };
    second.div_euclid(length) * length
}

#[cfg(test)]
mod tests;
