//! Where the newest records are, in bounded memory.

use std::collections::{HashMap, VecDeque};

use release::TenantId;

use super::Summary;
use crate::record::TraceId;

/// Where a frame starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The segment's number.
    pub segment: u64,
    /// The offset in it.
    pub offset: u64,
}

#[derive(Debug)]
pub struct Index {
    capacity: usize,
    newest: VecDeque<(TenantId, Summary)>,
    places: HashMap<(TenantId, TraceId), Location>,
}

impl Index {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, newest: VecDeque::new(), places: HashMap::new() }
    }

    /// Adds a record; `true` if the oldest one had to go.
    pub fn insert(&mut self, tenant: TenantId, summary: Summary, location: Location) -> bool {
        self.places.insert((tenant.clone(), summary.trace), location);
        self.newest.push_back((tenant, summary));
        if self.newest.len() <= self.capacity {
            return false;
        }
        if let Some((tenant, summary)) = self.newest.pop_front() {
            self.places.remove(&(tenant, summary.trace));
        }
        true
    }

    pub fn find(&self, tenant: &TenantId, trace: TraceId) -> Option<Location> {
        self.places.get(&(tenant.clone(), trace)).copied()
    }

    /// The tenant's records, newest first.
    pub fn newest<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a Summary> {
        self.newest.iter().rev().filter(move |(of, _)| of == tenant).map(|(_, summary)| summary)
    }
}
