//! Online scoring: a share of what is answered in production, within a budget for each day.
//!
//! Whether an answer is scored, and whether a scorer may cost anything, is decided purely; whoever
//! scores keeps the [`Day`], which also tells how each scorer fares.

use std::collections::BTreeMap;

use release::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answer::Spend;
use crate::scorers::{Outcome, Scorer};
use crate::suite::OnlineSpec;

/// What was scored and spent on one day (UTC).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// What scoring cost.
    pub spend: Spend,
    /// How many answers were looked at.
    pub answers: u64,
    /// How many of them could not be: their content was not recorded, or is gone.
    pub unreadable: u64,
    /// What each scorer found.
    pub scorers: BTreeMap<String, Tally>,
}

/// What one scorer found on one day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// How many answers it scored.
    pub scored: u64,
    /// How many scores pass.
    pub passed: u64,
    /// How many do not.
    pub failed: u64,
    /// How many answers it said nothing about.
    pub not_applicable: u64,
    /// How many it could not score.
    pub errors: u64,
    /// How many were left out since nothing was left to spend.
    pub over_budget: u64,
    /// How many were left out since the server was stopped while it was asked: it may have been paid
    /// already, and is not paid twice.
    pub interrupted: u64,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// What became of a scorer and an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It was asked, and what it found is not known.
    Begun,
    /// It was asked when the server was stopped.
    Interrupted,
    /// Nothing was left to spend.
    OverBudget,
    /// It found something.
    Found(Outcome),
}

impl Day {
    /// The day at `now`: this one, or an untouched one if it is over. A clock that goes back opens
    /// no new budget.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        let day = now.as_second().div_euclid(86_400);
        if day > self.day { Self { day, ..Self::default() } } else { self }
    }

    /// Whether a scorer may be asked: those that cost nothing always, others while something is left.
    /// With a cap, a call whose price is not known ends it: nobody could say what is left.
    pub fn allows(&self, spec: &OnlineSpec, scorer: &Scorer) -> bool {
        let cap = spec.daily_cap.as_ref().map(|cap| cap.money());
        !scorer.spec.measure.costs()
            || match cap {
                None => true,
                Some(Ok(cap)) => !self.spend.reaches(cap) && self.spend.unpriced == 0,
                // A suite was checked when it was read; a cap that is none allows nothing.
                Some(Err(_)) => false,
            }
    }

    /// Notes what became of a scorer and an answer, and what that cost.
    pub fn note(&mut self, scorer: &str, step: &Step, spend: &Spend) {
        self.spend.add(spend);
        let tally = self.scorers.entry(scorer.to_owned()).or_default();
        match step {
            Step::Begun => {}
            Step::Interrupted => tally.interrupted += 1,
            Step::OverBudget => tally.over_budget += 1,
            Step::Found(Outcome::NotApplicable { .. }) => tally.not_applicable += 1,
            Step::Found(Outcome::Error { reason, .. }) => {
                tally.errors += 1;
                tally.last_error = Some(reason.clone());
            }
            Step::Found(Outcome::Scored(score)) => {
                tally.scored += 1;
                tally.passed += u64::from(score.pass == Some(true));
                tally.failed += u64::from(score.pass == Some(false));
            }
        }
    }
}

/// Whether the answer of that trace is in a suite's sample. The same is always in or out, whoever
/// asks; a larger share keeps what was in.
pub fn is_sampled(spec: &OnlineSpec, suite: &str, trace: &str) -> bool {
    place(suite, trace) < spec.sample
}

/// Where in [0, 1) a trace stands for a suite.
fn place(suite: &str, trace: &str) -> f64 {
    let digest = Digest::of_fields([suite.as_bytes(), trace.as_bytes()]);
    let [a, b, c, d, e, f, ..] = *digest.as_bytes();
    // 48 bits are exact in a float.
    let number = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    number as f64 / (1_u64 << 48) as f64
}

#[cfg(test)]
mod tests;
