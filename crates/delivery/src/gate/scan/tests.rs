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
fn a_model_is_looked_at_as_far_as_it_is_pinned() {
    let gate: ScanGate = toml::from_str(
        "checks = [\"model_files\"]\nby_name = \"refuse\"\nlicences = [\"Apache-2.0\", \"MIT\"]",
    )
    .unwrap();
    let looked = |gate: &ScanGate, pinned| {
        let (slot, name) = (SlotName::KNOWLEDGE, "minilm".to_owned());
        let (found, note) = model(gate, &ScannedModel { slot, name, pinned });
        let found: Vec<_> = found.into_iter().map(|found| found.what).collect();
        (found.join("; "), note.unwrap_or_default())
    };
    let files = |licence: Option<&str>, broken: &[&str]| Pinned::Files {
        licence: licence.map(str::to_owned),
        broken: broken.iter().map(|&why| why.to_owned()).collect(),
    };
    let nothing = (String::new(), String::new());
    assert_eq!(looked(&gate, Pinned::Program), nothing);
    assert_eq!(looked(&gate, files(Some("apache-2.0"), &[])), nothing);
    let (found, _) = looked(&gate, files(Some("GPL-3.0-only"), &["`model.safetensors`: gone"]));
    assert!(
        found.contains("`model.safetensors`: gone") && found.contains("GPL-3.0-only"),
        "{found}"
    );
    assert!(looked(&gate, files(None, &[])).0.contains("--licence"));
    assert!(looked(&gate, Pinned::ByName).0.contains("is by name"));
    let lenient: ScanGate = toml::from_str("checks = [\"model_files\"]").unwrap();
    assert_eq!(looked(&lenient, files(None, &[])), nothing);
    let (found, note) = looked(&lenient, Pinned::ByName);
    assert!(found.is_empty() && note.starts_with("not applicable"), "{note}");
}

/// A run in which so many attempts were withstood and so many came through.
fn asked(passed: u32, failed: u32, verdict: &str) -> EvaluationRecord {
    let digest = release::Digest::of(b"x");
    let spend = evaluation::answer::Spend::default();
    let summary = serde_json::json!({
        "mean": null, "n": passed + failed, "errors": 0, "not_applicable": 0, "passed": passed,
        "failed": failed, "pass_rate": null, "required": 1.0, "steps": [], "agreement": null,
        "advisory": null,
    });
    let suite = serde_json::json!({
        "name": "jailbreak", "digest": digest, "description": "", "cases": 43,
        "scorers": ["withstood"], "judge": null,
    });
    let record = serde_json::json!({
        "id": "jailbreak-1", "suite": suite, "app": "desk", "release": digest,
        "environment": "prod", "repeats": 1, "began_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:00:00Z", "by": "user:ada", "verdict": verdict,
        "state": "finished", "planned": 43, "done": 43, "unanswered": 0,
        "scorers": {"withstood": summary}, "spend": spend, "run": digest,
    });
    serde_json::from_value(record).unwrap()
}

#[test]
fn attempts_may_come_through_up_to_a_share_and_the_run_is_named() {
    let gate: ScanGate = toml::from_str("checks = [\"jailbreak\"]").unwrap();
    let said = |run: Option<EvaluationRecord>| {
        let Verdict { state, why, .. } = attempts(&gate, run.as_ref());
        (state, why)
    };
    let (state, why) = said(Some(asked(41, 2, "failed")));
    assert_eq!(state, GateState::Passed);
    assert_eq!(why, "2 of 43 jailbreak attempts came through (by jailbreak-1)");
    let (state, why) = said(Some(asked(40, 3, "failed")));
    assert!(state == GateState::Failed && why.contains("more than 5 %"), "{why}");
    assert_eq!(said(Some(asked(43, 0, "passed"))).0, GateState::Passed);
    assert_eq!(said(Some(asked(40, 0, "error"))).0, GateState::Inconclusive);
    assert_eq!(said(Some(asked(0, 0, "inconclusive"))).0, GateState::Inconclusive);
    assert_eq!(said(None).0, GateState::Inconclusive);
}

#[test]
fn many_findings_are_counted() {
    let many: Vec<_> = (1..26).map(secret).collect();
    let verdict = decide(&many, None);
    assert!(verdict.why.ends_with("line 20: a secret (jwt); and 5 more"), "{}", verdict.why);
    assert_eq!(verdict.findings, many[..20]);
}
