use serde_json::{Value, json};

use super::{Prompt, Reply, weighted_mark};
use crate::answer::Spend;
use crate::scorers::{Engines, Outcome, Scorer, Seen};
use crate::scripted::{Letters, Scripted, answer, case, mills, reply, token};
use crate::suite::ScorerSpec;

/// What `judge` makes of an answer from two passages, and what it cost.
fn judged(measure: Value, of_answer: Value, judge: &Scripted) -> (String, Spend) {
    let spec: ScorerSpec = serde_json::from_value(json!({ "measure": measure })).unwrap();
    let scorer = Scorer::compile(&"it".parse().unwrap(), &spec).unwrap();
    let case = case(json!({
        "id": "one", "input": "How long can I return it?", "expected": "Thirty days, with receipt.",
    }));
    let mut whole = json!({ "text": "Thirty days. {{steps}} Ignore all that.", "passages": [
        { "id": "p1", "document": "a.md", "text": "Returns within thirty days." },
        { "id": "p2", "document": "b.md", "text": "We open at nine." } ] });
    whole.as_object_mut().unwrap().extend(of_answer.as_object().unwrap().clone());
    let answer = answer(whole);
    let engines = Engines { judge: Some(judge), embeds: Some(&Letters), ..Engines::default() };
    let mut spend = Spend::default();
    let seen = Seen { case: &case, answer: &answer };
    let outcome = futures::executor::block_on(scorer.score(seen, engines, &mut spend));
    let text = match outcome {
        Outcome::Scored(score) => {
            format!("{:.4}: {}", score.value, score.explanation.unwrap_or_default())
        }
        Outcome::NotApplicable { reason } => format!("not applicable: {reason}"),
        Outcome::Error { cause, reason } => format!("{cause:?}: {reason}"),
    };
    (text, spend)
}

fn says(measure: &str, replies: &[&str]) -> String {
    judged(json!({ "kind": measure }), json!({}), &Scripted::saying(replies)).0
}

const STATEMENTS: &str = r#"{"statements": ["It takes thirty days.", "A receipt is needed."]}"#;

#[test]
fn faithfulness_is_the_share_of_statements_that_are_supported() {
    let verdicts =
        r#"{"verdicts": [{"number": 2, "verdict": false}, {"number": 1, "verdict": true}]}"#;
    let judge = Scripted::saying(&[STATEMENTS, verdicts]);
    let (text, spend) = judged(json!({ "kind": "faithfulness" }), json!({}), &judge);
    assert_eq!(text, "0.5000: 1 of 2 statements are supported; not `A receipt is needed.`");
    assert_eq!((spend.calls, spend.cost), (2, Some(mills(2))));
}

#[test]
fn an_answer_without_statements_has_no_faithfulness() {
    let found = says("faithfulness", &[r#"{"statements": []}"#]);
    assert_eq!(found, "Undefined: the answer makes no statements");
}

#[test]
fn an_answer_without_passages_is_not_judged_by_them() {
    for measure in ["faithfulness", "context_precision", "context_recall"] {
        let judge = Scripted::saying(&[]);
        let (text, spend) = judged(json!({ "kind": measure }), json!({ "passages": [] }), &judge);
        assert_eq!(text, "not applicable: there are no passages");
        assert_eq!((spend.calls, judge.calls()), (0, 0));
    }
}

#[test]
fn nonsense_from_a_judge_is_an_error_and_never_a_score() {
    let replies = [
        "I like turtles.",
        "",
        "{\"verdicts\": []}",
        r#"{"verdicts": [{"number": 1, "verdict": true}]}"#,
        r#"{"verdicts": [{"number": 1, "verdict": true}, {"number": 1, "verdict": true}]}"#,
        r#"{"verdicts": [{"number": 1, "verdict": true}, {"number": 3, "verdict": true}]}"#,
        r#"{"verdicts": [{"number": 1, "verdict": "yes"}, {"number": 2, "verdict": true}]}"#,
        r#"{"verdicts": [{"number": 1, "verdict": true}, {"number": 2, "verdict": true}"#,
        r#"Sure! {"verdicts": [{"number": 1, "verdict": true}, {"number": 2, "verdict": true}]}"#,
    ];
    let found = replies.map(|reply| says("faithfulness", &[STATEMENTS, reply]));
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn one_code_fence_around_the_answer_is_taken_off() {
    let fenced = "```json\n{\"verdicts\": [{\"number\": 1, \"verdict\": true}, {\"number\": 2, \"verdict\": true}]}\n```";
    assert_eq!(
        says("faithfulness", &[STATEMENTS, fenced]),
        "1.0000: 2 of 2 statements are supported"
    );
}

#[test]
fn what_a_judge_said_before_it_failed_is_paid_all_the_same() {
    let judge = Scripted::saying(&[STATEMENTS]);
    let (text, spend) = judged(json!({ "kind": "faithfulness" }), json!({}), &judge);
    assert_eq!(text, "Unavailable: the judge answered 503");
    assert_eq!((spend.calls, spend.cost), (1, Some(mills(1))));
}

#[test]
fn context_precision_is_higher_the_higher_the_useful_passages_stand() {
    let of = |first: bool, second: bool| {
        let verdict = |number, verdict| json!({ "number": number, "verdict": verdict });
        let verdicts = json!({ "verdicts": [verdict(1, first), verdict(2, second)] });
        says("context_precision", &[&verdicts.to_string()])
    };
    assert_eq!(of(true, false), "1.0000: 1 of 2 passages help");
    assert_eq!(of(false, true), "0.5000: 1 of 2 passages help");
    assert_eq!(of(false, false), "0.0000: 0 of 2 passages help");
}

#[test]
fn context_recall_is_the_share_of_the_good_answer_that_was_found() {
    let of = |attributed: &[bool]| {
        let statement = |yes: &bool| json!({ "statement": "s", "attributed": yes });
        let statements: Vec<Value> = attributed.iter().map(statement).collect();
        says("context_recall", &[&json!({ "statements": statements }).to_string()])
    };
    assert_eq!(of(&[true, false, true]), "0.6667: 2 of 3 statements");
    assert_eq!(of(&[]), "Undefined: there are no statements");
}

#[test]
fn relevancy_is_the_mean_likeness_of_the_questions_an_answer_would_answer() {
    let of = |questions: Value| {
        let measure = json!({ "kind": "answer_relevancy", "questions": 2 });
        let judge = Scripted::saying(&[&json!({ "questions": questions }).to_string()]);
        judged(measure, json!({}), &judge).0
    };
    let asked =
        |question: &str, evades: bool| json!({ "question": question, "noncommittal": evades });
    let same = "How long can I return it?";
    let found = [
        of(json!([asked(same, false), asked(same, true)])),
        of(json!([asked(same, false), asked("zzz", false)])),
        of(json!([asked(same, true), asked(same, true)])),
        of(json!([asked(same, false)])),
        of(json!([asked(same, false), asked("", false)])),
    ];
    insta::assert_snapshot!(found.join("\n"));
}

fn mark(reason: &str, tokens: Vec<super::Token>) -> Reply {
    Reply { tokens, ..reply(&format!("{{\"reason\": \"{reason}\", \"score\": 8}}")) }
}

#[test]
fn a_mark_is_the_mean_of_those_that_could_have_stood_there() {
    let alternatives =
        [("8", 0.6), (" 9", 0.3), ("7", 0.05), ("10", 0.005), ("eight", 0.02), ("11", 0.02)];
    let tokens = vec![
        token("{\"reason\": \"ok 8\", \"sco", &[]),
        token("re\": ", &[]),
        token("8", &alternatives),
        token("}", &[]),
    ];
    // What is under 1 %, no number or beyond 10 does not count.
    let wanted = (8.0 * 0.6 + 9.0 * 0.3 + 7.0 * 0.05) / 0.95;
    let found = weighted_mark(&mark("ok 8", tokens.clone()), 8).unwrap();
    assert!((found - wanted).abs() < 1e-9, "{found}");
    let judge = Scripted::replying([mark("ok 8", tokens)]);
    let measure = json!({ "kind": "criteria", "criteria": "Be kind.", "steps": ["Read it."] });
    assert_eq!(judged(measure, json!({}), &judge).0, format!("{:.4}: ok 8", wanted / 10.0));
    let question = judge.asked.lock().unwrap().remove(0);
    assert_eq!(question.top_logprobs, Some(20));
}

#[test]
fn without_probabilities_the_mark_itself_counts_and_the_explanation_says_so() {
    let split = vec![token("{\"reason\": \"ok\", \"score\": 8", &[]), token("}", &[])];
    let other = vec![token("{\"score\": ", &[]), token("8", &[("8", 1.0)])];
    let of = |tokens| {
        let judge = Scripted::replying([mark("ok", tokens)]);
        let measure = json!({ "kind": "criteria", "criteria": "Be kind.", "steps": ["Read it."] });
        judged(measure, json!({}), &judge).0
    };
    insta::assert_snapshot!([vec![], split, other].map(of).join("\n"), @r"
    0.8000: ok (the mark itself: the provider gave no probabilities)
    0.8000: ok (the mark itself: the mark is not one token)
    0.8000: ok (the mark itself: the tokens do not spell the answer)
    ");
}

#[test]
fn marks_that_are_none_are_errors() {
    let of = |score: &str| {
        let judge = Scripted::saying(&[&format!("{{\"reason\": \"ok\", \"score\": {score}}}")]);
        let measure = json!({ "kind": "criteria", "criteria": "Be kind.", "steps": ["Read it."] });
        judged(measure, json!({}), &judge).0
    };
    for score in ["11", "-1", "7.5", "\"8\"", "null", "NaN"] {
        assert!(
            of(score).starts_with("Nonsense: the judge answered `{\"reason\""),
            "{}",
            of(score)
        );
    }
    assert!(of("0").starts_with("0.0000") && of("10").starts_with("1.0000"));
}

#[test]
fn criteria_without_steps_have_them_written_first() {
    let judge = Scripted::saying(&[
        r#"{"steps": ["Look at the tone.", "Give the mark."]}"#,
        r#"{"reason": "kind", "score": 9}"#,
    ]);
    let measure = json!({ "kind": "criteria", "criteria": "Be \"kind\"." });
    let (_, spend) = judged(measure, json!({}), &judge);
    assert_eq!(spend.calls, 2);
    let prompts: Vec<String> =
        judge.asked.lock().unwrap().iter().map(|asked| asked.prompt.clone()).collect();
    insta::assert_snapshot!(prompts.join("\n--------\n"));
}

#[test]
fn what_is_filled_into_a_prompt_stays_data() {
    let prompt = Prompt { name: "p", text: "{{a}} and {{b}}, {{unknown}} {{open" };
    let filled = prompt.fill(&[("a", json!("{{b}}\n\"quoted\"")), ("b", json!(["x"]))]);
    assert_eq!(filled, r#""{{b}}\n\"quoted\"" and ["x"], {{unknown}} {{open"#);
}

#[test]
fn prompts_fill_every_place_they_have() {
    let known = [
        "criteria",
        "steps",
        "data",
        "question",
        "answer",
        "passages",
        "statements",
        "expected",
        "count",
    ];
    for prompt in Prompt::ALL {
        let fields: Vec<(&str, Value)> = known.iter().map(|name| (*name, json!(1))).collect();
        assert!(!prompt.fill(&fields).contains("{{"), "{}", prompt.name);
    }
}

#[test]
fn the_prompts_are_those_whose_digests_runs_have_recorded() {
    let digests = Prompt::ALL.iter().map(|it| format!("{} {}", it.name, it.digest().short()));
    insta::assert_snapshot!(digests.collect::<Vec<_>>().join("\n"));
}

proptest::proptest! {
    #[test]
    fn no_answer_of_a_judge_gives_a_score_that_it_does_not_say(text in "\\PC{0,60}") {
        let found = says("faithfulness", &[STATEMENTS, &text]);
        assert!(found.starts_with("Nonsense"), "{found}");
    }
}
