//! What follows from what, and what never does.

use proptest::prelude::*;
use proptest::strategy::Strategy as Drawn;
use release::{Digest, invariants};

use super::evidence::tests::looked;
use super::rules::{RulesFile, Step, Strategy};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn release(n: u8) -> ReleaseDigest {
    ReleaseDigest::new(Digest::of(&[n]))
}

pub fn rollout(rules: Rules) -> Rollout {
    Rollout {
        id: "support/prod/7".into(),
        app: "support".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        change: "support-3".parse().unwrap(),
        candidate: release(2),
        control: release(1),
        rules,
        slow: None,
        state: State::Progressing { step: 0, since: at(0) },
        by: PrincipalId::user("ada").unwrap(),
        began_at: at(0),
        looked: None,
        passed: Vec::new(),
    }
}

pub fn canary() -> Rules {
    RulesFile { strategy: Strategy::Canary, ..RulesFile::default() }.rules().unwrap()
}

/// What follows from a look with this finding, after so many seconds.
fn sees(rollout: &Rollout, finding: Finding, second: i64) -> Option<(State, Option<Command>)> {
    let next = next(rollout, &Event::Look(Box::new(looked(finding))), at(second)).unwrap()?;
    Some((next.state, next.command))
}

#[test]
fn weights_are_raised_when_their_time_is_over_and_something_was_seen() {
    let mut rollout = rollout(canary());
    assert_eq!(sees(&rollout, Finding::Inconclusive, 599), None);
    for unknown in [Finding::NoData, Finding::Error] {
        assert_eq!(sees(&rollout, unknown, 5_000), None, "{unknown:?} never passes");
    }
    let (second, third) = (
        State::Progressing { step: 1, since: at(600) },
        State::Progressing { step: 2, since: at(1_200) },
    );
    assert_eq!(sees(&rollout, Finding::Inconclusive, 600), Some((second, Some(Command::Weigh(1)))));
    rollout.state = second;
    assert_eq!(
        sees(&rollout, Finding::Inconclusive, 1_200),
        Some((third, Some(Command::Weigh(2))))
    );
    rollout.state = third;
    assert_eq!(sees(&rollout, Finding::Inconclusive, 100_000), None, "it waits for evidence");
}

#[test]
fn evidence_ends_it_at_once_at_any_step() {
    let rollout = rollout(canary());
    let promoted = Some((State::Completed, Some(Command::Promote)));
    assert_eq!(sees(&rollout, Finding::Safe, 1), promoted);
    let back = Some((State::RolledBack, Some(Command::RollBack)));
    assert_eq!(sees(&rollout, Finding::Harm, 1), back);
    let paused = Rollout { state: State::Paused { step: 0, since: at(0) }, ..rollout.clone() };
    assert_eq!(sees(&paused, Finding::Harm, 1), back, "harm counts while it is paused too");
    assert_eq!(sees(&paused, Finding::Safe, 1), None, "but nothing else does");
    let alarmed = Looked { alarm: Some("support-errors".into()), ..looked(Finding::Safe) };
    let next = next(&rollout, &Event::Look(Box::new(alarmed)), at(1)).unwrap().unwrap();
    assert_eq!(
        (next.state, next.why.as_str()),
        (State::RolledBack, "alarm `support-errors` went off")
    );
}

#[test]
fn what_is_not_decided_by_its_deadline_ends_as_the_rules_say() {
    let week = 7 * 86_400;
    for (undecided, finding, state) in [
        (Undecided::Hold, Finding::Inconclusive, State::Paused { step: 0, since: at(0) }),
        (Undecided::RollBack, Finding::NoData, State::RolledBack),
        (Undecided::Promote, Finding::Inconclusive, State::Completed),
        (Undecided::Promote, Finding::NoData, State::Paused { step: 0, since: at(0) }),
        (Undecided::Promote, Finding::Error, State::Paused { step: 0, since: at(0) }),
    ] {
        let rollout = rollout(Rules { undecided, ..canary() });
        let (reached, _) = sees(&rollout, finding, week).unwrap();
        assert_eq!(reached, state, "{undecided:?} with {finding:?}");
    }
}

#[test]
fn a_clock_that_goes_back_hurries_nothing() {
    let rollout = Rollout { began_at: at(9_000_000), ..rollout(canary()) };
    let later = Rollout { state: State::Progressing { step: 0, since: at(9_000_000) }, ..rollout };
    assert_eq!(sees(&later, Finding::Inconclusive, 0), None);
}

#[test]
fn blue_green_takes_everything_and_goes_back_by_one_move() {
    let rules =
        RulesFile { strategy: Strategy::BlueGreen, ..RulesFile::default() }.rules().unwrap();
    let rollout = rollout(rules);
    let plan = rollout.plan(0);
    assert_eq!(plan.arms.len(), 1);
    assert_eq!((plan.arms[0].release, plan.check()), (release(2), Ok(())));
    assert_eq!(sees(&rollout, Finding::NoData, 600), None, "nobody came: it bakes on");
    let done = Some((State::Completed, Some(Command::Promote)));
    assert_eq!(sees(&rollout, Finding::Inconclusive, 600), done);
}

#[test]
fn a_person_steers_what_is_under_way_and_nothing_else() {
    let mut rollout = rollout(canary());
    let step = |rollout: &mut Rollout, event: Event| {
        let next = next(rollout, &event, at(5))?.unwrap();
        rollout.state = next.state;
        Ok::<_, CannotSteer>(next.command)
    };
    assert_eq!(step(&mut rollout, Event::Pause("lunch".into())), Ok(None));
    assert_eq!(
        step(&mut rollout, Event::Pause("again".into())).unwrap_err().to_string(),
        "rollout `support/prod/7` is paused and cannot be paused"
    );
    assert_eq!(step(&mut rollout, Event::Resume), Ok(None));
    assert_eq!(rollout.state, State::Progressing { step: 0, since: at(0) });
    assert_eq!(step(&mut rollout, Event::Abort("no".into())), Ok(Some(Command::Abort)));
    for event in [Event::Resume, Event::Promote, Event::RollBack(String::new())] {
        assert!(step(&mut rollout, event).is_err(), "an end is an end");
    }
}

fn step() -> impl Drawn<Value = Step> {
    (0u16..=100, 0u64..1_000)
        .prop_map(|(weight, seconds)| Step { weight: f64::from(weight), seconds })
}

fn rules() -> impl Drawn<Value = Rules> {
    let decide = prop_oneof![Just(Decide::Evidence), Just(Decide::Time), Just(Decide::Person)];
    let undecided =
        prop_oneof![Just(Undecided::Hold), Just(Undecided::RollBack), Just(Undecided::Promote)];
    (prop::collection::vec(step(), 1..6), decide, undecided, 0u64..5_000).prop_map(
        |(mut steps, decide, undecided, deadline_seconds)| {
            steps.sort_by(|one, other| one.weight.total_cmp(&other.weight));
            Rules { steps, decide, undecided, deadline_seconds, ..canary() }
        },
    )
}

fn event() -> impl Drawn<Value = Event> {
    let finding = prop_oneof![
        1 => Just(Finding::Harm),
        2 => Just(Finding::Error),
        2 => Just(Finding::NoData),
        6 => Just(Finding::Inconclusive),
        1 => Just(Finding::Safe),
    ];
    prop_oneof![
        12 => finding.prop_map(|finding| Event::Look(Box::new(looked(finding)))),
        1 => Just(Event::Pause(String::new())),
        1 => Just(Event::Resume),
        1 => Just(Event::Promote),
        1 => Just(Event::Abort(String::new())),
        1 => Just(Event::RollBack(String::new())),
    ]
}

proptest! {
    /// Whatever happens, in whatever order, at whatever times.
    #[test]
    fn a_rollout_keeps_its_promises(
        rules in rules(),
        events in prop::collection::vec((event(), 0i64..2_000), 0..60),
    ) {
        let mut rollout = rollout(rules);
        let mut plan = rollout.plan(0);
        let units: Vec<String> = (0..200).map(|unit| format!("unit-{unit}")).collect();
        for (event, now) in events {
            let before = rollout.state;
            let Ok(Some(following)) = next(&rollout, &event, at(now)) else { continue };
            prop_assert!(!before.is_over(), "an end is an end");
            let Next { state, command, .. } = following;
            match (command, state) {
                (Some(Command::Weigh(step)), State::Progressing { step: now_at, .. }) => {
                    prop_assert_eq!(step, now_at);
                    prop_assert_eq!(Some(step), before.step().map(|step| step + 1));
                    let grown = rollout.plan(step);
                    prop_assert!(invariants::plan_is_whole(&grown));
                    let names = units.iter().map(String::as_str);
                    prop_assert!(
                        invariants::growth_keeps_units(&plan, &grown, rollout.candidate, names)
                    );
                    plan = grown;
                }
                (Some(Command::Promote), State::Completed) => {
                    // Automation promotes on something that was seen, never on nothing.
                    if let Event::Look(looked) = &event {
                        let seen = [Finding::Safe, Finding::Inconclusive];
                        prop_assert!(seen.contains(&looked.finding));
                    }
                }
                (Some(Command::RollBack), State::RolledBack)
                | (Some(Command::Abort), State::Aborted) => {}
                (None, State::Paused { .. } | State::Progressing { .. }) => {
                    prop_assert_eq!(before.step(), state.step(), "weights follow from the step");
                }
                other => prop_assert!(false, "{:?} is no pair", other),
            }
            if matches!(&event, Event::Look(looked) if looked.finding == Finding::Harm) {
                prop_assert_eq!(state, State::RolledBack);
            }
            rollout.state = state;
        }
    }
}
