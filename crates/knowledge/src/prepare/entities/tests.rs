use std::collections::BTreeMap;

use serde_json::json;

use super::Entities;
use crate::document::Extracted;

fn wanted(names: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let names = names.iter().map(|(kind, names)| {
        ((*kind).to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
    });
    names.collect()
}

#[test]
fn names_are_found_as_whole_words_in_any_case_and_told_as_they_are_listed() {
    let names = wanted(&[("product", &["BRK-2204", "Trail 5", "Über"]), ("team", &["Brakes"])]);
    let entities = Entities::new(&names).unwrap();
    let mut content = Extracted {
        title: "All about brakes".to_owned(),
        text: "The brk-2204 fits the ÜBER, not the BRK-22045 or the xTrail 5.".to_owned(),
        ..Extracted::default()
    };
    entities.note(&mut content);
    assert_eq!(content.metadata["entities.product"], json!(["BRK-2204", "Über"]));
    assert_eq!(content.metadata["entities.team"], json!(["Brakes"]));
    let mut other = Extracted { text: "Nothing of it.".to_owned(), ..Extracted::default() };
    entities.note(&mut other);
    assert!(other.metadata.is_empty());
}

#[test]
fn names_that_cannot_be_looked_for_are_refused() {
    let error = |names: &[&str]| Entities::new(&wanted(&[("x", names)])).unwrap_err().to_string();
    assert!(error(&[""]).contains("entities.x"));
    assert!(error(&[" a"]).contains("white space"));
    let many: Vec<&str> = vec!["a"; 10_001];
    assert!(error(&many).contains("10001 names"));
}
