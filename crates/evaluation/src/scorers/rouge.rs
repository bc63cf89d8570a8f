//! ROUGE (Lin, 2004): the overlap of an answer with a reference in words, as the package
//! `rouge-score` 0.1.2 measures it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{grams, porter};

/// The most words of each text that are compared for their longest common subsequence.
const MAX_WORDS: usize = 5_000;

/// Which overlap ROUGE measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RougeVariant {
    /// Single words.
    #[serde(rename = "1")]
    One,
    /// Pairs of words.
    #[serde(rename = "2")]
    Two,
    /// The longest common subsequence of words.
    #[serde(rename = "l")]
    Longest,
}

/// Precision, recall and their harmonic mean, each 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overlap {
    /// The share of the answer that is in the reference.
    pub precision: f64,
    /// The share of the reference that is in the answer.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

impl Overlap {
    /// From the sizes of what both have, the answer and the reference. An empty side gives 0.
    pub fn of(common: usize, answer: usize, reference: usize) -> Self {
        let precision = common as f64 / answer.max(1) as f64;
        let recall = common as f64 / reference.max(1) as f64;
        let sum = precision + recall;
        let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Self { precision, recall, f1 }
    }
}

/// The overlap of `answer` with `reference`; `None` if it would take too long.
pub fn rouge(
    variant: RougeVariant,
    stemmed: bool,
    reference: &str,
    answer: &str,
) -> Option<Overlap> {
    let (reference, answer) = (words(reference, stemmed), words(answer, stemmed));
    let common = match variant {
        RougeVariant::One => grams::common(1, &reference, &answer),
        RougeVariant::Two => grams::common(2, &reference, &answer),
        RougeVariant::Longest if reference.len().max(answer.len()) > MAX_WORDS => return None,
        RougeVariant::Longest => common_subsequence(&reference, &answer),
    };
    let less = usize::from(variant == RougeVariant::Two);
    let count = |words: &[String]| words.len().saturating_sub(less);
    Some(Overlap::of(common, count(&answer), count(&reference)))
}

/// Runs of a–z and 0–9 in lower case; those of more than three characters stemmed if asked for.
fn words(text: &str, stemmed: bool) -> Vec<String> {
    let lower = text.to_lowercase();
    let runs = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
    let word = |run: &str| match stemmed && run.len() > 3 {
        true => porter::stem(run),
        false => run.to_owned(),
    };
    runs.map(word).collect()
}

fn common_subsequence(reference: &[String], answer: &[String]) -> usize {
    let mut row = vec![0_usize; answer.len() + 1];
    for word in reference {
        let mut diagonal = 0;
        for (place, other) in answer.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if word == other { diagonal + 1 } else { above.max(row[place]) };
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
