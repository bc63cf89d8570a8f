use serde_json::{Map, Value, json};

use super::{Expression, Sight};
use crate::draw::Draw;

fn evaluate(text: &str) -> Result<Value, String> {
    let states = json!({"input": {"n": 7, "list": [1, 2, 3, 4, 5]}});
    let variables = Map::from_iter([("v".to_owned(), json!("x"))]);
    let now = "2026-11-26T08:00:00.5Z".parse().unwrap();
    let draw = &mut Draw::seeded(1);
    let mut sight = Sight { states: &states, variables: &variables, now, draw };
    Expression::parse(text)?.evaluate(&mut sight, "Output").map_err(|error| error.cause)
}

#[test]
fn the_services_functions_have_their_values() {
    for (text, expected) in [
        ("$states.input.n", json!(7)),
        ("$v & '!'", json!("x!")),
        ("$partition($states.input.list, 2)", json!([[1, 2], [3, 4], [5]])),
        ("$range(0, 10, 5)", json!([0, 5, 10])),
        ("$hash('abc', 'MD5')", json!("900150983cd24fb0d6963f7d28e17f72")),
        ("$parse('{\"a\": [1, 2.5]}')", json!({"a": [1, 2.5]})),
        ("$now()", json!("2026-11-26T08:00:00.500Z")),
        ("$millis()", json!(1_795_680_000_500_i64)),
        ("$random(3) = $random(3)", json!(true)),
        ("$random() != $random()", json!(true)),
        ("$length($uuid())", json!(36)),
        ("$sort($shuffle([3, 1, 2]))", json!([1, 2, 3])),
    ] {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_fails_says_so_in_the_services_words() {
    for (text, part) in [
        (
            "$nothing()",
            "threw an error during evaluation. T1006: Attempted to invoke a non-function",
        ),
        ("$eval('1')", "T1006"),
        ("$states.input.none", "returned nothing (undefined)."),
        ("function($x) { $x }", "returned a function"),
        ("$range(0, 1e9, 1)", "D2014"),
        ("'a' * 2", "T2001"),
    ] {
        let wrong = evaluate(text).unwrap_err();
        assert!(wrong.contains(part), "{text}: {wrong}");
    }
}

#[test]
fn what_explodes_is_stopped() {
    for text in [
        "($f := function($n) { $f($n + 1) + 1 }; $f(0))",
        "($f := function($s) { $f($s & $s) }; $f('x'))",
        "$map([1..100000], function($x) { $map([1..100000], function($y) { $x * $y }) })",
    ] {
        assert!(evaluate(text).is_err(), "{text}");
    }
}
