use serde_json::{Value, json};

use super::{Action, Causation, MAX_CHAIN, RuleError, RuleSpec, Webhook};

fn read(spec: Value) -> RuleSpec {
    serde_json::from_value(spec).unwrap()
}

#[test]
fn a_rule_is_read_with_its_targets() {
    let rule = read(json!({
        "pattern": {"detail": {"state": ["stopped"]}},
        "targets": [
            {"kind": "execution", "workflow": "restart",
             "input": {"variables": {"s": "$.detail.state"}, "template": "{\"state\": <s>}"}},
            {"kind": "webhook", "connection": "pager", "path": "/v2"},
        ],
    }));
    let rule = rule.compile().unwrap();
    assert!(rule.enabled);
    assert!(rule.pattern.matches(&json!({"detail": {"state": "stopped"}})));
    assert_eq!(rule.targets[0].action, Action::StartExecution("restart".parse().unwrap()));
    let pager = Webhook { connection: "pager".parse().unwrap(), path: "/v2".to_owned() };
    assert_eq!(rule.targets[1].action, Action::CallWebhook(pager));
}

#[test]
fn a_pattern_may_be_a_text_of_json() {
    let targets = json!([{"kind": "webhook", "connection": "w"}]);
    let rule = read(json!({"pattern": "{\"a\": [null]}", "targets": targets})).compile().unwrap();
    assert!(rule.pattern.matches(&json!({"a": null})));
}

#[test]
fn everything_wrong_is_told_together() {
    let rule = read(json!({
        "pattern": {"a": []},
        "targets": [
            {"kind": "execution", "workflow": "w", "input": {"template": "\"a\"\n\"b\""}},
            {"kind": "webhook", "connection": "w", "input": {"path": "detail"}},
        ],
    }));
    let told: Vec<String> = rule.compile().unwrap_err().iter().map(RuleError::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "Event pattern is not valid. Reason: Empty arrays are not allowed");
    assert_eq!(told[1], "target 1: the input of an execution is JSON, not lines of text");
    assert!(told[2].starts_with("target 2: `detail` is no path into an event"), "{}", told[2]);
    let none = read(json!({"pattern": {"a": [1]}, "targets": []})).compile().unwrap_err();
    assert_eq!(none, [RuleError::Targets(0)]);
}

#[test]
fn unknown_fields_are_refused() {
    for spec in [
        json!({"pattern": {"a": [1]}, "targets": [], "retries": 1}),
        json!({"pattern": {"a": [1]}, "targets": [{"kind": "webhook", "connection": "w", "url": "x"}]}),
        json!({"pattern": {"a": [1]}, "targets": [{"kind": "email", "name": "w"}]}),
        json!({"pattern": {"a": [1]}, "targets": [{"kind": "execution", "workflow": "w", "input": {"json": 1}}]}),
        json!({"targets": []}),
    ] {
        assert!(serde_json::from_value::<RuleSpec>(spec.clone()).is_err(), "{spec}");
    }
}

#[test]
fn a_rule_that_triggers_itself_is_cut() {
    let mut chain = Causation::default();
    for depth in 1..=MAX_CHAIN {
        chain = chain.then("echo").unwrap();
        assert_eq!(chain.depth(), depth);
    }
    let cut = chain.then("echo").unwrap_err();
    assert_eq!(cut.rule, "echo");
    assert!(cut.to_string().starts_with("`echo` does not act on this event: 8 rules led to it"));
    let told = serde_json::to_value(&chain).unwrap();
    assert_eq!(told, json!(vec!["echo"; MAX_CHAIN]));
    assert_eq!(serde_json::from_value::<Causation>(told).unwrap(), chain);
}
