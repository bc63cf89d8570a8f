//! What an experiment says and does, whatever happens to it.

use evaluation::statistics::means::{Moments, Sequence};
use evaluation::statistics::planning::Plan;
use evaluation::statistics::{Direction, Scale};
use proptest::prelude::*;
use release::{Digest, invariants};

use super::design::{Expected, Metric, Needed, Variant};
use super::verdict::{Measured, judge};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn metric(name: &str, direction: Direction, margin: f64) -> Metric {
    Metric { name: name.into(), direction, margin, scale: Scale::Absolute }
}

fn experiment() -> Experiment {
    let variant = |(name, weight): (&str, u16)| Variant {
        name: name.into(),
        release: ReleaseDigest::new(Digest::of(name.as_bytes())),
        weight,
    };
    let design = Design {
        hypothesis: "shorter answers resolve more conversations".into(),
        variants: [("control", 5_000), ("short", 3_000), ("shorter", 2_000)].map(variant).into(),
        primary: metric("resolved", Direction::HigherIsBetter, 0.02),
        guardrails: vec![metric("cost", Direction::LowerIsBetter, 0.1)],
        sequence: Sequence::default(),
        days: 14,
    };
    Experiment {
        id: "support/prod/short".into(),
        app: "support".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        design,
        state: State::Draft,
    }
}

/// So many sessions of each variant, of which these parts resolved, at these costs.
fn seen(sessions: [u64; 3], resolved: [f64; 3], cost: [f64; 3]) -> Seen {
    let measured = |at: usize| {
        let n = sessions[at];
        let successes = (n as f64 * resolved[at]).round() as u64;
        // Costs of half as much and of half as much again, in turn.
        let (n_of, mean) = (n as f64, cost[at]);
        let (sum, sum_of_squares) = (n_of * mean, n_of * mean * mean * 1.25);
        Measured {
            primary: Moments::of_outcomes(successes, n),
            guardrails: vec![Moments { n, sum, sum_of_squares }],
        }
    };
    Seen { assigned: vec![sessions.into()], variants: (0..3).map(measured).collect() }
}

const MANY: [u64; 3] = [50_000, 30_000, 20_000];
const EQUAL: [f64; 3] = [0.5; 3];
const COST: [f64; 3] = [1.0; 3];

#[test]
fn verdicts_come_in_the_order_of_their_gravity() {
    let design = experiment().design;
    let verdict = |seen: &Seen| {
        let judged = judge(&design, seen);
        (judged.verdict, judged.variant)
    };
    assert_eq!(verdict(&seen(MANY, [0.5, 0.5, 0.6], COST)), (Conclusion::Win, Some(2)));
    assert_eq!(verdict(&seen(MANY, [0.5, 0.3, 0.6], COST)), (Conclusion::Harm, Some(1)));
    assert_eq!(verdict(&seen(MANY, [0.5, 0.5, 0.6], [1.0, 1.0, 2.0])), (Conclusion::Harm, Some(2)));
    let uneven = [50_000, 20_000, 30_000];
    assert_eq!(verdict(&seen(uneven, [0.5, 0.3, 0.6], COST)), (Conclusion::Invalid, None));
    assert_eq!(verdict(&seen(MANY, EQUAL, COST)), (Conclusion::Flat, Some(1)));
    assert_eq!(verdict(&seen([5, 3, 2], EQUAL, COST)), (Conclusion::Inconclusive, Some(1)));
    assert_eq!(verdict(&Seen::default()), (Conclusion::Inconclusive, None));
}

#[test]
fn a_win_waits_until_all_guardrails_are_safe() {
    let design = experiment().design;
    let dear = judge(&design, &seen(MANY, [0.5, 0.5, 0.6], [1.0, 1.0, 1.1]));
    assert_eq!((dear.verdict, dear.variant), (Conclusion::Inconclusive, Some(2)));
    assert!(dear.why.ends_with("not all guardrails are safe yet"), "{}", dear.why);
}

#[test]
fn an_experiment_goes_from_draft_to_its_conclusion() {
    let mut experiment = experiment();
    let step = |experiment: &mut Experiment, event: Event, second| {
        let following = next(experiment, &event, at(second))?;
        Ok::<_, CannotSteer>(following.and_then(|following| {
            experiment.state = following.state;
            following.command
        }))
    };
    let look = |resolved| Event::Look(seen(MANY, resolved, COST));
    let refused = step(&mut experiment, Event::Resume, 0).unwrap_err().to_string();
    assert_eq!(refused, "experiment `support/prod/short` is draft and cannot be resumed");
    assert_eq!(step(&mut experiment, look(EQUAL), 0), Ok(None), "nothing runs yet");
    assert_eq!(step(&mut experiment, Event::Start, 0), Ok(Some(Command::Split)));
    assert_eq!(step(&mut experiment, look(EQUAL), 60), Ok(None), "it may change yet");
    let paused = step(&mut experiment, Event::Pause("lunch".into()), 70);
    assert_eq!(paused, Ok(Some(Command::Unsplit)));
    assert_eq!(step(&mut experiment, look([0.5, 0.5, 0.6]), 80), Ok(None), "no win while it rests");
    assert_eq!(step(&mut experiment, Event::Resume, 90), Ok(Some(Command::Split)));
    let won = step(&mut experiment, look([0.5, 0.5, 0.6]), 100);
    assert_eq!(won, Ok(Some(Command::Unsplit)));
    assert_eq!(experiment.state, State::Stopped { verdict: Conclusion::Win, variant: Some(2) });
    let winner = experiment.design.variants[2].release;
    let adopted = step(&mut experiment, Event::Conclude { adopt: true }, 110);
    assert_eq!(adopted, Ok(Some(Command::RollOut(winner))));
    assert!(step(&mut experiment, Event::Start, 120).is_err(), "an end is an end");
}

#[test]
fn it_stops_when_its_days_are_over_and_what_has_not_won_is_not_adopted() {
    let mut experiment = experiment();
    experiment.state = State::Running { since: at(0), run: 0 };
    let look = Event::Look(seen(MANY, EQUAL, COST));
    assert_eq!(next(&experiment, &look, at(14 * 86_400 - 1)), Ok(None));
    let stopped = next(&experiment, &look, at(14 * 86_400)).unwrap().unwrap();
    assert_eq!(stopped.state, State::Stopped { verdict: Conclusion::Flat, variant: Some(1) });
    experiment.state = stopped.state;
    assert!(next(&experiment, &Event::Conclude { adopt: true }, at(0)).is_err());
    let kept = next(&experiment, &Event::Conclude { adopt: false }, at(0)).unwrap().unwrap();
    assert_eq!(kept.state, State::Concluded { verdict: Conclusion::Flat, chosen: None });
}

#[test]
fn designs_that_cannot_be_run_are_refused() {
    let good = experiment().design;
    assert_eq!(good.check(), Ok(()));
    let wrong = |change: fn(&mut Design)| {
        let mut design = good.clone();
        change(&mut design);
        design.check().unwrap_err().0
    };
    assert_eq!(wrong(|design| design.hypothesis = " ".into()), "hypothesis");
    assert_eq!(wrong(|design| design.variants.truncate(1)), "variants");
    assert_eq!(wrong(|design| design.variants[0].weight = 1), "variants");
    assert_eq!(wrong(|design| design.variants[2].name = "short".into()), "variants");
    assert_eq!(wrong(|design| design.guardrails[0].name = "resolved".into()), "guardrails");
    assert_eq!(wrong(|design| design.primary.margin = -1.0), "margin");
    assert_eq!(wrong(|design| design.sequence.alpha = 2.0), "sequence");
    assert_eq!(wrong(|design| design.days = 0), "days");
}

#[test]
fn what_is_needed_follows_from_what_is_expected() {
    let expected = Expected { deviation: 0.5, difference: 0.05, sessions_per_day: 10_000.0 };
    let needed = Needed::of(&[50.0, 30.0, 20.0], &expected, &Plan::default());
    let once = Plan { alpha: 0.025, ..Plan::default() }.units_for_means(0.5, 0.05);
    assert_eq!(needed.sessions, 2 * once);
    assert!((needed.days - needed.sessions as f64 / 2_000.0).abs() < 1e-9);
}

fn event() -> impl Strategy<Value = Event> {
    let part = 0.2..0.8_f64;
    let look = (prop::array::uniform3(part), prop::array::uniform3(0.5..2.0_f64), 1u64..50)
        .prop_map(|(resolved, cost, size)| seen([500, 300, 200].map(|n| n * size), resolved, cost));
    prop_oneof![
        1 => Just(Event::Start),
        6 => look.clone().prop_map(Event::Look),
        1 => Just(Event::Pause(String::new())),
        1 => Just(Event::Interrupt(String::new())),
        1 => Just(Event::Resume),
        1 => look.prop_map(Event::Stop),
        1 => any::<bool>().prop_map(|adopt| Event::Conclude { adopt }),
    ]
}

proptest! {
    /// Whatever happens, in whatever order: traffic is split exactly while it runs, verdicts stay, and
    /// only what won is rolled out.
    #[test]
    fn an_experiment_keeps_its_promises(
        events in prop::collection::vec((event(), 0i64..2_000_000), 0..40),
    ) {
        let mut experiment = experiment();
        prop_assert!(invariants::plan_is_whole(&experiment.plan()));
        let mut split = false;
        let mut said = None;
        for (event, now) in events {
            let Ok(Some(following)) = next(&experiment, &event, at(now)) else { continue };
            match following.command {
                Some(Command::Split) => { prop_assert!(!split); split = true; }
                Some(Command::Unsplit) => split = false,
                Some(Command::RollOut(chosen)) => {
                    prop_assert_eq!(said, Some(Conclusion::Win));
                    prop_assert!(experiment.design.variants.iter().any(|it| it.release == chosen));
                }
                // Whoever interrupted it has ended its plan.
                None if matches!(event, Event::Interrupt(_)) => split = false,
                None => {}
            }
            experiment.state = following.state;
            prop_assert_eq!(split, matches!(experiment.state, State::Running { .. }));
            match experiment.state {
                State::Stopped { verdict, .. } => said = Some(verdict),
                State::Concluded { verdict, .. } => prop_assert_eq!(said, Some(verdict)),
                _ => prop_assert_eq!(said, None, "what stopped does not run again"),
            }
        }
    }
}
