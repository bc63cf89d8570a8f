//! Scores by words.
//!
//! `score = Σ idf · tf · (k1 + 1) / (tf + k1 · (1 − b + b · length / average length))` with
//! `idf = ln(1 + (N − df + 0.5) / (df + 0.5))` (Robertson and Zaragoza, 2009). N, df and the average
//! are those of the whole snapshot, rows that count no more included, so that scores do not depend on
//! how it is split into segments. Terms are summed in the question's order.

use std::collections::HashSet;

use serde::Serialize;
use tantivy::Term;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::schema::IndexRecordOption;

use super::best::{Best, Hit};
use super::rows::Rows;
use crate::analyse::terms;
use crate::snapshot::Part;
use crate::{KnowledgeError, Snapshot};

const K1: f32 = 1.2;
const B: f32 = 0.75;
/// The most different terms of a question that are asked for.
const MAX_TERMS: usize = 64;

/// A question's terms, weighed.
#[derive(Debug)]
pub struct Words {
    terms: Vec<Asked>,
    /// What stands below tf for each length, as it is stored.
    norms: Vec<f32>,
    /// How long passages are on average, in terms.
    pub average: f32,
}

#[derive(Debug)]
struct Asked {
    text: String,
    idf: f32,
}

/// What a term adds to a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermShare {
    /// The term.
    pub term: String,
    /// How rare it is.
    pub idf: f32,
    /// How often the passage has it.
    pub tf: u32,
    /// What it adds.
    pub score: f32,
}

impl Words {
    /// The terms of `question`, each once.
    pub fn of(question: &str, snapshot: &Snapshot) -> Result<Self, KnowledgeError> {
        let mut seen = HashSet::new();
        let mut asked = terms(question);
        asked.retain(|term| seen.len() < MAX_TERMS && seen.insert(term.clone()));
        let parts = snapshot.parts();
        let documents: u64 = parts.iter().map(|part| u64::from(part.segment.rows())).sum();
        let tokens: u64 = parts.iter().map(|part| part.segment.postings.total_num_tokens()).sum();
        let average = tokens as f32 / documents.max(1) as f32;
        let norm = |code: u8| {
            let length = FieldNormReader::id_to_fieldnorm(code) as f32;
            K1 * (1.0 - B + B * length / average.max(f32::MIN_POSITIVE))
        };
        let weighed = asked.into_iter().map(|text| {
            let mut holding = 0;
            for part in parts {
                let term = Term::from_field_text(part.segment.field, &text);
                holding += u64::from(part.segment.postings.doc_freq(&term).map_err(failed)?);
            }
            let without = documents.saturating_sub(holding) as f32;
            let idf = (1.0 + (without + 0.5) / (holding as f32 + 0.5)).ln();
            Ok(Asked { text, idf })
        });
        let terms = weighed.collect::<Result<_, KnowledgeError>>()?;
        Ok(Self { terms, norms: (0..=u8::MAX).map(norm).collect(), average })
    }

    /// The rows that fit best among those that count, best first.
    pub fn best(
        &self,
        parts: &[Part],
        counting: &[Rows],
        limit: usize,
    ) -> Result<Vec<Hit>, KnowledgeError> {
        let mut best = Best::new(parts, limit);
        for (number, (part, rows)) in parts.iter().zip(counting).enumerate() {
            let scores = self.scores(part)?;
            rows.each(|row| {
                let score = scores[row as usize];
                if score > 0.0 {
                    best.offer(score, number, row);
                }
            });
        }
        Ok(best.sorted())
    }

    /// The score of every row of `part`.
    fn scores(&self, part: &Part) -> Result<Vec<f32>, KnowledgeError> {
        let segment = &part.segment;
        let mut scores = vec![0.0; segment.rows() as usize];
        for asked in &self.terms {
            let term = Term::from_field_text(segment.field, &asked.text);
            let postings =
                segment.postings.read_block_postings(&term, IndexRecordOption::WithFreqs);
            let Some(mut postings) = postings.map_err(failed)? else { continue };
            while postings.block_len() > 0 {
                for (row, tf) in postings.docs().iter().zip(postings.freqs()) {
                    let norm = self.norms[usize::from(segment.lengths.fieldnorm_id(*row))];
                    scores[*row as usize] += score(asked.idf, *tf, norm);
                }
                postings.advance();
            }
        }
        Ok(scores)
    }

    /// What each term adds to the score of `row`; their sum is the score, to the bit.
    pub fn shares(&self, part: &Part, row: u32) -> Result<Vec<TermShare>, KnowledgeError> {
        let segment = &part.segment;
        let norm = self.norms[usize::from(segment.lengths.fieldnorm_id(row))];
        let mut shares = Vec::new();
        for asked in &self.terms {
            let term = Term::from_field_text(segment.field, &asked.text);
            let postings =
                segment.postings.read_block_postings(&term, IndexRecordOption::WithFreqs);
            let Some(mut postings) = postings.map_err(failed)? else { continue };
            let at = postings.seek(row);
            if postings.docs().get(at) == Some(&row) {
                let tf = postings.freq(at);
                let score = score(asked.idf, tf, norm);
                shares.push(TermShare { term: asked.text.clone(), idf: asked.idf, tf, score });
            }
        }
        Ok(shares)
    }
}

fn score(idf: f32, tf: u32, norm: f32) -> f32 {
    let tf = tf as f32;
    idf * (K1 + 1.0) * (tf / (tf + norm))
}

fn failed(error: std::io::Error) -> KnowledgeError {
    KnowledgeError::Index(error.to_string())
}
