//! An offline run: every case of a suite is asked, every answer scored.
//!
//! What was paid for is written to a [`Ledger`] at once, so a run that was cut off goes on where it
//! was, and may be cut off anywhere by dropping its future. What fails is counted and the run goes
//! on; it stops by itself at its cost cap, or when too much fails in a row.

mod ledger;
mod result;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use release::ReleaseDigest;

use crate::answer::{Answer, Spend};
use crate::judge::{self, Bench, CallError};
use crate::scorers::{Cause, Engines, Outcome, Scorer, Seen};
use crate::suite::{Case, Suite};

pub use ledger::{Forgetful, Ledger, Record};
pub use result::{Answered, CaseResult, JudgeUsed, Run, State, Stop, Summary, Verdict};

use ledger::Keys;
use result::Prepared;

/// Answers cases, as a release would.
#[async_trait]
pub trait Answerer: Send + Sync {
    /// Answers `case` for the `repeat`th time, from 0.
    ///
    /// # Errors
    /// If no answer could be had. A refusal is an answer.
    async fn answer(&self, case: &Case, repeat: u32) -> Result<Answer, CallError>;
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The suite's name.
    pub name: &'a str,
    /// The suite.
    pub suite: &'a Suite,
    /// The release that answers.
    pub subject: &'a ReleaseDigest,
}

/// What a run works with.
#[derive(Clone, Copy)]
pub struct Handles<'a> {
    /// Who answers.
    pub answerer: &'a dyn Answerer,
    /// What scorers may ask.
    pub engines: Engines<'a>,
    /// Where what was paid for is kept. It belongs to this run alone.
    pub ledger: &'a dyn Ledger,
    /// Is told after each case.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
    /// Once true, nothing new is begun.
    pub cancelled: &'a AtomicBool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many answers are scored.
    pub done: usize,
    /// How many there will be: cases times repeats, and once those that hold an answer.
    pub planned: usize,
    /// How many of those done have an error.
    pub failed: usize,
    /// What all this has cost, earlier parts of the same run included.
    pub spend: Spend,
}

/// Runs a suite. It always gives a result; the result's state says whether all of it was done.
pub async fn run(plan: Plan<'_>, handles: Handles<'_>) -> Run {
    let suite = plan.suite;
    let times = |case: &Case| if case.answer.is_some() { 1 } else { suite.file.repeats };
    let cases = suite.cases.iter().enumerate();
    let units: Vec<(usize, u32)> = cases
        .flat_map(|(place, case)| (0..times(case)).map(move |repeat| (place, repeat)))
        .collect();
    let planned = units.len();
    let tally = Tally { done: 0, failed: 0, in_a_row: 0, spend: Spend::default(), stop: None };
    let keys = Keys::of(plan, handles.engines);
    let runner = Runner { plan, handles, keys, planned, tally: Mutex::new(tally) };
    let prepared = runner.prepare().await;
    let (runner_at_work, prepared_steps) = (&runner, &prepared);
    // Places rather than cases: a closure that takes a reference makes the future not `Send`.
    let under_way = futures::stream::iter(units).map(|(place, repeat)| async move {
        let case = &runner_at_work.plan.suite.cases[place];
        (place, repeat, runner_at_work.unit(case, repeat, prepared_steps).await)
    });
    let concurrency = suite.file.concurrency as usize;
    let mut done: Vec<_> = under_way.buffer_unordered(concurrency).collect().await;
    done.sort_by_key(|(place, repeat, _)| (*place, *repeat));
    let results: Vec<CaseResult> = done.into_iter().filter_map(|(.., result)| result).collect();
    runner.finish(results, prepared)
}

struct Runner<'a> {
    plan: Plan<'a>,
    handles: Handles<'a>,
    keys: Keys,
    planned: usize,
    tally: Mutex<Tally>,
}

struct Tally {
    done: usize,
    failed: usize,
    in_a_row: u32,
    spend: Spend,
    stop: Option<Stop>,
}

impl Runner<'_> {
    /// Lets the judge write the steps of criteria that have none, once for the whole run.
    async fn prepare(&self) -> BTreeMap<String, Prepared> {
        let mut prepared = BTreeMap::new();
        for scorer in &self.plan.suite.scorers {
            let steps = match self.stopped() {
                true => Err(Outcome::unavailable("the run had stopped")),
                false => self.steps(scorer).await,
            };
            prepared.insert(scorer.name.clone(), steps);
        }
        prepared
    }

    async fn steps(&self, scorer: &Scorer) -> Prepared {
        let key = self.keys.steps(scorer);
        if let Some(Record::Steps { steps, spend }) = self.recall(key).await {
            self.pay(&spend);
            return Ok(steps);
        }
        let mut spend = Spend::default();
        let mut bench = Bench { engines: self.handles.engines, spend: &mut spend };
        let written = judge::write_steps(&scorer.spec.measure, &mut bench).await;
        self.pay(&spend);
        if let Ok(steps) = &written
            && !steps.is_empty()
        {
            self.keep(key, Record::Steps { steps: steps.clone(), spend }).await;
        }
        written
    }

    /// Asks one case once and scores the answer; `None` if the run stopped before it was done.
    async fn unit(
        &self,
        case: &Case,
        repeat: u32,
        prepared: &BTreeMap<String, Prepared>,
    ) -> Option<CaseResult> {
        if self.stopped() {
            return None;
        }
        let answered = match &case.answer {
            Some(given) => Answered::Given(given.clone()),
            None => match self.answer(case, repeat).await {
                Ok(answer) => Answered::Answer(answer),
                Err(error) => Answered::Failed { reason: error.to_string() },
            },
        };
        let mut scores = BTreeMap::new();
        if let Some(answer) = answered.answer() {
            let seen = Seen { case, answer };
            // An answer that people have labelled is there for the scorers they labelled it for.
            let wanted = |scorer: &&Scorer| {
                case.labels.is_empty() || case.labels.iter().any(|it| it.scorer == scorer.name)
            };
            for scorer in self.plan.suite.scorers.iter().filter(wanted) {
                if self.stopped() {
                    return None;
                }
                let outcome = match prepared.get(&scorer.name) {
                    Some(Err(outcome)) => outcome.clone(),
                    Some(Ok(steps)) => self.score(scorer, steps, seen, repeat).await,
                    None => self.score(scorer, &[], seen, repeat).await,
                };
                scores.insert(scorer.name.clone(), outcome);
            }
        }
        let result = CaseResult::of(case, repeat, answered, scores);
        self.count(&result);
        Some(result)
    }

    async fn answer(&self, case: &Case, repeat: u32) -> Result<Answer, CallError> {
        let key = self.keys.answer(case, repeat);
        let (answer, new) = match self.recall(key).await {
            Some(Record::Answer(answer)) => (answer, false),
            _ => (self.handles.answerer.answer(case, repeat).await?, true),
        };
        let mut spend = Spend::default();
        spend.call(answer.usage.unwrap_or_default(), answer.cost);
        self.pay(&spend);
        if new {
            self.keep(key, Record::Answer(answer.clone())).await;
        }
        Ok(answer)
    }

    async fn score(
        &self,
        scorer: &Scorer,
        steps: &[String],
        seen: Seen<'_>,
        repeat: u32,
    ) -> Outcome {
        let key = self.keys.score(scorer, steps, seen, repeat);
        if let Some(Record::Score { outcome, spend }) = self.recall(key).await {
            self.pay(&spend);
            return outcome;
        }
        let mut spend = Spend::default();
        let outcome = scorer.score_by(steps, seen, self.handles.engines, &mut spend).await;
        self.pay(&spend);
        // An error is tried again when the run goes on.
        if !matches!(outcome, Outcome::Error { .. }) {
            self.keep(key, Record::Score { outcome: outcome.clone(), spend }).await;
        }
        outcome
    }

    async fn recall(&self, key: release::Digest) -> Option<Record> {
        match self.handles.ledger.get(key).await {
            Ok(record) => record,
            Err(error) => {
                self.stop(Stop::Ledger { reason: error.to_string() });
                None
            }
        }
    }

    async fn keep(&self, key: release::Digest, record: Record) {
        if let Err(error) = self.handles.ledger.put(key, record).await {
            self.stop(Stop::Ledger { reason: error.to_string() });
        }
    }

    fn pay(&self, spend: &Spend) {
        let mut tally = self.tally();
        tally.spend.add(spend);
        if self.plan.suite.cost_cap.is_some_and(|cap| tally.spend.reaches(cap)) {
            tally.stop.get_or_insert(Stop::CostCap);
        }
    }

    fn count(&self, result: &CaseResult) {
        let mut tally = self.tally();
        tally.done += 1;
        tally.failed += usize::from(result.has_error());
        let unlucky = result.lacks(|cause| cause != Cause::Undefined);
        tally.in_a_row = if unlucky { tally.in_a_row + 1 } else { 0 };
        if tally.in_a_row >= self.plan.suite.file.errors_in_a_row && tally.done < self.planned {
            tally.stop.get_or_insert(Stop::ErrorsInARow);
        }
        let Tally { done, failed, spend, .. } = *tally;
        drop(tally);
        (self.handles.progress)(Progress { done, planned: self.planned, failed, spend });
    }

    fn stop(&self, stop: Stop) {
        self.tally().stop.get_or_insert(stop);
    }

    fn stopped(&self) -> bool {
        if self.handles.cancelled.load(Ordering::Relaxed) {
            self.stop(Stop::Cancelled);
        }
        self.tally().stop.is_some()
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        // A panic elsewhere leaves counts that are still counts.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(self, results: Vec<CaseResult>, prepared: BTreeMap<String, Prepared>) -> Run {
        let Tally { spend, stop, .. } =
            self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        let complete = results.len() == self.planned;
        let state = match stop {
            // What came when all was done has stopped nothing.
            Some(reason) if !complete => State::Stopped { reason },
            _ => State::Finished,
        };
        Run::of(self.plan, self.handles.engines, (state, self.planned, spend), (results, prepared))
    }
}

#[cfg(test)]
mod tests;
