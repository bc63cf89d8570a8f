use release::Draw;
use serde_json::{Map, Value, json};

use super::{Allowance, TooMuch, too_large};
use crate::definition::Machine;
use crate::intrinsic::{Intrinsic, IntrinsicError};
use crate::path::{Path, Scope};
use crate::pattern::Pattern;
use crate::simulate::{Mocks, Setting, simulate};

fn select(path: &str, input: &Value) -> Result<Option<Value>, TooMuch> {
    let (allowance, variables) = (Allowance::default(), Map::new());
    let scope = Scope { input, context: input, variables: &variables, allowance: &allowance };
    path.parse::<Path>().unwrap().select(scope)
}

fn call(text: &str, input: &Value) -> Result<Value, IntrinsicError> {
    let (allowance, variables) = (Allowance::default(), Map::new());
    let scope = Scope { input, context: input, variables: &variables, allowance: &allowance };
    Intrinsic::parse(text).unwrap().evaluate(scope, &mut Draw::seeded(1))
}

/// How the execution of a definition fails.
fn fault(definition: &Value, input: Value) -> String {
    let (machine, _) = Machine::parse(&definition.to_string()).unwrap();
    let simulated = simulate(&machine, &Setting::of(input), &mut Mocks::default());
    let fault = simulated.run.outcome.unwrap().fault.unwrap();
    format!("{} {}", fault.error.unwrap(), fault.cause.unwrap())
}

/// How a state `A` before a state `B` fails.
fn failure(state: &Value, input: Value) -> String {
    fault(&json!({"StartAt": "A", "States": {"A": state, "B": {"Type": "Succeed"}}}), input)
}

fn deep(depth: usize, innermost: Value) -> Value {
    (0..depth).fold(innermost, |inner, _| json!([inner]))
}

/// About as much as a payload may hold.
fn wide() -> Value {
    (0..40_000).collect()
}

fn long() -> String {
    "'".repeat(250_000)
}

#[test]
fn paths_that_visit_values_again_and_again_are_stopped() {
    for (path, input) in [
        ("$..*..*..*..*..*..*..*", deep(90, json!(1))),
        (
            "$[0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0]\
          [0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0]",
            deep(60, json!(1)),
        ),
        ("$[?(@ == $)]", wide()),
        ("$[?(@ in $)]", wide()),
        ("$[?($[?($[?(@ == -1)])])]", wide()),
        ("$..[?(@..[?(@..[?(@ == 1)])])]", deep(90, wide())),
    ] {
        assert_eq!(select(path, &input), Err(TooMuch::Visits), "{path}");
    }
}

#[test]
fn paths_that_copy_a_value_many_times_are_stopped() {
    let text = json!([long()]);
    assert_eq!(select("$[0,0,0,0,0]", &text), Err(TooMuch::Data));
    assert_eq!(select("$..*", &deep(90, text)), Err(TooMuch::Data));
    assert_eq!(select("$..*", &deep(90, wide())), Err(TooMuch::Data));
}

#[test]
fn what_a_payload_can_hold_is_searched_and_copied() {
    assert_eq!(select("$[*]", &wide()), Ok(Some(wide())));
    let found = select("$[?(@ > 5)]", &wide()).unwrap().unwrap();
    assert_eq!(found.as_array().unwrap().len(), 39_994);
    let ids =
        json!({"all": (0..1_500).collect::<Vec<_>>(), "some": (0..1_500).collect::<Vec<_>>()});
    let found = select("$.all[?(@ in $.some)]", &ids).unwrap().unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1_500);
}

#[test]
fn paths_that_nest_without_end_are_refused() {
    for path in [
        format!("${}", ".a".repeat(100_000)),
        format!("$[?(@ in {}1{})]", "[".repeat(100_000), "]".repeat(100_000)),
        format!("$[?({}@.a{})]", "(".repeat(100_000), ")".repeat(100_000)),
        format!("$[?({}@.a)]", "!".repeat(100_000)),
        format!("${}", "[?(@".repeat(100_000)),
    ] {
        let error = path.parse::<Path>().unwrap_err();
        assert!(
            ["a path has too many steps", "filters are nested too deeply"].contains(&error.message)
        );
    }
}

#[test]
fn calls_that_multiply_their_arguments_are_stopped() {
    let input = json!({"text": long(), "quotes": "\"\\".repeat(120_000), "list": wide()});
    for text in [
        format!("States.Array({}0)", "$.text, ".repeat(50_000)),
        format!("States.Format('{}'{})", "{}".repeat(50_000), ", $.text".repeat(50_000)),
        format!("{}$.quotes{}", "States.JsonToString(".repeat(9), ")".repeat(9)),
        format!(
            "{}$.list{}",
            "States.Array(".repeat(3),
            ", $.list, $.list, $.list, $.list)".repeat(3)
        ),
    ] {
        let stopped = call(&text, &input);
        assert_eq!(stopped, Err(IntrinsicError::TooMuch(TooMuch::Data)), "{}", &text[..40]);
    }
}

#[test]
fn calls_take_time_in_proportion_to_their_arguments() {
    let input = json!({"text": long(), "list": wide()});
    for (text, expected) in [
        ("States.ArrayLength(States.ArrayUnique($.list))", json!(40_000)),
        ("States.ArrayLength(States.StringSplit($.text, $.text))", json!(0)),
        ("States.ArrayLength(States.ArrayPartition($.list, 1))", json!(40_000)),
        ("States.ArrayContains($.list, $.list)", json!(false)),
        ("States.MathRandom(-9223372036854775808, -9223372036854775807)", json!(i64::MIN)),
    ] {
        assert_eq!(call(text, &input), Ok(expected), "{text}");
    }
    assert!(
        call("States.ArrayRange(-9223372036854775808, 9223372036854775807, 1)", &input).is_err()
    );
    assert!(call("States.MathRandom(-9e300, 9e300)", &input).unwrap().is_i64());
    let object = json!({"text": long()});
    let merged = call("States.JsonMerge(States.JsonMerge($, $, false), $, false)", &object);
    assert_eq!(merged, Ok(object));
}

#[test]
fn templates_that_copy_the_input_many_times_fail_the_state() {
    let fields: Map<String, Value> =
        (0..20_000).map(|n| (format!("{n}.$"), json!("$.text"))).collect();
    let state = json!({"Type": "Pass", "Parameters": fields, "Next": "B"});
    let told = failure(&state, json!({"text": long()}));
    assert!(told.starts_with("States.Runtime"), "{told}");
    assert!(told.contains("it makes more than 1048576 bytes of data"), "{told}");
}

#[test]
fn rules_share_what_one_choice_may_look_at() {
    let rule = json!({"Variable": "$..[?(@ == -1)]", "IsString": true, "Next": "B"});
    let state = json!({"Type": "Choice", "Choices": vec![rule; 10_000], "Default": "B"});
    let told = failure(&state, wide());
    assert!(told.contains("it looks at more than 4000000 values"), "{told}");
}

#[test]
fn loops_that_nest_data_deeper_and_deeper_end() {
    for state in [
        json!({"Type": "Pass", "Parameters": {"a.$": "$"}, "Next": "A"}),
        json!({"Type": "Pass", "ResultPath": "$.a.a.a.a.a.a.a.a.a", "Next": "A"}),
        json!({"Type": "Pass", "Assign": {"x": {"a.$": "$x"}}, "Next": "A"}),
        json!({"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": true, "Next": "A"}],
            "Default": "A", "Assign": {"x": {"a.$": "$x"}}}),
    ] {
        let definition = json!({"StartAt": "S", "States": {"A": state,
            "S": {"Type": "Pass", "Assign": {"x": 1}, "Next": "A"}}});
        assert!(fault(&definition, json!({})).starts_with("States.DataLimitExceeded"), "{state}");
    }
}

#[test]
fn payloads_are_bounded_in_size_and_depth() {
    assert!(!too_large(&deep(100, json!(1))));
    assert!(too_large(&deep(101, json!(1))));
    assert!(too_large(&json!("a".repeat(262_143))));
}

#[test]
fn definitions_that_nest_or_grow_without_end_are_answered() {
    let nested = |open: &str, close: &str| {
        let inner = r#"{"Type": "Pass", "End": true}"#;
        let (open, close) = (open.repeat(1_000), close.repeat(1_000));
        format!(r#"{{"StartAt": "A", "States": {{"A": {open}{inner}{close}}}}}"#)
    };
    for text in [
        nested(
            r#"{"Type":"Parallel","End":true,"Branches":[{"StartAt":"A","States":{"A":"#,
            "}}]}",
        ),
        nested(r#"{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"A","States":{"A":"#, "}}}"),
        nested(r#"{"Type":"Choice","Choices":[{"Next":"A","Not":"#, "}]}"),
    ] {
        let findings = Machine::parse(&text).unwrap_err();
        assert_eq!(findings[0].code, "INVALID_JSON_DESCRIPTION");
        assert!(findings[0].message.contains("recursion limit"), "{}", &findings[0].message[..80]);
    }
    let state = |n: usize| (n.to_string(), json!({"Type": "Pass", "Next": (n + 1).to_string()}));
    let mut states: Map<String, Value> = (0..20_000).map(state).collect();
    states.insert("20000".to_owned(), json!({"Type": "Succeed"}));
    let definition = json!({"StartAt": "0", "States": states}).to_string();
    assert_eq!(Machine::parse(&definition).unwrap().0.states.states.len(), 20_001);
    let states: Map<String, Value> = (0..100_000).map(|n| (n.to_string(), json!({}))).collect();
    let mut definition = json!({"StartAt": "0", "States": states}).to_string();
    assert!(Machine::parse(&definition).unwrap_err()[0].message.contains("1048576 bytes"));
    definition = definition.split_off(definition.len() - 1_000_000);
    definition =
        format!(r#"{{"StartAt": "0", "States": {{{}"#, definition.split_once(',').unwrap().1);
    // The last one is of the checks that follow reading.
    assert_eq!(Machine::parse(&definition).unwrap_err().len(), 1_001);
}

#[test]
fn patterns_that_multiply_and_events_that_are_large_are_answered() {
    let either = json!([{"a": [{"wildcard": "*a*b*c*d*"}]}, {"b": [{"wildcard": "*x*y*z*"}]}]);
    let mut pattern = json!({"$or": either});
    for _ in 0..8 {
        pattern = json!({"$or": either, "c": pattern});
    }
    let pattern = Pattern::parse(&pattern).unwrap();
    let event = json!({"a": vec!["abc"; 20_000], "b": vec!["xyyx"; 20_000],
        "c": {"c": {"a": vec!["abcd"; 9_000], "b": vec!["xyz"; 9_000]}}});
    assert!(!pattern.matches(&event));
}

#[test]
fn branches_and_iterations_that_multiply_their_input_or_themselves_fail() {
    let leaf =
        json!({"StartAt": "C", "States": {"C": {"Type": "Wait", "Seconds": 9, "End": true}}});
    let state = json!({"Type": "Parallel", "Branches": vec![&leaf; 300], "Next": "B"});
    assert!(failure(&state, json!(long())).starts_with("States.DataLimitExceeded"));
    let selector = json!({"a.$": "$", "b.$": "$"});
    let state = json!({"Type": "Map", "ItemsPath": "$.list", "ItemSelector": selector,
        "ItemProcessor": leaf, "Next": "B"});
    let told = failure(&state, json!({"list": [1], "text": long()}));
    assert!(told.starts_with("States.DataLimitExceeded"), "{told}");
    let distributed = |mut inner: Value| {
        inner["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
        json!({"Type": "Map", "ItemsPath": "$.all", "ItemSelector": {"all.$": "$.all"},
            "ItemProcessor": inner, "Next": "B"})
    };
    let mut inner = distributed(leaf);
    inner.as_object_mut().unwrap().remove("Next");
    inner["End"] = true.into();
    let state = distributed(json!({"StartAt": "D", "States": {"D": inner}}));
    let told = failure(&state, json!({"all": (0..500).collect::<Vec<_>>()}));
    assert!(told.starts_with("States.ExceedToleratedFailureThreshold"), "{told}");
}
