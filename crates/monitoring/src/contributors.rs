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
mod rule;
mod summary;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use release::{TenantId, Timestamp};
use serde::Serialize;

use self::event::{Event, events};
pub use self::rule::{Aggregate, Rule, RuleError, RuleFile};
pub use self::summary::{CAPACITY, Entry, Summary};
use crate::rows::Batch;

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
}

type Rules = BTreeMap<String, Watched>;

/// A rule, and what it found by minute and hour.
#[derive(Debug)]
struct Watched {
    rule: Rule,
    since: Timestamp,
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
    /// Watches exactly these rules from `now` on. What an unchanged rule found is kept.
    pub fn watch(&self, tenant: &TenantId, rules: BTreeMap<String, Rule>, now: Timestamp) {
        let known = self.tenant(tenant);
        let mut watched = known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *watched);
        for (name, rule) in rules.into_iter().take(MAX_RULES) {
            let same = before.remove(&name).filter(|known| known.rule == rule);
            let fresh =
                || Watched { rule, since: now, minutes: BTreeMap::new(), hours: BTreeMap::new() };
            watched.insert(name, same.unwrap_or_else(fresh));
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
    fn count(&mut self, event: &Event<'_>, second: i64, now: i64) {
        let Some((keys, value)) = self.rule.contribution(event) else { return };
        let summary = match second < now - MINUTES_KEPT {
            true => self.hours.entry(second.div_euclid(HOUR) * HOUR).or_default(),
            false => self.minutes.entry(second.div_euclid(MINUTE) * MINUTE).or_default(),
        };
        summary.add(keys, value);
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

#[cfg(test)]
mod tests;
