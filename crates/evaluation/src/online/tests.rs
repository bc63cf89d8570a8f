use release::Timestamp;
use serde_json::{Value, json};

use super::{Budget, Decision, decide, score};
use crate::scorers::{Engines, Scorer, Seen};
use crate::scripted::{Scripted, answer, case, mills};
use crate::suite::ScorerSpec;

fn scorer(online: Value) -> Scorer {
    let measure = json!({ "kind": "criteria", "criteria": "Be kind.", "steps": ["Read it."] });
    let spec: ScorerSpec =
        serde_json::from_value(json!({ "measure": measure, "online": online })).unwrap();
    Scorer::compile(&"kind".parse().unwrap(), &spec).unwrap()
}

fn sampled(share: f64) -> Vec<usize> {
    let scorer = scorer(json!({ "sample": share }));
    let budget = Budget::default();
    let in_it = |number: &usize| decide(&scorer, &number.to_string(), &budget) == Decision::Score;
    (0..2_000).filter(in_it).collect()
}

#[test]
fn a_sample_has_its_share_and_a_larger_one_keeps_what_was_in() {
    let (tenth, half) = (sampled(0.1), sampled(0.5));
    assert!((150..250).contains(&tenth.len()) && (900..1_100).contains(&half.len()));
    assert!(tenth.iter().all(|number| half.contains(number)));
    assert_eq!(sampled(1.0).len(), 2_000);
}

#[test]
fn a_scorer_that_is_not_online_scores_nothing() {
    let offline = scorer(Value::Null);
    assert_eq!(decide(&offline, "trace", &Budget::default()), Decision::NotSampled);
}

#[test]
fn a_day_costs_no_more_than_its_cap_and_the_next_begins_anew() {
    let scorer = scorer(json!({ "daily_cap": { "amount": 0.002 } }));
    let good = r#"{"reason": "", "score": 9}"#;
    let judge = Scripted::saying(&[good, "I like turtles.", good]);
    let engines = Engines { judge: Some(&judge), ..Engines::default() };
    let (case, answer) =
        (case(json!({ "id": "a", "input": "Q?" })), answer(json!({ "text": "Yes." })));
    let seen = Seen { case: &case, answer: &answer };
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut budget = Budget::default().at(noon);
    for trace in ["one", "two", "three", "four"] {
        let scored = score(&scorer, trace, seen, engines, budget.at(noon));
        budget = futures::executor::block_on(scored).1;
    }
    assert_eq!((budget.scored, budget.errors, budget.over_budget), (1, 1, 2));
    assert_eq!((budget.spend.cost, judge.calls()), (Some(mills(2)), 2));
    let night: Timestamp = "2026-03-01T23:59:59Z".parse().unwrap();
    assert_eq!(budget.at(night), budget);
    let next: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    assert_eq!(decide(&scorer, "five", &budget.at(next)), Decision::Score);
    // A clock that goes back opens nothing.
    assert_eq!(budget.at(next).at(noon).day, budget.day + 1);
}

#[test]
fn samples_and_caps_that_are_none_are_mistakes() {
    let measure = json!({ "kind": "criteria", "criteria": "Be kind." });
    let spec = json!({ "measure": measure,
        "online": { "sample": 0.0, "daily_cap": { "amount": 0.0 } } });
    let spec: ScorerSpec = serde_json::from_value(spec).unwrap();
    let wrong = Scorer::compile(&"slow".parse().unwrap(), &spec).unwrap_err();
    let wrong: Vec<String> =
        wrong.iter().map(|it| format!("{}: {}", it.pointer, it.message)).collect();
    insta::assert_snapshot!(wrong.join("\n"), @r"
    /online/sample: 0 is not above 0 and up to 1
    /measure/steps: criteria need their steps written down to score online
    /online/daily_cap/amount: 0 is no amount to pay
    ");
}
