//! Online scoring: a sample of what is answered in production, within a budget for each scorer.
//!
//! Whether a trace is scored is decided purely, by [`decide`]; [`score`] then acts. The day's
//! [`Budget`] is the caller's to keep, one for each scorer: it also tells how the scorer fares, so
//! that an alarm can watch it.

use release::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answer::Spend;
use crate::scorers::{Engines, Outcome, Scorer, Seen};
use crate::suite::{CostCap, OnlineSpec};

/// What a scorer has done and spent on one day (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// What it spent.
    pub spend: Spend,
    /// How many traces it scored.
    pub scored: u64,
    /// How many it said nothing about.
    pub not_applicable: u64,
    /// How many it could not score.
    pub errors: u64,
    /// How many were sampled when nothing was left to spend.
    pub over_budget: u64,
}

/// Whether a trace is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is.
    Score,
    /// It is not in the sample.
    NotSampled,
    /// It is in the sample, and nothing is left to spend today.
    OverBudget,
}

impl Budget {
    /// The budget at `now`: this one, or an untouched one if its day is over. A clock that goes
    /// back opens no new budget.
    pub fn at(self, now: Timestamp) -> Self {
        let day = now.as_second().div_euclid(86_400);
        if day > self.day { Self { day, ..Self::default() } } else { self }
    }

    /// The budget after a decision was carried out. `found` is there if the trace was scored.
    #[must_use]
    pub fn after(mut self, decision: Decision, found: Option<(&Outcome, &Spend)>) -> Self {
        self.over_budget += u64::from(decision == Decision::OverBudget);
        if let Some((outcome, spend)) = found {
            self.spend.add(spend);
            match outcome {
                Outcome::Scored(_) => self.scored += 1,
                Outcome::NotApplicable { .. } => self.not_applicable += 1,
                Outcome::Error { .. } => self.errors += 1,
            }
        }
        self
    }
}

/// Whether `scorer` scores the trace of that id, with `budget` as it is today. The same trace is
/// always in or out of a scorer's sample, whoever decides; a larger share keeps what was in.
pub fn decide(scorer: &Scorer, trace: &str, budget: &Budget) -> Decision {
    let Some(OnlineSpec { sample, daily_cap }) = &scorer.spec.online else {
        return Decision::NotSampled;
    };
    if place(&scorer.name, trace) >= *sample {
        return Decision::NotSampled;
    }
    let cap = daily_cap.as_ref().map(CostCap::money);
    match cap {
        // A suite was checked when it was read, so a cap that is none spends nothing.
        Some(Err(_)) => Decision::OverBudget,
        Some(Ok(cap)) if budget.spend.reaches(cap) => Decision::OverBudget,
        _ => Decision::Score,
    }
}

/// Scores one answer that was given in production, if [`decide`] says so: what was found, and the
/// budget after.
pub async fn score(
    scorer: &Scorer,
    trace: &str,
    seen: Seen<'_>,
    engines: Engines<'_>,
    budget: Budget,
) -> (Option<Outcome>, Budget) {
    let decision = decide(scorer, trace, &budget);
    if decision != Decision::Score {
        return (None, budget.after(decision, None));
    }
    let mut spend = Spend::default();
    let outcome = scorer.score(seen, engines, &mut spend).await;
    let budget = budget.after(decision, Some((&outcome, &spend)));
    (Some(outcome), budget)
}

/// Where in [0, 1) a trace stands for a scorer.
fn place(scorer: &str, trace: &str) -> f64 {
    let digest = Digest::of_fields([scorer.as_bytes(), trace.as_bytes()]);
    let [a, b, c, d, e, f, ..] = *digest.as_bytes();
    // 48 bits are exact in a float.
    let number = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    number as f64 / (1_u64 << 48) as f64
}

#[cfg(test)]
mod tests;
