use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use release::{Digest, ReleaseDigest};
use serde_json::{Value, json};

use super::{
    Answered, Answerer, Forgetful, Handles, Ledger, Plan, Progress, Record, Run, State, Stop,
    Verdict, run,
};
use crate::answer::Answer;
use crate::judge::{CallError, Judge};
use crate::scorers::{Engines, Outcome};
use crate::scripted::{Scripted, mills};
use crate::suite::{Case, Suite};

/// A suite of `cases` cases that each expect `Yes.`, by an exact scorer unless others are given.
fn suite(cases: usize, changes: Value) -> Suite {
    let cases: Vec<String> = (0..cases)
        .map(|number| json!({ "id": format!("case-{number}"), "input": "Q?", "expected": "Yes." }))
        .map(|case| case.to_string())
        .collect();
    suite_of(&cases.join("\n"), changes)
}

fn suite_of(cases: &str, changes: Value) -> Suite {
    let mut file = json!({
        "cases": "a.jsonl", "concurrency": 1,
        "scorers": { "right": { "measure": { "kind": "exact" } } },
    });
    file.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Suite::read(serde_json::from_value(file).unwrap(), cases).unwrap()
}

/// Answers `Yes.` for a tenth of a cent, except where it is told to fail or to answer otherwise.
#[derive(Default)]
struct Fake {
    fails: BTreeSet<&'static str>,
    answers: HashMap<&'static str, &'static str>,
    asked: AtomicUsize,
}

#[async_trait]
impl Answerer for Fake {
    async fn answer(&self, case: &Case, _: u32) -> Result<Answer, CallError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.fails.contains(case.id.as_str()) {
            return Err(CallError("the provider answered 503".to_owned()));
        }
        let text = self.answers.get(case.id.as_str()).copied().unwrap_or("Yes.");
        Ok(Answer { text: text.to_owned(), cost: Some(mills(1)), ..Answer::default() })
    }
}

/// A ledger in memory that can be made to fail.
#[derive(Default)]
struct Memory {
    kept: Mutex<HashMap<Digest, Record>>,
    full: bool,
}

#[async_trait]
impl Ledger for Memory {
    async fn get(&self, key: Digest) -> Result<Option<Record>, CallError> {
        Ok(self.kept.lock().unwrap().get(&key).cloned())
    }

    async fn put(&self, key: Digest, record: Record) -> Result<(), CallError> {
        if self.full {
            return Err(CallError("the disk is full".to_owned()));
        }
        self.kept.lock().unwrap().insert(key, record);
        Ok(())
    }
}

struct Bed<'a> {
    answerer: &'a Fake,
    judge: Option<&'a dyn Judge>,
    ledger: &'a dyn Ledger,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    cancelled: &'a AtomicBool,
}

static GO_ON: AtomicBool = AtomicBool::new(false);

impl<'a> Bed<'a> {
    fn of(answerer: &'a Fake) -> Self {
        Self { answerer, judge: None, ledger: &Forgetful, progress: &|_| {}, cancelled: &GO_ON }
    }

    fn run(self, suite: &Suite) -> Run {
        let subject = ReleaseDigest::new(Digest::of(b"release"));
        let plan = Plan { name: "support", suite, subject: &subject };
        let handles = Handles {
            answerer: self.answerer,
            engines: Engines { judge: self.judge, ..Engines::default() },
            ledger: self.ledger,
            progress: self.progress,
            cancelled: self.cancelled,
        };
        futures::executor::block_on(run(plan, handles))
    }
}

fn stopped(reason: Stop) -> State {
    State::Stopped { reason }
}

#[test]
fn every_case_is_asked_as_often_as_the_suite_says_and_told_in_order() {
    let answerer = Fake { answers: HashMap::from([("case-1", "No.")]), ..Fake::default() };
    let told = Mutex::new(Vec::new());
    let progress = |progress: Progress| told.lock().unwrap().push(progress.done);
    let bed = Bed { progress: &progress, ..Bed::of(&answerer) };
    let found = bed.run(&suite(3, json!({ "repeats": 2, "concurrency": 4 })));
    let order: Vec<(&str, u32)> =
        found.results.iter().map(|it| (it.case.as_str(), it.repeat)).collect();
    let wanted =
        [("case-0", 0), ("case-0", 1), ("case-1", 0), ("case-1", 1), ("case-2", 0), ("case-2", 1)];
    assert_eq!(order, wanted);
    let summary = &found.summaries["right"];
    assert_eq!((summary.n, summary.passed, summary.failed), (6, 4, 2));
    assert!((summary.mean.unwrap() - 4.0 / 6.0).abs() < 1e-12);
    assert_eq!((found.state.clone(), found.verdict()), (State::Finished, Verdict::Failed));
    assert_eq!(found.spend.cost, Some(mills(6)));
    assert_eq!(*told.lock().unwrap(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_run_passes_where_enough_scores_do() {
    let answerer = Fake { answers: HashMap::from([("case-1", "No.")]), ..Fake::default() };
    let with_rate = |rate: f64| {
        let scorer = json!({ "measure": { "kind": "exact" }, "pass_rate": rate });
        Bed::of(&answerer).run(&suite(4, json!({ "scorers": { "right": scorer } }))).verdict()
    };
    assert_eq!(with_rate(0.75), Verdict::Passed);
    assert_eq!(with_rate(0.8), Verdict::Failed);
}

#[test]
fn a_run_whose_scores_have_no_bounds_decides_nothing() {
    let scorers = json!({ "scorers": { "words": { "measure": { "kind": "length" } } } });
    assert_eq!(Bed::of(&Fake::default()).run(&suite(2, scorers)).verdict(), Verdict::Inconclusive);
}

#[test]
fn a_provider_that_fails_half_way_leaves_errors_and_the_run_goes_on() {
    let answerer = Fake { fails: BTreeSet::from(["case-1", "case-2"]), ..Fake::default() };
    let found = Bed::of(&answerer).run(&suite(5, json!({})));
    assert_eq!((found.state.clone(), found.results.len()), (State::Finished, 5));
    assert_eq!(found.unanswered(), 2);
    let failed = Answered::Failed { reason: "the provider answered 503".to_owned() };
    assert_eq!(found.results[1].answered, failed);
    // What has no answer has no score, good or bad.
    let summary = &found.summaries["right"];
    assert_eq!((summary.n, summary.mean, summary.pass_rate), (3, Some(1.0), Some(1.0)));
    assert_eq!(found.verdict(), Verdict::Error);
}

#[test]
fn a_provider_that_stays_away_stops_the_run() {
    let ids: Vec<&'static str> = vec!["case-2", "case-3", "case-4", "case-5", "case-6"];
    let answerer = Fake { fails: ids.into_iter().collect(), ..Fake::default() };
    let found = Bed::of(&answerer).run(&suite(9, json!({ "errors_in_a_row": 3 })));
    assert_eq!(found.state, stopped(Stop::ErrorsInARow));
    assert_eq!((found.results.len(), answerer.asked.load(Ordering::Relaxed)), (5, 5));
    assert_eq!(found.verdict(), Verdict::Partial);
}

#[test]
fn a_run_stops_at_its_cost_cap_and_is_then_never_a_pass() {
    let answerer = Fake::default();
    let found = Bed::of(&answerer).run(&suite(9, json!({ "cost_cap": { "amount": 0.003 } })));
    assert_eq!(found.state, stopped(Stop::CostCap));
    assert_eq!((found.planned, answerer.asked.load(Ordering::Relaxed)), (9, 3));
    assert_eq!(found.spend.cost, Some(mills(3)));
    assert_eq!(found.verdict(), Verdict::Partial);
}

#[test]
fn a_cap_that_the_last_case_reaches_has_stopped_nothing() {
    let scorers = json!({ "scorers": { "right": { "measure": { "kind": "exact" } } },
        "cost_cap": { "amount": 0.5 } });
    let found = Bed::of(&Fake::default()).run(&suite(3, scorers));
    assert_eq!((found.state.clone(), found.verdict()), (State::Finished, Verdict::Passed));
}

#[test]
fn a_run_that_goes_on_pays_for_nothing_twice() {
    let ledger = Memory::default();
    let whole = suite(5, json!({ "cost_cap": { "amount": 0.003 } }));
    let first = Fake::default();
    let found = Bed { ledger: &ledger, ..Bed::of(&first) }.run(&whole);
    assert_eq!(found.state, stopped(Stop::CostCap));
    // The same cap still holds: what was paid before counts.
    let second = Fake::default();
    let found = Bed { ledger: &ledger, ..Bed::of(&second) }.run(&whole);
    assert_eq!((found.state, second.asked.into_inner()), (stopped(Stop::CostCap), 0));
    let more = suite(5, json!({ "cost_cap": { "amount": 1.0 } }));
    let third = Fake::default();
    let found = Bed { ledger: &ledger, ..Bed::of(&third) }.run(&more);
    assert_eq!((found.state.clone(), third.asked.into_inner()), (State::Finished, 2));
    assert_eq!((found.verdict(), found.spend.cost), (Verdict::Passed, Some(mills(5))));
}

#[test]
fn a_cancelled_run_begins_nothing_new() {
    let cancelled = AtomicBool::new(false);
    let progress = |progress: Progress| cancelled.store(progress.done == 2, Ordering::Relaxed);
    let answerer = Fake::default();
    let bed = Bed { cancelled: &cancelled, progress: &progress, ..Bed::of(&answerer) };
    let found = bed.run(&suite(9, json!({})));
    assert_eq!((found.state.clone(), found.results.len()), (stopped(Stop::Cancelled), 2));
    assert_eq!(answerer.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn a_run_whose_results_cannot_be_kept_stops() {
    let ledger = Memory { full: true, ..Memory::default() };
    let answerer = Fake::default();
    let found = Bed { ledger: &ledger, ..Bed::of(&answerer) }.run(&suite(9, json!({})));
    assert_eq!(found.state, stopped(Stop::Ledger { reason: "the disk is full".to_owned() }));
    assert_eq!(answerer.asked.load(Ordering::Relaxed), 1);
}

/// A suite whose judge marks by criteria, over answers that people have labelled and a question.
fn labelled(count: usize, disagreeing: usize) -> Suite {
    let cases: Vec<String> = (0..count)
        .map(|number| {
            // Every other answer is bad, and the judge says so of `disagreeing` good ones too.
            let good = number % 2 == 0;
            let text = if good && number / 2 >= disagreeing { "good" } else { "bad" };
            let label = json!({ "scorer": "kind", "by": "ada", "pass": good });
            json!({ "id": format!("c{number}"), "input": "Q?", "answer": { "text": text },
                "labels": [label] })
            .to_string()
        })
        .chain([json!({ "id": "asked", "input": "Q?" }).to_string()])
        .collect();
    let measure = json!({ "kind": "criteria", "criteria": "Be kind.", "steps": ["Read it."] });
    let changes = json!({
        "judge": { "model": "judge", "min_labels": 20 },
        "scorers": { "kind": { "measure": measure } }, "repeats": 2,
    });
    suite_of(&cases.join("\n"), changes)
}

/// A judge that finds the word `good` in the answer.
#[derive(Debug)]
struct Literal;

#[async_trait]
impl Judge for Literal {
    fn model(&self) -> &str {
        "literal"
    }

    fn digest(&self) -> Digest {
        Digest::of(b"literal")
    }

    async fn ask(
        &self,
        question: &crate::judge::Question,
    ) -> Result<crate::judge::Reply, CallError> {
        let score = if question.prompt.contains("\"answer\":\"good\"") { 9 } else { 1 };
        let text = json!({ "reason": "", "score": score }).to_string();
        Ok(crate::judge::Reply { text, cost: Some(mills(2)), ..Default::default() })
    }
}

#[test]
fn a_judge_decides_once_it_agrees_with_people() {
    let answerer = Fake { answers: HashMap::from([("asked", "good")]), ..Fake::default() };
    let of = |suite: &Suite| {
        let found = Bed { judge: Some(&Literal), ..Bed::of(&answerer) }.run(suite);
        let summary = found.summaries["kind"].clone();
        // The answers that the cases hold, half of them bad, are not the release's.
        assert_eq!((summary.n, summary.mean, found.given()), (2, Some(0.9), suite.cases.len() - 1));
        (found.verdict(), summary.advisory, summary.agreement.unwrap().n)
    };
    assert_eq!(of(&labelled(20, 0)), (Verdict::Passed, None, 20));
    let few = Some("people have labelled 10 answers of 20".to_owned());
    assert_eq!(of(&labelled(10, 0)), (Verdict::Inconclusive, few, 10));
    let (verdict, advisory, _) = of(&labelled(20, 6));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(advisory.unwrap(), "κ with people is 0.40, less than 0.6");
    // Of the three runs, each asks the one question twice.
    assert_eq!(answerer.asked.load(Ordering::Relaxed), 6);
}

#[test]
fn an_answer_that_people_have_labelled_is_scored_by_what_they_labelled_it_for() {
    let case = json!({ "id": "a", "input": "Q?", "expected": "Yes.", "answer": { "text": "Yes." },
        "labels": [{ "scorer": "right", "by": "ada", "pass": true }] });
    let scorers = json!({ "scorers": {
        "right": { "measure": { "kind": "exact" } },
        "words": { "measure": { "kind": "length" } } } });
    let found = Bed::of(&Fake::default()).run(&suite_of(&case.to_string(), scorers));
    assert_eq!(found.results[0].scores.keys().collect::<Vec<_>>(), ["right"]);
    assert_eq!(found.verdict(), Verdict::Inconclusive);
}

#[test]
fn the_judge_and_its_prompts_are_recorded() {
    let found = Bed { judge: Some(&Literal), ..Bed::of(&Fake::default()) }.run(&labelled(2, 0));
    let judge = found.judge.unwrap();
    assert_eq!((judge.model.as_str(), judge.digest), ("literal", Digest::of(b"literal")));
    assert_eq!(judge.prompts.keys().collect::<Vec<_>>(), ["criteria"]);
    let without = Fake::default();
    let without = Bed { judge: Some(&Literal), ..Bed::of(&without) };
    assert_eq!(without.run(&suite(1, json!({}))).judge, None);
}

#[test]
fn a_judge_that_answers_nonsense_gives_errors_and_is_asked_again_when_the_run_goes_on() {
    let measure = json!({ "kind": "criteria", "criteria": "Be kind." });
    let changes = json!({ "judge": { "model": "judge" },
        "scorers": { "kind": { "measure": measure } } });
    let suite = suite(2, changes);
    let (ledger, answerer) = (Memory::default(), Fake::default());
    let steps = r#"{"steps": ["Read it."]}"#;
    let good = r#"{"reason": "", "score": 9}"#;
    let first = Scripted::saying(&[steps, good, "I like turtles."]);
    let bed = || Bed { ledger: &ledger, ..Bed::of(&answerer) };
    let found = Bed { judge: Some(&first), ..bed() }.run(&suite);
    let summary = &found.summaries["kind"];
    assert_eq!((summary.n, summary.errors, summary.mean), (1, 1, Some(0.9)));
    assert_eq!(summary.steps, ["Read it."]);
    assert!(matches!(&found.results[1].scores["kind"], Outcome::Error { reason, .. }
        if reason.contains("I like turtles.")));
    // Steps, answers and the good mark are there already: only the bad one is asked for again.
    let second = Scripted::saying(&[good]);
    let found = Bed { judge: Some(&second), ..bed() }.run(&suite);
    assert_eq!((found.summaries["kind"].n, second.calls()), (2, 1));
    assert_eq!(answerer.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn a_judge_that_cannot_be_asked_stops_the_run_before_it_pays_for_all_answers() {
    let changes = json!({ "judge": { "model": "judge" }, "errors_in_a_row": 2,
        "scorers": { "true": { "measure": { "kind": "criteria", "criteria": "c" } } } });
    let (judge, answerer) = (Scripted::default(), Fake::default());
    let found = Bed { judge: Some(&judge), ..Bed::of(&answerer) }.run(&suite(9, changes));
    assert_eq!(found.state, stopped(Stop::ErrorsInARow));
    assert_eq!((judge.calls(), answerer.asked.load(Ordering::Relaxed)), (1, 2));
}

#[test]
fn a_run_reads_back_as_it_was_written() {
    let answerer = Fake { fails: BTreeSet::from(["case-1"]), ..Fake::default() };
    let found = Bed::of(&answerer).run(&suite(3, json!({})));
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), found);
}

#[tokio::test]
async fn a_run_can_be_a_task_of_its_own_and_asks_as_many_at_once_as_it_may() {
    /// Waits until as many are asked as may be.
    struct Together(tokio::sync::Barrier);

    #[async_trait]
    impl Answerer for Together {
        async fn answer(&self, _: &Case, _: u32) -> Result<Answer, CallError> {
            self.0.wait().await;
            Ok(Answer { text: "Yes.".to_owned(), ..Answer::default() })
        }
    }

    let found = tokio::spawn(async {
        let suite = suite(6, json!({ "concurrency": 3 }));
        let answerer = Together(tokio::sync::Barrier::new(3));
        let subject = ReleaseDigest::new(Digest::of(b"release"));
        let plan = Plan { name: "support", suite: &suite, subject: &subject };
        let handles = Handles {
            answerer: &answerer,
            engines: Engines::default(),
            ledger: &Forgetful,
            progress: &|_| {},
            cancelled: &GO_ON,
        };
        run(plan, handles).await
    });
    assert_eq!(found.await.unwrap().verdict(), Verdict::Passed);
}
