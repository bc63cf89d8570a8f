//! Two runs of one suite, case by case: is the candidate worse?
//!
//! Whether answers pass is judged for non-inferiority: a candidate passes if it is shown to be no
//! worse than the base by more than the margin, and a suite too small to show that is inconclusive.
//! What is missing is never made up: with scores missing through errors nothing passes.

use std::collections::{BTreeMap, BTreeSet};

use release::{Digest, ReleaseDigest};
use serde::Serialize;

use crate::run::{CaseResult, Run, State};
use crate::scorers::{Outcome, Scorer};
use crate::statistics::Interval;
use crate::statistics::bootstrap::{self, Case};
use crate::statistics::paired::{Decision, Gate, NonInferiority, Outcomes, mcnemar};
use crate::suite::Suite;

/// The confidence of the intervals that are only shown.
const CONFIDENCE: f64 = 0.95;

/// What two runs say of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The release that it is compared with.
    pub base: ReleaseDigest,
    /// The release.
    pub candidate: ReleaseDigest,
    /// δ: how much worse the share of passes may be.
    pub margin: f64,
    /// The conclusion.
    pub gate: Gate,
    /// Why, in a sentence.
    pub reason: String,
    /// What each scorer says, by name.
    pub scorers: BTreeMap<String, Compared>,
}

/// What one scorer says of both.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Compared {
    /// How many cases have scores in both runs.
    pub cases: u32,
    /// How many cases have an error, or no answer, in either run.
    pub missing: u32,
    /// How many cases the measure says something about in one run alone.
    pub unpaired: u32,
    /// The mean score of the base on these cases.
    pub before: Option<f64>,
    /// The candidate's.
    pub after: Option<f64>,
    /// The 95 % interval of the difference of the means, by drawing cases again.
    pub difference: Option<Interval>,
    /// Cases by whether they passed before and after; of repeats, more than half must pass.
    pub outcomes: Option<Outcomes>,
    /// McNemar's two-sided p of that many cases being lost and gained.
    pub p: Option<f64>,
    /// Whether it is worse by more than the margin.
    pub decision: Option<Decision>,
    /// Why that decides nothing; `None` if it does.
    pub advisory: Option<String>,
}

/// Compares a candidate's run of `suite` with a base's.
pub fn compare(suite: &Suite, base: &Run, candidate: &Run, rule: &NonInferiority) -> Comparison {
    let compared = |scorer: &Scorer| {
        let seed = seed([suite.digest, base.subject.digest(), candidate.subject.digest()], scorer);
        (scorer.name.clone(), Compared::of(scorer, (base, candidate), rule, seed))
    };
    let scorers: BTreeMap<String, Compared> = suite.scorers.iter().map(compared).collect();
    let (gate, reason) = match incomparable(suite, base, candidate) {
        Some(why) => (Gate::Inconclusive, why.to_owned()),
        None => conclude(&scorers, rule.margin),
    };
    let (base, candidate, margin) = (base.subject, candidate.subject, rule.margin);
    Comparison { base, candidate, margin, gate, reason, scorers }
}

/// Why nothing can be concluded of two runs, whatever their scores.
fn incomparable(suite: &Suite, base: &Run, candidate: &Run) -> Option<&'static str> {
    if base.suite != suite.digest || candidate.suite != suite.digest {
        return Some("the runs are of different versions of the suite");
    }
    if base.drawn != candidate.drawn {
        return Some("the runs asked different cases");
    }
    if base.judge != candidate.judge {
        return Some("the runs had different judges or prompts");
    }
    if base.embedder != candidate.embedder {
        return Some("the runs had different embedders");
    }
    if base.planned != candidate.planned {
        return Some("the runs did not ask each case equally often");
    }
    let whole = |run: &Run| run.state == State::Finished;
    (!whole(base) || !whole(candidate)).then_some("a run stopped before its end")
}

fn conclude(scorers: &BTreeMap<String, Compared>, margin: f64) -> (Gate, String) {
    let deciding = scorers.iter().filter(|(_, it)| it.advisory.is_none());
    let deciding: Vec<_> =
        deciding.filter_map(|(name, it)| Some((name, it, it.decision.as_ref()?))).collect();
    for wanted in [Gate::Fail, Gate::Inconclusive] {
        let found = deciding.iter().filter(|(.., decision)| decision.gate == wanted);
        let reasons: Vec<_> =
            found.map(|(name, _, decision)| format!("`{name}` {}", decision.reason())).collect();
        if !reasons.is_empty() {
            return (wanted, reasons.join("; "));
        }
    }
    if let Some((name, it, _)) = deciding.iter().find(|(_, it, _)| it.missing > 0) {
        let why = format!("`{name}` has no score of {} cases through errors", it.missing);
        return (Gate::Inconclusive, why);
    }
    match deciding.as_slice() {
        [] => (Gate::Inconclusive, "no scorer decides".to_owned()),
        _ => (Gate::Pass, format!("no scorer is worse by more than {margin}")),
    }
}

impl Compared {
    fn of(
        scorer: &Scorer,
        (base, candidate): (&Run, &Run),
        rule: &NonInferiority,
        seed: u64,
    ) -> Self {
        let name = &scorer.name;
        let (before, after) = (by_case(base), by_case(candidate));
        let mut compared = Self::default();
        let (mut scores, mut shares, mut repeated) = (Vec::new(), Vec::new(), false);
        let cases: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for case in cases {
            let none = Vec::new();
            let old = before.get(case).unwrap_or(&none);
            let new = after.get(case).unwrap_or(&none);
            let pair = Pair::of(name, old, new);
            compared.missing += u32::from(pair.missing);
            compared.unpaired += u32::from(pair.unpaired);
            repeated |= pair.scores.len() > 1;
            scores.extend(Case::of(&pair.scores));
            shares.extend(Case::of(&pair.passes));
        }
        compared.cases = u32::try_from(scores.len()).unwrap_or(u32::MAX);
        compared.before = mean(scores.iter().map(|case| case.before));
        compared.after = mean(scores.iter().map(|case| case.after));
        compared.difference = bootstrap::difference(&scores, CONFIDENCE, seed);
        if shares.is_empty() {
            let why = "it sets no bound, or no case has a score in both runs";
            compared.advisory = Some(why.to_owned());
            return compared;
        }
        let most = |share: f64| share > 0.5;
        let outcomes =
            Outcomes::of(shares.iter().map(|case| (most(case.before), most(case.after))));
        compared.p = Some(mcnemar(outcomes.lost, outcomes.gained));
        compared.outcomes = Some(outcomes);
        compared.decision = Some(match repeated {
            true => bootstrap::judge(&shares, rule, seed),
            false => rule.judge(&outcomes),
        });
        let advisory = |run: &Run| run.summaries.get(name).and_then(|it| it.advisory.clone());
        compared.advisory = advisory(candidate).or_else(|| advisory(base));
        compared
    }
}

/// One case in both runs.
#[derive(Default)]
struct Pair {
    /// The scores before and after, repeat by repeat.
    scores: Vec<(f64, f64)>,
    /// The same of passes, each 0 or 1.
    passes: Vec<(f64, f64)>,
    missing: bool,
    unpaired: bool,
}

impl Pair {
    fn of(scorer: &str, old: &[&CaseResult], new: &[&CaseResult]) -> Self {
        let mut pair = Self { missing: old.len() != new.len(), ..Self::default() };
        for (old, new) in old.iter().zip(new) {
            match (old.scores.get(scorer), new.scores.get(scorer)) {
                (Some(Outcome::Scored(old)), Some(Outcome::Scored(new))) => {
                    pair.scores.push((old.value, new.value));
                    let passes = old.pass.zip(new.pass);
                    let number = |pass: bool| f64::from(u8::from(pass));
                    pair.passes.extend(passes.map(|(old, new)| (number(old), number(new))));
                }
                (None | Some(Outcome::Error { .. }), _)
                | (_, None | Some(Outcome::Error { .. })) => {
                    pair.missing = true;
                }
                (Some(Outcome::NotApplicable { .. }), Some(Outcome::NotApplicable { .. })) => {}
                _ => pair.unpaired = true,
            }
        }
        pair
    }
}

/// The release's own answers, by case and in the order of their repeats.
fn by_case(run: &Run) -> BTreeMap<&str, Vec<&CaseResult>> {
    let mut cases: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for result in run.results.iter().filter(|result| !result.is_given()) {
        cases.entry(&result.case).or_default().push(result);
    }
    cases
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

/// The same runs give the same intervals.
fn seed(digests: [Digest; 3], scorer: &Scorer) -> u64 {
    let [suite, base, candidate] = &digests;
    let parts = [suite.as_bytes(), base.as_bytes(), candidate.as_bytes(), scorer.digest.as_bytes()];
    let digest = Digest::of_fields(parts.map(|part| part.as_slice()));
    digest.as_bytes().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
