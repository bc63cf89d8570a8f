//! A bounded summary of who contributed what: Space-Saving (Metwally, Agrawal, El Abbadi:
//! "Efficient computation of frequent and top-k elements in data streams", ICDT 2005), mergeable
//! (Agarwal et al.: "Mergeable summaries", PODS 2012).

use std::collections::HashMap;

/// How many contributors a summary holds. Whoever contributes more than the total divided by it
/// is among them.
pub const CAPACITY: usize = 200;

/// What is known of one contributor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Entry {
    /// What it contributed at most.
    pub value: f64,
    /// How much that may be too much.
    pub error: f64,
}

/// The contributors of a time.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    entries: HashMap<Box<[String]>, Entry>,
    /// The most that anybody without an entry can have contributed.
    floor: f64,
    total: f64,
    events: u64,
}

impl Summary {
    /// A summary of entries that are known, of the floor, the total and the number of events.
    pub fn restored(
        entries: HashMap<Box<[String]>, Entry>,
        (floor, total, events): (f64, f64, u64),
    ) -> Self {
        let mut restored = Self { entries, floor, total, events };
        restored.cut();
        restored
    }

    /// Adds a contribution, which is not negative.
    pub fn add(&mut self, keys: Vec<String>, value: f64) {
        self.total += value;
        self.events += 1;
        if let Some(entry) = self.entries.get_mut(keys.as_slice()) {
            entry.value += value;
            return;
        }
        if self.entries.len() >= CAPACITY {
            let least =
                self.entries.iter().min_by(|one, other| order((one.0, one.1), (other.0, other.1)));
            if let Some((least, Entry { value, .. })) =
                least.map(|(keys, entry)| (keys.clone(), *entry))
            {
                self.entries.remove(&least);
                self.floor = self.floor.max(value);
            }
        }
        let entry = Entry { value: self.floor + value, error: self.floor };
        self.entries.insert(keys.into_boxed_slice(), entry);
    }

    /// Adds all that another summary knows.
    pub fn merge(&mut self, other: &Self) {
        for (keys, entry) in &mut self.entries {
            let more = other.entries.get(keys).copied().unwrap_or(other.unknown());
            entry.value += more.value;
            entry.error += more.error;
        }
        let unknown = self.unknown();
        for (keys, entry) in &other.entries {
            self.entries.entry(keys.clone()).or_insert(Entry {
                value: entry.value + unknown.value,
                error: entry.error + unknown.error,
            });
        }
        self.floor += other.floor;
        self.total += other.total;
        self.events += other.events;
        self.cut();
    }

    /// Keeps the greatest.
    fn cut(&mut self) {
        if self.entries.len() > CAPACITY {
            let mut all: Vec<_> = std::mem::take(&mut self.entries).into_iter().collect();
            all.sort_by(|one, other| order((&other.0, &other.1), (&one.0, &one.1)));
            let cut = all.split_off(CAPACITY);
            let greatest = cut.first().map_or(0.0, |(_, entry)| entry.value);
            self.floor = self.floor.max(greatest);
            self.entries = all.into_iter().collect();
        }
    }

    /// The greatest contributors, the greatest first.
    pub fn top(&self, count: usize) -> Vec<(Vec<String>, Entry)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by(|one, other| order((other.0, other.1), (one.0, one.1)));
        all.truncate(count);
        all.into_iter().map(|(keys, entry)| (keys.to_vec(), *entry)).collect()
    }

    /// All contributions.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// How many there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The most that anybody without an entry can have contributed.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// What is known of whoever has no entry.
    fn unknown(&self) -> Entry {
        Entry { value: self.floor, error: self.floor }
    }
}

/// By value, then by what is certain, then by name, so that equal ones always come alike.
fn order(
    (one_keys, one): (&[String], &Entry),
    (other_keys, other): (&[String], &Entry),
) -> std::cmp::Ordering {
    let certain = |entry: &Entry| entry.value - entry.error;
    let by_value = one.value.total_cmp(&other.value);
    let by_certain = || certain(one).total_cmp(&certain(other));
    by_value.then_with(by_certain).then_with(|| other_keys.cmp(one_keys))
}
