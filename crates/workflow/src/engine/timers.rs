//! What comes due, in memory; the records hold it for good.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use release::{TenantId, Timestamp};

use super::ExecutionKey;
use crate::interpreter::Input;

/// Something that comes due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub tenant: TenantId,
    pub key: ExecutionKey,
    pub input: Input,
}

/// The timers that are set, by their time.
#[derive(Debug, Default)]
pub struct Timers {
    order: BinaryHeap<Reverse<(Timestamp, u64)>>,
    due: BTreeMap<u64, Due>,
    count: u64,
}

impl Timers {
    /// Sets a timer.
    pub fn add(&mut self, at: Timestamp, tenant: &TenantId, key: &ExecutionKey, input: Input) {
        self.count += 1;
        self.order.push(Reverse((at, self.count)));
        let (tenant, key) = (tenant.clone(), key.clone());
        self.due.insert(self.count, Due { tenant, key, input });
    }

    /// Takes out all.
    pub fn clear(&mut self) {
        self.order.clear();
        self.due.clear();
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.order.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out all that are due at `now`, the earliest first.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut all = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, number))) = self.order.pop() else { break };
            all.extend(self.due.remove(&number));
        }
        all
    }
}
