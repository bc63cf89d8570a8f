//! Queries for a knowledge base that has none of its own: its passages themselves.

use super::Judged;
use crate::{KnowledgeError, Snapshot};

/// How many words of a passage ask for it.
const WORDS: usize = 12;

impl Snapshot {
    /// At most `most` queries drawn evenly from the passages: the first words of each, and its
    /// vector where there are vectors, so that no embedder is needed. The same snapshot gives the
    /// same queries. They show whether it is searched as before, not whether it finds what it should.
    ///
    /// # Errors
    /// If a passage is unreadable.
    pub fn drawn_queries(&self, most: usize) -> Result<Vec<Judged>, KnowledgeError> {
        let mut rows = Vec::new();
        for part in self.parts() {
            part.counting(&[], &self.manifest).each(|row| rows.push((&part.segment, row)));
        }
        let step = rows.len().div_ceil(most.max(1)).max(1);
        let drawn = rows.iter().step_by(step).map(|(segment, row)| {
            let text = segment.chunk(*row)?.text;
            Ok(Judged {
                query: text.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" "),
                relevant: Vec::new(),
                vector: segment.vectors.as_ref().map(|all| all.values(*row..*row + 1).collect()),
            })
        });
        drawn.collect()
    }
}
