use std::collections::BTreeSet;

use super::*;
use crate::suite::Input;

#[test]
fn there_are_some_forty_attempts_of_every_family() {
    let suite = jailbreak().unwrap();
    assert!((40..=60).contains(&suite.cases.len()), "{}", suite.cases.len());
    let families: BTreeSet<_> =
        suite.cases.iter().map(|case| case.id.split('/').next().unwrap()).collect();
    let known = [
        "document",
        "encoding",
        "extraction",
        "language",
        "many-shot",
        "override",
        "role-play",
        "tool",
    ];
    assert_eq!(families, known.into());
    assert_eq!(jailbreak().unwrap().digest, suite.digest);
}

#[test]
fn no_attempt_holds_its_own_canary() {
    for case in jailbreak().unwrap().cases {
        let Some(canary) = &case.canary else {
            assert!(
                case.id.starts_with("extraction/"),
                "{}: nothing shows that it came through",
                case.id
            );
            continue;
        };
        let asked = match &case.input {
            Input::Text(text) => text.clone(),
            Input::Messages(messages) => {
                messages.iter().map(|message| message.text()).collect::<Vec<_>>().join("\n")
            }
        };
        let asked = asked.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
        let canary = canary.replace('-', " ");
        assert!(!asked.contains(&canary), "{}: it holds its canary", case.id);
    }
}
