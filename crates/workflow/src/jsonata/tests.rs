use jsonata_core::value::JValue;
use release::Draw;
use serde_json::{Map, Value, json};

use super::{Expression, Sight, bounds};

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
        ("$now('[Y0001]')", json!("2026")),
        ("$now('[H01]', '+0200')", json!("10")),
        // What Java's generator gives for this seed.
        ("$random(42)", json!(0.727_563_680_032_868_1)),
        ("[1 / 0, -1 / 0]", json!(["Infinity", "-Infinity"])),
        ("[7 / 2, 14 / 2]", json!([3.5, 7])),
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
        ("$range(0, 1e9, 1)", "evaluation: Expression evaluation memory limit exceeded"),
        ("$range(0, 1, 0)", "Argument 3 of function \"range\" does not match"),
        ("$hash('a')", "T0410: Argument 2 of function \"hash\" does not match"),
        ("($f := function($n) { $f($n + 1) + 1 }; $f(0))", "evaluation: Stack overflow error"),
        ("'a' * 2", "T2001"),
    ] {
        let wrong = evaluate(text).unwrap_err();
        assert!(wrong.contains(part), "{text}: {wrong}");
    }
}

#[test]
fn what_explodes_is_stopped() {
    let twice = "function($all, $n) { {'a': $all, 'b': $all} }";
    for text in [
        // Texts.
        "($f := function($s) { $f($s & $s) }; $f('x'))",
        "$pad('', 3e9)",
        "$length($join([1..900].$pad('x', 9000)))",
        "$replace($pad('a', 9000, 'a'), 'a', $pad('b', 9000))",
        "$replace($pad('a', 9000, 'a'), /a/, $pad('b', 9000))",
        "$replace($pad('a', 90000, 'a'), /.*/, $pad('$', 9000, '$0'))",
        "$formatInteger(1e15, 'I')",
        "$formatNumber(1, $pad('0.', 70000, '0'))",
        // Lists.
        "$reduce([1..40], function($all, $n) { [$all, $all] }, [1])",
        "$map([1..90000], function($n) { [1..90000] })",
        "[1..90000].{'all': [1..90000]}",
        // Values that hold others many times over.
        &format!("$reduce([1..60], {twice}, {{}})"),
        &format!("$string($reduce([1..60], {twice}, {{}}))"),
        &format!("$reduce([1..60], {twice}, {{}}) = $reduce([1..60], {twice}, {{}})"),
        "$reduce([1..60], function($all, $n) { $zip($all, $all) }, [1])",
        "($z := function($l, $n) { $n = 0 ? 1 : $z($zip($l, $l), $n - 1) }; $z([1], 60))",
        "$distinct([1..20000].{'a': $})",
    ] {
        let wrong = evaluate(text).unwrap_err();
        assert!(wrong.contains("evaluation: Expression evaluation "), "{text}: {wrong}");
    }
    let deep = "$reduce([1..200], function($all, $n) { {'a': $all} }, 1)";
    assert!(evaluate(deep).unwrap_err().contains("Stack overflow error"));
    assert!(evaluate("$fromMillis(0, '[Y,1000000000]')").unwrap_err().contains("internal error"));
}

#[test]
fn what_is_looked_at_is_looked_at_however_it_is_called() {
    for text in [
        "'' ~> $pad(3e9)",
        "($f := $pad; $f('', 3e9))",
        "($f := $pad[0]; $f('', 3e9))",
        "($f := $pad(?, 3e9); $f(''))",
        "({'f': $pad}.f)('', 3e9)",
        "$map([3e9], function($n, $at) { $pad('', $n) })",
    ] {
        let wrong = evaluate(text).unwrap_err();
        assert!(wrong.contains("evaluation: Expression evaluation "), "{text}: {wrong}");
    }
}

#[test]
fn bounds_leave_alone_what_stays_within_them() {
    use jsonata_core::evaluator::Evaluator;
    for text in [
        "$map([[1, 1], [2]], $distinct)",
        "($match := 'x'; $match & 'y')",
        "($join := function($x) { $x + 1 }; $map([1, 2], $join))",
        "($r := $replace; $r('aaa', /a/, function($m) { $m.match & 'b' }))",
        "($c := $distinct ~> $count; $c([1, 1, 2]))",
        "['a', 'b'] ~> $join('-')",
        "$map(['ab'], $pad(?, 4))",
        "[[1, 2], [3], [1..2]]",
        "$length($pad('x', 4194304))",
        "($f := function($n, $t) { $n = 0 ? $t : $f($n - 1, $t + $n) }; $f(5000, 0))",
    ] {
        let tree = jsonata_core::parser::parse(text).unwrap();
        let plain = Evaluator::new().evaluate(&tree, &JValue::Undefined).unwrap();
        assert_eq!(evaluate(text), Ok(super::json(&plain, 9).unwrap()), "{text}");
    }
}

/// Which cases of the language's own suite come out right, in trees as they are and with bounds
/// put into them; none where the suite is not there.
fn suite(version: &str) -> Option<[Vec<bool>; 2]> {
    use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
    use jsonata_core::parser;
    let file = format!("jsonata/jsonata-suite-v{version}.jsonl");
    let text = std::fs::read_to_string(crate::recordings::folder()?.join(file)).unwrap();
    let run = |case: &Value, bound: bool| -> Result<JValue, String> {
        let mut tree =
            parser::parse(case["expr"].as_str().unwrap()).map_err(|error| error.to_string())?;
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
        let mut evaluator = Evaluator::with_options(context, options);
        if bound {
            bounds::bind(&mut tree);
            bounds::register(&mut evaluator).unwrap();
        }
        evaluator.evaluate(&tree, &data).map_err(|error| error.message().to_owned())
    };
    let is_right = |case: &Value, found: &Result<JValue, String>| {
        let expected = &case["exp"];
        match (found, expected.get("result")) {
            (Ok(found), Some(_)) if found.is_undefined() => false,
            (Ok(found), Some(result)) => {
                let mut pair = [Value::from(found), result.clone()];
                if case["unordered"] == true {
                    for value in pair.iter_mut().filter_map(Value::as_array_mut) {
                        value.sort_by_key(Value::to_string);
                    }
                }
                crate::path::same(&pair[0], &pair[1])
            }
            (Ok(found), None) => expected["undefinedResult"] == true && found.is_undefined(),
            (Err(why), _) => {
                let code = expected["code"].as_str().or_else(|| expected["error"]["code"].as_str());
                code.is_some_and(|code| why.starts_with(code))
            }
        }
    };
    let right = [false, true].map(|bound| {
        let cases = text.lines().map(|line| {
            // Two cases hold half a surrogate pair, which no Rust string can.
            let case = serde_json::from_str::<Value>(line);
            case.is_ok_and(|case| is_right(&case, &run(&case, bound)))
        });
        cases.collect::<Vec<_>>()
    });
    let [plain, bound] = right.each_ref().map(|right| right.iter().filter(|right| **right).count());
    println!("JSONata {version}: {plain} of {} as it is, {bound} with bounds", right[0].len());
    for (line, (plain, bound)) in text.lines().zip(right[0].iter().zip(&right[1])) {
        if plain != bound {
            println!("differs: {}", line.chars().take(300).collect::<String>());
        }
    }
    Some(right)
}

#[test]
fn the_languages_own_suites_come_out_as_well_as_the_library_can() {
    for (version, least) in [("2.0.6", 1_607), ("2.2.2", 1_668)] {
        let Some(right) = suite(version) else { continue };
        let [plain, bound] = right.map(|right| right.into_iter().filter(|right| *right).count());
        assert!(plain >= least, "{version}: {plain}");
        // Two lists are too long for the bounds, and one recursion is held to an exact depth.
        assert!(bound + 3 >= plain, "{version}: {bound} with bounds");
    }
}
