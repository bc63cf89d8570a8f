//! Two ranked lists become one (reciprocal rank fusion: Cormack, Clarke and Büttcher, 2009).

use std::collections::HashMap;

use release::Digest;

use super::best::Hit;
use crate::spec::Mode;

/// How little the first ranks stand out.
const K: f64 = 60.0;

/// A row of the fused list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fused {
    pub score: f64,
    pub id: Digest,
    pub part: usize,
    pub row: u32,
    /// Its rank by words, from 1, if it is in that list.
    pub by_words: Option<usize>,
    /// Its rank by vectors, from 1, if it is in that list.
    pub by_vector: Option<usize>,
}

/// What a rank adds to a passage's score.
pub fn share(rank: usize) -> f64 {
    1.0 / (K + rank as f64)
}

/// The list that `mode` asks for: one of the two as it is, or both by the sum of shares, equal sums
/// by id.
pub fn fuse(mode: Mode, by_words: &[Hit], by_vector: &[Hit]) -> Vec<Fused> {
    let mut found: HashMap<(usize, u32), Fused> = HashMap::new();
    for (words, list) in [(true, by_words), (false, by_vector)] {
        for (rank, hit) in (1..).zip(list) {
            let Hit { id, part, row, score } = *hit;
            let none = Fused { score: 0.0, id, part, row, by_words: None, by_vector: None };
            let fused = found.entry((part, row)).or_insert(none);
            fused.score += if mode == Mode::Hybrid { share(rank) } else { f64::from(score) };
            let of = if words { &mut fused.by_words } else { &mut fused.by_vector };
            *of = Some(rank);
        }
    }
    let mut fused: Vec<_> = found.into_values().collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    fused
}
