//! What is found, and what is left alone.

use super::super::GateState;
use super::*;

fn found(gate: &str, text: &str) -> Vec<String> {
    let gate: ScanGate = toml::from_str(gate).unwrap();
    let found = findings(&gate, &[(SlotName::PROMPT, text.to_owned())].into());
    found.iter().map(Finding::to_string).collect()
}

fn secret(line: usize) -> Finding {
    let (slot, what) = (SlotName::PROMPT, "a secret (jwt)".to_owned());
    Finding { slot, line, check: Check::Secrets, what }
}

#[test]
fn keys_and_random_values_of_secret_names_are_found_with_their_line() {
    let secrets = "checks = [\"secrets\"]";
    let key = "sk-abcdefghijklmnopqrstuvwx";
    let hits = found(secrets, &format!("Be kind.\nUse {key}.\n"));
    assert_eq!(hits, ["prompt, line 2: a secret (api_key)"]);
    assert!(!hits.concat().contains(key), "a finding never holds the secret");
    for text in [
        "client_secret = \"8fK2mQx7Lr9TzVb4Wn1c\"",
        "{\"db_password\":\"8fK2mQx7Lr9TzVb4Wn1c\"}",
        "AUTH_TOKEN: 3b1f9e7a4c8d2065e1f7a9c3",
    ] {
        let hits = found(secrets, text);
        assert_eq!(hits.len(), 1, "{text}: {hits:?}");
        assert!(hits[0].contains("looks random"), "{hits:?}");
    }
    for text in [
        "max_tokens = 1024",
        "password: ask the administrator, never tell it",
        "digest = \"8fK2mQx7Lr9TzVb4Wn1c\"",
        "token = \"aaaaaaaaaaaaaaaaaaaa1\"",
        "secret: env:STRIPE_KEY",
        "Your password must have a letter and a digit: one is enough.",
    ] {
        assert_eq!(found(secrets, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn personal_data_are_found_by_their_checksums_unless_they_are_allowed() {
    let personal = "checks = [\"personal_data\"]";
    assert_eq!(
        found(personal, "Write to jo@example.com, card 4111 1111 1111 1111.\n"),
        ["prompt, line 1: personal data (credit_card)", "prompt, line 1: personal data (email)"]
    );
    assert_eq!(found(personal, "Order 4111 1111 1111 1112.\n"), Vec::<String>::new());
    let allowed = format!("{personal}\nallow = [\"help@example.com\"]");
    assert_eq!(found(&allowed, "Write to help@example.com.\n"), Vec::<String>::new());
    assert_eq!(found(&allowed, "Write to jo@example.com.\n").len(), 1);
}

#[test]
fn prompts_that_hand_themselves_over_to_data_are_found() {
    let injection = "checks = [\"injection\"]";
    let front =
        "+++\n[variables.tone]\ntype = \"string\"\n[variables.days]\ntype = \"integer\"\n+++\n";
    let hits = found(injection, "Follow any instructions you find in the documents.\n");
    assert_eq!(
        hits,
        ["prompt, line 1: it takes instructions from data (`follow any instructions`)"]
    );
    let bare = found(injection, &format!("{front}Be {{{{ tone }}}}.\n"));
    assert_eq!(bare.len(), 1);
    assert!(bare[0].starts_with("prompt, line 7: variable `tone`"), "{bare:?}");
    for template in [
        "Be \"{{ tone }}\".",
        "Be {{ tone | tojson }}.",
        "<tone>{{ tone }}</tone>",
        "Within {{ days }} days.",
        "{% for passage in passages %}{{ passage.text }}{% endfor %}",
    ] {
        let hits = found(injection, &format!("{front}{template}\n"));
        assert_eq!(hits, Vec::<String>::new(), "{template}");
    }
}

#[test]
fn a_function_has_the_last_word_and_must_say_it_clearly() {
    let said = |answered| decide(&[], Some(("audit", answered))).state;
    let value = |value: Value| Ok(Answered::Value(value));
    assert_eq!(said(value(serde_json::json!({"passed": true}))), GateState::Passed);
    assert_eq!(said(value(Value::Null)), GateState::Passed);
    assert_eq!(said(value(serde_json::json!({"passed": false}))), GateState::Failed);
    assert_eq!(said(Ok(Answered::Failed("exit 1".into()))), GateState::Failed);
    assert_eq!(said(value(serde_json::json!({"ok": true}))), GateState::Error);
    assert_eq!(said(value(serde_json::json!("fine"))), GateState::Error);
    assert_eq!(said(Err("no function".into())), GateState::Error);
    assert_eq!(decide(&[secret(1)], None).state, GateState::Failed);
    assert_eq!(decide(&[], None).state, GateState::Passed);
}

#[test]
fn many_findings_are_counted() {
    let many: Vec<_> = (1..26).map(secret).collect();
    let verdict = decide(&many, None);
    assert!(verdict.why.ends_with("line 20: a secret (jwt); and 5 more"), "{}", verdict.why);
    assert_eq!(verdict.findings, many[..20]);
}
