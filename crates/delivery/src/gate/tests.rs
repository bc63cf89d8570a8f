//! What is evidence, and what is not.

use super::*;

fn judged(kind: &str, state: GateState, why: &str) -> Judged {
    Judged {
        gate: kind.to_owned(),
        kind: kind.to_owned(),
        version: Digest::of(kind.as_bytes()),
        verdict: Verdict::of(state, why),
        since: Timestamp::UNIX_EPOCH,
        waiver: None,
    }
}

fn seen(rules: &str, judged: &[Judged]) -> Digest {
    evidence(&toml::from_str(rules).unwrap(), judged).unwrap()
}

#[test]
fn rules_verdicts_and_findings_are_evidence_and_the_calendar_is_not() {
    let before = seen("", &[judged("budget", GateState::Passed, "0.01 USD")]);
    let same = [
        judged("budget", GateState::Passed, "0.02 USD"),
        judged("window", GateState::Pending, "closed"),
        judged("approval", GateState::Pending, "0 of 1"),
    ];
    assert_eq!(seen("", &same), before);
    let others = [
        seen("", &[judged("budget", GateState::Failed, "0.01 USD")]),
        seen("", &[judged("soak", GateState::Passed, "")]),
        seen("strategy = \"canary\"", &[judged("budget", GateState::Passed, "0.01 USD")]),
        seen("", &[judged("scan", GateState::Passed, "one"), same[0].clone()]),
        seen("", &[judged("scan", GateState::Passed, "other"), same[0].clone()]),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(*other, before);
        assert!(!others[..index].contains(other), "each is another");
    }
}

#[test]
fn only_what_passes_or_is_waived_lets_in() {
    use GateState::{Error, Failed, Inconclusive, Passed, Pending, Waived};
    let all = [Pending, Passed, Failed, Error, Inconclusive, Waived];
    let let_in: Vec<_> = all.into_iter().filter(|state| state.lets_in()).collect();
    assert_eq!(let_in, [Passed, Waived]);
}
