//! A match is found wherever the stream is cut, and never repeated in a finding.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn rules(rules: serde_json::Value) -> Arc<Guardrails> {
    let spec: GuardrailsSpec = serde_json::from_value(serde_json::json!({"rules": rules})).unwrap();
    Arc::new(Guardrails::compile(&spec).unwrap())
}

fn all() -> Arc<Guardrails> {
    rules(serde_json::json!([
        {"name": "project", "kind": "regex", "action": "block", "pattern": "(?i)project[ -]x[0-9]{1,4}\\b"},
        {"name": "rude", "kind": "words", "action": "block", "words": ["Scoundrel", "rotter"]},
        {"name": "personal", "kind": "pii", "action": "block",
         "entities": ["credit_card", "iban", "email", "phone", "us_ssn", "api_key"]},
    ]))
}

fn found(text: &str) -> Vec<String> {
    all().input(text).into_iter().map(|hit| hit.rule).collect()
}

#[test]
fn checksums_tell_numbers_from_cards_and_accounts() {
    assert_eq!(found("pay with 4111 1111 1111 1111 please"), ["personal"]);
    assert!(found("order 4111 1111 1111 1112").is_empty());
    assert_eq!(found("to DE89 3704 0044 0532 0130 00"), ["personal"]);
    assert!(found("to DE88 3704 0044 0532 0130 00").is_empty());
    assert_eq!(found("ssn 123-45-6789"), ["personal"]);
    assert!(found("ssn 666-45-6789, 900-45-6789, 123-00-6789").is_empty());
    assert_eq!(found("ask ada@example.com"), ["personal"]);
    assert_eq!(found("call +47 22 33 44 55"), ["personal"]);
    assert_eq!(found("key sk-abcdefghijklmnopqrstuvwxyz"), ["personal"]);
}

#[test]
fn a_card_or_an_account_beside_other_digits_and_words_is_still_one() {
    for text in [
        "4111 1111 1111 1111 12/27",
        "4111 1111 1111 1111 123",
        "12 4111-1111-1111-1111",
        "id 7 4111111111111111, thanks",
        "DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX",
        "DE89370400440532013000 BIC COBADEFFXXX",
        "IBAN GB82 WEST 1234 5698 7654 32 OR NOT",
    ] {
        assert_eq!(found(text), ["personal"], "{text}");
    }
    for text in ["4111 1111 1111 11112", "x4111111111111111", "4111 1111 AAAA 1111 1111"] {
        assert!(found(text).is_empty(), "{text}");
    }
}

#[test]
fn a_long_key_is_a_key() {
    assert_eq!(found(&format!("sk-{}", "a1".repeat(200))), ["personal"]);
}

#[test]
fn words_are_matched_whole_and_whatever_their_case() {
    assert_eq!(found("You SCOUNDREL!"), ["rude"]);
    assert!(found("scoundrels and rotterdam").is_empty());
}

#[test]
fn rules_that_cannot_work_are_named() {
    for (rule, why) in [
        (
            serde_json::json!({"name": "a", "kind": "regex", "action": "flag", "pattern": "("}),
            "unclosed",
        ),
        (serde_json::json!({"name": "a", "kind": "regex", "action": "flag"}), "needs a `pattern`"),
        (
            serde_json::json!({"name": "a", "kind": "regex", "action": "flag", "pattern": "x*"}),
            "everything",
        ),
        (serde_json::json!({"name": "a", "kind": "words", "action": "flag"}), "needs `words`"),
        (serde_json::json!({"name": "a", "kind": "pii", "action": "flag"}), "needs `entities`"),
        (
            serde_json::json!({"name": "a", "kind": "regex", "action": "flag", "pattern": "(a{999}){999}"}),
            "size",
        ),
        (
            serde_json::json!({"name": "a", "kind": "regex", "action": "flag", "pattern": "a.*b"}),
            "bound its repetitions",
        ),
    ] {
        let spec: GuardrailsSpec =
            serde_json::from_value(serde_json::json!({"rules": [rule]})).unwrap();
        let error = Guardrails::compile(&spec).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn an_unbounded_pattern_may_look_at_the_input_and_names_are_given_once() {
    let input = serde_json::json!([
        {"name": "a", "kind": "regex", "action": "flag", "pattern": "a.*b", "on": ["input"]},
    ]);
    assert_eq!(rules(input).input(&format!("a{}b", "-".repeat(9_000))).len(), 1);
    let twice = serde_json::json!({"rules": [
        {"name": "a", "kind": "words", "action": "flag", "words": ["x"]},
        {"name": "a", "kind": "words", "action": "block", "words": ["y"]},
    ]});
    let error = Guardrails::compile(&serde_json::from_value(twice).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "rule `a`: an earlier rule has this name");
}

fn stream(guardrails: &Arc<Guardrails>, pieces: &[&str]) -> (String, Option<String>) {
    let mut screen = guardrails.output().unwrap();
    let mut out = String::new();
    for piece in pieces {
        match screen.push(piece) {
            Screened::Release(text) => out.push_str(&text),
            Screened::Blocked(hit) => return (out, Some(hit.rule)),
        }
    }
    match screen.finish() {
        Screened::Release(text) => out.push_str(&text),
        Screened::Blocked(hit) => return (out, Some(hit.rule)),
    }
    (out, None)
}

#[test]
fn nothing_of_a_match_is_released_before_it_is_blocked() {
    let (out, blocked) = stream(&all(), &["All about Pro", "ject X", "12 is", " secret"]);
    assert_eq!((out.contains("Pro"), blocked.as_deref()), (false, Some("project")));
}

#[test]
fn flags_let_the_text_pass_and_are_told_once() {
    let flags = rules(serde_json::json!([
        {"name": "mail", "kind": "pii", "action": "flag", "on": ["output"], "entities": ["email"]},
    ]));
    let mut screen = flags.output().unwrap();
    let mut out = String::new();
    for piece in ["write to ada@exam", "ple.com or bob@example.com", " today"] {
        if let Screened::Release(text) = screen.push(piece) {
            out.push_str(&text);
        }
    }
    if let Screened::Release(text) = screen.finish() {
        out.push_str(&text);
    }
    assert_eq!(out, "write to ada@example.com or bob@example.com today");
    assert_eq!(screen.flagged().len(), 1);
    assert!(!format!("{:?}", screen.flagged()).contains("ada"));
}

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z é0-9]{0,12}",
        Just("4111 1111 1111 1111".to_owned()),
        Just("project x12".to_owned()),
        Just("scoundrel".to_owned()),
        Just(" ".to_owned()),
        Just("ada@example.com".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_of_a_long_match_in_a_long_answer_leaves(
        before in 0..6_000_usize,
        inside in 0..4_000_usize,
        after in 0..6_000_usize,
        piece in 1..700_usize,
    ) {
        let long = rules(serde_json::json!([
            {"name": "long", "kind": "regex", "action": "block", "pattern": "<-{0,4000}>"},
        ]));
        let match_ = format!("<{}>", "-".repeat(inside));
        let text = format!("{}{match_}{}", "a".repeat(before), "b".repeat(after));
        let pieces: Vec<_> = text.as_bytes().chunks(piece).collect();
        let pieces: Vec<_> = pieces.into_iter().map(|p| std::str::from_utf8(p).unwrap()).collect();
        let (out, blocked) = stream(&long, &pieces);
        prop_assert_eq!(blocked.as_deref(), Some("long"));
        prop_assert!(!out.contains('<'));
    }

    #[test]
    fn cutting_the_stream_elsewhere_changes_no_verdict(
        text in texts(),
        cuts in prop::collection::vec(0..200_usize, 0..10),
    ) {
        let guardrails = all();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|at| text.is_char_boundary(*at)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let (out, blocked) = stream(&guardrails, &pieces);
        let whole = guardrails.input(&text);
        prop_assert_eq!(blocked.is_some(), !whole.is_empty());
        if blocked.is_none() {
            prop_assert_eq!(out, text);
        }
    }
}

#[test]
fn secrets_are_found_whole_and_apart_from_what_stands_around_them() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{line}\n{line}\nabc=\n-----END RSA PRIVATE KEY-----"
    );
    let token = format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{}", &line[..43]);
    let cases = [
        (Entity::PrivateKey, key.as_str()),
        (Entity::Jwt, &token),
        (Entity::ApiKey, "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        (Entity::ApiKey, "github_pat_11ABCDEFG0abcdefghijkl_mnop"),
        (Entity::ApiKey, "xoxb-123456789012-abcdefghijkl"),
        (Entity::ApiKey, "AKIAIOSFODNN7EXAMPLE"),
        (Entity::ApiKey, "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        (Entity::Email, "ada@example.com"),
        (Entity::CreditCard, "4111 1111 1111 1111"),
    ];
    for (entity, secret) in cases {
        let text = format!("Before {secret} after; again: {secret}");
        let found: Vec<_> = entity.find(&text).into_iter().map(|place| &text[place]).collect();
        assert_eq!(found, [secret, secret], "{}", entity.name());
        assert!(secret.len() <= entity.longest());
        assert_eq!(serde_json::to_value(entity).unwrap(), entity.name());
    }
    assert!(
        Entity::PrivateKey
            .find("It begins with -----BEGIN PRIVATE KEY----- and a line.")
            .is_empty()
    );
}
