use release::Timestamp;
use serde_json::{Value, json};

use super::{Day, Step, is_sampled};
use crate::answer::Spend;
use crate::scorers::{Outcome, Scorer};
use crate::scripted::mills;
use crate::suite::OnlineSpec;

fn spec(changes: Value) -> OnlineSpec {
    let mut spec = json!({"app": "support", "environment": "prod"});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn scorer(measure: Value) -> Scorer {
    let spec = serde_json::from_value(json!({"measure": measure})).unwrap();
    Scorer::compile(&"one".parse().unwrap(), &spec).unwrap()
}

#[test]
fn a_sample_has_its_share_and_a_larger_one_keeps_what_was_in() {
    let sampled = |share: f64| -> Vec<usize> {
        let spec = spec(json!({"sample": share}));
        (0..2_000).filter(|number| is_sampled(&spec, "returns", &number.to_string())).collect()
    };
    let (tenth, half) = (sampled(0.1), sampled(0.5));
    assert!((150..250).contains(&tenth.len()) && (900..1_100).contains(&half.len()));
    assert!(tenth.iter().all(|number| half.contains(number)));
    assert_eq!(sampled(1.0).len(), 2_000);
}

#[test]
fn a_day_costs_no_more_than_its_cap_and_the_next_begins_anew() {
    let spec = spec(json!({"daily_cap": {"amount": 0.002}}));
    let kind = scorer(json!({"kind": "criteria", "criteria": "Be kind.", "steps": ["Read."]}));
    let words = scorer(json!({"kind": "length"}));
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut day = Day::default().at(noon);
    let mut spend = Spend::default();
    spend.call(Default::default(), Some(mills(1)));
    for _ in 0..2 {
        assert!(day.allows(&spec, &kind));
        day.note("kind", &Step::Found(Outcome::whether(true, "")), &spend);
    }
    assert!(!day.allows(&spec, &kind), "both thousandths are spent");
    assert!(day.allows(&spec, &words), "what costs nothing goes on");
    let mut unpriced = Day::default().at(noon);
    let mut spend = Spend::default();
    spend.call(Default::default(), None);
    unpriced.note("kind", &Step::Found(Outcome::whether(true, "")), &spend);
    assert!(!unpriced.allows(&spec, &kind), "nobody knows what is left");
    let night: Timestamp = "2026-03-01T23:59:59Z".parse().unwrap();
    assert_eq!(day.clone().at(night), day);
    let next: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let after = day.clone().at(next);
    assert!(after.allows(&spec, &kind));
    // A clock that goes back opens nothing.
    assert_eq!(after.at(noon).day, day.day + 1);
}

#[test]
fn what_is_no_score_is_counted_apart() {
    let mut day = Day::default();
    let steps = [
        Step::Found(Outcome::unavailable("the judge is away")),
        Step::Found(Outcome::not_applicable("no passages")),
        Step::OverBudget,
        Step::Interrupted,
    ];
    for step in &steps {
        day.note("kind", step, &Spend::default());
    }
    let tally = &day.scorers["kind"];
    assert_eq!((tally.scored, tally.errors, tally.not_applicable), (0, 1, 1));
    assert_eq!((tally.over_budget, tally.interrupted), (1, 1));
    assert_eq!(tally.last_error.as_deref(), Some("the judge is away"));
}
