//! What follows from what, and what never does.

use monitoring::arms::Copies;
use proptest::prelude::*;
use proptest::strategy::Strategy as Drawn;
use release::{Currency, Digest, invariants};

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

/// Copies that cost so many dollars.
fn copies(spent: i64, unpriced: u64) -> Copies {
    let spent = Money { currency: Currency::USD, nanos: spent * 1_000_000_000 };
    Copies { made: 9, dropped: 1, spent, unpriced }
}

fn shadow() -> Rules {
    RulesFile { strategy: Strategy::Shadow, ..RulesFile::default() }.rules().unwrap()
}

#[test]
fn a_shadow_answers_nobody_and_its_copies_rest_while_it_is_paused() {
    let mut rollout = rollout(shadow());
    let plan = rollout.plan(0);
    assert_eq!(plan.check(), Ok(()));
    let arms: Vec<_> = plan.arms.iter().map(|arm| (arm.name.as_str(), arm.release)).collect();
    assert_eq!(arms, [(CONTROL, release(1))]);
    let mirror = plan.mirror.unwrap();
    assert_eq!((mirror.release, mirror.share), (release(2), 1_000));
    assert_eq!(mirror.cap.to_string(), "10.00 USD");
    let asked = |rollout: &Rollout, event| next(rollout, &event, at(5)).unwrap().unwrap();
    let paused = asked(&rollout, Event::Pause("lunch".into()));
    assert_eq!(paused.command, Some(Command::Weigh(0)), "so that the plan says it");
    rollout.state = paused.state;
    assert_eq!(rollout.plan(0).mirror.unwrap().share, 0);
    let resumed = asked(&rollout, Event::Resume);
    assert_eq!(resumed.command, Some(Command::Weigh(0)));
    assert_eq!(sees(&rollout, Finding::Harm, 9).unwrap().0, State::RolledBack);
    rollout.state = resumed.state;
    let promoted = Some((State::Completed, Some(Command::Promote)));
    assert_eq!(sees(&rollout, Finding::Safe, 9), promoted);
    rollout.rules.decide = Decide::Person;
    let (state, command) = sees(&rollout, Finding::Safe, 3_600).unwrap();
    assert_eq!((state.as_str(), command), ("paused", Some(Command::Weigh(0))));
}

#[test]
fn it_pauses_when_its_copies_cannot_be_paid_for_and_goes_on_with_a_higher_cap_only() {
    let mut rollout = rollout(shadow());
    let look = |rollout: &Rollout, copies| {
        let looked = Looked { copies: Some(copies), ..looked(Finding::Inconclusive) };
        next(rollout, &Event::Look(Box::new(looked)), at(5)).unwrap()
    };
    assert_eq!(look(&rollout, copies(9, 0)), None);
    let unpriced = look(&rollout, copies(0, 2)).unwrap();
    assert!(unpriced.why.starts_with("2 copies have no price in USD"), "{}", unpriced.why);
    let reached = look(&rollout, copies(11, 0)).unwrap();
    assert_eq!(reached.why, "its spend cap is reached: 11.00 USD of 10.00 USD");
    assert_eq!((reached.state.as_str(), reached.command), ("paused", Some(Command::Weigh(0))));
    rollout.state = reached.state;
    rollout.looked = Some(Looked { copies: Some(copies(11, 0)), ..looked(Finding::Inconclusive) });
    let refused = next(&rollout, &Event::Resume, at(6)).unwrap_err().to_string();
    assert!(refused.ends_with("raise the `spend_cap` of its copies and apply"), "{refused}");
    rollout.rules.copies.spend_cap = 12.0;
    let resumed = next(&rollout, &Event::Resume, at(6)).unwrap().unwrap();
    assert_eq!(resumed.state, State::Progressing { step: 0, since: at(0) });
}

fn step() -> impl Drawn<Value = Step> {
    (0u16..=100, 0u64..1_000).prop_map(|(weight, seconds)| Step {
        weight: f64::from(weight),
        seconds,
        ..Step::default()
    })
}

/// Some steps that mirror, then some with a weight.
fn steps() -> impl Drawn<Value = Vec<Step>> {
    let sorted = |from, share: fn(&Step) -> f64| {
        prop::collection::vec(step(), from..5).prop_map(move |mut steps: Vec<Step>| {
            steps.sort_by(|one, other| share(one).total_cmp(&share(other)));
            steps
        })
    };
    let mirrors = sorted(0, |step| step.weight).prop_map(|steps| {
        let turned = |step: Step| Step { weight: 0.0, mirror: step.weight.max(1.0), ..step };
        steps.into_iter().map(turned).collect::<Vec<_>>()
    });
    (mirrors, sorted(1, |step| step.weight))
        .prop_map(|(mirrors, weights)| [mirrors, weights].concat())
}

fn rules() -> impl Drawn<Value = Rules> {
    let decide = prop_oneof![Just(Decide::Evidence), Just(Decide::Time), Just(Decide::Person)];
    let undecided =
        prop_oneof![Just(Undecided::Hold), Just(Undecided::RollBack), Just(Undecided::Promote)];
    (steps(), decide, undecided, 0u64..5_000).prop_map(
        |(steps, decide, undecided, deadline_seconds)| Rules {
            steps,
            decide,
            undecided,
            deadline_seconds,
            ..canary()
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
        12 => (finding, 0i64..12, 0u64..9).prop_map(|(finding, spent, unpriced)| {
            let copies = Some(copies(spent, unpriced.saturating_sub(7)));
            Event::Look(Box::new(Looked { copies, ..looked(finding) }))
        }),
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
                    let resumed = event == Event::Resume;
                    prop_assert_eq!(Some(step), before.step().map(|step| step + u32::from(!resumed)));
                    let grown = Rollout { state, ..rollout.clone() }.plan(step);
                    prop_assert!(invariants::plan_is_whole(&grown));
                    let names = units.iter().map(String::as_str);
                    prop_assert!(
                        invariants::growth_keeps_units(&plan, &grown, rollout.candidate, names)
                    );
                    let more = |plan: &TrafficPlan, unit| plan.mirror_of(unit).is_some();
                    for unit in &units {
                        let mirrors = rollout.step(step).mirrors();
                        prop_assert!(!mirrors || !more(&plan, unit) || more(&grown, unit));
                    }
                    plan = grown;
                }
                (Some(Command::Weigh(step)), State::Paused { step: now_at, .. }) => {
                    prop_assert_eq!((step, Some(step)), (now_at, before.step()));
                    prop_assert!(rollout.step(step).mirrors(), "weights stay");
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
                (None, State::Paused { step, .. } | State::Progressing { step, .. }) => {
                    prop_assert_eq!(before.step(), Some(step), "weights follow from the step");
                    prop_assert!(!rollout.step(step).mirrors(), "copies begin and end");
                }
                other => prop_assert!(false, "{:?} is no pair", other),
            }
            if matches!(&event, Event::Look(looked) if looked.finding == Finding::Harm) {
                prop_assert_eq!(state, State::RolledBack);
            }
            rollout.state = state;
            if let Event::Look(looked) = event {
                // Whoever drives it keeps what was seen. What cannot be paid for is not gone on with.
                let broke = rollout.unaffordable(&looked).is_some();
                let goes_on = matches!(state, State::Progressing { .. });
                prop_assert!(!(broke && goes_on), "{:?}", looked.copies);
                rollout.looked = Some(*looked);
            }
            if let Some(step) = state.step() {
                let planned = rollout.plan(step);
                let copying = matches!(state, State::Progressing { .. })
                    && rollout.step(step).mirrors();
                let copied = units.iter().any(|unit| planned.mirror_of(unit).is_some());
                prop_assert!(copying || !copied, "a paused rollout makes no copies");
                prop_assert_eq!(planned.mirror.is_some(), rollout.step(step).mirrors());
            }
        }
    }
}
