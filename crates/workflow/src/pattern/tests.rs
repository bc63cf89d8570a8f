use proptest::prelude::*;
use serde_json::{Value, json};

use super::Pattern;

fn matches(pattern: Value, event: Value) -> bool {
    Pattern::parse(&pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).matches(&event)
}

#[test]
fn each_matcher_admits_what_it_should() {
    for (matcher, value, expected) in [
        (json!("a"), json!("a"), true),
        (json!("a"), json!("A"), false),
        (json!(""), json!(""), true),
        (json!(""), json!(null), false),
        (json!(1), json!(1.0), true),
        (json!(1), json!("1"), false),
        (json!(3.018e2), json!(301.8), true),
        (json!(123456789012_u64), json!(123456789012_u64), true),
        (json!(0.1234567), json!(0.1234567), true),
        (json!(0.1234567), json!(0.1234568), false),
        (json!(null), json!(null), true),
        (json!(null), json!("null"), false),
        (json!(true), json!(true), true),
        (json!(true), json!("true"), false),
        (json!({"exactly": "a"}), json!("a"), true),
        (json!({"prefix": "ab"}), json!("abc"), true),
        (json!({"prefix": ""}), json!("abc"), true),
        (json!({"prefix": ""}), json!(1), false),
        (json!({"prefix": "b"}), json!("abc"), false),
        (json!({"prefix": {"equals-ignore-case": "AB"}}), json!("abc"), true),
        (json!({"prefix": {"equals-ignore-case": "É"}}), json!("école"), true),
        (json!({"suffix": "bc"}), json!("abc"), true),
        (json!({"suffix": "ab"}), json!("abc"), false),
        (json!({"suffix": {"equals-ignore-case": "BC"}}), json!("abc"), true),
        (json!({"equals-ignore-case": "ABC"}), json!("abc"), true),
        (json!({"equals-ignore-case": "ABC"}), json!("abcd"), false),
        (json!({"equals-ignore-case": ""}), json!(""), true),
        (json!({"wildcard": "a*c"}), json!("abbc"), true),
        (json!({"wildcard": "a*c"}), json!("ac"), true),
        (json!({"wildcard": "a\\*c"}), json!("a*c"), true),
        (json!({"wildcard": "a\\*c"}), json!("abc"), false),
        (json!({"wildcard": "*"}), json!(1), false),
        (json!({"anything-but": "a"}), json!("b"), true),
        (json!({"anything-but": "a"}), json!("a"), false),
        (json!({"anything-but": "a"}), json!(1), true),
        (json!({"anything-but": ["a", "b"]}), json!(null), true),
        (json!({"anything-but": [1, 2]}), json!(2.0), false),
        (json!({"anything-but": [1, 2]}), json!("2"), true),
        (json!({"anything-but": {"prefix": "a"}}), json!("ab"), false),
        (json!({"anything-but": {"prefix": ["a", "b"]}}), json!("ca"), true),
        (json!({"anything-but": {"suffix": ["x", "b"]}}), json!("ab"), false),
        (json!({"anything-but": {"equals-ignore-case": ["A"]}}), json!("a"), false),
        (json!({"anything-but": {"wildcard": "*/x/*"}}), json!("a/x/b"), false),
        (json!({"anything-but": {"wildcard": ["*/x/*", "y*"]}}), json!("y"), false),
        (json!({"anything-but": {"wildcard": "*/x/*"}}), json!(7), true),
        (json!({"numeric": [">", 0, "<=", 5]}), json!(5), true),
        (json!({"numeric": [">", 0, "<=", 5]}), json!(0), false),
        (json!({"numeric": [">=", 0, "<", 5]}), json!(0), true),
        (json!({"numeric": [">=", 0, "<", 5]}), json!(5), false),
        (json!({"numeric": ["=", 301.8]}), json!(301.8), true),
        (json!({"numeric": ["=", 0.000001]}), json!(1e-6), true),
        (json!({"numeric": [">", 4999999999.999998]}), json!(4999999999.999999), true),
        (json!({"numeric": [">", 0]}), json!(6_000_000_000_u64), false),
        (json!({"numeric": ["<", 0]}), json!(-5e9), true),
        (json!({"numeric": ["<", 10]}), json!("9"), false),
        (json!({"cidr": "10.0.0.0/24"}), json!("10.0.0.255"), true),
        (json!({"cidr": "10.0.0.0/24"}), json!("10.0.1.0"), false),
        (json!({"cidr": "10.0.0.8/24"}), json!("10.0.0.7"), false),
        (json!({"cidr": "0.0.0.0/0"}), json!("255.255.255.255"), true),
        (json!({"cidr": "0.0.0.0/0"}), json!("::1"), false),
        (json!({"cidr": "10.0.0.0/24"}), json!("ten"), false),
        (json!({"cidr": "2001:db8::/32"}), json!("2001:db8:1::1"), true),
        (json!({"cidr": "::/0"}), json!("2001:db8:1::1"), true),
        (json!("2001:db8::1"), json!("2001:0db8:0::0001"), true),
        (json!("10.0.0.1"), json!("010.0.0.1"), true),
        (json!({"exists": true}), json!(null), true),
        (json!({"exists": true}), json!({"a": 1}), false),
        (json!({"exists": false}), json!({"a": 1}), true),
        (json!({"exists": false}), json!([]), true),
        (json!({"exists": false}), json!("x"), false),
    ] {
        let (pattern, event) = (json!({"f": [matcher.clone()]}), json!({"f": value.clone()}));
        assert_eq!(matches(pattern, event), expected, "{matcher} {value}");
    }
}

#[test]
fn a_missing_field_satisfies_only_what_must_be_absent() {
    for (pattern, event, expected) in [
        (json!({"f": [{"exists": false}]}), json!({}), true),
        (json!({"a": {"f": [{"exists": false}]}}), json!({"b": 1}), true),
        (json!({"f": [{"anything-but": "x"}]}), json!({}), false),
        (json!({"f": [null]}), json!({}), false),
        (json!({"f": ["x", {"exists": false}]}), json!({}), true),
        (json!({"f": ["x", {"exists": false}]}), json!({"f": "y"}), false),
        (json!({"f": ["x"]}), json!(["x"]), false),
    ] {
        assert_eq!(matches(pattern.clone(), event.clone()), expected, "{pattern} {event}");
    }
}

#[test]
fn fields_below_an_array_match_within_one_element() {
    let rows = json!({"rows": [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"c": 5}]});
    let nested = json!({"n": [[{"x": 1, "y": 1}], [{"x": 2, "y": 2}, {"x": 3, "y": 4}]]});
    let twice = json!({"p": [{"id": 1, "q": [{"k": 1, "v": 2}, {"k": 3, "v": 4}]},
                             {"id": 2, "q": [{"k": 5, "v": 6}]}]});
    for (pattern, event, expected) in [
        (json!({"f": ["b"]}), json!({"f": ["a", "b"]}), true),
        (json!({"f": ["b"]}), json!({"f": [["a"], ["b"]]}), true),
        (json!({"f": [{"anything-but": "a"}]}), json!({"f": ["a", "b"]}), true),
        (json!({"rows": {"a": [3], "b": [4]}}), rows.clone(), true),
        (json!({"rows": {"a": [1], "b": [4]}}), rows.clone(), false),
        (json!({"rows": {"a": [1], "c": [{"exists": false}]}}), rows.clone(), true),
        // Absence is judged in the order of the names: before `c` binds an element, there is an `a`.
        (json!({"rows": {"a": [{"exists": false}], "c": [5]}}), rows.clone(), false),
        (json!({"rows": {"b": [{"exists": false}, 4], "a": [3]}}), rows.clone(), true),
        (json!({"n": {"x": [3], "y": [4]}}), nested.clone(), true),
        (json!({"n": {"x": [2], "y": [4]}}), nested.clone(), false),
        (json!({"n": {"x": [1], "y": [4]}}), nested, false),
        (json!({"p": {"id": [1], "q": {"k": [3], "v": [4]}}}), twice.clone(), true),
        (json!({"p": {"id": [1], "q": {"k": [5]}}}), twice.clone(), false),
        (json!({"p": {"id": [1], "q": {"k": [1], "v": [4]}}}), twice, false),
        (
            json!({"a": {"x": [2]}, "b": {"y": [3]}}),
            json!({"a": [{"x": 1}, {"x": 2}], "b": [{"y": 3}]}),
            true,
        ),
    ] {
        assert_eq!(matches(pattern.clone(), event.clone()), expected, "{pattern} {event}");
    }
}

#[test]
fn names_joined_by_dots_are_one_path_on_both_sides() {
    for pattern in [json!({"a.b": ["x"]}), json!({"a": {"b": ["x"]}})] {
        assert!(matches(pattern.clone(), json!({"a.b": "x"})));
        assert!(matches(pattern, json!({"a": {"b": "x"}})));
    }
    assert!(!matches(json!({"a": {"b": ["x"]}, "a.b": ["y"]}), json!({"a": {"b": "x"}})));
}

#[test]
fn alternatives_need_two_objects_of_fields_and_else_are_a_field() {
    let either =
        json!({"s": ["x"], "$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]});
    for (pattern, event, expected) in [
        (&either, json!({"s": "x", "a": 1}), true),
        (&either, json!({"s": "x", "b": 2}), false),
        (&either, json!({"s": "x", "b": 2, "d": 4}), true),
        (&either, json!({"s": "y", "a": 1}), false),
        (&either, json!({"s": "x"}), false),
        (&json!({"$or": ["x"]}), json!({"$or": "x"}), true),
        (&json!({"$or": {"a": ["x"], "b": ["y"]}}), json!({"$or": {"a": "x", "b": "y"}}), true),
        (&json!({"$or": [{"prefix": "x"}, {"prefix": "y"}]}), json!({"$or": "yes"}), true),
        // What a branch says of a path replaces what stood before it.
        (&json!({"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}), json!({"a": 2}), true),
        (&json!({"d": {"$or": [{"a": [1]}, {"b": [2]}]}}), json!({"d": {"b": 2}}), true),
    ] {
        assert_eq!(matches(pattern.clone(), event.clone()), expected, "{pattern} {event}");
    }
}

#[test]
fn what_is_no_pattern_is_refused_in_the_services_words() {
    for (pattern, reason) in [
        (json!([]), "Filter is not an object"),
        (json!({}), "Empty objects are not allowed"),
        (json!({"a": {}}), "Empty objects are not allowed"),
        (json!({"a": []}), "Empty arrays are not allowed"),
        (json!({"a": "x"}), "\"a\" must be an object or an array"),
        (json!({"a": null}), "\"a\" must be an object or an array"),
        (json!({"a": {"prefix": "x"}}), "\"prefix\" must be an object or an array"),
        (json!({"a": [["x"]]}), "Match value must be String, number, true, false, or null"),
        (json!({"a": [{}]}), "Match expression name not found"),
        (json!({"a": [{"prefix": 1}]}), "prefix match pattern must be a string"),
        (json!({"a": [{"prefix": {"x": "y"}}]}), "Unsupported prefix pattern: x"),
        (json!({"a": [{"prefix": {}}]}), "Prefix expression name not found"),
        (
            json!({"a": [{"suffix": {"equals-ignore-case": 1}}]}),
            "equals-ignore-case match pattern must be a string",
        ),
        (json!({"a": [{"unknown": 1}]}), "Unrecognized match type unknown"),
        (
            json!({"a": [{"prefix": "a", "suffix": "b"}]}),
            "Only one key allowed in match expression",
        ),
        (
            json!({"a": [{"anything-but": [null]}]}),
            "Inside anything but list, start|null|boolean is not supported.",
        ),
        (
            json!({"a": [{"anything-but": null}]}),
            "Value of anything-but must be an array or single string/number value.",
        ),
        (
            json!({"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]}),
            "Value of anything-but must be an array or single string/number value.",
        ),
        (json!({"a": [{"anything-but": {}}]}), "Anything-But expression name not found"),
        (json!({"a": [{"anything-but": {"cidr": "x"}}]}), "Unsupported anything-but pattern: cidr"),
        (
            json!({"a": [{"anything-but": ["x", 1]}]}),
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        ),
        (
            json!({"a": [{"anything-but": []}]}),
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        ),
        (json!({"a": [{"anything-but": {"prefix": ""}}]}), "Null prefix/suffix not allowed"),
        (json!({"a": [{"anything-but": {"suffix": ["x", ""]}}]}), "Null prefix/suffix not allowed"),
        (
            json!({"a": [{"anything-but": 6e9}]}),
            "Value must be between -5.0E9 and 5.0E9, inclusive",
        ),
        (json!({"a": [{"wildcard": "a**"}]}), "Consecutive wildcard characters at pos 2"),
        (json!({"a": [{"wildcard": "ü**"}]}), "Consecutive wildcard characters at pos 3"),
        (json!({"a": [{"wildcard": "a\\b"}]}), "Invalid escape character at pos 2"),
        (json!({"a": [{"wildcard": "a\\"}]}), "Invalid escape character at pos 2"),
        (json!({"a": [{"numeric": 1}]}), "Value of numeric must be an array."),
        (json!({"a": [{"numeric": [1]}]}), "Invalid member in numeric match: 1"),
        (json!({"a": [{"numeric": ["=", "1"]}]}), "Value of equals must be numeric"),
        (json!({"a": [{"numeric": ["=", 1, "<", 2]}]}), "Too many elements in numeric expression"),
        (json!({"a": [{"numeric": ["<", 1, ">", 0]}]}), "Too many elements in numeric expression"),
        (json!({"a": [{"numeric": [">", 0, ">", 1]}]}), "Bad numeric range operator: >"),
        (json!({"a": [{"numeric": [">", 0, 1]}]}), "Bad value in numeric range: 1"),
        (
            json!({"a": [{"numeric": [">", 0, "<", 1, 2]}]}),
            "Too many terms in numeric range expression",
        ),
        (json!({"a": [{"numeric": [">", 0, "<"]}]}), "Value of < must be numeric"),
        (
            json!({"a": [{"numeric": [">", 6e9]}]}),
            "Value must be between -5.0E9 and 5.0E9, inclusive",
        ),
        (
            json!({"a": [{"numeric": [">", 0.1234567]}]}),
            "Only values upto 6 decimals are supported0.1234567",
        ),
        (json!({"a": [{"numeric": ["~", 6]}]}), "Unrecognized numeric range operator: ~"),
        (json!({"a": [{"numeric": [">", 5, "<", 1]}]}), "Bottom must be less than top"),
        (json!({"a": [{"numeric": [">=", 5, "<=", 5]}]}), "Bottom must be less than top"),
        (json!({"a": [{"cidr": "10.0.0.0"}]}), "Malformed CIDR, one '/' required"),
        (json!({"a": [{"cidr": "10.0.0.0/x"}]}), "Malformed CIDR, mask bits must be an integer"),
        (json!({"a": [{"cidr": "10.0.0.0/-1"}]}), "Malformed CIDR, mask bits must not be negative"),
        (json!({"a": [{"cidr": "10.0.0.0/32"}]}), "IPv4 mask bits must be < 32"),
        (json!({"a": [{"cidr": "::/128"}]}), "IPv6 mask bits must be < 128"),
        (json!({"a": [{"cidr": "ten/8"}]}), "Nonstandard IP address: ten"),
        (json!({"a": [{"exists": "yes"}]}), "exists match pattern must be either true or false."),
        (json!({"$or": [{"a": [1]}]}), "Unrecognized match type a"),
        (
            json!({"$or": [{"a": {"prefix": [1]}}, {"b": [2]}]}),
            "prefix is Ruler reserved fieldName which cannot be used inside $or.",
        ),
    ] {
        let wrong = Pattern::parse(&pattern).unwrap_err().to_string();
        assert_eq!(wrong, format!("Event pattern is not valid. Reason: {reason}"), "{pattern}");
    }
    assert!("{\"a\": [".parse::<Pattern>().unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn patterns_beyond_the_bounds_are_refused() {
    let either = json!([{"a": [1]}, {"b": [2]}]);
    let mut deep = json!({"a": [1]});
    for _ in 0..40 {
        deep = json!({"a": deep});
    }
    let many: serde_json::Map<String, Value> =
        (0..10).map(|at| (at.to_string(), json!({"$or": either}))).collect();
    for (pattern, part) in [
        (json!({"a": ["x".repeat(5_000)]}), "longer than 4096 bytes"),
        (deep, "nested deeper than 32"),
        (Value::Object(many), "more than 1000 combinations"),
    ] {
        let wrong = Pattern::parse(&pattern).unwrap_err().to_string();
        assert!(wrong.contains(part), "{wrong}");
    }
}

#[test]
fn an_event_made_to_be_slow_is_answered_in_time() {
    let rows: Vec<Value> = (0..10_000).map(|at| json!({"a": at, "b": at + 1, "c": 1})).collect();
    let pattern =
        json!({"rows": {"a": [{"numeric": [">=", 0]}], "b": [{"numeric": [">=", 0]}], "c": [2]}});
    assert!(!matches(pattern, json!({"rows": rows.clone()})));
    // Arrays that have nothing to do with each other do not multiply.
    let pattern = json!({"p": {"a": [{"numeric": [">=", 0]}]}, "q": {"a": [{"numeric": [">=", 0]}]},
        "r": {"a": [{"numeric": [">=", 0]}], "c": [2]}});
    assert!(!matches(pattern, json!({"p": rows.clone(), "q": rows.clone(), "r": rows})));
}

proptest! {
    #[test]
    fn reading_never_fails_otherwise_than_with_an_error(text in "\\PC{0,60}|[\\[\\]{}\":,a$or*\\\\ 0-9]{0,60}") {
        let _read = text.parse::<Pattern>();
    }

    #[test]
    fn elements_that_match_together_are_found_as_by_trying_each(
        rows in prop::collection::vec((0_u8..4, 0_u8..4, 0_u8..4), 0..6), wanted in (0_u8..4, 0_u8..4, 0_u8..4),
    ) {
        let event: Vec<Value> = rows.iter().map(|(a, b, c)| json!({"a": a, "b": {"x": b}, "c": [c]})).collect();
        let (a, b, c) = wanted;
        let pattern = json!({"rows": {"a": [a], "b": {"x": [b]}, "c": [c]}});
        prop_assert_eq!(matches(pattern, json!({"rows": event})), rows.contains(&wanted));
    }
}
