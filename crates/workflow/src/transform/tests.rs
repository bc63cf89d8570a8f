use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Delivery, TransformSpec};

fn event() -> Value {
    json!({
        "id": "e1", "detail-type": "state change", "time": "2026-11-26T08:00:00Z",
        "resources": ["arn:a", "arn:b"],
        "detail": {"instance-id": "i-1", "state": "RUNNING", "count": 3, "none": null, "ok": true,
            "text": "say \"hi\"\\\n", "tags": {"k": "v"}},
    })
}

fn spec(template: &str) -> TransformSpec {
    let variables = [
        ("instance", "$.detail.instance-id"),
        ("state", "$.detail.state"),
        ("count", "$.detail.count"),
        ("none", "$.detail.none"),
        ("ok", "$.detail.ok"),
        ("text", "$.detail.text"),
        ("tags", "$.detail.tags"),
        ("first", "$.resources[0]"),
        ("all", "$.resources[*]"),
        ("missing", "$.detail.missing"),
    ];
    let variables = variables.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
    TransformSpec { variables, template: Some(template.to_owned()), ..TransformSpec::default() }
}

fn apply(spec: &TransformSpec, event: &Value) -> Result<String, String> {
    let received = "2026-11-26T08:00:01.5Z".parse().unwrap();
    let delivery = Delivery { event, received, rule: "r", rule_arn: "arn:rule/r" };
    spec.compile().and_then(|transform| transform.apply(delivery)).map_err(|e| e.to_string())
}

#[test]
fn templates_are_filled_in() {
    for (template, expected) in [
        (r#""instance <instance> is in <state>""#, r#""instance i-1 is in RUNNING""#),
        (r#""instance \"<instance>\"""#, r#""instance \"i-1\"""#),
        (r#"{"i": <instance>, "n": <count>}"#, r#"{"i": "i-1", "n": 3}"#),
        (r#"{"i": "<instance>", "n": "<count>"}"#, r#"{"i": "i-1", "n": "3"}"#),
        (r#"{"s": [9, <state>, true], "t": "Yes"}"#, r#"{"s": [9, "RUNNING", true], "t": "Yes"}"#),
        (r#"{"n": <none>, "o": <ok>}"#, r#"{"n": null, "o": true}"#),
        (r#"{"n": "<none>", "o": "<ok>"}"#, r#"{"n": "null", "o": "true"}"#),
        (r#"{"t": <tags>}"#, r#"{"t": {"k":"v"}}"#),
        (r#"{"t": "tags <tags>"}"#, r#"{"t": "tags {k:v}"}"#),
        (r#"{"f": <first>, "a": <all>}"#, r#"{"f": "arn:a", "a": ["arn:a","arn:b"]}"#),
        (r#"{"m": <missing>, "n": "<missing>!"}"#, r#"{"m": "", "n": "!"}"#),
        (r#"{"t": <text>, "u": "<text>"}"#, r#"{"t": "say \"hi\"\\\n", "u": "say \"hi\"\\\n"}"#),
        (r#"{"r": <aws.events.rule-name>}"#, r#"{"r": "r"}"#),
        (r#""<aws.events.rule-arn>!""#, r#""arn:rule/r!""#),
        (r#"{"at": <aws.events.event.ingestion-time>}"#, r#"{"at": "2026-11-26T08:00:01Z"}"#),
        (
            r#"{"less": "1 < 2", "more": "<>", "odd": "< state>"}"#,
            r#"{"less": "1 < 2", "more": "<>", "odd": "< state>"}"#,
        ),
        ("\"one <state>\"\n\n\"two <count>\"", "\"one RUNNING\"\n\n\"two 3\""),
        ("<tags>", r#"{"k":"v"}"#),
    ] {
        assert_eq!(apply(&spec(template), &event()).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn the_event_is_given_whole_in_part_or_without_its_detail() {
    let read = |spec: &TransformSpec| -> Value {
        serde_json::from_str(&apply(spec, &event()).unwrap()).unwrap()
    };
    assert_eq!(read(&TransformSpec::default()), event());
    let part = TransformSpec { path: Some("$.detail.tags".into()), ..TransformSpec::default() };
    assert_eq!(read(&part), json!({"k": "v"}));
    assert_eq!(read(&spec("{\"e\": <aws.events.event.json>}")), json!({"e": event()}));
    let mut without = event();
    without.as_object_mut().unwrap().remove("detail");
    assert_eq!(read(&spec("{\"e\": <aws.events.event>}")), json!({"e": without}));
    let absent = TransformSpec { path: Some("$.x".into()), ..TransformSpec::default() };
    assert_eq!(apply(&absent, &event()).unwrap_err(), "the event has nothing at `$.x`");
}

#[test]
fn a_template_that_an_event_makes_too_long_is_refused() {
    let event = json!({"detail": {"state": "x".repeat(100_000)}});
    let wrong = apply(&spec("\"<state><state><state>\""), &event).unwrap_err();
    assert_eq!(wrong, "the filled-in template is longer than 262144 bytes");
}

#[test]
fn only_json_is_told_to_be_json() {
    for (template, expected) in
        [("{\"a\": <state>}", true), ("\"<state>\"", true), ("\"a\"\n\"b\"", false)]
    {
        assert_eq!(spec(template).compile().unwrap().gives_json(), expected, "{template}");
    }
}

#[test]
fn what_is_no_transformer_is_refused() {
    for (template, part) in [
        ("", "1 to 8192 characters"),
        ("instance <instance>", "neither JSON nor lines in double quotes"),
        ("{\"a\": <state>", "neither JSON"),
        ("{\"a\": <unknown>}", "undefined variable `unknown`"),
        ("{\"a\": <aws.events.other>}", "undefined variable `aws.events.other`"),
        ("{\"<state>\" : 1}", "`state` in the name of a field"),
        ("{<state>: 1}", "neither JSON"),
    ] {
        let wrong = spec(template).compile().unwrap_err().to_string();
        assert!(wrong.contains(part), "{template}: {wrong}");
    }
    let with = |name: &str, path: &str| {
        let variables = [(name.to_owned(), path.to_owned())].into();
        TransformSpec { variables, template: Some("{}".to_owned()), ..TransformSpec::default() }
    };
    let long = "x".repeat(257);
    let many = (0..101).map(|at| (at.to_string(), "$".to_owned())).collect();
    for (spec, part) in [
        (with("a.b", "$.a"), "no variable's name"),
        (with("", "$.a"), "no variable's name"),
        (with(&long, "$.a"), "no variable's name"),
        (with("a", "detail"), "no path into an event"),
        (with("a", "$$.a"), "starts at `$`"),
        (with("a", "$v.a"), "starts at `$`"),
        (with("a", &format!("$.{long}")), "more than 256 characters"),
        (TransformSpec { path: Some("$".into()), ..with("a", "$.a") }, "exclude each other"),
        (TransformSpec { template: None, ..with("a", "$.a") }, "need a `template`"),
        (TransformSpec { variables: many, ..with("a", "$") }, "at most 100 variables, not 101"),
    ] {
        let wrong = spec.compile().unwrap_err().to_string();
        assert!(wrong.contains(part), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_event_breaks_out_of_a_template(text in "\\PC{0,20}|[\"\\\\{},:\n]{0,10}") {
        let event = json!({"detail": {"state": text, "tags": {text.clone(): [text]}}});
        let filled = apply(&spec(r#"{"a": <state>, "b": "x<state>y<tags>", "c": <tags>}"#), &event);
        let filled: Value = serde_json::from_str(&filled.unwrap()).unwrap();
        prop_assert_eq!(filled.as_object().unwrap().len(), 3);
        prop_assert_eq!(&filled["a"], &event["detail"]["state"]);
    }

    #[test]
    fn reading_never_fails_otherwise_than_with_an_error(text in "\\PC{0,40}|[<>\"\\\\{}a:é]{0,20}") {
        let _read = spec(&text).compile();
    }
}
