//! Ordering what was found anew, by a model.

use async_trait::async_trait;
use serde::Serialize;

use super::Found;
use super::explain::Ranked;
use crate::KnowledgeError;

/// A model that says how well passages answer a question.
#[async_trait]
pub trait Reranker: std::fmt::Debug + Send + Sync {
    /// A score for each of `passages`, in their order; greater is better.
    ///
    /// # Errors
    /// If the model cannot be asked or does not answer in the form.
    async fn scores(&self, question: &str, passages: &[&str]) -> Result<Vec<f32>, KnowledgeError>;
}

/// What became of ordering passages anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reranked {
    /// The model ordered them.
    Done,
    /// It did not, for this reason: they are in the order before.
    Failed(String),
}

/// Orders `found` by `reranker`, passages of equal score as before, and keeps the first `limit`. A
/// model that fails changes nothing but [`Found::reranked`].
pub async fn rerank(found: &mut Found, reranker: &dyn Reranker, question: &str, limit: usize) {
    let texts: Vec<&str> = found.passages.iter().map(|passage| passage.text.as_str()).collect();
    let scores = match reranker.scores(question, &texts).await {
        Ok(scores) if scores.len() == texts.len() => Ok(scores),
        Ok(scores) => Err(format!("it gave {} scores to {} passages", scores.len(), texts.len())),
        Err(error) => Err(error.to_string()),
    };
    found.reranked = Some(match scores {
        Ok(scores) => {
            let mut scored: Vec<_> =
                scores.into_iter().zip(1..).zip(found.passages.drain(..)).collect();
            scored.sort_by(|((a, _), _), ((b, _), _)| b.total_cmp(a));
            found.passages.extend(scored.into_iter().map(|((score, rank), mut passage)| {
                if let Some(why) = &mut passage.why {
                    why.reranked = Some(Ranked { score, rank: Some(rank), share: None });
                }
                passage
            }));
            Reranked::Done
        }
        Err(why) => Reranked::Failed(why),
    });
    found.passages.truncate(limit);
}
