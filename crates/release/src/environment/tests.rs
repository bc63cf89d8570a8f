//! Environments move only by compare-and-swap, and their log tells the whole story.

use proptest::prelude::*;

use super::*;
use crate::{ChangeId, Digest, Timestamp, invariants};

fn release(n: u8) -> ReleaseDigest {
    ReleaseDigest::new(Digest::of(&[n]))
}

fn empty() -> Environment {
    Environment::empty("support".parse().unwrap(), "prod".parse().unwrap())
}

fn request(environment: &Environment, make: Move) -> MoveRequest {
    MoveRequest {
        expected: environment.generation,
        make,
        cause: Cause::Promotion { change: ChangeId::new("support".parse().unwrap(), 1) },
        actor: PrincipalId::user("ada").unwrap(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn promote(environment: &Environment, to: ReleaseDigest) -> MoveRequest {
    request(environment, Move::Stable { from: environment.stable, to, hold: None })
}

fn rollback(environment: &Environment, to: ReleaseDigest) -> MoveRequest {
    let from = environment.stable;
    request(environment, Move::Stable { from, to, hold: from })
}

fn plan(weight: u16, owner: &str) -> TrafficPlan {
    let range = |from, to| vec![BucketRange { from, to }];
    TrafficPlan {
        id: PlanId("plan-1".into()),
        owner: PlanOwner::Rollout(owner.into()),
        step: 0,
        arms: vec![
            Arm { name: "canary".into(), release: release(2), ranges: range(0, weight) },
            Arm { name: "control".into(), release: release(1), ranges: range(weight, BUCKETS) },
        ],
        mirror: None,
        routes: Vec::new(),
    }
}

#[test]
fn a_move_against_a_stale_generation_is_refused() {
    let mut environment = empty();
    let stale = promote(&environment, release(1));
    environment.apply(&environment.decide(stale.clone()).unwrap());
    assert_eq!(
        environment.decide(stale).unwrap_err().to_string(),
        "`support` in `prod` is at generation 1, the move expected 0"
    );
}

#[test]
fn automation_cannot_promote_what_was_rolled_back_but_a_person_can() {
    let mut environment = empty();
    for n in [1, 2] {
        environment.apply(&environment.decide(promote(&environment, release(n))).unwrap());
    }
    environment.apply(&environment.decide(rollback(&environment, release(1))).unwrap());
    assert_eq!(environment.stable, Some(release(1)));

    let mut again = promote(&environment, release(2));
    again.actor = PrincipalId::system("reconciler");
    assert_eq!(
        environment.decide(again).unwrap_err(),
        EnvironmentError::Held { release: release(2) }
    );
    environment.apply(&environment.decide(promote(&environment, release(2))).unwrap());
    assert!(environment.held.is_empty());
}

#[test]
fn a_second_owner_finds_the_plan_occupied() {
    let mut environment = empty();
    let first = Move::Plan { to: Some(plan(100, "first")) };
    environment.apply(&environment.decide(request(&environment, first)).unwrap());
    let second = Move::Plan { to: Some(plan(100, "second")) };
    let error = environment.decide(request(&environment, second)).unwrap_err();
    assert_eq!(error.to_string(), "`support` in `prod` already has the traffic plan `plan-1`");
}

#[test]
fn plans_that_overlap_leave_gaps_or_reach_too_far_are_refused() {
    let with = |from, to| {
        let mut broken = plan(100, "r");
        broken.arms[0].ranges[0] = BucketRange { from, to };
        broken.check().unwrap_err()
    };
    assert_eq!(with(0, 101), PlanError::Overlap { bucket: 100 });
    assert_eq!(with(0, 99), PlanError::Sum { sum: 9_999 });
    assert!(matches!(with(5, 5), PlanError::Range { .. }));
    assert!(matches!(with(0, 10_001), PlanError::Range { .. }));
}

#[derive(Debug, Clone)]
enum Act {
    Promote(u8),
    RollBack(u8),
    Split(u16),
    End,
    Hold(u8),
    Clear(u8),
}

fn acts() -> impl Strategy<Value = Vec<(Act, bool)>> {
    let act = prop_oneof![
        (0..5_u8).prop_map(Act::Promote),
        (0..5_u8).prop_map(Act::RollBack),
        (1..10_000_u16).prop_map(Act::Split),
        Just(Act::End),
        (0..5_u8).prop_map(Act::Hold),
        (0..5_u8).prop_map(Act::Clear),
    ];
    prop::collection::vec((act, any::<bool>()), 0..40)
}

proptest! {
    #[test]
    fn the_pointer_always_equals_its_folded_log(acts in acts()) {
        let mut environment = empty();
        let mut log = Vec::new();
        for (act, automatic) in acts {
            let mut request = match act {
                Act::Promote(n) => promote(&environment, release(n)),
                Act::RollBack(n) => rollback(&environment, release(n)),
                Act::Split(weight) => {
                    request(&environment, Move::Plan { to: Some(plan(weight, "r")) })
                }
                Act::End => request(&environment, Move::Plan { to: None }),
                Act::Hold(n) => request(&environment, Move::Hold { release: release(n) }),
                Act::Clear(n) => request(&environment, Move::Clear { release: release(n) }),
            };
            if automatic {
                request.actor = PrincipalId::system("reconciler");
            }
            if let Ok(entry) = environment.decide(request) {
                environment.apply(&entry);
                log.push(entry);
            }
        }
        prop_assert!(invariants::pointer_equals_folded_log(&environment, &log));
        prop_assert!(invariants::log_is_contiguous(&log));
        prop_assert!(invariants::held_stays_held(&log));
    }

    #[test]
    fn raising_a_weight_moves_no_unit_already_in_the_arm(
        low in 1..9_999_u16,
        more in 0..5_000_u16,
        units in prop::collection::vec("[a-z0-9-]{1,20}", 1..50),
    ) {
        let high = low.saturating_add(more).min(9_999);
        let units = units.iter().map(String::as_str);
        let (before, after) = (plan(low, "r"), plan(high, "r"));
        prop_assert!(invariants::plan_is_whole(&before) && invariants::plan_is_whole(&after));
        prop_assert!(invariants::growth_keeps_units(&before, &after, release(2), units));
    }
}
