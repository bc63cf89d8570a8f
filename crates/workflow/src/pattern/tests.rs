use serde_json::{Value, json};

use super::Pattern;

fn matches(pattern: Value, event: Value) -> bool {
    Pattern::parse(&pattern).unwrap().matches(&event)
}

#[test]
fn each_matcher_admits_what_it_should() {
    for (matcher, value, expected) in [
        (json!("a"), json!("a"), true),
        (json!("a"), json!("A"), false),
        (json!(1), json!(1.0), true),
        (json!(1), json!("1"), false),
        (json!(null), json!(null), true),
        (json!(true), json!(true), true),
        (json!({"prefix": "ab"}), json!("abc"), true),
        (json!({"prefix": {"equals-ignore-case": "AB"}}), json!("abc"), true),
        (json!({"prefix": "b"}), json!("abc"), false),
        (json!({"suffix": "bc"}), json!("abc"), true),
        (json!({"suffix": {"equals-ignore-case": "BC"}}), json!("abc"), true),
        (json!({"equals-ignore-case": "ABC"}), json!("abc"), true),
        (json!({"equals-ignore-case": ""}), json!(""), true),
        (json!({"wildcard": "a*c"}), json!("abbc"), true),
        (json!({"wildcard": "a\\*c"}), json!("a*c"), true),
        (json!({"wildcard": "a\\*c"}), json!("abc"), false),
        (json!({"wildcard": "*"}), json!(1), false),
        (json!({"anything-but": "a"}), json!("b"), true),
        (json!({"anything-but": "a"}), json!("a"), false),
        (json!({"anything-but": ["a", "b"]}), json!(null), true),
        (json!({"anything-but": [1, 2]}), json!(2.0), false),
        (json!({"anything-but": {"prefix": "a"}}), json!("ab"), false),
        (json!({"anything-but": {"suffix": ["x", "b"]}}), json!("ab"), false),
        (json!({"anything-but": {"equals-ignore-case": ["A"]}}), json!("a"), false),
        (json!({"anything-but": {"wildcard": "*/x/*"}}), json!("a/x/b"), false),
        (json!({"anything-but": {"wildcard": "*/x/*"}}), json!(7), true),
        (json!({"numeric": [">", 0, "<=", 5]}), json!(5), true),
        (json!({"numeric": [">", 0, "<=", 5]}), json!(0), false),
        (json!({"numeric": ["=", 301.8]}), json!(301.8), true),
        (json!({"numeric": ["<", 10]}), json!("9"), false),
        (json!({"cidr": "10.0.0.0/24"}), json!("10.0.0.255"), true),
        (json!({"cidr": "10.0.0.0/24"}), json!("10.0.1.0"), false),
        (json!({"cidr": "10.0.0.0/24"}), json!("ten"), false),
        (json!({"cidr": "2001:db8::/32"}), json!("2001:db8:1::1"), true),
        (json!({"cidr": "::/0"}), json!("2001:db8:1::1"), true),
        (json!({"exists": true}), json!(null), true),
        (json!({"exists": true}), json!({"a": 1}), false),
        (json!({"exists": false}), json!([]), true),
        (json!({"exists": false}), json!("x"), false),
    ] {
        let (pattern, event) = (json!({"f": [matcher.clone()]}), json!({"f": value.clone()}));
        assert_eq!(matches(pattern, event), expected, "{matcher} {value}");
    }
}

#[test]
fn a_missing_field_satisfies_only_what_must_be_absent() {
    assert!(matches(json!({"f": [{"exists": false}]}), json!({})));
    assert!(matches(json!({"a": {"f": [{"exists": false}]}}), json!({"b": 1})));
    assert!(!matches(json!({"f": [{"anything-but": "x"}]}), json!({})));
    assert!(matches(json!({"f": ["x", {"exists": false}]}), json!({})));
}

#[test]
fn arrays_match_by_one_element_and_consistently() {
    assert!(matches(json!({"f": ["b"]}), json!({"f": ["a", "b"]})));
    let event = json!({"rows": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]});
    assert!(matches(json!({"rows": {"a": [3], "b": [4]}}), event.clone()));
    assert!(!matches(json!({"rows": {"a": [1], "b": [4]}}), event));
}

#[test]
fn alternatives_need_two_objects_and_else_are_a_field() {
    let either = json!({"s": ["x"], "$or": [{"a": [1]}, {"b": [2]}]});
    assert!(matches(either.clone(), json!({"s": "x", "b": 2})));
    assert!(!matches(either.clone(), json!({"s": "y", "b": 2})));
    assert!(!matches(either, json!({"s": "x"})));
    assert!(matches(json!({"$or": ["x"]}), json!({"$or": "x"})));
}

#[test]
fn what_is_no_pattern_is_refused_in_the_services_words() {
    for (pattern, part) in [
        (json!([]), "Filter is not an object"),
        (json!({}), "Empty objects"),
        (json!({"a": []}), "Empty arrays are not allowed"),
        (json!({"a": "x"}), "\"a\" must be an object or an array"),
        (json!({"a": [{"prefix": 1}]}), "prefix match pattern must be a string"),
        (json!({"a": [{"unknown": 1}]}), "Unrecognized match type unknown"),
        (json!({"a": [{"prefix": "a", "suffix": "b"}]}), "Only one key allowed"),
        (json!({"a": [{"anything-but": [null]}]}), "start|null|boolean"),
        (json!({"a": [{"anything-but": ["x", 1]}]}), "mixed type"),
        (json!({"a": [{"anything-but": {"prefix": ""}}]}), "Null prefix/suffix"),
        (json!({"a": [{"wildcard": "a**"}]}), "Consecutive wildcard characters at pos 2"),
        (json!({"a": [{"wildcard": "a\\b"}]}), "Invalid escape character"),
        (json!({"a": [{"numeric": [">", 0, "<"]}]}), "Value of < must be numeric"),
        (json!({"a": [{"numeric": [">", 6e9]}]}), "between -5.0E9 and 5.0E9"),
        (json!({"a": [{"numeric": ["~", 6]}]}), "Unrecognized numeric range operator"),
        (json!({"a": [{"numeric": [">", 5, "<", 1]}]}), "Bottom must be less than top"),
        (json!({"a": [{"cidr": "10.0.0.0/33"}]}), "Malformed CIDR"),
        (json!({"a": [{"exists": "yes"}]}), "either true or false"),
        (json!({"a": [["x"]]}), "Match value must be"),
    ] {
        let wrong = Pattern::parse(&pattern).unwrap_err().to_string();
        assert!(wrong.contains(part), "{pattern}: {wrong}");
    }
}
