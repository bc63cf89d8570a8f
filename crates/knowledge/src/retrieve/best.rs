//! The best of many rows, without keeping the others.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use release::Digest;

use crate::snapshot::Part;

/// A row with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub score: f32,
    pub id: Digest,
    pub part: usize,
    pub row: u32,
}

impl Eq for Hit {}

/// Greater is better: by score, then by id, the smaller first.
impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.id.cmp(&self.id))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the best rows of those it is offered.
pub struct Best<'a> {
    parts: &'a [Part],
    limit: usize,
    heap: BinaryHeap<Reverse<Hit>>,
    /// What a row must reach once there are enough.
    least: f32,
}

impl<'a> Best<'a> {
    pub fn new(parts: &'a [Part], limit: usize) -> Self {
        Self { parts, limit, heap: BinaryHeap::new(), least: f32::NEG_INFINITY }
    }

    pub fn offer(&mut self, score: f32, part: usize, row: u32) {
        // Most rows end here. Ids are looked up for those only that may stay.
        if score < self.least {
            return;
        }
        let id = self.parts[part].segment.id(row);
        self.heap.push(Reverse(Hit { score, id, part, row }));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
        if self.heap.len() == self.limit {
            self.least = self.heap.peek().map_or(self.least, |worst| worst.0.score);
        }
    }

    /// The best rows, best first.
    pub fn sorted(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|hit| hit.0).collect()
    }
}
