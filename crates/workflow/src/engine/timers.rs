//! What comes due, in memory; the records hold it for good.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use release::{TenantId, Timestamp};

use super::ExecutionKey;
use crate::interpreter::Input;

/// An execution, and whose it is.
type Whose = (TenantId, ExecutionKey);

/// Something that comes due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub whose: Arc<Whose>,
    pub input: Input,
}

/// The timers that are set, by their time; those of one time in the order in which they were set.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<(Timestamp, u64), Due>,
    /// Which are set for each execution, so that none outlives it.
    of: HashMap<Arc<Whose>, Vec<(Timestamp, u64)>>,
    count: u64,
}

impl Timers {
    /// Sets a timer.
    pub fn add(&mut self, at: Timestamp, tenant: &TenantId, key: &ExecutionKey, input: Input) {
        self.count += 1;
        let place = (at, self.count);
        let whose = (tenant.clone(), key.clone());
        let known = self.of.get_key_value(&whose).map(|(whose, _)| Arc::clone(whose));
        let whose = known.unwrap_or_else(|| Arc::new(whose));
        self.of.entry(Arc::clone(&whose)).or_default().push(place);
        self.due.insert(place, Due { whose, input });
    }

    /// Takes out those of an execution that is over.
    pub fn forget(&mut self, tenant: &TenantId, key: &ExecutionKey) {
        let places = self.of.remove(&(tenant.clone(), key.clone()));
        for place in places.unwrap_or_default() {
            self.due.remove(&place);
        }
    }

    /// Takes out all.
    pub fn clear(&mut self) {
        self.due.clear();
        self.of.clear();
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out all that are due at `now`, the earliest first.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut all = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some((place, due)) = self.due.pop_first() else { break };
            if let Some(places) = self.of.get_mut(&due.whose) {
                places.retain(|other| *other != place);
                if places.is_empty() {
                    self.of.remove(&due.whose);
                }
            }
            all.push(due);
        }
        all
    }
}

#[cfg(test)]
mod tests;
