use proptest::prelude::*;
use release::Draw;

use super::*;
use crate::statistics::binomial::share_of_errors;
use crate::statistics::special::ln_gamma;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

fn step(share: f64, canary: u64, control: u64) -> Step {
    Step { share, canary, control, canary_units: 1_000, control_units: 9_000 }
}

#[test]
fn the_mean_is_one_at_the_null_hypothesis_and_less_beyond() {
    let mean = |e: fn(&[Step], f64) -> f64, null: f64, ratio: f64| -> f64 {
        let theta = share_of_errors(0.1, ratio);
        (0..=30_u64)
            .map(|x| {
                let k = x as f64;
                let ln_probability = ln_gamma(31.0) - ln_gamma(k + 1.0) - ln_gamma(31.0 - k)
                    + k * theta.ln()
                    + (30.0 - k) * (1.0 - theta).ln();
                (ln_probability + e(&[step(0.1, x, 30 - x)], null)).exp()
            })
            .sum()
    };
    near(mean(ln_e_bad, 1.0, 1.0), 1.0, 1e-10);
    near(mean(ln_e_good, 2.0, 2.0), 1.0, 1e-10);
    assert!(mean(ln_e_bad, 1.0, 0.6) < 1.0);
    assert!(mean(ln_e_good, 2.0, 3.0) < 1.0);
    assert!(mean(ln_e_bad, 1.0, 3.0) > 2.0);
}

#[test]
fn without_failures_there_is_no_evidence_about_the_ratio() {
    near(ln_e_bad(&[], 1.0), 0.0, 1e-12);
    near(ln_e_good(&[step(0.1, 0, 0)], 2.0), 0.0, 1e-12);
}

#[test]
fn two_early_failures_at_one_percent_are_held_back_by_the_floor() {
    let steps = [Step { share: 0.01, canary: 2, control: 0, canary_units: 10, control_units: 990 }];
    let evidence = judge(&steps, &Settings::default());
    assert!(evidence.ln_e_bad >= 20.0_f64.ln());
    assert_eq!(evidence.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(evidence, @"inconclusive: E 56.75 for harm reached 20.00, but fewer than 3 canary units failed; 2 of 10 canary units and 0 of 990 control units failed");
}

#[test]
fn a_canary_that_fails_much_more_often_is_harm() {
    let evidence = judge(&[step(0.1, 30, 60)], &Settings::default());
    assert_eq!(evidence.verdict, Verdict::Harm);
    insta::assert_snapshot!(evidence, @"harm: the canary fails more often than the control: E 10^7 reached 20.00; 30 of 1000 canary units and 60 of 9000 control units failed");
}

#[test]
fn a_canary_that_fails_as_often_is_safe_after_a_while() {
    let settings = Settings { p_ok: None, ..Settings::default() };
    let evidence = judge(&[step(0.1, 50, 450)], &settings);
    assert_eq!(evidence.verdict, Verdict::Safe);
    insta::assert_snapshot!(evidence, @"safe: the canary fails less than 2 times as often: E 54358.50 reached 20.00; 50 of 1000 canary units and 450 of 9000 control units failed");
}

#[test]
fn a_clean_service_is_safe_by_the_absolute_test() {
    let clean = |canary_units| {
        let steps =
            [Step { share: 0.5, canary_units, control_units: canary_units, ..step(0.5, 0, 0) }];
        judge(&steps, &Settings::default()).verdict
    };
    assert_eq!(clean(300), Verdict::Inconclusive);
    // The mean with an E of 1 must reach 20, so the absolute test alone must reach 39.
    assert_eq!(clean(500), Verdict::Safe);
    let compared = Settings { p_ok: None, ..Settings::default() };
    let steps = [Step { canary_units: 1_000_000, ..step(0.5, 0, 0) }];
    assert_eq!(judge(&steps, &compared).verdict, Verdict::Inconclusive);
}

#[test]
fn an_arm_without_units_is_no_data() {
    assert_eq!(judge(&[], &Settings::default()).verdict, Verdict::NoData);
    let steps = [Step { control_units: 0, ..step(0.1, 9, 0) }];
    assert_eq!(judge(&steps, &Settings::default()).verdict, Verdict::NoData);
}

#[test]
fn a_step_in_which_one_arm_has_all_traffic_says_nothing() {
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        near(ln_e_bad(&[step(share, 7, 3)], 1.0), 0.0, 1e-12);
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let bad = Settings { r_tol: 19.0, ..Settings::default() };
    let error = bad.check().unwrap_err();
    assert_eq!(error.to_string(), "`r_tol` is 19, but must be above 0 and below 19");
    assert!(Settings { alpha: f64::NAN, ..Settings::default() }.check().is_err());
    assert!(Settings::default().check().is_ok());
}

#[test]
fn absurd_counts_give_a_verdict() {
    let step = Step {
        share: 0.5,
        canary: u64::MAX,
        control: u64::MAX,
        canary_units: u64::MAX,
        control_units: u64::MAX,
    };
    assert_eq!(judge(&[step, step], &Settings::default()).verdict, Verdict::Safe);
}

proptest! {
    #[test]
    fn splitting_a_step_changes_nothing(
        share in 0.01..0.9_f64, x in 0_u64..60, y in 0_u64..200, part in 0.0..1.0_f64,
    ) {
        let of = |count: u64| (count as f64 * part) as u64;
        let whole = [step(share, x, y)];
        let split = [step(share, of(x), of(y)), step(share, x - of(x), y - of(y))];
        near(ln_e_bad(&whole, 1.0), ln_e_bad(&split, 1.0), 1e-9);
        near(ln_e_good(&whole, 2.0), ln_e_good(&split, 2.0), 1e-9);
    }

    #[test]
    fn a_failure_more_speaks_against_its_own_arm(
        share in 0.01..0.9_f64, x in 0_u64..60, y in 0_u64..200,
    ) {
        let before = [step(share, x, y)];
        let (canary, control) = ([step(share, x + 1, y)], [step(share, x, y + 1)]);
        prop_assert!(ln_e_bad(&canary, 1.0) > ln_e_bad(&before, 1.0));
        prop_assert!(ln_e_bad(&control, 1.0) < ln_e_bad(&before, 1.0));
        prop_assert!(ln_e_good(&canary, 2.0) < ln_e_good(&before, 2.0));
        prop_assert!(ln_e_good(&control, 2.0) > ln_e_good(&before, 2.0));
    }
}

/// What became of many rollouts, each as a part of all.
struct Rollouts {
    harm: f64,
    safe: f64,
}

/// Rollouts at 600 units a minute, over weights from 1 to 50 %, looked at each minute, with a base
/// rate of 1 % that drifts from almost none to almost twice as much.
fn rollouts(ratio: f64, runs: u64) -> Rollouts {
    const STEPS: [(f64, u64); 5] = [(0.01, 20), (0.05, 20), (0.1, 20), (0.25, 30), (0.5, 150)];
    let settings = Settings { p_ok: None, ..Settings::default() };
    let verdict = |seed: u64| {
        let mut draw = Draw::seeded(seed);
        let mut minute = 0.0_f64;
        let mut steps: Vec<Step> = Vec::new();
        for (share, minutes) in STEPS {
            steps.push(Step { share, ..Step::default() });
            for _ in 0..minutes {
                minute += 1.0;
                let rate = 0.01 * (1.0 + 0.8 * (minute / 40.0).sin());
                if let Some(step) = steps.last_mut() {
                    step.canary_units += (600.0 * share) as u64;
                    step.control_units += (600.0 * (1.0 - share)) as u64;
                    step.canary += poisson(600.0 * share * rate * ratio, &mut draw);
                    step.control += poisson(600.0 * (1.0 - share) * rate, &mut draw);
                }
                let verdict = judge(&steps, &settings).verdict;
                if matches!(verdict, Verdict::Harm | Verdict::Safe) {
                    return verdict;
                }
            }
        }
        Verdict::Inconclusive
    };
    let verdicts: Vec<Verdict> = (0..runs).map(verdict).collect();
    let part =
        |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count() as f64 / runs as f64;
    Rollouts { harm: part(Verdict::Harm), safe: part(Verdict::Safe) }
}

/// Knuth's way, for small means.
fn poisson(mean: f64, draw: &mut Draw) -> u64 {
    let least = (-mean).exp();
    let (mut count, mut product) = (0, draw.unit());
    while product > least {
        count += 1;
        product *= draw.unit();
    }
    count
}

#[test]
fn an_equal_canary_is_rarely_rolled_back() {
    let Rollouts { harm, safe } = rollouts(1.0, 2_000);
    assert!(harm <= 0.05, "{harm}");
    assert!(safe >= 0.95, "{safe}");
}

#[test]
fn a_canary_that_fails_twice_as_often_is_caught() {
    let Rollouts { harm, safe } = rollouts(2.0, 2_000);
    assert!(harm >= 0.95, "{harm}");
    assert!(safe <= 0.05, "{safe}");
}
