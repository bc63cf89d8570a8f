use serde_json::{Map, Value, json};

use super::Rule;
use crate::path::Scope;
use crate::weight::Allowance;

fn holds(rule: &Value, input: &Value) -> Result<bool, String> {
    let (context, variables) = (json!({}), Map::new());
    let allowance = Allowance::default();
    let scope = Scope { input, context: &context, variables: &variables, allowance: &allowance };
    Rule::parse(rule.as_object().unwrap())?.holds(scope).map_err(|error| error.cause)
}

#[test]
fn comparisons_hold_for_values_of_their_kind_only() {
    let input = json!({"s": "abc", "n": 3, "b": true, "z": null, "t": "2026-11-26T08:00:00Z",
        "m": 3.0, "later": "2026-11-26T10:00:00+01:00", "day": "2026-11-26"});
    for (rule, expected) in [
        (json!({"Variable": "$.s", "StringEquals": "abc"}), true),
        (json!({"Variable": "$.n", "StringEquals": "3"}), false),
        (json!({"Variable": "$.s", "StringLessThan": "abd"}), true),
        (json!({"Variable": "$.s", "StringGreaterThanEquals": "abc"}), true),
        (json!({"Variable": "$.s", "StringMatches": "a*c"}), true),
        (json!({"Variable": "$.s", "StringMatches": "a\\*c"}), false),
        (json!({"Variable": "$.s", "StringMatches": "*b"}), false),
        (json!({"Variable": "$.n", "NumericEquals": 3.0}), true),
        (json!({"Variable": "$.n", "NumericEqualsPath": "$.m"}), true),
        (json!({"Variable": "$.n", "NumericLessThanPath": "$.m"}), false),
        (json!({"Variable": "$.b", "BooleanEquals": true}), true),
        (json!({"Variable": "$.t", "TimestampLessThanPath": "$.later"}), true),
        (json!({"Variable": "$.day", "IsTimestamp": true}), false),
        (json!({"Variable": "$.t", "IsTimestamp": true}), true),
        (json!({"Variable": "$.z", "IsNull": true}), true),
        (json!({"Variable": "$.none", "IsPresent": false}), true),
        (json!({"Variable": "$.z", "IsPresent": true}), true),
        (json!({"Variable": "$.n", "IsString": false}), true),
        (json!({"Not": {"Variable": "$.b", "BooleanEquals": true}}), false),
        (
            json!({"And": [{"Variable": "$.b", "IsBoolean": true}, {"Variable": "$.n", "IsNumeric": true}]}),
            true,
        ),
        (
            json!({"Or": [{"Variable": "$.b", "IsNull": true}, {"Variable": "$.n", "IsNumeric": true}]}),
            true,
        ),
    ] {
        assert_eq!(holds(&rule, &input), Ok(expected), "{rule}");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_an_error() {
    let wrong = holds(&json!({"Variable": "$.a", "IsNull": true}), &json!({}));
    assert!(wrong.unwrap_err().starts_with("Invalid path '$.a'"));
    let short =
        json!({"Or": [{"Variable": "$.b", "IsNull": true}, {"Variable": "$.a", "IsNull": true}]});
    assert_eq!(holds(&short, &json!({"b": null})), Ok(true));
}

#[test]
fn what_is_no_rule_is_refused() {
    for rule in [
        json!({}),
        json!({"Variable": "$.a"}),
        json!({"Variable": "$.a", "StringEquals": 1}),
        json!({"Variable": "$.a", "StringEquals": "x", "IsNull": true}),
        json!({"Variable": "$.a", "BooleanLessThan": true}),
        json!({"Variable": "a", "IsNull": true}),
        json!({"And": []}),
        json!({"StringEquals": "x"}),
        json!({"Variable": "$.a", "TimestampEquals": "yesterday"}),
    ] {
        assert!(Rule::parse(rule.as_object().unwrap()).is_err(), "{rule}");
    }
}

#[test]
fn patterns_that_could_explode_are_matched_in_little_time() {
    let rule = json!({"Variable": "$", "StringMatches": "*a".repeat(2_000)});
    assert_eq!(holds(&rule, &Value::from("a".repeat(1_999) + "b")), Ok(false));
}
