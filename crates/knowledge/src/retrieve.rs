//! Finding passages: by words, by vectors, or by both.
//!
//! ```text
//!  Ask ─► rows that count (documents, filters) ──┬─► bm25 ───┐
//!                                                └─► vectors ┴─► fuse ─► passages, explained
//! ```
//!
//! The same ask of the same snapshot gives the same bits: every sum has a fixed order, and equal
//! scores are put in the order of their passages' ids.

mod alike;
mod best;
mod bm25;
mod explain;
mod filter;
mod fuse;
mod rerank;
mod rows;

use std::collections::HashMap;
use std::sync::Arc;

use release::Digest;
use serde::Serialize;

use crate::chunk::Surrounding;
use crate::segment::SmallQuery;
use crate::snapshot::Part;
use crate::spec::{Mode, Scan};
use crate::{KnowledgeError, Snapshot};

use best::{Best, Hit};
use bm25::Words;
use fuse::Fused;

pub(crate) use alike::{Question, found};
pub use bm25::TermShare;
pub use explain::{Explanation, Ranked, Verdict, WordScore};
pub use filter::{Filter, Test};
pub use rerank::{Reranked, Reranker, rerank};
pub(crate) use rows::Rows;

/// How many passages of each list are fused.
const DEPTH: usize = 50;
/// How many rows the 8-bit scan gives to the 32-bit one, for each that is wanted.
const AGAIN: usize = 4;

/// What is asked of a snapshot. [`Snapshot::ask`] makes one as its knowledge base wants it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The question.
    pub question: String,
    /// Its vector, by the snapshot's embedder; needed unless the mode is BM25.
    pub vector: Option<Arc<[f32]>>,
    /// By what passages are found.
    pub mode: Mode,
    /// How vectors are compared.
    pub scan: Scan,
    /// How many passages are wanted.
    pub limit: usize,
    /// What their documents must pass, all of it.
    pub filters: Vec<Filter>,
    /// Whether each passage says why it was found.
    pub explain: bool,
}

impl Ask {
    /// Whether the question's vector is needed.
    pub fn needs_vector(&self) -> bool {
        self.mode != Mode::Bm25 && !self.says_nothing()
    }

    fn says_nothing(&self) -> bool {
        self.question.trim().is_empty()
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The passages, best first.
    pub passages: Vec<Retrieved>,
    /// How many passages were looked at: those that count and passed the filters.
    pub considered: u64,
    /// What became of ordering them anew, if that was wanted.
    pub reranked: Option<Reranked>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retrieved {
    /// The chunk's id.
    pub id: Digest,
    /// The document's path.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// The headings it stands under.
    pub headings: Vec<String>,
    /// Its text.
    pub text: String,
    /// Its score: BM25's, the cosine, or the sum of its shares by rank.
    pub score: f32,
    /// Where it starts in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Where it starts in the document's text, in characters.
    pub start_char: usize,
    /// Where it ends, in characters.
    pub end_char: usize,
    /// The page it starts on, from 1, if the document has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// The larger passage that it was cut out of, if there is one: what grounds an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Surrounding>,
    /// Documents that say the same and are not found themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// Why it was found, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Explanation>,
}

impl Retrieved {
    /// Whether it is what a query must find: a passage's id, or the path of its document or of one
    /// that says the same.
    pub fn answers(&self, wanted: &str) -> bool {
        self.document == wanted
            || self.id.to_string() == wanted
            || self.copies.iter().any(|copy| copy == wanted)
    }
}

impl Snapshot {
    /// `question` as this knowledge base wants it to be asked.
    pub fn ask(&self, question: &str, limit: usize) -> Ask {
        let wanted = &self.manifest.retrieval;
        let embedded = self.manifest.embedding.is_some();
        Ask {
            question: question.to_owned(),
            vector: None,
            mode: wanted.mode.unwrap_or(if embedded { Mode::Hybrid } else { Mode::Bm25 }),
            scan: wanted.scan,
            limit,
            filters: wanted.filters.clone(),
            explain: false,
        }
    }

    /// The passages that fit best, best first; the same ask gets the same answer. Takes CPU time:
    /// call it where blocking is allowed.
    ///
    /// # Errors
    /// If the vector that the mode needs is missing or of another dimension, or the snapshot is
    /// unreadable.
    pub fn retrieve(&self, ask: &Ask) -> Result<Found, KnowledgeError> {
        let parts = self.parts();
        let counting = self.counting(&ask.filters);
        let considered = counting.iter().map(Rows::count).sum();
        if ask.limit == 0 || ask.says_nothing() {
            return Ok(Found { considered, ..Found::default() });
        }
        let vector = self.vector(ask)?;
        let depth = if ask.mode == Mode::Hybrid { DEPTH.max(ask.limit) } else { ask.limit };
        let words = Words::of(&ask.question, self)?;
        let by_words = match ask.mode {
            Mode::Vector => Vec::new(),
            Mode::Bm25 | Mode::Hybrid => words.best(parts, &counting, depth)?,
        };
        let by_vector = match vector {
            Some(vector) => nearest((parts, &counting), vector, ask.scan, depth),
            None => Vec::new(),
        };
        let mut fused = fuse::fuse(ask.mode, &by_words, &by_vector);
        fused.truncate(ask.limit);
        let passages = fused.iter().map(|hit| {
            let mut passage = self.passage(hit, &ask.filters)?;
            if ask.explain {
                passage.why = Some(self.explain(ask, &words, hit)?);
            }
            Ok(passage)
        });
        let passages = passages.collect::<Result<_, KnowledgeError>>()?;
        Ok(Found { passages, considered, reranked: None })
    }

    /// The passages of these ids, in their order, without scores. Those of documents that do not
    /// count, since they were erased, are left out.
    ///
    /// # Errors
    /// If the snapshot is unreadable.
    pub fn find(&self, ids: &[Digest]) -> Result<Vec<Retrieved>, KnowledgeError> {
        let mut places = HashMap::new();
        for (part, rows) in self.counting(&[]).iter().enumerate() {
            let segment = &self.parts()[part].segment;
            rows.each(|row| {
                let id = segment.id(row);
                if ids.contains(&id) {
                    places.entry(id).or_insert((part, row));
                }
            });
        }
        let places = ids.iter().filter_map(|id| places.get(id));
        places.map(|(part, row)| self.stored((*part, *row, 0.0), &[])).collect()
    }

    /// The vector that the ask's mode needs.
    fn vector<'a>(&self, ask: &'a Ask) -> Result<Option<&'a [f32]>, KnowledgeError> {
        if !ask.needs_vector() || self.parts().is_empty() {
            return Ok(None);
        }
        let wrong = |why: String| Err(KnowledgeError::Ask(why));
        let Some(embedding) = &self.manifest.embedding else {
            return wrong(format!(
                "mode `{}` needs vectors, and the snapshot has none: give the knowledge base an \
                 [embedding] and refresh it",
                ask.mode
            ));
        };
        match ask.vector.as_deref() {
            Some(vector) if vector.iter().any(|value| !value.is_finite()) => {
                wrong("the question's vector holds something that is not a number".to_owned())
            }
            Some(vector) if vector.len() == embedding.dimension as usize => Ok(Some(vector)),
            Some(vector) => wrong(format!(
                "the question's vector has {} dimensions, the snapshot's have {}",
                vector.len(),
                embedding.dimension
            )),
            None => wrong(format!("mode `{}` needs the question's vector", ask.mode)),
        }
    }

    fn passage(&self, hit: &Fused, filters: &[Filter]) -> Result<Retrieved, KnowledgeError> {
        self.stored((hit.part, hit.row, hit.score as f32), filters)
    }

    fn stored(
        &self,
        (part, row, score): (usize, u32, f32),
        filters: &[Filter],
    ) -> Result<Retrieved, KnowledgeError> {
        let segment = &self.parts()[part].segment;
        let chunk = segment.chunk(row)?;
        let parent = match chunk.parent {
            Some(_) => segment.parent(row)?,
            None => None,
        };
        Ok(Retrieved {
            id: chunk.id,
            copies: self.same_as(&chunk.document, filters),
            document: chunk.document,
            parent,
            title: chunk.title,
            headings: chunk.headings,
            score,
            start: chunk.start,
            end: chunk.start + chunk.text.len(),
            start_char: chunk.start_char,
            end_char: chunk.start_char + chunk.text.chars().count(),
            page: chunk.page,
            text: chunk.text,
            why: None,
        })
    }
}

/// The rows nearest to `query`, nearest first: all of them are compared.
fn nearest(
    (parts, counting): (&[Part], &[Rows]),
    query: &[f32],
    scan: Scan,
    limit: usize,
) -> Vec<Hit> {
    let exact = |part: usize, row: u32| match &parts[part].segment.vectors {
        Some(vectors) => vectors.similarity(row, query),
        None => 0.0,
    };
    let mut best = Best::new(parts, limit);
    match scan {
        Scan::Exact => {
            for (number, rows) in counting.iter().enumerate() {
                rows.each(|row| best.offer(exact(number, row), number, row));
            }
        }
        Scan::Int8 => {
            let small = SmallQuery::new(query);
            let mut candidates = Best::new(parts, limit * AGAIN);
            for (number, rows) in counting.iter().enumerate() {
                if let Some(vectors) = &parts[number].segment.vectors {
                    rows.each(|row| candidates.offer(vectors.estimate(row, &small), number, row));
                }
            }
            for hit in candidates.sorted() {
                best.offer(exact(hit.part, hit.row), hit.part, hit.row);
            }
        }
    }
    best.sorted()
}

#[cfg(test)]
mod tests;
