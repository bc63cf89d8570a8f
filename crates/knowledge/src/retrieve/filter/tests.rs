//! What passes which filter.

use serde_json::json;

use super::*;

#[track_caller]
fn passes(filter: &str, value: Option<Value>) -> bool {
    filter.parse::<Filter>().unwrap().passes(value.as_ref())
}

#[test]
fn equality_membership_ranges_prefixes_and_presence_are_told_apart() {
    assert!(passes("language=en", Some(json!("en"))));
    assert!(!passes("language=en", Some(json!("de"))));
    assert!(!passes("language=en", None));
    assert!(passes("language!=en", None));
    assert!(passes("tags=a|b", Some(json!(["x", "b"]))));
    assert!(!passes("tags!=a|b", Some(json!(["x", "b"]))));
    assert!(passes("path^=docs/", Some(json!("docs/a.md"))));
    assert!(passes("year>=2020", Some(json!(2020.0))));
    assert!(!passes("year<=2019", Some(json!(2020))));
    assert!(!passes("year>=2020", Some(json!("2021"))), "a text is no number");
    assert!(passes("modified_at>=2026-01-01", Some(json!("2026-01-01T08:00:00Z"))));
    assert!(passes("author", Some(json!(""))));
    assert!(passes("!author", None));
    assert!(!passes("author", Some(Value::Null)));
}

#[test]
fn a_filter_without_a_key_is_refused_with_what_can_be_written() {
    for wrong in ["", "=x", "!", "^=x"] {
        assert!(wrong.parse::<Filter>().unwrap_err().contains("KEY=VALUE"), "{wrong}");
    }
}

#[test]
fn the_form_of_files_and_the_form_of_commands_mean_the_same() {
    for (file, command) in [
        (json!({"key": "tags", "in": ["a", "b"], "not": true}), "tags!=a|b"),
        (json!({"key": "language", "equals": "en"}), "language=en"),
        (json!({"key": "path", "prefix": "docs/"}), "path^=docs/"),
        (json!({"key": "year", "from": 2020}), "year>=2020"),
        (json!({"key": "author", "exists": true}), "author"),
        (json!({"key": "author", "exists": true, "not": true}), "!author"),
    ] {
        let read: Filter = serde_json::from_value(file.clone()).unwrap();
        assert_eq!(read, command.parse().unwrap());
        assert_eq!(serde_json::to_value(&read).unwrap(), file);
    }
    let absent: Filter = serde_json::from_value(json!({"key": "author", "exists": false})).unwrap();
    assert_eq!(absent, "!author".parse().unwrap());
}

#[test]
fn a_filter_of_no_test_or_of_two_is_refused() {
    for wrong in [json!({"key": "a"}), json!({"key": "a", "equals": 1, "prefix": "b"})] {
        let error = serde_json::from_value::<Filter>(wrong).unwrap_err().to_string();
        assert!(error.contains("the filter on `a` needs one of"), "{error}");
    }
}
