use std::collections::BTreeMap;

use proptest::prelude::*;
use release::{Digest, ReleaseDigest};
use serde_json::json;

use super::{escape, html, html_compared, junit};
use crate::agreement::Agreement;
use crate::answer::{Answer, Spend, Usage};
use crate::run::{Answered, CaseResult, JudgeUsed, Run, State, Stop, Summary, Verdict};
use crate::scorers::{Cause, Outcome, Score};
use crate::scripted::{answer, mills};

fn scored(value: f64, pass: Option<bool>, why: &str) -> Outcome {
    Outcome::Scored(Score { value, pass, explanation: Some(why.to_owned()) })
}

fn case(id: &str, text: &str, scores: &[(&str, Outcome)]) -> CaseResult {
    let scores = scores.iter().map(|(name, outcome)| ((*name).to_owned(), outcome.clone()));
    CaseResult {
        case: id.to_owned(),
        repeat: 0,
        question: "Can I return it?".to_owned(),
        expected: Some("Yes, within thirty days.".to_owned()),
        answered: Answered::Answer(Answer { text: text.to_owned(), ..Answer::default() }),
        scores: scores.collect(),
        labels: BTreeMap::new(),
    }
}

fn finished(release: &str, results: Vec<CaseResult>, summaries: &[(&str, Summary)]) -> Run {
    Run {
        name: "support".to_owned(),
        suite: Digest::of(b"suite"),
        drawn: None,
        subject: ReleaseDigest::new(Digest::of(release.as_bytes())),
        judge: None,
        embedder: None,
        state: State::Finished,
        planned: results.len(),
        results,
        summaries: summaries.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect(),
        spend: Spend { calls: 3, usage: Usage::default(), cost: Some(mills(12)), unpriced: 1 },
    }
}

fn summary(passed: u32, failed: u32) -> Summary {
    let n = passed + failed;
    let rate = f64::from(passed) / f64::from(n);
    let (mean, pass_rate) = (Some(rate), Some(rate));
    Summary { mean, n, passed, failed, pass_rate, required: 1.0, ..Summary::default() }
}

/// A run that has one of everything, and text that would like to be more than text.
fn eventful() -> Run {
    let nonsense =
        Outcome::Error { cause: Cause::Nonsense, reason: "it said `<b>turtles</b>`".to_owned() };
    let silent = Outcome::NotApplicable { reason: "the answer cites nothing".to_owned() };
    let first = CaseResult {
        answered: Answered::Answer(answer(json!({
            "text": "Yes: <script>alert('x')</script> & \"more\"\n\u{0}end",
            "citations": ["p1"], "latency": 1.25, "model": "small-1", "finish_reason": "stop",
            "trace": "4bf92f", "cost": { "currency": "USD", "nanos": 4_000_000 },
            "passages": [{ "id": "p1", "document": "a<b>.md", "text": "</pre><img src=x>",
                "score": 0.5 }],
        }))),
        labels: BTreeMap::from([("kind".to_owned(), Some(true)), ("right".to_owned(), None)]),
        ..case("<one>", "", &[("right", scored(0.0, Some(false), "\"<a>\"")), ("kind", nonsense)])
    };
    let second = CaseResult {
        repeat: 1,
        ..case("two", "Yes.", &[("right", scored(1.0, Some(true), "")), ("cites", silent)])
    };
    let third = CaseResult {
        answered: Answered::Failed { reason: "the provider answered 503".to_owned() },
        ..case("three", "", &[])
    };
    let agreement = Agreement { undecided: 1, ..Agreement::of([(true, true), (false, true)]) };
    let kind = Summary {
        errors: 1,
        steps: vec!["Read it.".to_owned(), "Give <a> mark.".to_owned()],
        agreement: Some(agreement),
        advisory: Some("people have labelled 2 answers of 50".to_owned()),
        ..Summary::default()
    };
    let cites = Summary { not_applicable: 1, ..Summary::default() };
    let summaries = [("right", summary(1, 1)), ("kind", kind), ("cites", cites)];
    let judge = JudgeUsed {
        model: "judge-1".to_owned(),
        digest: Digest::of(b"judge"),
        prompts: BTreeMap::from([("criteria".to_owned(), Digest::of(b"prompt"))]),
    };
    Run {
        judge: Some(judge),
        state: State::Stopped { reason: Stop::CostCap },
        planned: 5,
        ..finished("a", vec![first, second, third], &summaries)
    }
}

/// A page without its style, which says nothing.
fn shown(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    format!("{head}{rest}")
}

#[test]
fn a_page_shows_a_run_and_escapes_what_it_shows() {
    let page = html(&eventful());
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("http://"));
    insta::assert_snapshot!(shown(&page));
}

#[test]
fn two_runs_are_shown_side_by_side_the_worse_cases_first() {
    let right = |pass: bool| [("right", scored(f64::from(pass), Some(pass), ""))];
    let base = vec![
        case("same", "Yes.", &right(true)),
        case("better", "No.", &right(false)),
        case("worse", "Yes, within thirty days.", &right(true)),
        case("other", "Yes!", &right(true)),
        case("gone", "Yes.", &right(true)),
    ];
    let candidate = vec![
        case("same", "Yes.", &right(true)),
        case("better", "Yes.", &right(true)),
        case("worse", "Yes, within <ten> days.", &right(false)),
        case("other", "Yes.", &right(true)),
        case("new", "Yes.", &right(true)),
    ];
    let base = finished("a", base, &[("right", summary(4, 1))]);
    let mut candidate = finished("b", candidate, &[("right", summary(4, 1))]);
    candidate.suite = Digest::of(b"another");
    insta::assert_snapshot!(shown(&html_compared(&base, &candidate)));
}

#[test]
fn an_answer_that_is_missing_now_is_worse() {
    let yes = [("right", scored(1.0, None, ""))];
    let base = finished("a", vec![case("one", "Yes.", &yes)], &[]);
    let failed = Answered::Failed { reason: "503".to_owned() };
    let gone = CaseResult { answered: failed, ..case("one", "", &[]) };
    let candidate = finished("b", vec![gone], &[]);
    assert!(html_compared(&base, &candidate).contains("1 worse"));
}

#[test]
fn a_build_server_is_told_what_failed() {
    insta::assert_snapshot!(junit(&eventful()));
}

#[test]
fn what_the_pass_rate_allows_is_no_failure() {
    let right = |pass: bool| [("right", scored(f64::from(pass), Some(pass), ""))];
    let results = vec![case("a", "Yes.", &right(true)), case("b", "No.", &right(false))];
    let allowed = Summary { required: 0.5, ..summary(1, 1) };
    let xml = junit(&finished("a", results.clone(), &[("right", allowed)]));
    assert!(xml.contains("failures=\"0\" errors=\"0\"") && xml.contains("right fails 0.000"));
    let xml = junit(&finished("a", results, &[("right", summary(1, 1))]));
    assert!(xml.contains("failures=\"1\" errors=\"0\""));
}

proptest! {
    #[test]
    fn a_build_fails_exactly_if_the_verdict_is_not_a_pass(
        scores in proptest::collection::vec(0_u8..4, 1..5),
        required in 0.0_f64..1.0,
        advisory in any::<bool>(),
        stopped in any::<bool>(),
        given in any::<bool>(),
    ) {
        let mut total = Summary { required, ..Summary::default() };
        let results: Vec<CaseResult> = scores.iter().enumerate().map(|(place, kind)| {
            let found = match kind {
                0 => { total.passed += 1; scored(1.0, Some(true), "") }
                1 => { total.failed += 1; scored(0.0, Some(false), "") }
                2 => { total.errors += 1; Outcome::undefined("no statements") }
                _ => { total.not_applicable += 1; Outcome::not_applicable("no") }
            };
            case(&place.to_string(), "Yes.", &[("right", found)])
        }).collect();
        let mut results = results;
        if given {
            let held = Answered::Given(Answer::default());
            let bad = [("right", scored(0.0, Some(false), ""))];
            results.push(CaseResult { answered: held, ..case("held", "", &bad) });
        }
        let n = total.passed + total.failed;
        total.pass_rate = (n > 0).then(|| f64::from(total.passed) / f64::from(n));
        total.advisory = advisory.then(|| "few labels".to_owned());
        let mut run = finished("a", results, &[("right", total)]);
        if stopped {
            run.state = State::Stopped { reason: Stop::Cancelled };
        }
        let xml = junit(&run);
        let passes = xml.contains("failures=\"0\" errors=\"0\"");
        prop_assert_eq!(passes, run.verdict() == Verdict::Passed, "{}", xml);
    }

    #[test]
    fn escaped_text_opens_nothing_and_holds_only_what_xml_can(text in any::<String>()) {
        let escaped = escape(&text);
        let forbidden = ['<', '>', '"', '\'', '\u{0}', '\u{1b}', '\u{ffff}'];
        prop_assert!(!escaped.contains(forbidden));
        prop_assert!(escaped.split('&').skip(1).all(|rest| rest.contains(';')));
    }
}
