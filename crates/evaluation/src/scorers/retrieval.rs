//! How well what is relevant was found: figures over the passages of one answer.

use std::collections::BTreeSet;

use super::{Outcome, Seen};
use crate::suite::Figure;

/// A figure of the first `k` passages against what the case calls relevant. With relᵢ = 1 if the
/// passage of rank i is relevant and finds something that none above it has found, and R the number
/// of relevant ids:
///
/// - precision = Σᵢ hitᵢ / min(k, passages), where hitᵢ = 1 for every relevant passage;
/// - recall = found / R;
/// - reciprocal rank = 1 / the least i with hitᵢ = 1;
/// - nDCG = Σᵢ relᵢ/log₂(i+1) / Σ_{i ≤ min(R, k)} 1/log₂(i+1).
pub(super) fn retrieval(seen: Seen<'_>, figure: Figure, k: usize) -> Result<Outcome, Outcome> {
    let relevant: BTreeSet<&str> = seen.case.relevant.iter().map(String::as_str).collect();
    if relevant.is_empty() {
        return Err(Outcome::not_applicable("the case calls nothing relevant"));
    }
    let passages = &seen.answer.passages[..k.min(seen.answer.passages.len())];
    let (wanted, mut open) = (relevant.len(), relevant.clone());
    let (mut hits, mut first, mut gain) = (0_usize, None, 0.0);
    for (rank, passage) in (1_usize..).zip(passages) {
        let ids = [passage.document.as_str(), passage.id.as_str()];
        if ids.iter().any(|id| relevant.contains(id)) {
            hits += 1;
            first = first.or(Some(rank));
        }
        // Both, never only the first: a document and its passage may both be asked for.
        if open.remove(ids[0]) | open.remove(ids[1]) {
            gain += discount(rank);
        }
    }
    let found = wanted - open.len();
    Ok(match figure {
        // Nothing was retrieved, so nothing that was retrieved is wrong.
        Figure::Precision if passages.is_empty() => Outcome::undefined("nothing was retrieved"),
        Figure::Precision => Outcome::share(hits, passages.len(), "passages"),
        Figure::Recall => Outcome::share(found, wanted, "relevant"),
        Figure::ReciprocalRank => match first {
            Some(rank) => {
                Outcome::scored(1.0 / rank as f64, format!("the first is of rank {rank}"))
            }
            None => Outcome::scored(0.0, format!("none is among the first {k}")),
        },
        Figure::Ndcg => {
            let best: f64 = (1..=wanted.min(k)).map(discount).sum();
            Outcome::scored(gain / best, format!("{found} of {wanted} found"))
        }
    })
}

fn discount(rank: usize) -> f64 {
    1.0 / ((rank + 1) as f64).log2()
}
