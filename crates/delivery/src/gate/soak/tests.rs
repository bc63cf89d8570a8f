//! How long a release has been stable, from the log alone.

use release::{Cause, Digest, PrincipalId};

use super::super::GateState;
use super::*;

fn digest(name: &str) -> ReleaseDigest {
    ReleaseDigest::new(Digest::of(name.as_bytes()))
}

fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}:00Z").parse().unwrap()
}

fn gate() -> SoakGate {
    toml::from_str("environment = \"staging\"\nhours = 2").unwrap()
}

/// A log of what became stable when.
fn log(rows: &[(&str, &str)]) -> Vec<DeploymentEntry> {
    let rows = (1..).zip(rows).map(|(generation, (to, time))| DeploymentEntry {
        app: "support".parse().unwrap(),
        environment: "staging".parse().unwrap(),
        generation,
        r#move: match *to {
            "plan" => Move::Plan { to: None },
            to => Move::Stable { from: None, to: digest(to), hold: None },
        },
        cause: Cause::Rollback { reason: String::new() },
        actor: PrincipalId::user("ada").unwrap(),
        at: at(time),
    });
    rows.collect()
}

fn state(rows: &[(&str, &str)], now: &str) -> GateState {
    decide(&gate(), &log(rows), digest("new"), at(now)).state
}

#[test]
fn it_passes_after_its_hours_and_not_before() {
    let rows = [("old", "08:00"), ("new", "10:00"), ("plan", "11:00"), ("new", "11:30")];
    assert_eq!(state(&rows, "11:59"), GateState::Pending);
    assert_eq!(state(&rows, "12:00"), GateState::Passed, "the same again is no interruption");
    let told = decide(&gate(), &log(&rows), digest("new"), at("11:00")).why;
    assert_eq!(
        told,
        "stable in `staging` since 2026-01-01T10:00:00Z, and 2 h are needed: it passes at \
         2026-01-01T12:00:00Z"
    );
}

#[test]
fn a_rollback_or_another_release_in_between_begins_it_anew() {
    let back = [("new", "08:00"), ("old", "09:00")];
    assert_eq!(state(&back, "23:00"), GateState::Pending);
    let again = [("new", "08:00"), ("old", "09:00"), ("new", "10:30")];
    assert_eq!(state(&again, "12:00"), GateState::Pending);
    assert_eq!(state(&again, "12:30"), GateState::Passed);
    assert_eq!(state(&[], "12:00"), GateState::Pending);
    assert_eq!(state(&[("old", "08:00")], "12:00"), GateState::Pending);
}

#[test]
fn a_clock_that_went_back_makes_nothing_older() {
    assert_eq!(state(&[("new", "10:00")], "09:00"), GateState::Pending);
    // The second row was written after the first, whatever its clock said.
    let rows = [("old", "10:00"), ("new", "06:00")];
    assert_eq!(state(&rows, "11:00"), GateState::Pending);
    assert_eq!(state(&rows, "12:00"), GateState::Passed);
}
