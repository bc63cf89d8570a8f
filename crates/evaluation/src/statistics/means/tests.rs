use proptest::prelude::*;

use super::*;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

#[test]
fn half_widths_have_the_known_values() {
    let sequence = Sequence::default();
    near(sequence.rho(), 0.039_840_1, 1e-7);
    near(half_width(1.0, 1_000.0, 0.05, sequence.rho()), 0.106_375, 1e-6);
    near(half_width(1.0, 5_000.0, 0.05, sequence.rho()), 0.042_924, 1e-6);
    near(sequence.rho_one_sided(), 0.035_577_7, 1e-7);
    near(half_width_one_sided(1.0, 1_000.0, 0.05, sequence.rho_one_sided()), 0.099_688, 1e-6);
    near(half_width_one_sided(1.0, 5_000.0, 0.05, sequence.rho_one_sided()), 0.039_302, 1e-6);
}

#[test]
fn the_half_width_is_tensorzeros_with_rho_in_standard_deviations() {
    near(half_width(0.25, 100.0, 0.05, 0.296 * 0.25_f64.sqrt()), 0.161_373_7, 1e-7);
}

#[test]
fn relative_proportions_have_growthbooks_values() {
    let effect = relative(Summary::proportion(1_396, 3_000), Summary::proportion(2_422, 3_461));
    near(effect.estimate, 0.503_86, 5e-6);
    let interval = effect.interval(&Sequence::default());
    near(interval.lower, 0.400_98, 5e-6);
    near(interval.upper, 0.606_75, 5e-6);

    let effect = relative(Summary::proportion(90, 1_000), Summary::proportion(70, 1_000));
    near(effect.estimate, -0.222_222, 1e-6);
    let interval = effect.interval(&Sequence::default());
    near(interval.lower, -0.593_855, 1e-6);
    near(interval.upper, 0.149_411, 1e-6);
    near(effect.p(&Sequence::default()), 0.542_196, 1e-6);
}

#[test]
fn relative_means_have_growthbooks_values() {
    let control = Moments { n: 3_000, sum: 1_396.87, sum_of_squares: 52_377.976_7 };
    let treatment = Moments { n: 3_461, sum: 2_422.7, sum_of_squares: 134_698.29 };
    let effect = relative(control.summary(), treatment.summary());
    near(effect.estimate, 0.503_36, 5e-6);
    let interval = effect.interval(&Sequence { n_star: 1_000.0, ..Sequence::default() });
    near(interval.lower, -0.558_44, 5e-6);
    near(interval.upper, 1.565_16, 5e-6);
}

#[test]
fn a_relative_effect_of_a_negative_mean_keeps_its_direction() {
    let control = Summary { n: 100, mean: -2.0, variance: 1.0 };
    let better = Summary { n: 100, mean: -1.0, variance: 1.0 };
    near(relative(Some(control), Some(better)).estimate, 0.5, 1e-12);
    assert_eq!(Effect::relative(&Summary { mean: 0.0, ..control }, &better), None);
}

#[test]
fn fewer_than_two_units_have_no_spread() {
    assert_eq!(Moments::default().summary(), None);
    assert_eq!(Moments::of(&[3.0]).summary(), None);
    assert_eq!(Summary::of(&[3.0]), None);
    assert_eq!(Summary::proportion(0, 0), None);
    let same = Moments::of(&[3.0, 3.0]).summary().unwrap();
    assert!(!Effect::absolute(&same, &same).spreads());
}

#[test]
fn a_proportion_of_none_or_all_still_spreads() {
    for successes in [0, 30] {
        let arm = Summary::proportion(successes, 30).unwrap();
        near(arm.variance, 31.0 / 32.0 / 32.0, 1e-15);
    }
    near(Summary::proportion(3, 30).unwrap().variance, 0.09, 1e-15);
}

/// Λ of the mixture sequential probability ratio test (Johari, Koomen, Pekelis and Walsh, "Always
/// valid inference", arXiv 1512.04922), against a mean of 0.
fn msprt(mean: f64, n: f64, variance: f64, tau_squared: f64) -> f64 {
    let grown = variance + n * tau_squared;
    (variance / grown).sqrt() * (n * n * tau_squared * mean * mean / (2.0 * variance * grown)).exp()
}

proptest! {
    #[test]
    fn the_msprt_reaches_its_bound_where_the_interval_ends(
        variance in 1e-3..1e3_f64, n in 2.0..1e6_f64, alpha in 0.001..0.3_f64,
    ) {
        let rho = Sequence { alpha, n_star: 5_000.0 }.rho();
        let end = half_width(variance, n, alpha, rho);
        near(msprt(end, n, variance, rho * rho * variance) * alpha, 1.0, 1e-9);
    }

    #[test]
    fn the_e_value_reaches_its_bound_where_the_interval_ends(
        squared_error in 1e-6..1.0_f64, n in 2_u64..1_000_000,
    ) {
        let sequence = Sequence::default();
        let at = |estimate| Effect { estimate, squared_error, n };
        let end = at(0.0).interval(&sequence).upper;
        near(at(end).ln_e(&sequence), 20.0_f64.ln(), 1e-9);
        near(at(end).p(&sequence), 0.05, 1e-9);
        let one_sided = at(0.0).bounds(&sequence).upper;
        near(at(1.0 + one_sided).p_above(1.0, &sequence), 0.05, 1e-7);
        prop_assert!(one_sided < end);
    }

    #[test]
    fn moments_of_parts_are_those_of_the_whole(
        values in prop::collection::vec(-1e3..1e3_f64, 2..60), cut in 0_usize..60,
    ) {
        let (one, two) = values.split_at(cut.min(values.len()));
        let merged = Moments::of(one).merge(Moments::of(two)).summary().unwrap();
        let whole = Summary::of(&values).unwrap();
        prop_assert_eq!(merged.n, whole.n);
        near(merged.mean, whole.mean, 1e-9);
        near(merged.variance, whole.variance, 1e-6);
    }
}

fn relative(control: Option<Summary>, treatment: Option<Summary>) -> Effect {
    Effect::relative(&control.unwrap(), &treatment.unwrap()).unwrap()
}
