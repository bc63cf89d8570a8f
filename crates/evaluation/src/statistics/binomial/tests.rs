use super::*;
use crate::statistics::special::ln_gamma;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

#[test]
fn the_beta_form_has_the_known_values() {
    near(ln_e_above(20, 60, share_of_errors(0.1, 1.0)), 6.157_879, 1e-6);
    near(ln_e_below(50, 450, share_of_errors(0.1, 2.0)), 11.492_367, 1e-6);
}

#[test]
fn the_mean_is_one_at_the_null_hypothesis_and_less_beyond() {
    let mean = |e: fn(u64, u64, f64) -> f64, null: f64, theta: f64| -> f64 {
        (0..=30).map(|x| (ln_probability(x, theta) + e(x, 30 - x, null)).exp()).sum()
    };
    for null in [0.01, 0.1, 0.182, 0.5] {
        near(mean(ln_e_above, null, null), 1.0, 1e-10);
        near(mean(ln_e_below, null, null), 1.0, 1e-10);
        assert!(mean(ln_e_above, null, null * 0.7) < 1.0);
        assert!(mean(ln_e_below, null, null * 1.5) < 1.0);
    }
}

#[test]
fn three_hundred_fifteen_clean_units_show_less_than_one_in_a_hundred() {
    assert!(ln_e_below(0, 315, 0.01) >= 20.0_f64.ln());
    assert!(ln_e_below(0, 314, 0.01) < 20.0_f64.ln());
}

#[test]
fn nothing_seen_is_no_evidence() {
    near(ln_e_above(0, 0, 0.3), 0.0, 1e-12);
    near(ln_e_below(0, 0, 0.3), 0.0, 1e-12);
}

#[test]
fn overwhelming_counts_stay_finite() {
    for (hits, misses) in [(0, 10_000_000), (10_000_000, 0), (500_000, 9_500_000)] {
        assert!(ln_e_above(hits, misses, 0.01).is_finite());
        assert!(ln_e_below(hits, misses, 0.01).is_finite());
    }
}

/// ln of the binomial probability of `x` in 30.
fn ln_probability(x: u64, theta: f64) -> f64 {
    let x = x as f64;
    ln_gamma(31.0) - ln_gamma(x + 1.0) - ln_gamma(31.0 - x)
        + x * theta.ln()
        + (30.0 - x) * (1.0 - theta).ln()
}
