use release::Digest;
use serde_json::json;

use super::*;

fn report(gates: &[(&str, &str, &str)]) -> GateReport {
    let digest = Digest::of(b"x");
    let gates: Vec<_> = gates
        .iter()
        .map(|(gate, kind, state)| {
            json!({
                "gate": gate, "kind": kind, "version": digest, "state": state, "why": "so",
                "since": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    let report = json!({
        "app": "support", "environment": "prod", "release": digest, "change": "support-3",
        "eligible": false, "evidence": digest, "gates": gates, "not_needed": [],
        "at": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(report).unwrap()
}

fn missing(gate: &str) -> MissingRun {
    MissingRun {
        gate: gate.to_owned(),
        suite: "questions".parse().unwrap(),
        version: Digest::of(b"x"),
        release: report(&[]).release,
        attempt: 0,
    }
}

#[test]
fn a_release_enters_when_every_gate_lets_it_in() {
    assert_eq!(decide(&report(&[]), Vec::new()), Step::Enter);
    let gates = [("scan", "scan", "passed"), ("soak", "soak", "waived")];
    assert_eq!(decide(&report(&gates), Vec::new()), Step::Enter);
}

#[test]
fn what_speaks_against_a_release_comes_before_anything_is_paid_for() {
    let gates = [("eval", "eval", "inconclusive"), ("scan", "scan", "failed")];
    let step = decide(&report(&gates), vec![missing("eval")]);
    assert_eq!(step, Step::Fail("scan (failed): so".to_owned()));
}

#[test]
fn runs_come_before_time_and_time_before_people() {
    let gates = [
        ("people", "approval", "pending"),
        ("soak", "soak", "pending"),
        ("eval", "eval", "inconclusive"),
    ];
    let report = report(&gates);
    let wanted = vec![missing("eval")];
    assert_eq!(decide(&report, wanted.clone()), Step::Evaluate(wanted));
    assert_eq!(decide(&report, Vec::new()), Step::Wait("soak (pending): so".to_owned()));
}

#[test]
fn a_person_is_told_the_command() {
    let step = decide(&report(&[("people", "approval", "pending")]), Vec::new());
    let Step::Ask(why, next) = step else { panic!("{step:?}") };
    assert_eq!(why, "people (pending): so");
    assert!(
        next.starts_with("groundcrew release approve support 2d711642b726 --env prod"),
        "{next}"
    );
    assert!(next.contains("--evidence sha256:"), "{next}");
    // A suite that is too small does not grow by waiting.
    let step = decide(&report(&[("eval", "eval", "inconclusive")]), Vec::new());
    assert!(matches!(step, Step::Ask(_, next) if next.contains("release waive support")));
    // Answers still come.
    let step = decide(&report(&[("budget", "budget", "inconclusive")]), Vec::new());
    assert!(matches!(step, Step::Wait(_)));
    let step = decide(&report(&[("scan", "scan", "error")]), Vec::new());
    assert!(matches!(step, Step::Trouble(_)));
}
