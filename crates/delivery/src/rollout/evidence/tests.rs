//! What counts amount to.

use super::super::rules::{RulesFile, Strategy};
use super::super::tests::{canary, rollout};
use super::*;

/// A look with this finding.
pub fn looked(finding: Finding) -> Looked {
    Looked {
        at: Timestamp::UNIX_EPOCH,
        outcomes: Vec::new(),
        copies: None,
        failures: None,
        slow: None,
        alarm: None,
        finding,
        why: "as it is".into(),
    }
}

fn arm(arm: &str, step: u32, sessions: u64, failed: u64) -> ArmOutcomes {
    let arm = arm.to_owned();
    ArmOutcomes { arm, step, sessions, assigned: sessions, failed, ..ArmOutcomes::default() }
}

fn judged(rollout: &Rollout, outcomes: Vec<ArmOutcomes>) -> Looked {
    Looked::at(Timestamp::UNIX_EPOCH, rollout, Ok(outcomes), None)
}

#[test]
fn counts_of_sessions_decide() {
    let rollout = rollout(canary());
    let seen = |canary: (u64, u64), control: (u64, u64)| {
        let outcomes =
            vec![arm(CANARY, 0, canary.0, canary.1), arm(CONTROL, 0, control.0, control.1)];
        judged(&rollout, outcomes).finding
    };
    assert_eq!(seen((0, 0), (0, 0)), Finding::NoData);
    assert_eq!(seen((50, 20), (950, 10)), Finding::Harm);
    assert_eq!(seen((50, 0), (950, 10)), Finding::Inconclusive);
    assert_eq!(seen((2_000, 6), (38_000, 400)), Finding::Safe);
    assert_eq!(seen((400, 0), (7_600, 0)), Finding::Safe, "nothing fails at all");
}

#[test]
fn sessions_that_are_not_split_as_they_should_be_compare_nothing() {
    let rollout = rollout(canary());
    let looked = judged(&rollout, vec![arm(CANARY, 0, 500, 2), arm(CONTROL, 0, 500, 5)]);
    assert_eq!(looked.finding, Finding::Error, "{}", looked.why);
    assert!(looked.why.starts_with("sessions are not split"), "{}", looked.why);
}

#[test]
fn requests_without_a_session_are_no_evidence_and_that_is_said() {
    let rollout = rollout(canary());
    let lonely = ArmOutcomes { unstuck: 12, ..arm(CANARY, 0, 0, 0) };
    let looked = judged(&rollout, vec![lonely]);
    assert_eq!(looked.finding, Finding::NoData);
    assert!(looked.why.contains("12 requests belonged to no session"), "{}", looked.why);
}

#[test]
fn what_cannot_be_asked_is_an_error_and_no_verdict() {
    let rollout = rollout(canary());
    let broken = Looked::at(Timestamp::UNIX_EPOCH, &rollout, Err("the disk is gone".into()), None);
    assert_eq!((broken.finding, broken.why.as_str()), (Finding::Error, "the disk is gone"));
}

#[test]
fn latency_is_judged_by_what_was_slow_before() {
    let mut rollout = rollout(canary());
    rollout.rules.evidence.latency_quantile = 0.95;
    let slow = |canary: u64, control: u64| {
        vec![
            ArmOutcomes { slow: canary, ..arm(CANARY, 0, 2_000, 6) },
            ArmOutcomes { slow: control, ..arm(CONTROL, 0, 38_000, 400) },
        ]
    };
    let unknown = judged(&rollout, slow(100, 1_900));
    assert_eq!(unknown.finding, Finding::NoData, "{}", unknown.why);
    rollout.slow = Some(1_000_000_000);
    assert_eq!(judged(&rollout, slow(100, 1_900)).finding, Finding::Safe);
    let slower = judged(&rollout, slow(300, 1_900));
    assert_eq!(slower.finding, Finding::Harm);
    assert!(slower.why.starts_with("slow answers:"), "{}", slower.why);
}

#[test]
fn copies_are_compared_with_their_originals_whatever_else_was_answered() {
    let rules = RulesFile { strategy: Strategy::Shadow, ..RulesFile::default() };
    let rollout = rollout(rules.rules().unwrap());
    let seen = |copies: u64, originals: u64| {
        let arms = [(SHADOW, 1_000, copies), (MIRRORED, 1_000, originals), (CONTROL, 10_000, 900)];
        let arms = arms.map(|(name, sessions, failed)| arm(name, 0, sessions, failed));
        judged(&rollout, arms.into()).finding
    };
    assert_eq!(seen(30, 30), Finding::Inconclusive);
    assert_eq!(seen(200, 100), Finding::Harm);
    assert_eq!(seen(100, 100), Finding::Safe);
    assert_eq!(judged(&rollout, vec![arm(CONTROL, 0, 900, 9)]).finding, Finding::NoData);
}

/// One draw of sessions after the other, in which what a copy does hangs on what its original did.
/// However that is, a release that is as good is called harmful, and one that is too bad safe, in no
/// more than one run of twenty.
#[test]
fn failures_that_come_together_make_no_verdict_wrong() {
    let rules = RulesFile { strategy: Strategy::Shadow, ..RulesFile::default() };
    let mut rollout = rollout(rules.rules().unwrap());
    rollout.rules.evidence.healthy_rate = 0.0;
    let wrong = |ratio: f64, shared: f64, wrong: Finding| {
        let runs = 400;
        let is_wrong = |run: u64| {
            let mut draw = release::Draw::seeded(run);
            let (mut copies, mut originals) = (0, 0);
            (1..=40u64).any(|look| {
                for _ in 0..50 {
                    let (one, other) = (draw.unit(), draw.unit());
                    originals += u64::from(one < 0.1);
                    let drawn = if draw.unit() < shared { one } else { other };
                    copies += u64::from(drawn < 0.1 * ratio);
                }
                let sessions = look * 50;
                let arms =
                    vec![arm(SHADOW, 0, sessions, copies), arm(MIRRORED, 0, sessions, originals)];
                judged(&rollout, arms).finding == wrong
            })
        };
        (0..runs).filter(|run| is_wrong(*run)).count() as f64 / runs as f64
    };
    for shared in [0.0, 0.5, 1.0] {
        let harmful = wrong(1.0, shared, Finding::Harm);
        assert!(harmful <= 0.05, "{harmful} are called harmful, {shared} shared");
        let safe = wrong(2.0, shared, Finding::Safe);
        assert!(safe <= 0.05, "{safe} are called safe, {shared} shared");
    }
    assert!(wrong(3.0, 0.5, Finding::Harm) > 0.9, "what is bad is found");
}

#[test]
fn without_a_control_the_candidate_is_measured_by_itself() {
    let rules = RulesFile { strategy: Strategy::BlueGreen, ..RulesFile::default() };
    let rollout = rollout(rules.rules().unwrap());
    let seen = |sessions, failed| judged(&rollout, vec![arm(CANARY, 0, sessions, failed)]).finding;
    assert_eq!(seen(0, 0), Finding::NoData);
    assert_eq!(seen(100, 5), Finding::Inconclusive);
    assert_eq!(seen(100, 40), Finding::Harm);
    assert_eq!(seen(1_000, 0), Finding::Safe);
}
