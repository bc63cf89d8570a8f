//! Summaries as rows of the table `metrics`, and back after a restart.
//!
//! A drained part of a minute is one row for all of it (events, total, and as the greatest what
//! anybody unlisted has at most), and one for each of its top contributors, named by `key.0` to
//! `key.3`, with what it contributed at most (sum) and at least (least).

use std::collections::{BTreeMap, HashMap};

use release::Timestamp;

use super::summary::{Entry, Summary};
use crate::rows::MetricPoint;

/// What names of such rows begin with.
const PREFIX: &str = "contributors/";
/// The attribute that tells whether a rule is still the same.
const RULE: &str = "rule";
/// How many contributors of a part are kept.
const TOP: usize = 25;
/// How far back is read, in seconds.
pub const REMEMBERED: i64 = 86_400;

/// The rows of a part of a minute, drained from a rule.
pub fn rows((name, digest): (&str, &str), minute: i64, part: &Summary) -> Vec<MetricPoint> {
    let mut top = part.top(TOP + 1);
    let cut = top.split_off(top.len().min(TOP));
    let floor = cut.first().map_or(part.floor(), |(_, entry)| part.floor().max(entry.value));
    let row = |keys: Vec<String>| {
        let keys = keys.into_iter().enumerate().map(|(at, key)| (format!("key.{at}"), key));
        MetricPoint {
            name: format!("{PREFIX}{name}"),
            kind: "rollup".to_owned(),
            at: Timestamp::from_second(minute).unwrap_or_default(),
            max: Some(floor),
            attributes: keys.chain([(RULE.to_owned(), digest.to_owned())]).collect(),
            ..MetricPoint::default()
        }
    };
    let all = MetricPoint {
        count: i64::try_from(part.events()).ok(),
        sum: Some(part.total()),
        ..row(Vec::new())
    };
    let each = top.into_iter().map(|(keys, entry)| MetricPoint {
        sum: Some(entry.value),
        min: Some(entry.value - entry.error),
        ..row(keys)
    });
    std::iter::once(all).chain(each).collect()
}

/// The rule of a row, and the digest that it had; `None` if the row is of something else.
pub fn rule_of(row: &MetricPoint) -> Option<(&str, &str)> {
    let name = row.name.strip_prefix(PREFIX)?;
    let digest = row.attributes.iter().find(|(name, _)| name == RULE)?;
    Some((name, digest.1.as_str()))
}

/// A rule's summaries, put together from rows in any order.
#[derive(Debug, Default)]
pub struct Restoring(BTreeMap<i64, Slot>);

#[derive(Debug, Default)]
struct Slot {
    /// What is known of each, and what anybody unlisted had at most in the parts that list it.
    entries: HashMap<Vec<String>, (Entry, f64)>,
    floor: f64,
    total: f64,
    events: u64,
}

impl Restoring {
    /// Adds a row to the slot that begins at `start`.
    pub fn add(&mut self, start: i64, row: &MetricPoint) {
        let slot = self.0.entry(start).or_default();
        let (sum, floor) = (row.sum.unwrap_or_default(), row.max.unwrap_or_default());
        let mut keys: Vec<_> =
            row.attributes.iter().filter(|(name, _)| name.starts_with("key.")).collect();
        keys.sort();
        if keys.is_empty() {
            slot.total += sum;
            slot.floor += floor;
            slot.events += row.count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            return;
        }
        let keys = keys.into_iter().map(|(_, key)| key.clone()).collect();
        let (entry, listed) = slot.entries.entry(keys).or_default();
        entry.value += sum;
        entry.error += sum - row.min.unwrap_or(sum);
        *listed += floor;
    }

    /// The summaries, by the begin of their slots.
    pub fn summaries(self) -> impl Iterator<Item = (i64, Summary)> {
        self.0.into_iter().map(|(start, slot)| {
            let Slot { entries, floor, total, events } = slot;
            let entries = entries.into_iter().map(|(keys, (entry, listed))| {
                // In the parts that do not list it, it had no more than anybody unlisted.
                let unlisted = (floor - listed).max(0.0);
                let (value, error) = (entry.value + unlisted, entry.error + unlisted);
                (keys.into_boxed_slice(), Entry { value, error })
            });
            (start, Summary::restored(entries.collect(), (floor, total, events)))
        })
    }
}
