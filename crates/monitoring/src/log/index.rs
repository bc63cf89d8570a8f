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
    complete: bool,
    newest: VecDeque<(TenantId, Summary)>,
    places: HashMap<(TenantId, TraceId), Location>,
}

impl Index {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, complete: true, newest: VecDeque::new(), places: HashMap::new() }
    }

    /// The most records it holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// Whether it holds every record of the log.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// Notes that the log has records it does not hold.
    pub fn incomplete(&mut self) {
        self.complete = false;
    }

    /// Adds a record; beyond the capacity the oldest one goes.
    pub fn insert(&mut self, tenant: TenantId, summary: Summary, location: Location) {
        self.places.insert((tenant.clone(), summary.trace), location);
        self.newest.push_back((tenant, summary));
        if self.newest.len() > self.capacity
            && let Some((tenant, summary)) = self.newest.pop_front()
        {
            self.complete = false;
            self.places.remove(&(tenant, summary.trace));
        }
    }

    pub fn find(&self, tenant: &TenantId, trace: TraceId) -> Option<Location> {
        self.places.get(&(tenant.clone(), trace)).copied()
    }

    /// The tenant's records, newest first.
    pub fn newest<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a Summary> {
        self.newest.iter().rev().filter(move |(of, _)| of == tenant).map(|(_, summary)| summary)
    }
}
