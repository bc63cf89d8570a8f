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
    let file: Filter =
        serde_json::from_value(json!({"key": "tags", "test": {"in": ["a", "b"]}, "not": true}))
            .unwrap();
    assert_eq!(file, "tags!=a|b".parse().unwrap());
    assert_eq!(file.to_string(), "tags!=a|b");
    let exists: Filter =
        serde_json::from_value(json!({"key": "author", "test": "exists"})).unwrap();
    assert_eq!(exists, "author".parse().unwrap());
}
