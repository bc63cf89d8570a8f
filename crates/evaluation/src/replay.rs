//! One request answered twice: how alike the answers are, which words differ, and which passages
//! moved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use crate::scorers::{RougeVariant, chrf, rouge};

/// The most bytes of a text whose words are compared.
const MAX_DIFF: usize = 20_000;

/// How alike two answers are, by spelling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    /// Whether they are the same to the letter.
    pub same: bool,
    /// ROUGE-L's F1, 0 to 1, without stemming; none if the texts are too long for it.
    pub rouge_l: Option<f64>,
    /// chrF, 0 to 100, the first answer being the reference.
    pub chrf: f64,
}

impl Likeness {
    /// How alike `after` is to `before`.
    pub fn of(before: &str, after: &str) -> Self {
        let overlap = rouge(RougeVariant::Longest, false, before, after);
        Self {
            same: before == after,
            rouge_l: overlap.map(|overlap| overlap.f1),
            chrf: chrf(before, after),
        }
    }
}

/// Where a passage was found for each answer, from 1; none where it was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The passage.
    pub id: String,
    /// The document it is of.
    pub document: String,
    /// Its rank for the first answer.
    pub before: Option<usize>,
    /// Its rank for the second.
    pub after: Option<usize>,
}

/// Which passages were kept, gained and lost, and how their ranks changed: those of the second
/// answer in their order, then those it lost. Each list has passages with their documents, best
/// first.
pub fn moved(before: &[(String, String)], after: &[(String, String)]) -> Vec<Moved> {
    let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
    for (rank, (id, _)) in (1..).zip(before) {
        ranks.entry(id).or_insert(rank);
    }
    let place = |(id, document): &(String, String), before, after| Moved {
        id: id.clone(),
        document: document.clone(),
        before,
        after,
    };
    let mut all: Vec<Moved> = (1..)
        .zip(after)
        .map(|(rank, passage)| place(passage, ranks.remove(passage.0.as_str()), Some(rank)))
        .collect();
    let lost = (1..).zip(before).filter(|(rank, (id, _))| ranks.get(id.as_str()) == Some(rank));
    all.extend(lost.map(|(rank, passage)| place(passage, Some(rank), None)));
    all
}

/// Words of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// In both.
    Same(String),
    /// In the first alone.
    Lost(String),
    /// In the second alone.
    Gained(String),
}

/// Two texts as the words they share and those they do not, in order; none if they are the same or
/// too long to compare.
pub fn words(before: &str, after: &str) -> Option<Vec<Piece>> {
    if before == after || before.len().max(after.len()) > MAX_DIFF {
        return None;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for change in TextDiff::from_words(before, after).iter_all_changes() {
        let word = change.value();
        match (change.tag(), pieces.last_mut()) {
            (ChangeTag::Equal, Some(Piece::Same(words)))
            | (ChangeTag::Delete, Some(Piece::Lost(words)))
            | (ChangeTag::Insert, Some(Piece::Gained(words))) => words.push_str(word),
            (ChangeTag::Equal, _) => pieces.push(Piece::Same(word.to_owned())),
            (ChangeTag::Delete, _) => pieces.push(Piece::Lost(word.to_owned())),
            (ChangeTag::Insert, _) => pieces.push(Piece::Gained(word.to_owned())),
        }
    }
    Some(pieces)
}

#[cfg(test)]
mod tests;
