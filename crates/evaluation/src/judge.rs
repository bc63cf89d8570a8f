//! Judges: models that are asked what no formula can tell.
//!
//! A judge answers in JSON. What does not have the form that was asked for is an error, never a
//! score. Every text that is judged is put into the prompt as JSON, so that it cannot pass for a
//! part of it. Model and prompts have digests, which a run records.

mod context;
mod criteria;
mod faithfulness;
mod prompt;
mod relevancy;
mod reply;

use std::fmt;

use async_trait::async_trait;
use release::{Digest, Money};

use crate::answer::{Spend, Usage};
use crate::scorers::{Engines, Outcome, Seen};
use crate::suite::Measure;

pub use prompt::Prompt;
pub use reply::{MIN_SHARE, weighted_mark};

/// How many alternatives to each token a judge is asked for.
pub const TOP_LOGPROBS: u8 = 20;
/// The most tokens of a judge's answer.
const MAX_TOKENS: u32 = 4_096;

/// A model that judges.
#[async_trait]
pub trait Judge: Send + Sync {
    /// The model, for people.
    fn model(&self) -> &str;

    /// The digest of the model and its parameters.
    fn digest(&self) -> Digest;

    /// Asks it, at temperature 0 if it has one.
    ///
    /// # Errors
    /// If it cannot be asked.
    async fn ask(&self, question: &Question) -> Result<Reply, CallError>;
}

/// What a judge is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The whole prompt, as a message of role `user`.
    pub prompt: String,
    /// The most tokens of the answer.
    pub max_tokens: u32,
    /// How many alternatives to each token of the answer are wanted, if the provider gives any.
    pub top_logprobs: Option<u8>,
}

/// What a judge answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Its tokens, if the provider gave their alternatives.
    pub tokens: Vec<Token>,
    /// What it took.
    pub usage: Usage,
    /// What it cost; unknown if the price is.
    pub cost: Option<Money>,
}

/// A token of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its text.
    pub text: String,
    /// What could have stood there, itself included, with natural logarithms of probabilities.
    pub alternatives: Vec<(String, f64)>,
}

/// Something that could not be asked: a judge, an embedder, an answerer, a scorer outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// A judge at work: what it can ask, and what that has cost so far.
pub(crate) struct Bench<'a> {
    pub(crate) engines: Engines<'a>,
    pub(crate) spend: &'a mut Spend,
}

impl Bench<'_> {
    async fn ask(
        &mut self,
        prompt: Prompt,
        fields: &[(&str, serde_json::Value)],
        top_logprobs: Option<u8>,
    ) -> Result<Reply, Outcome> {
        let judge = self.engines.judge.ok_or_else(|| Outcome::unavailable("there is no judge"))?;
        let prompt = prompt.fill(fields);
        let question = Question { prompt, max_tokens: MAX_TOKENS, top_logprobs };
        let reply = judge.ask(&question).await?;
        self.spend.call(reply.usage, reply.cost);
        Ok(reply)
    }
}

impl fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("spend", &self.spend).finish_non_exhaustive()
    }
}

/// The prompts that a measure asks by.
pub(crate) fn prompts(measure: &Measure) -> Vec<Prompt> {
    match measure {
        Measure::Criteria { steps, .. } if steps.is_empty() => {
            vec![Prompt::CRITERIA_STEPS, Prompt::CRITERIA]
        }
        Measure::Criteria { .. } => vec![Prompt::CRITERIA],
        Measure::Faithfulness {} => vec![Prompt::STATEMENTS, Prompt::FAITHFULNESS],
        Measure::AnswerRelevancy { .. } => vec![Prompt::RELEVANCY],
        Measure::ContextPrecision {} => vec![Prompt::CONTEXT_PRECISION],
        Measure::ContextRecall {} => vec![Prompt::CONTEXT_RECALL],
        _ => Vec::new(),
    }
}

/// The steps that a judge writes for criteria that have none; none for any other measure.
pub(crate) async fn write_steps(
    measure: &Measure,
    bench: &mut Bench<'_>,
) -> Result<Vec<String>, Outcome> {
    match measure {
        Measure::Criteria { criteria, steps, .. } if steps.is_empty() => {
            criteria::write_steps(criteria, bench).await
        }
        _ => Ok(Vec::new()),
    }
}

/// Scores by a judge. `steps` are those that it has written before.
pub(crate) async fn score(
    measure: &Measure,
    steps: &[String],
    seen: Seen<'_>,
    bench: &mut Bench<'_>,
) -> Outcome {
    let scored = match measure {
        Measure::Criteria { .. } => criteria::score(measure, steps, seen, bench).await,
        Measure::Faithfulness {} => faithfulness::score(seen, bench).await,
        Measure::AnswerRelevancy { questions } => relevancy::score(seen, *questions, bench).await,
        Measure::ContextPrecision {} => context::precision(seen, bench).await,
        Measure::ContextRecall {} => context::recall(seen, bench).await,
        _ => Err(Outcome::undefined("it needs no judge")),
    };
    scored.unwrap_or_else(|outcome| outcome)
}

#[cfg(test)]
mod tests;
