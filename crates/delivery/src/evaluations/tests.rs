//! Runs are begun once, go on where they were, and say something of a release only if they are of
//! the suite as it is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use evaluation::answer::Answer;
use evaluation::judge::CallError;
use evaluation::run::{Answerer, Handles, Plan, run};
use evaluation::scorers::Engines;
use evaluation::statistics::paired::Gate;
use evaluation::suite::Case;

use super::*;
use crate::desk::Desk;
use crate::{Promotion, Upload};

const NO_SOURCES: &str = "[[sources]]\nkind = \"push\"\n";

/// The desk's project, with an app that needs no knowledge and a suite of so many cases.
async fn apply(desk: &Desk, prompt: &str, cases: usize) {
    let suite = "cases = \"yes.jsonl\"\n[scorers.right]\nmeasure = { kind = \"exact\" }\n";
    let case =
        |number| format!("{{\"id\": \"{number}\", \"input\": \"Q?\", \"expected\": \"Yes.\"}}\n");
    let cases: String = (0..cases).map(case).collect();
    let files = [
        ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
        (
            "apps/support.toml",
            "[slots]\nmodel = \"m\"\nprompt = \"p\"\n[delivery]\nenter = \"manual\"\n\
             [[delivery.environments.prod.gates]]\nkind = \"eval\"\nsuite = \"yes\"\n",
        ),
        ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("prompts/p.md", prompt),
        ("knowledge/handbook.toml", NO_SOURCES),
        ("evals/yes.toml", suite),
        ("evals/yes.jsonl", &cases),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    desk.ada.apply(&Upload { files: files.into(), ..Upload::default() }).await.unwrap();
}

/// Answers `Yes.`, but `No.` from the case of that number on; and notes what it is asked.
struct Until(usize, Mutex<Vec<String>>);

#[async_trait]
impl Answerer for Until {
    async fn answer(&self, case: &Case, _: u32) -> Result<Answer, CallError> {
        self.1.lock().unwrap().push(case.id.clone());
        let right = case.id.parse::<usize>().unwrap() < self.0;
        Ok(Answer { text: if right { "Yes." } else { "No." }.to_owned(), ..Answer::default() })
    }
}

fn wish() -> NewEvaluation {
    let (suite, app) = ("yes".parse().unwrap(), "support".parse().unwrap());
    NewEvaluation {
        suite,
        app,
        release: None,
        environment: None,
        repeats: None,
        traces: None,
        cases_of: None,
    }
}

async fn ran(desk: &Desk, plan: &EvaluationPlan, answerer: &Until, most: usize) -> Run {
    let suite = desk.ada.open_suite(plan.suite.digest).await.unwrap();
    let ledger = desk.ada.evaluation_ledger(plan);
    let cancelled = AtomicBool::new(false);
    let progress = |progress: evaluation::run::Progress| {
        if progress.done >= most {
            cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let handles = Handles {
        answerer,
        engines: Engines::default(),
        ledger: &ledger,
        progress: &progress,
        cancelled: &cancelled,
    };
    run(Plan { name: "yes", suite: &suite, subject: &plan.release }, handles).await
}

/// A run of the newest candidate that answers the first so many cases right.
async fn evaluated(desk: &Desk, key: &str, right: usize) -> EvaluationRecord {
    let plan = desk.ada.begin_evaluation(&wish(), None, (key, desk.now())).await.unwrap().unwrap();
    let run = ran(desk, &plan, &Until(right, Mutex::default()), usize::MAX).await;
    desk.pass(1);
    desk.ada.keep_evaluation(&plan, run).await.unwrap()
}

#[tokio::test]
async fn a_run_that_was_cut_goes_on_with_its_plan_and_pays_for_nothing_twice() {
    let desk = Desk::new(NO_SOURCES).await;
    apply(&desk, "One.\n", 6).await;
    let key = ("execution/task/1", desk.now());
    let plan = desk.ada.begin_evaluation(&wish(), None, key).await.unwrap().unwrap();
    let first = Until(9, Mutex::default());
    let cut = ran(&desk, &plan, &first, 3).await;
    assert_eq!(cut.verdict(), Verdict::Partial);
    let paid = first.1.into_inner().unwrap();

    // Meanwhile there is another candidate, and another version of the suite.
    apply(&desk, "Two.\n", 7).await;
    let again = desk.ada.begin_evaluation(&wish(), None, key).await.unwrap().unwrap();
    assert_eq!(again, plan);
    let second = Until(9, Mutex::default());
    let whole = ran(&desk, &again, &second, usize::MAX).await;
    let asked = second.1.into_inner().unwrap();
    assert!(asked.iter().all(|case| !paid.contains(case)), "{paid:?} then {asked:?}");
    assert_eq!(paid.len() + asked.len(), 6);
    let record = desk.ada.keep_evaluation(&again, whole.clone()).await.unwrap();
    assert_eq!((record.verdict, record.done), (Verdict::Passed, 6));

    // It is over: beginning or keeping it again changes nothing, and nothing of its ledger is left.
    assert_eq!(desk.ada.begin_evaluation(&wish(), None, key).await.unwrap(), None);
    assert_eq!(desk.ada.keep_evaluation(&again, cut).await.unwrap(), record);
    assert_eq!(desk.ada.evaluation_of(&wish().suite, key.0).await.unwrap(), record);
    assert_eq!(desk.ada.evaluation_run(&record).await.unwrap(), whole);
    assert!(desk.ada.store.all(Collection("evaluations.paid"), "").await.unwrap().is_empty());
    assert!(desk.ada.store.all(UNDER_WAY, "").await.unwrap().is_empty());
    let told = desk.told("evaluation").await;
    assert_eq!(told, ["evaluation.ended: -"]);
    for digest in [record.run, record.plan.suite.digest] {
        assert!(!desk.ada.explain_pins(digest).await.unwrap().by.is_empty());
    }
}

#[tokio::test]
async fn a_ledger_that_was_given_up_is_dropped_after_a_week() {
    let desk = Desk::new(NO_SOURCES).await;
    apply(&desk, "One.\n", 6).await;
    let plan = desk.ada.begin_evaluation(&wish(), None, ("a", desk.now())).await.unwrap().unwrap();
    ran(&desk, &plan, &Until(9, Mutex::default()), 2).await;
    desk.pass(8 * 86_400);
    desk.ada.begin_evaluation(&wish(), None, ("b", desk.now())).await.unwrap().unwrap();
    let left = desk.ada.all::<EvaluationPlan>(UNDER_WAY, "").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].value.id, plan.id);
    assert!(desk.ada.store.all(Collection("evaluations.paid"), "").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_run_is_told_before_it_begins() {
    let desk = Desk::new(NO_SOURCES).await;
    apply(&desk, "One.\n", 2).await;
    let mut told = Vec::new();
    for changed in [
        NewEvaluation { suite: "no".parse().unwrap(), ..wish() },
        NewEvaluation { app: "sales".parse().unwrap(), ..wish() },
        NewEvaluation { release: Some("9".to_owned()), ..wish() },
        NewEvaluation { environment: Some("moon".parse().unwrap()), ..wish() },
        NewEvaluation { repeats: Some(0), ..wish() },
    ] {
        let error = desk.ada.begin_evaluation(&changed, None, ("k", desk.now())).await.unwrap_err();
        told.push(format!("{}: {error}", error.name()));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_verdict_needs_runs_of_the_suite_as_it_is_and_compares_with_what_is_live() {
    let desk = Desk::new(NO_SOURCES).await;
    let (app, suite): (AppName, ArtifactName) =
        ("support".parse().unwrap(), "yes".parse().unwrap());
    let prod = "prod".parse().unwrap();
    let mut told = Vec::new();
    let mut ask = async |desk: &Desk, what: &str, margin: f64| {
        let head = desk.ada.app(&app).await.unwrap().value.head.unwrap();
        let ada = &desk.ada;
        let verdict = ada.evaluation_verdict((&app, &suite), head, &prod, margin).await.unwrap();
        let EvaluationVerdict { gate, reason, runs } = verdict;
        let reason = reason.replace(&head.to_string(), "HEAD");
        let reason = runs.iter().fold(reason, |reason, run| reason.replace(run, "RUN"));
        told.push(format!("{what}: {gate}, {} runs: {reason}", runs.len()));
        gate
    };
    apply(&desk, "One.\n", 300).await;
    ask(&desk, "never run", 0.03).await;
    evaluated(&desk, "a", 300).await;
    ask(&desk, "nothing live", 0.03).await;
    let wish = Promotion {
        app: app.clone(),
        environment: prod.clone(),
        release: None,
        expected: None,
        now: true,
    };
    desk.ada.promote(&wish).await.unwrap();
    ask(&desk, "live itself", 0.03).await;
    apply(&desk, "Two.\n", 300).await;
    evaluated(&desk, "b", 300).await;
    let equal = ask(&desk, "as good", 0.05).await;
    assert_eq!(equal, Gate::Pass);
    apply(&desk, "Three.\n", 300).await;
    evaluated(&desk, "c", 200).await;
    ask(&desk, "fails by itself", 0.05).await;
    apply(&desk, "Three.\n", 301).await;
    ask(&desk, "of another version of the suite", 0.05).await;
    insta::assert_snapshot!(told.join("\n"));
    let head = desk.ada.app(&app).await.unwrap().value.head.unwrap();
    let bad = desk.ada.evaluation_verdict((&app, &suite), head, &prod, 0.0).await.unwrap_err();
    assert_eq!(bad.to_string(), "`margin` is 0, but must be above 0");
    let all = desk.ada.evaluations(&Evaluations::default()).await.unwrap();
    let names: BTreeMap<_, _> = all.iter().map(|it| (&it.plan.id, it.verdict)).collect();
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn a_gate_lets_in_what_runs_say_is_good_and_nothing_that_was_not_run() {
    let desk = Desk::new(NO_SOURCES).await;
    let (app, prod): (AppName, EnvironmentName) =
        ("support".parse().unwrap(), "prod".parse().unwrap());
    let promote = async |desk: &Desk| {
        let (app, environment) = (app.clone(), prod.clone());
        let wish = Promotion { app, environment, release: None, expected: None, now: false };
        match desk.ada.promote(&wish).await {
            Ok(_) => Vec::new(),
            Err(DeliveryError::NotEligible { why, .. }) => why,
            Err(other) => panic!("{other}"),
        }
    };
    apply(&desk, "One.\n", 300).await;
    let never = promote(&desk).await;
    assert!(never[0].starts_with("eval (inconclusive): the candidate"), "{never:?}");
    let first = evaluated(&desk, "a", 300).await;
    assert_eq!(promote(&desk).await, Vec::<String>::new());
    let report = desk.ada.gates(&app, &prod, Some("1")).await.unwrap();
    assert!(report.gates[0].verdict.why.contains(&first.plan.id), "it names what it rests on");
    apply(&desk, "Two.\n", 300).await;
    evaluated(&desk, "b", 200).await;
    let worse = promote(&desk).await;
    assert!(worse[0].starts_with("eval (failed):"), "{worse:?}");
    evaluated(&desk, "c", 300).await;
    assert_eq!(promote(&desk).await, Vec::<String>::new(), "a newer run decides anew");
}

#[tokio::test]
async fn drawn_cases_are_kept_with_their_run_asked_again_by_another_and_decide_no_gate() {
    let desk = Desk::new(NO_SOURCES).await;
    apply(&desk, "One.\n", 6).await;
    let case = |id: &str| -> Case {
        serde_json::from_value(serde_json::json!({"id": id, "input": "Q?", "recorded": true}))
            .unwrap()
    };
    let draw = Draw {
        cases: vec![case("1"), case("2")],
        wanted: 3,
        seed: 0,
        since: desk.now(),
        until: desk.now(),
        left_out: 1,
    };
    let key = ("drawn", desk.now());
    let plan = desk.ada.begin_evaluation(&wish(), Some(draw.clone()), key).await.unwrap().unwrap();
    // Begun again it asks what it has drawn, whatever is drawn by then.
    assert!(desk.ada.has_begun(&wish(), "drawn").await.unwrap());
    let other = Draw { cases: vec![case("9")], ..draw };
    let again = desk.ada.begin_evaluation(&wish(), Some(other), key).await.unwrap().unwrap();
    assert_eq!(again, plan);
    let suite = desk.ada.planned_suite(&plan).await.unwrap();
    let asked: Vec<_> = suite.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!((asked, suite.digest), (vec!["1", "2"], plan.suite.digest));
    let drawn = plan.drawn.clone().unwrap();
    let named = desk.ada.evaluation_blobs().await.unwrap();
    assert!(named.iter().any(|(_, digest)| *digest == drawn.cases), "{named:?}");

    let answerer = Until(9, Mutex::default());
    let cancelled = AtomicBool::new(false);
    let handles = Handles {
        answerer: &answerer,
        engines: Engines::default(),
        ledger: &desk.ada.evaluation_ledger(&plan),
        progress: &|_| {},
        cancelled: &cancelled,
    };
    let run = run(Plan { name: "yes", suite: &suite, subject: &plan.release }, handles).await;
    assert_eq!((run.drawn, run.summaries["right"].not_applicable), (Some(drawn.cases), 2));
    let record = desk.ada.keep_evaluation(&plan, run).await.unwrap();
    let newest = desk.ada.newest_run(&plan.app, &plan.suite, plan.release).await.unwrap();
    assert_eq!(newest, None, "the suite's own cases were not asked");

    let same = NewEvaluation { cases_of: Some(record.plan.id), ..wish() };
    let same = desk.ada.begin_evaluation(&same, None, ("same", desk.now())).await.unwrap().unwrap();
    assert_eq!(same.drawn, Some(drawn));
    let own = evaluated(&desk, "own", 6).await;
    let wrong = NewEvaluation { cases_of: Some(own.plan.id), ..wish() };
    let wrong = desk.ada.begin_evaluation(&wrong, None, ("wrong", desk.now())).await.unwrap_err();
    assert!(wrong.to_string().contains("drew none"), "{wrong}");
}
