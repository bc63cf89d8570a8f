//! What two runs say of a candidate.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::answer::Answer;
use crate::judge::CallError;
use crate::run::{Answerer, Forgetful, Handles, Plan, run};
use crate::scorers::Engines;
use crate::suite::Case as Asked;

/// Answers `Yes.`, except from the case of that number on, and fails for one.
struct Until {
    wrong_from: usize,
    fails: Option<usize>,
}

#[async_trait]
impl Answerer for Until {
    async fn answer(&self, case: &Asked, _: u32) -> Result<Answer, CallError> {
        let number: usize = case.id.parse().unwrap();
        if self.fails == Some(number) {
            return Err(CallError("the provider answered 503".to_owned()));
        }
        let text = if number < self.wrong_from { "Yes." } else { "No." };
        Ok(Answer { text: text.to_owned(), ..Answer::default() })
    }
}

fn suite(cases: usize, changes: Value) -> Suite {
    let case =
        |number: usize| json!({ "id": number.to_string(), "input": "Q?", "expected": "Yes." });
    let cases: Vec<_> = (0..cases).map(|number| case(number).to_string()).collect();
    let mut file = json!({
        "cases": "a.jsonl", "errors_in_a_row": 1000,
        "scorers": {
            "right": { "measure": { "kind": "exact" } },
            "length": { "measure": { "kind": "length" } },
        },
    });
    file.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Suite::read(serde_json::from_value(file).unwrap(), &cases.join("\n")).unwrap()
}

fn run_of(suite: &Suite, release: &str, answerer: &Until) -> Run {
    let subject = ReleaseDigest::new(Digest::of(release.as_bytes()));
    let handles = Handles {
        answerer,
        engines: Engines::default(),
        ledger: &Forgetful,
        progress: &|_| {},
        cancelled: &AtomicBool::new(false),
    };
    futures::executor::block_on(run(Plan { name: "s", suite, subject: &subject }, handles))
}

fn right(wrong_from: usize) -> Until {
    Until { wrong_from, fails: None }
}

fn compared(suite: &Suite, before: &Until, after: &Until) -> Comparison {
    let (base, candidate) = (run_of(suite, "base", before), run_of(suite, "next", after));
    compare(suite, &base, &candidate, &NonInferiority::default())
}

#[test]
fn a_large_suite_passes_what_is_equal_and_fails_what_is_worse() {
    let suite = suite(2_000, json!({}));
    let equal = compared(&suite, &right(1_800), &right(1_800));
    assert_eq!(
        (equal.gate, equal.reason.as_str()),
        (Gate::Pass, "no scorer is worse by more than 0.03")
    );
    let worse = compared(&suite, &right(1_800), &right(1_600));
    assert_eq!(worse.gate, Gate::Fail, "{}", worse.reason);
    let right = &worse.scorers["right"];
    assert_eq!(right.outcomes, Some(Outcomes { both: 1_600, lost: 200, gained: 0, neither: 200 }));
    assert!(right.p.unwrap() < 1e-9);
    assert_eq!((right.before, right.after), (Some(0.9), Some(0.8)));
    assert!(right.difference.unwrap().upper < 0.0);
}

#[test]
fn a_small_suite_is_inconclusive_and_says_how_many_cases_are_needed() {
    let told = compared(&suite(10, json!({})), &right(9), &right(9));
    assert_eq!(told.gate, Gate::Inconclusive);
    assert!(told.reason.contains("too few to tell 0.03"), "{}", told.reason);
}

#[test]
fn repeats_of_a_case_are_one_case() {
    let told = compared(&suite(30, json!({ "repeats": 3 })), &right(30), &right(0));
    let right = &told.scorers["right"];
    assert_eq!((right.cases, right.decision.unwrap().seen.cases), (30, 30));
    assert_eq!(told.gate, Gate::Fail);
}

#[test]
fn a_scorer_without_a_bound_is_told_and_decides_nothing() {
    let only = json!({ "scorers": { "length": { "measure": { "kind": "length" } } } });
    let told = compared(&suite(40, only), &right(40), &right(0));
    assert_eq!((told.gate, told.reason.as_str()), (Gate::Inconclusive, "no scorer decides"));
    assert!(told.scorers["length"].difference.is_some());
    assert!(told.scorers["length"].advisory.is_some());
}

#[test]
fn nothing_passes_with_scores_missing_through_errors() {
    let suite = suite(2_000, json!({}));
    let told = compared(&suite, &right(1_990), &Until { wrong_from: 1_990, fails: Some(3) });
    assert_eq!(told.gate, Gate::Inconclusive);
    assert_eq!(told.reason, "`right` has no score of 1 cases through errors");
}

#[test]
fn different_versions_of_a_suite_are_not_compared() {
    let (old, new) = (suite(9, json!({})), suite(10, json!({})));
    let (base, candidate) = (run_of(&old, "a", &right(9)), run_of(&new, "b", &right(10)));
    let told = compare(&new, &base, &candidate, &NonInferiority::default());
    assert_eq!(told.reason, "the runs are of different versions of the suite");
    let scorers: BTreeMap<_, _> = told.scorers;
    assert_eq!(scorers["right"].cases, 9);
    assert_eq!(scorers["right"].missing, 1);
}
