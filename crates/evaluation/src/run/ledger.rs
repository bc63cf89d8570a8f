//! What a run has paid for already.

use std::collections::BTreeSet;

use async_trait::async_trait;
use release::Digest;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::answer::{Answer, Spend};
use crate::judge::CallError;
use crate::scorers::{Engines, Outcome, Scorer, Seen};
use crate::suite::Case;

/// Keeps what one run has paid for. Another run of the same suite has its own: it asks anew.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// What was kept under `key`.
    ///
    /// # Errors
    /// If it cannot be read; the run stops.
    async fn get(&self, key: Digest) -> Result<Option<Record>, CallError>;

    /// Keeps `record`, for good once this returns.
    ///
    /// # Errors
    /// If it cannot be written; the run stops rather than pay for what is lost.
    async fn put(&self, key: Digest, record: Record) -> Result<(), CallError>;
}

/// Something that was paid for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An answer.
    Answer(Answer),
    /// What a scorer found, and what that has cost.
    Score {
        /// What it found.
        outcome: Outcome,
        /// What it cost.
        spend: Spend,
    },
    /// The steps that a judge wrote for criteria.
    Steps {
        /// The steps.
        steps: Vec<String>,
        /// What they cost.
        spend: Spend,
    },
}

impl Record {
    /// It without what quotes any of `documents`; nothing is left of an answer that does. What a
    /// scorer said is gone in any case: of whose answer it was cannot be told.
    pub fn without(self, documents: &BTreeSet<String>) -> Option<Self> {
        match self {
            Self::Answer(answer) if answer.quotes(documents) => None,
            Self::Score { mut outcome, spend } => {
                outcome.forget();
                Some(Self::Score { outcome, spend })
            }
            other => Some(other),
        }
    }
}

/// A ledger that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forgetful;

#[async_trait]
impl Ledger for Forgetful {
    async fn get(&self, _: Digest) -> Result<Option<Record>, CallError> {
        Ok(None)
    }

    async fn put(&self, _: Digest, _: Record) -> Result<(), CallError> {
        Ok(())
    }
}

/// Makes keys of all that a record depends on.
pub(super) struct Keys {
    subject: String,
    /// The digests of the judge and the embedder, each empty if there is none.
    engines: String,
}

impl Keys {
    pub(super) fn of(plan: Plan<'_>, engines: Engines<'_>) -> Self {
        let judge = engines.judge.map(|judge| judge.digest().to_string()).unwrap_or_default();
        let embeds = engines.embeds.map(|embeds| embeds.digest().to_string()).unwrap_or_default();
        Self { subject: plan.subject.to_string(), engines: format!("{judge} {embeds}") }
    }

    pub(super) fn answer(&self, case: &Case, repeat: u32) -> Digest {
        let case = case.digest();
        fields(&[b"answer", self.subject.as_bytes(), case.as_bytes(), &repeat.to_be_bytes()])
    }

    pub(super) fn steps(&self, scorer: &Scorer) -> Digest {
        fields(&[b"steps", scorer.digest.as_bytes(), self.engines.as_bytes()])
    }

    pub(super) fn score(
        &self,
        scorer: &Scorer,
        steps: &[String],
        seen: Seen<'_>,
        repeat: u32,
    ) -> Digest {
        let case = seen.case.digest();
        // An answer holds nothing that JSON cannot.
        let answer = Digest::of(&serde_json::to_vec(seen.answer).unwrap_or_default());
        let repeat = repeat.to_be_bytes();
        let parts = [
            b"score".as_slice(),
            case.as_bytes(),
            answer.as_bytes(),
            &repeat,
            scorer.digest.as_bytes(),
            self.engines.as_bytes(),
        ];
        let steps = steps.iter().map(|step| step.as_bytes());
        Digest::of_fields(parts.into_iter().chain(steps))
    }
}

fn fields(parts: &[&[u8]]) -> Digest {
    Digest::of_fields(parts.iter().copied())
}
