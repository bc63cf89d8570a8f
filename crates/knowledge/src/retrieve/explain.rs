//! Why a passage was found.

use serde::Serialize;
use serde_json::Value;

use super::bm25::{TermShare, Words};
use super::fuse::{Fused, share};
use super::{Ask, Filter};
use crate::spec::Mode;
use crate::{KnowledgeError, Snapshot};

/// Where a passage's score comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// By words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bm25: Option<WordScore>,
    /// By vectors: the cosine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Ranked>,
    /// The filters, and what the document has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Verdict>,
    /// Where it stood, from 1, before a model ordered the passages anew, and what that model gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranked: Option<Ranked>,
}

/// A score and a rank.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// The score.
    pub score: f32,
    /// The rank, from 1; none if it is beyond the list's end.
    pub rank: Option<usize>,
    /// What the rank adds to the fused score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// The score by words, term by term.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordScore {
    /// The sum, its rank and share.
    #[serde(flatten)]
    pub ranked: Ranked,
    /// How long the passage is, in terms, as the index keeps it: rounded.
    pub length: u32,
    /// How long passages are on average.
    pub average_length: f32,
    /// What each term adds.
    pub terms: Vec<TermShare>,
}

/// A filter's verdict on a document. Only those that passed are found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The filter, as commands have it.
    pub filter: String,
    /// What the document has; null if nothing.
    pub value: Value,
    /// Whether it passed.
    pub passed: bool,
}

impl Snapshot {
    pub(super) fn explain(
        &self,
        ask: &Ask,
        words: &Words,
        hit: &Fused,
    ) -> Result<Explanation, KnowledgeError> {
        let part = &self.parts()[hit.part];
        let segment = &part.segment;
        let ranked = |score: f32, rank: Option<usize>| {
            let share = rank.filter(|_| ask.mode == Mode::Hybrid).map(share);
            Ranked { score, rank, share }
        };
        let bm25 = match ask.mode {
            Mode::Vector => None,
            Mode::Bm25 | Mode::Hybrid => {
                let terms = words.shares(part, hit.row)?;
                let score = terms.iter().fold(0.0, |sum, term| sum + term.score);
                Some(WordScore {
                    ranked: ranked(score, hit.by_words),
                    length: segment.lengths.fieldnorm(hit.row),
                    average_length: words.average,
                    terms,
                })
            }
        };
        let vector = match (&segment.vectors, self.vector(ask)?) {
            (Some(vectors), Some(query)) => {
                Some(ranked(vectors.similarity(hit.row, query), hit.by_vector))
            }
            _ => None,
        };
        let document = segment.document(hit.row);
        let verdict = |filter: &Filter| {
            let value = self.manifest.property(document, &filter.key);
            Verdict {
                filter: filter.to_string(),
                passed: filter.passes(value.as_deref()),
                value: value.map_or(Value::Null, |value| value.into_owned()),
            }
        };
        let filters = ask.filters.iter().map(verdict).collect();
        Ok(Explanation { bm25, vector, filters, reranked: None })
    }
}
