//! The history of one series: slots of ten seconds for the last hour, of a minute before.
//!
//! A slot that has nothing in it takes no room. What was counted since the last drain is held
//! open; the rest is sealed, in the sketch's binary form.

use std::collections::{BTreeMap, VecDeque};

use super::sketch::Sketch;

/// Seconds of a fine slot.
pub const FINE: i64 = 10;
/// Seconds of a coarse slot.
pub const COARSE: i64 = 60;
/// Seconds that fine slots are kept.
pub const FINE_KEPT: i64 = 3_600;
/// Seconds that coarse slots are kept at most.
pub const COARSE_KEPT: i64 = 15 * 86_400;

/// What was counted in one slot.
#[derive(Debug, Default)]
struct Slot {
    /// When it begins, in seconds since 1970.
    start: i64,
    /// What was drained already; empty if nothing was.
    sealed: Box<[u8]>,
    /// What came since.
    open: Option<Box<Sketch>>,
}

impl Slot {
    fn merge_into(&self, sketch: &mut Sketch) {
        if let Some(open) = &self.open {
            sketch.merge(open);
        }
        // They are our own bytes.
        if let Some(sealed) = Sketch::from_bytes(&self.sealed).filter(|_| !self.sealed.is_empty()) {
            sketch.merge(&sealed);
        }
    }

    /// Puts drained history in.
    fn restore(&mut self, values: &Sketch) {
        let mut all = Sketch::from_bytes(&self.sealed).unwrap_or_default();
        all.merge(values);
        self.sealed = all.to_bytes().into_boxed_slice();
    }

    fn absorb(&mut self, other: Self) {
        if let Some(open) = other.open {
            self.open.get_or_insert_default().merge(&open);
        }
        if self.sealed.is_empty() {
            self.sealed = other.sealed;
        } else if let Some(sealed) = Sketch::from_bytes(&other.sealed) {
            self.restore(&sealed);
        }
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.sealed.len() + self.open.as_ref().map_or(0, |open| open.memory())
    }
}

/// The history of one series.
#[derive(Debug, Default)]
pub struct Slots {
    fine: VecDeque<Slot>,
    coarse: VecDeque<Slot>,
}

impl Slots {
    /// Adds values to the slot of their moment. They are younger than [`COARSE_KEPT`] and not of the future.
    pub fn add(&mut self, second: i64, now: i64, add: impl FnOnce(&mut Sketch)) {
        let slot = if second >= fine_from(now) {
            slot(&mut self.fine, second.div_euclid(FINE) * FINE)
        } else {
            slot(&mut self.coarse, second.div_euclid(COARSE) * COARSE)
        };
        add(slot.open.get_or_insert_default());
    }

    /// Puts a drained minute back.
    pub fn restore(&mut self, minute: i64, values: &Sketch) {
        slot(&mut self.coarse, minute.div_euclid(COARSE) * COARSE).restore(values);
    }

    /// What was counted since it was last asked, by minute.
    pub fn drain(&mut self) -> BTreeMap<i64, Sketch> {
        let mut minutes: BTreeMap<i64, Sketch> = BTreeMap::new();
        for slot in self.fine.iter_mut().chain(&mut self.coarse) {
            if let Some(open) = slot.open.take() {
                let minute = slot.start.div_euclid(COARSE) * COARSE;
                minutes.entry(minute).or_default().merge(&open);
                slot.restore(&open);
            }
        }
        minutes
    }

    /// Makes minutes of fine slots that are old enough, and lets go what is older than `from`. What
    /// was not drained yet stays.
    pub fn fold(&mut self, now: i64, from: i64) {
        // Whole minutes only, so that none is in both.
        let until = fine_from(now);
        while let Some(old) = self.fine.pop_front_if(|slot| slot.start < until) {
            slot(&mut self.coarse, old.start.div_euclid(COARSE) * COARSE).absorb(old);
        }
        while self.coarse.pop_front_if(|slot| slot.start < from && slot.open.is_none()).is_some() {}
    }

    /// Calls `each` with every slot that begins within `from..to`, coarse ones if they are wanted:
    /// its begin, and a way to merge what is in it.
    pub fn read(
        &self,
        (from, to): (i64, i64),
        coarse: bool,
        mut each: impl FnMut(i64, &dyn Fn(&mut Sketch)),
    ) {
        for slots in coarse.then_some(&self.coarse).into_iter().chain([&self.fine]) {
            let first = slots.partition_point(|slot| slot.start < from);
            for slot in slots.range(first..).take_while(|slot| slot.start < to) {
                each(slot.start, &|sketch| slot.merge_into(sketch));
            }
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.fine.is_empty() && self.coarse.is_empty()
    }

    /// When the newest slot begins.
    pub fn newest(&self) -> Option<i64> {
        self.fine.back().or(self.coarse.back()).map(|slot| slot.start)
    }

    /// The bytes that all slots take.
    pub fn memory(&self) -> usize {
        self.fine.iter().chain(&self.coarse).map(Slot::memory).sum()
    }

    /// Adds each coarse slot's bytes to its minute's.
    pub fn weigh(&self, minutes: &mut BTreeMap<i64, usize>) {
        for slot in self.coarse.iter().filter(|slot| slot.open.is_none()) {
            *minutes.entry(slot.start).or_default() += slot.memory();
        }
    }
}

/// From when on slots are fine: a whole minute, an hour ago.
fn fine_from(now: i64) -> i64 {
    (now - FINE_KEPT).div_euclid(COARSE) * COARSE
}

/// The slot that begins at `start`; made if it is missing.
fn slot(slots: &mut VecDeque<Slot>, start: i64) -> &mut Slot {
    let found = match slots.back() {
        // Most samples are of now.
        Some(last) if last.start == start => Ok(slots.len() - 1),
        Some(last) if last.start < start => Err(slots.len()),
        _ => slots.binary_search_by_key(&start, |slot| slot.start),
    };
    let at = found.unwrap_or_else(|at| {
        slots.insert(at, Slot { start, ..Slot::default() });
        at
    });
    &mut slots[at]
}
