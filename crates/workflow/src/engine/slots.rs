//! Executions in memory, so that the next transition of one need not read it again.
//!
//! A slot is locked while its execution moves: within a server transitions of one execution wait for
//! each other. Among servers the compare-and-swap of the record decides, and what a slot holds is
//! thrown away when it loses.

use std::collections::HashMap;
use std::sync::Arc;

use release::TenantId;
use tokio::sync::Mutex;

use super::{ExecutionKey, ExecutionRecord};

/// How many executions are kept at least; at most it is twice as many.
const KEPT: usize = 4_096;

/// An execution as it was last read or written, with its version.
pub type Known = Option<(u64, Arc<ExecutionRecord>)>;

pub type Slot = Arc<Mutex<Known>>;

type Kept = HashMap<(TenantId, ExecutionKey), Slot>;

/// The executions that moved last.
#[derive(Debug, Default)]
pub struct Slots {
    recent: Kept,
    older: Kept,
}

impl Slots {
    /// The slot of an execution; an empty one if it has not moved for long.
    pub fn of(&mut self, tenant: &TenantId, key: &ExecutionKey) -> Slot {
        let name = (tenant.clone(), key.clone());
        if let Some(slot) = self.recent.get(&name) {
            return Arc::clone(slot);
        }
        let slot = self.older.remove(&name).unwrap_or_default();
        if self.recent.len() >= KEPT {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(name, Arc::clone(&slot));
        slot
    }

    /// Forgets an execution that moves no more.
    pub fn forget(&mut self, tenant: &TenantId, key: &ExecutionKey) {
        let name = (tenant.clone(), key.clone());
        self.recent.remove(&name);
        self.older.remove(&name);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
