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

/// How many cases of the language's own suite come out right; none where the suite is not there.
fn suite(version: &str) -> Option<(usize, usize)> {
    use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
    use jsonata_core::{parser, value::JValue};
    let file = format!("jsonata/jsonata-suite-v{version}.jsonl");
    let text = std::fs::read_to_string(crate::recordings::folder()?.join(file)).unwrap();
    let (mut right, mut all) = (0, 0);
    for line in text.lines() {
        all += 1;
        // Two cases hold half a surrogate pair, which no Rust string can.
        let Ok(case) = serde_json::from_str::<Value>(line) else { continue };
        let options = EvaluatorOptions {
            timeout_ms: case["timelimit"].as_u64(),
            max_stack_depth: case["depth"].as_u64().map(|depth| depth as usize),
            ..EvaluatorOptions::default()
        };
        let mut context = Context::new();
        for (name, value) in case["bindings"].as_object().into_iter().flatten() {
            context.bind(name.clone(), value.clone().into());
        }
        let data = case.get("data").map_or(JValue::Undefined, |data| data.clone().into());
        let found = parser::parse(case["expr"].as_str().unwrap()).map_err(|e| e.to_string());
        let found = found.and_then(|tree| {
            let mut evaluator = Evaluator::with_options(context, options);
            evaluator.evaluate(&tree, &data).map_err(|error| error.message().to_owned())
        });
        let expected = &case["exp"];
        right += usize::from(match (&found, expected.get("result")) {
            (Ok(found), Some(result)) if case["unordered"] == true => {
                let key = |value: &Value| value.to_string();
                let mut pair = [Value::from(found), result.clone()];
                for value in pair.iter_mut().filter_map(Value::as_array_mut) {
                    value.sort_by_key(key);
                }
                crate::path::same(&pair[0], &pair[1])
            }
            (Ok(found), Some(result)) => crate::path::same(&Value::from(found), result),
            (Ok(found), None) => expected["undefinedResult"] == true && found.is_undefined(),
            (Err(why), _) => {
                let code = expected["code"].as_str().or_else(|| expected["error"]["code"].as_str());
                code.is_some_and(|code| why.contains(code))
            }
        });
    }
    println!("JSONata {version}: {right} of {all}");
    Some((right, all))
}

#[test]
fn the_languages_own_suites_come_out_as_well_as_the_library_can() {
    for (version, least) in [("2.0.6", 1_600), ("2.2.2", 1_660)] {
        if let Some((right, all)) = suite(version) {
            assert!(right >= least, "{version}: {right} of {all}");
        }
    }
}
