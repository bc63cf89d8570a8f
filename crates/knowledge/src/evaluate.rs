//! How well a snapshot finds what it should, and whether it still finds what it did.

mod drawn;
mod golden;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use release::Digest;
use serde::{Deserialize, Serialize};

use crate::embed::{Embedder, question_vectors};
use crate::{Ask, KnowledgeError, Mode, Retrieved, Snapshot};

pub use golden::{Golden, GoldenQueries};

/// The most queries of one evaluation.
pub const MAX_QUERIES: usize = 20_000;
/// How far down MRR and nDCG look.
const CUT: usize = 10;
/// How often the queries are drawn anew for an interval.
const DRAWS: usize = 1_000;
/// How many unknown documents are named.
const NAMED: usize = 20;

/// A query, and what it should find: a line of a file of queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The query.
    pub query: String,
    /// Paths of documents or ids of passages. A document is found with any of its passages.
    #[serde(default)]
    pub relevant: Vec<String>,
    /// The query's vector; by the snapshot's embedder if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}

impl Judged {
    /// The query as `snapshot` wants it to be asked.
    pub fn ask(&self, snapshot: &Snapshot, limit: usize) -> Ask {
        let vector = self.vector.as_deref().map(Arc::from);
        Ask { vector, ..snapshot.ask(&self.query, limit) }
    }
}

/// Gives every query that has none its vector, by the embedder of `snapshot`.
///
/// # Errors
/// If the embedder fails.
pub async fn embed_queries(
    snapshot: &Snapshot,
    embedder: &dyn Embedder,
    queries: &mut [Judged],
) -> Result<(), KnowledgeError> {
    let Some(entry) = &snapshot.manifest.embedding else { return Ok(()) };
    let without: Vec<&mut Judged> =
        queries.iter_mut().filter(|query| query.vector.is_none()).collect();
    let texts: Vec<&str> = without.iter().map(|query| query.query.as_str()).collect();
    let vectors = question_vectors(embedder, &entry.spec, &texts).await?;
    without.into_iter().zip(vectors).for_each(|(query, vector)| query.vector = Some(vector));
    Ok(())
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The snapshot.
    pub snapshot: Digest,
    /// How many queries were asked.
    pub queries: usize,
    /// How many passages each was given.
    pub k: usize,
    /// The figures of each mode.
    pub modes: BTreeMap<String, Scores>,
    /// Relevant documents and passages that the snapshot does not have, the first of them: no query
    /// can find them.
    pub unknown: Vec<String>,
    /// How many of these there are.
    pub unknown_count: usize,
}

/// The figures of one mode, means over the queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of queries that found something relevant among the first k.
    pub hit_at_k: Figure,
    /// The inverse of the rank of the first relevant passage among ten, 0 if there is none.
    pub mrr_at_10: Figure,
    /// Discounted gain among the first ten, by the best there could be (Järvelin and Kekäläinen,
    /// 2002). A document counts where it is found first.
    pub ndcg_at_10: Figure,
    /// Share of what is relevant that was found among the first k.
    pub recall_at_k: Figure,
}

/// A mean with its 95 % interval: percentiles of means of queries drawn anew, with a fixed seed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The mean.
    pub mean: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Asks every query in every one of `modes` for `k` passages. Takes CPU time.
///
/// # Errors
/// If there are no queries, or a query lacks the vector that a mode needs.
pub fn evaluate(
    snapshot: &Snapshot,
    queries: &[Judged],
    modes: &[Mode],
    k: usize,
) -> Result<Evaluation, KnowledgeError> {
    if queries.is_empty() || queries.len() > MAX_QUERIES {
        let count = queries.len();
        let why = format!("{count} queries; an evaluation needs 1 to {MAX_QUERIES}");
        return Err(KnowledgeError::Ask(why));
    }
    let mut figures = BTreeMap::new();
    for mode in modes {
        let measured = queries.iter().map(|query| {
            let ask = Ask { mode: *mode, ..query.ask(snapshot, k.max(CUT)) };
            Ok(measure(&snapshot.retrieve(&ask)?.passages, &query.relevant, k))
        });
        let measured: Vec<[f64; 4]> = measured.collect::<Result<_, KnowledgeError>>()?;
        figures.insert(mode.to_string(), scores(&measured));
    }
    let mut unknown = unknown(snapshot, queries);
    let unknown_count = unknown.len();
    unknown.truncate(NAMED);
    let (snapshot, queries) = (snapshot.digest, queries.len());
    Ok(Evaluation { snapshot, queries, k, modes: figures, unknown, unknown_count })
}

/// Hit, reciprocal rank, nDCG and recall of one query.
fn measure(found: &[Retrieved], relevant: &[String], k: usize) -> [f64; 4] {
    let mut open: BTreeSet<&str> = relevant.iter().map(String::as_str).collect();
    let wanted = open.len();
    let (mut first, mut gain, mut within) = (None, 0.0, 0);
    for (rank, passage) in (1_usize..).zip(found) {
        let id = passage.id.to_string();
        // Both, never only the first: a document and its passage may both be asked for.
        let new = open.remove(passage.document.as_str()) | open.remove(id.as_str());
        if new {
            first = first.or(Some(rank));
            if rank <= CUT {
                gain += discount(rank);
            }
        }
        if rank <= k {
            within = wanted - open.len();
        }
    }
    let best: f64 = (1..=wanted.min(CUT)).map(discount).sum();
    let part = |share: f64, whole: f64| if whole > 0.0 { share / whole } else { 0.0 };
    let reciprocal = first.filter(|rank| *rank <= CUT).map_or(0.0, |rank| 1.0 / rank as f64);
    let hit = f64::from(first.is_some_and(|rank| rank <= k));
    [hit, reciprocal, part(gain, best), part(within as f64, wanted as f64)]
}

fn discount(rank: usize) -> f64 {
    1.0 / ((rank + 1) as f64).log2()
}

fn scores(measured: &[[f64; 4]]) -> Scores {
    let mut draws: [Vec<f64>; 4] = Default::default();
    let mut draw = Draw(0x5EED);
    for _ in 0..DRAWS {
        let mut sums = [0.0; 4];
        for _ in measured {
            let one = &measured[draw.below(measured.len())];
            sums.iter_mut().zip(one).for_each(|(sum, value)| *sum += value);
        }
        draws.iter_mut().zip(sums).for_each(|(all, sum)| all.push(sum / measured.len() as f64));
    }
    let figure = |which: usize| {
        let mut drawn = draws[which].clone();
        drawn.sort_by(f64::total_cmp);
        let mean = measured.iter().map(|one| one[which]).sum::<f64>() / measured.len() as f64;
        Figure { mean, low: drawn[DRAWS / 40], high: drawn[DRAWS - 1 - DRAWS / 40] }
    };
    let [hit_at_k, mrr_at_10, ndcg_at_10, recall_at_k] = [0, 1, 2, 3].map(figure);
    Scores { hit_at_k, mrr_at_10, ndcg_at_10, recall_at_k }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * limit as u128) >> 64) as usize
    }
}

/// What is relevant to a query and not in the snapshot.
fn unknown(snapshot: &Snapshot, queries: &[Judged]) -> Vec<String> {
    let wanted: BTreeSet<&String> = queries.iter().flat_map(|query| &query.relevant).collect();
    let mut unknown: Vec<&String> = wanted
        .into_iter()
        .filter(|name| !snapshot.manifest.documents.contains_key(*name))
        .collect();
    if !unknown.is_empty() {
        let parts = snapshot.parts().iter();
        let ids = parts.flat_map(|part| (0..part.segment.rows()).map(|row| part.segment.id(row)));
        let ids: HashSet<Digest> = ids.collect();
        unknown.retain(|name| name.parse().map_or(true, |id| !ids.contains(&id)));
    }
    unknown.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests;
