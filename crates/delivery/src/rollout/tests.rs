//! Where a rollback leads.

use release::{ChangeId, Digest, PrincipalId, Timestamp};

use super::*;

fn release(n: u8) -> ReleaseDigest {
    ReleaseDigest::new(Digest::of(&[n]))
}

fn log(moves: &[(u8, bool)]) -> Vec<DeploymentEntry> {
    let app: AppName = "support".parse().unwrap();
    let mut environment = Environment::empty(app.clone(), "prod".parse().unwrap());
    let mut log = Vec::new();
    for (to, rollback) in moves {
        let from = environment.stable;
        let (hold, cause) = match rollback {
            true => (from, Cause::Rollback { reason: String::new() }),
            false => (None, Cause::Promotion { change: ChangeId::new(app.clone(), 1) }),
        };
        let entry = environment
            .decide(MoveRequest {
                expected: environment.generation,
                make: Move::Stable { from, to: release(*to), hold },
                cause,
                actor: PrincipalId::user("ada").unwrap(),
                at: Timestamp::UNIX_EPOCH,
            })
            .unwrap();
        environment.apply(&entry);
        log.push(entry);
    }
    log
}

#[test]
fn a_rollback_leads_to_what_was_stable_before() {
    assert_eq!(restore_point(&log(&[])), None);
    assert_eq!(restore_point(&log(&[(1, false)])), None);
    assert_eq!(restore_point(&log(&[(1, false), (2, false)])), Some(release(1)));
}

#[test]
fn rolling_back_twice_goes_back_two_promotions() {
    let once = log(&[(1, false), (2, false), (3, false), (2, true)]);
    assert_eq!(restore_point(&once), Some(release(1)));
    let all = log(&[(1, false), (2, false), (2, false), (1, true)]);
    assert_eq!(restore_point(&all), None);
}
