use super::*;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

#[test]
fn mcnemar_has_the_known_value() {
    near(mcnemar(10, 25), 0.016_673_8, 1e-7);
    near(mcnemar(25, 10), 0.016_673_8, 1e-7);
    assert_eq!(mcnemar(0, 0), 1.0);
    assert_eq!(mcnemar(5, 5), 1.0);
}

#[test]
fn wilson_has_the_known_values() {
    let interval = wilson(81, 263, 0.95);
    near(interval.lower, 0.2553, 5e-5);
    near(interval.upper, 0.3662, 5e-5);
    let none = wilson(0, 20, 0.95);
    assert_eq!(none.lower, 0.0);
    near(none.upper, 0.1611, 5e-5);
    assert_eq!(wilson(20, 20, 0.95).upper, 1.0);
    assert_eq!(wilson(0, 0, 0.95), Interval { lower: 0.0, upper: 1.0 });
}

#[test]
fn newcombe_has_the_known_values() {
    let interval = newcombe((56, 70), (48, 80), 0.95);
    near(interval.lower, 0.0524, 5e-5);
    near(interval.upper, 0.3339, 5e-5);
}

#[test]
fn outcomes_are_counted_by_cell() {
    let cases = [(true, true), (true, false), (false, true), (false, true), (false, false)];
    let outcomes = Outcomes::of(cases);
    assert_eq!(outcomes, Outcomes { both: 1, lost: 1, gained: 2, neither: 1 });
    assert_eq!((outcomes.cases(), outcomes.before(), outcomes.after()), (5, 2, 3));
}

#[test]
fn a_large_suite_passes_and_a_small_one_is_inconclusive() {
    let gate = NonInferiority::default();
    let small = gate.judge(&Outcomes { both: 18, lost: 1, gained: 1, neither: 0 });
    assert_eq!(small.gate, Gate::Inconclusive);
    insta::assert_snapshot!(small, @"inconclusive: +0.0000 (-0.1511 to +0.1511) on 20 cases: too few to tell 0.03, about 1477 are needed");
    let large = gate.judge(&Outcomes { both: 1_800, lost: 50, gained: 50, neither: 100 });
    assert_eq!(large.gate, Gate::Pass);
    insta::assert_snapshot!(large, @"pass: +0.0000 (-0.0137 to +0.0137) on 2000 cases: not worse by more than 0.03");
}

#[test]
fn a_small_suite_that_passed_altogether_is_still_too_small() {
    let decision = NonInferiority::default().judge(&Outcomes { both: 5, ..Outcomes::default() });
    assert_eq!(decision.gate, Gate::Inconclusive);
    assert!(decision.seen.needed > 1_000, "{decision}");
    let none = NonInferiority::default().judge(&Outcomes::default());
    assert_eq!(none.gate, Gate::Inconclusive);
}

#[test]
fn what_is_clearly_worse_fails() {
    let worse = Outcomes { both: 100, lost: 60, gained: 0, neither: 40 };
    let decision = NonInferiority::default().judge(&worse);
    assert_eq!(decision.gate, Gate::Fail);
    insta::assert_snapshot!(decision, @"fail: -0.3000 (-0.3716 to -0.2233) on 200 cases: worse by more than 0.03");
}

#[test]
fn a_suite_that_is_large_enough_and_does_not_show_it_fails() {
    let outcomes = Outcomes { both: 1_700, lost: 100, gained: 50, neither: 150 };
    let decision = NonInferiority::default().judge(&outcomes);
    assert_eq!(decision.gate, Gate::Fail);
    insta::assert_snapshot!(decision, @"fail: -0.0250 (-0.0415 to -0.0086) on 2000 cases: not shown to be within 0.03, by cases enough for it");
}
