//! What a run found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use release::{Digest, ReleaseDigest};
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::agreement::Agreement;
use crate::answer::{Answer, Spend};
use crate::judge;
use crate::scorers::{Cause, Engines, Outcome, Scorer};
use crate::suite::{Case, Suite};

/// The steps that a judge wrote for a scorer, or why it has not.
pub(super) type Prepared = Result<Vec<String>, Outcome>;

/// What a run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The suite's name.
    pub name: String,
    /// The suite's version.
    pub suite: Digest,
    /// The digest of the cases that were drawn from traces, where the suite's own were not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Digest>,
    /// The release that answered.
    pub subject: ReleaseDigest,
    /// Who judged.
    pub judge: Option<JudgeUsed>,
    /// Whether all of it was done.
    pub state: State,
    /// The digest of the embedder, if a scorer asks one.
    pub embedder: Option<Digest>,
    /// How many answers were to be scored: cases times repeats, and once those that hold an answer.
    pub planned: usize,
    /// What it found of each, in the order of the cases. Those it did not come to are not there.
    pub results: Vec<CaseResult>,
    /// What each scorer found together.
    pub summaries: BTreeMap<String, Summary>,
    /// What it cost.
    pub spend: Spend,
}

/// The judge of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeUsed {
    /// The model, for people.
    pub model: String,
    /// The digest of the model and its parameters.
    pub digest: Digest,
    /// The digests of the prompts that it was asked by, by their names.
    pub prompts: BTreeMap<String, Digest>,
}

/// Whether all was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All of it.
    Finished,
    /// A part of it.
    Stopped {
        /// Why.
        reason: Stop,
    },
}

/// Why a run stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It cost as much as it may.
    CostCap,
    /// Too much failed in a row.
    ErrorsInARow,
    /// Someone stopped it.
    Cancelled,
    /// What was paid for could not be kept or read.
    Ledger {
        /// What happened.
        reason: String,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CostCap => f.write_str("cost cap"),
            Self::ErrorsInARow => f.write_str("too many errors in a row"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Ledger { reason } => write!(f, "results could not be kept: {reason}"),
        }
    }
}

/// One answer and its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub case: String,
    /// Which time it was asked, from 0.
    pub repeat: u32,
    /// What was asked.
    pub question: String,
    /// What was expected.
    pub expected: Option<String>,
    /// What was answered.
    pub answered: Answered,
    /// What each scorer found; nothing without an answer.
    pub scores: BTreeMap<String, Outcome>,
    /// What most people say of the answer for each scorer; `None` if they differ evenly.
    pub labels: BTreeMap<String, Option<bool>>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// The release's answer.
    Answer(Answer),
    /// The answer that the case holds.
    Given(Answer),
    /// What is left of the release's answer since documents that it was given were erased.
    Erased(Answer),
    /// There is none.
    Failed {
        /// What happened.
        reason: String,
    },
}

impl Answered {
    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) | Self::Given(answer) | Self::Erased(answer) => Some(answer),
            Self::Failed { .. } => None,
        }
    }
}

impl CaseResult {
    pub(super) fn of(
        case: &Case,
        repeat: u32,
        answered: Answered,
        scores: BTreeMap<String, Outcome>,
    ) -> Self {
        let mut votes: BTreeMap<String, i64> = BTreeMap::new();
        for label in &case.labels {
            *votes.entry(label.scorer.clone()).or_default() += if label.pass { 1 } else { -1 };
        }
        let most = |votes: i64| (votes != 0).then_some(votes > 0);
        Self {
            case: case.id.clone(),
            repeat,
            question: case.input.question(),
            expected: case.expected.clone(),
            answered,
            scores,
            labels: votes.into_iter().map(|(scorer, votes)| (scorer, most(votes))).collect(),
        }
    }

    /// Takes out what quotes any of `documents`; whether anything did. Scores stay, what was said of
    /// them goes.
    fn without(&mut self, documents: &BTreeSet<String>) -> bool {
        let Answered::Answer(answer) = &mut self.answered else { return false };
        if !answer.quotes(documents) {
            return false;
        }
        self.answered = Answered::Erased(std::mem::take(answer).without_content());
        self.scores.values_mut().for_each(Outcome::forget);
        true
    }

    /// Whether the answer is not the release's, but one that the case holds.
    pub fn is_given(&self) -> bool {
        matches!(self.answered, Answered::Given(_))
    }

    /// Whether there is no answer, or a scorer has an error.
    pub fn has_error(&self) -> bool {
        self.lacks(|_| true)
    }

    /// Whether there is no answer, or an error for such a cause.
    pub(super) fn lacks(&self, counts: impl Fn(Cause) -> bool) -> bool {
        let error = |outcome: &Outcome| match outcome {
            Outcome::Error { cause, .. } => counts(*cause),
            _ => false,
        };
        self.answered.answer().is_none() || self.scores.values().any(error)
    }
}

/// What one scorer found of the release's answers. Those that cases hold count for the agreement
/// alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The mean of its scores.
    pub mean: Option<f64>,
    /// How many scores there are.
    pub n: u32,
    /// How many answers it could not score, though it should.
    pub errors: u32,
    /// How many answers it says nothing about.
    pub not_applicable: u32,
    /// How many scores pass.
    pub passed: u32,
    /// How many do not.
    pub failed: u32,
    /// Passed by passed and failed.
    pub pass_rate: Option<f64>,
    /// The share that must pass.
    pub required: f64,
    /// The steps that the judge wrote for it.
    pub steps: Vec<String>,
    /// How well it agrees with people, of a judge's scores.
    pub agreement: Option<Agreement>,
    /// Why it decides nothing; `None` if it does.
    pub advisory: Option<String>,
}

/// What a run says of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All that decides passes.
    Passed,
    /// Something that decides does not.
    Failed,
    /// Nothing fails, but answers or scores are missing through errors.
    Error,
    /// Nothing decides: there are no scores with a bound from a scorer that may decide.
    Inconclusive,
    /// The run stopped before its end. That is never a pass.
    Partial,
}

impl Run {
    pub(super) fn of(
        plan: Plan<'_>,
        engines: Engines<'_>,
        (state, planned, spend): (State, usize, Spend),
        (results, mut prepared): (Vec<CaseResult>, BTreeMap<String, Prepared>),
    ) -> Self {
        let suite = plan.suite;
        let summary = |scorer: &Scorer| {
            let steps = prepared.remove(&scorer.name).and_then(Result::ok).unwrap_or_default();
            (scorer.name.clone(), Summary::of(suite, scorer, &results, steps))
        };
        let summaries = suite.scorers.iter().map(summary).collect();
        let asked = suite.scorers.iter().flat_map(|scorer| judge::prompts(&scorer.spec.measure));
        let prompts: BTreeMap<String, Digest> =
            asked.map(|prompt| (prompt.name.to_owned(), prompt.digest())).collect();
        let judge = engines.judge.filter(|_| !prompts.is_empty()).map(|judge| JudgeUsed {
            model: judge.model().to_owned(),
            digest: judge.digest(),
            prompts,
        });
        let embeds = suite.scorers.iter().any(|scorer| scorer.spec.measure.needs_embedder());
        Self {
            name: plan.name.to_owned(),
            suite: suite.digest,
            drawn: suite.drawn,
            subject: *plan.subject,
            judge,
            embedder: engines.embeds.filter(|_| embeds).map(|embeds| embeds.digest()),
            state,
            planned,
            results,
            summaries,
            spend,
        }
    }

    /// Takes out of all answers what quotes any of `documents`; whether anything did. What the run
    /// says of its subject stays.
    pub fn without(&mut self, documents: &BTreeSet<String>) -> bool {
        let mut any = false;
        for result in &mut self.results {
            any |= result.without(documents);
        }
        any
    }

    /// How many answers were held by the cases.
    pub fn given(&self) -> usize {
        self.results.iter().filter(|result| result.is_given()).count()
    }

    /// How many questions have no answer.
    pub fn unanswered(&self) -> usize {
        self.results.iter().filter(|result| result.answered.answer().is_none()).count()
    }

    /// What the run says of its subject.
    pub fn verdict(&self) -> Verdict {
        if self.state != State::Finished {
            return Verdict::Partial;
        }
        let deciding = || self.summaries.values().filter(|summary| summary.advisory.is_none());
        if deciding().any(|it| it.pass_rate.is_some_and(|rate| rate < it.required)) {
            return Verdict::Failed;
        }
        if self.unanswered() > 0 || deciding().any(|summary| summary.errors > 0) {
            return Verdict::Error;
        }
        if deciding().all(|summary| summary.pass_rate.is_none()) {
            return Verdict::Inconclusive;
        }
        Verdict::Passed
    }
}

impl Summary {
    fn of(suite: &Suite, scorer: &Scorer, results: &[CaseResult], steps: Vec<String>) -> Self {
        let mut summary = Self { required: scorer.spec.pass_rate, steps, ..Self::default() };
        let mut sum = 0.0;
        let own = results.iter().filter(|result| !result.is_given());
        for outcome in own.filter_map(|result| result.scores.get(&scorer.name)) {
            match outcome {
                Outcome::NotApplicable { .. } => summary.not_applicable += 1,
                Outcome::Error { .. } => summary.errors += 1,
                Outcome::Scored(score) => {
                    summary.n += 1;
                    sum += score.value;
                    summary.passed += u32::from(score.pass == Some(true));
                    summary.failed += u32::from(score.pass == Some(false));
                }
            }
        }
        let share = |part: f64, whole: u32| (whole > 0).then(|| part / f64::from(whole));
        summary.mean = share(sum, summary.n);
        summary.pass_rate = share(f64::from(summary.passed), summary.passed + summary.failed);
        if let Some(judge) = suite.file.judge.as_ref().filter(|_| scorer.spec.measure.needs_judge())
        {
            let agreement = agreement(&scorer.name, results);
            summary.advisory = agreement.may_gate(judge).err();
            summary.agreement = Some(agreement);
        }
        summary
    }
}

/// How well a scorer agrees with people on the answers that they have labelled.
fn agreement(scorer: &str, results: &[CaseResult]) -> Agreement {
    let (mut pairs, mut undecided, mut unscored) = (Vec::new(), 0, 0);
    for result in results {
        let pass = result.scores.get(scorer).and_then(Outcome::score).and_then(|it| it.pass);
        match (result.labels.get(scorer), pass) {
            (None, _) => {}
            (Some(None), _) => undecided += 1,
            (Some(Some(_)), None) => unscored += 1,
            (Some(Some(people)), Some(judge)) => pairs.push((*people, judge)),
        }
    }
    Agreement { undecided, unscored, ..Agreement::of(pairs) }
}
