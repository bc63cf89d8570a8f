//! Waivers end, and have a reason.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn waiver() -> Waiver {
    Waiver {
        gate: "soak".into(),
        version: Digest::of(b"1"),
        release: ReleaseDigest::new(Digest::of(b"r")),
        environment: "prod".parse().unwrap(),
        until: at("2026-01-02T00:00:00Z"),
        reason: "a fix".into(),
        by: PrincipalId::user("root").unwrap(),
        at: at("2026-01-01T00:00:00Z"),
    }
}

#[test]
fn one_counts_until_its_end_for_the_gate_as_it_was() {
    let version = Digest::of(b"1");
    let counts = |version, now| waiver().counts(version, at(now));
    assert!(counts(version, "2026-01-01T23:59:59Z"));
    assert!(!counts(version, "2026-01-02T00:00:00Z"), "it has ended");
    assert!(!counts(Digest::of(b"2"), "2026-01-01T12:00:00Z"), "the gate is another");
    assert!(!counts(version, "2025-12-31T12:00:00Z"), "the clock went back");
}

#[test]
fn it_is_always_shown_and_one_that_is_not_needed_is_not() {
    let over = waiver().over(Verdict::failed("too dear"));
    assert_eq!(over.state, GateState::Waived);
    assert_eq!(
        over.why,
        "waived by user:root until 2026-01-02T00:00:00Z: a fix (else failed: too dear)"
    );
    assert_eq!(waiver().over(Verdict::passed("fine")), Verdict::passed("fine"));
}

#[test]
fn an_end_within_thirty_days_and_a_reason_are_needed() {
    let now = at("2026-01-01T00:00:00Z");
    let refused = |until, reason| check(at(until), reason, now).is_err();
    assert!(!refused("2026-01-31T00:00:00Z", "a fix"));
    assert!(refused("2026-01-31T00:00:01Z", "a fix"));
    assert!(refused("2026-01-01T00:00:00Z", "a fix"));
    assert!(refused("2025-12-01T00:00:00Z", "a fix"));
    assert!(refused("2026-01-02T00:00:00Z", "  "));
}
