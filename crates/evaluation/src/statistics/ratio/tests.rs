use super::*;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

fn halves(units: [u64; 2]) -> Period {
    Period { units: units.to_vec(), weights: vec![0.5, 0.5] }
}

#[test]
fn chi_squared_has_the_known_values() {
    near(chi_squared(&halves([1_000, 1_100])).unwrap().p, 0.029_096_3, 1e-7);
    let far = chi_squared(&halves([600, 400])).unwrap();
    near(far.p, 2.539_63e-10, 1e-14);
    assert!(far.mismatch());
    assert!(!chi_squared(&halves([1_000, 1_100])).unwrap().mismatch());
}

#[test]
fn the_bayes_factor_has_the_known_value() {
    near(ln_bayes_factor(&[halves([60, 40])]).exp(), 1.932_649, 1e-6);
}

#[test]
fn weights_need_not_sum_to_one() {
    let parts = Period { units: vec![90, 10], weights: vec![0.9, 0.1] };
    let points = Period { units: vec![90, 10], weights: vec![9_000.0, 1_000.0] };
    near(chi_squared(&parts).unwrap().statistic, chi_squared(&points).unwrap().statistic, 1e-12);
}

#[test]
fn a_change_of_weights_starts_again_and_multiplies() {
    let first = halves([500, 500]);
    let second = Period { units: vec![900, 100], weights: vec![0.9, 0.1] };
    let both = ln_bayes_factor(&[first.clone(), second.clone()]);
    near(both, ln_bayes_factor(&[first]) + ln_bayes_factor(&[second]), 1e-12);
    assert!(both < 0.0);
    // As one period at the first weights, the same units would look broken.
    assert!(mismatch(&[halves([1_400, 600])]));
    assert!(!mismatch(&[halves([1_040, 960])]));
}

#[test]
fn the_mean_of_the_bayes_factor_is_one_under_the_plan() {
    let period = |x: u64| Period { units: vec![x, 30 - x], weights: vec![0.2, 0.8] };
    let mean: f64 = (0..=30_u64)
        .map(|x| {
            let k = x as f64;
            let ln_ways = ln_gamma(31.0) - ln_gamma(k + 1.0) - ln_gamma(31.0 - k);
            let ln_probability = ln_ways + k * 0.2_f64.ln() + (30.0 - k) * 0.8_f64.ln();
            (ln_probability + ln_bayes_factor(&[period(x)])).exp()
        })
        .sum();
    near(mean, 1.0, 1e-10);
}

#[test]
fn few_units_and_malformed_plans_are_not_tested() {
    assert_eq!(chi_squared(&halves([7, 8])), None);
    assert!(chi_squared(&halves([8, 8])).is_some());
    for weights in [vec![1.0], vec![0.5, f64::NAN], vec![1.5, -0.5], vec![1.0, 0.0]] {
        assert_eq!(chi_squared(&Period { units: vec![100, 100], weights }), None);
    }
}

#[test]
fn units_in_an_arm_of_no_weight_are_a_mismatch() {
    let period = |stray| Period { units: vec![50, 50, stray], weights: vec![0.5, 0.5, 0.0] };
    assert_eq!(chi_squared(&period(1)).unwrap().p, 0.0);
    assert_eq!(ln_bayes_factor(&[period(1)]), f64::INFINITY);
    assert_eq!(chi_squared(&period(0)).unwrap().degrees, 1);
}
