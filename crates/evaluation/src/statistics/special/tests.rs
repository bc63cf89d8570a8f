use super::*;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

#[test]
fn the_incomplete_beta_function_is_known_at_simple_places() {
    near(ln_beta_lower(1.0, 1.0, 0.25).exp(), 0.25, 1e-15);
    // I_x(a, 1) = x^a.
    near(ln_beta_lower(3.0, 1.0, 0.9).exp(), 0.729, 1e-14);
    near(ln_beta_lower(0.5, 0.5, 0.5), 0.5_f64.ln(), 1e-14);
    assert_eq!(ln_beta_lower(2.0, 3.0, 0.0), f64::NEG_INFINITY);
    assert_eq!(ln_beta_lower(2.0, 3.0, 1.0), 0.0);
}

#[test]
fn a_tail_far_below_the_least_float_keeps_its_logarithm() {
    near(ln_beta_lower(4_000.0, 1.0, 0.5), 4_000.0 * 0.5_f64.ln(), 1e-8);
    near(ln_beta_upper(1.0, 4_000.0, 0.5), 4_000.0 * 0.5_f64.ln(), 1e-8);
}

#[test]
fn both_tails_make_one() {
    for (a, b, x) in [(0.3, 9.7, 0.03), (120.0, 5_000.0, 0.02), (1e6, 9e6, 0.1), (2.0, 2.0, 0.9)] {
        let both = ln_sum_exp(&[ln_beta_lower(a, b, x), ln_beta_upper(a, b, x)]);
        near(both, 0.0, 1e-12);
    }
}

#[test]
fn ten_million_units_are_not_too_many() {
    // SciPy: betainc(1e6 + 1, 9e6 + 1, 0.1).
    near(ln_beta_lower(1e6 + 1.0, 9e6 + 1.0, 0.1).exp(), 0.499_775_722, 1e-7);
}

#[test]
fn the_normal_distribution_is_known() {
    near(normal_quantile(0.975), 1.959_963_985, 1e-9);
    near(normal_quantile(0.5), 0.0, 1e-15);
    near(normal_cdf(1.959_963_984_540_054), 0.975, 1e-11);
    near(normal_cdf(-10.0) / 7.619_853_024_160_527e-24, 1.0, 1e-9);
}

#[test]
fn the_chi_squared_tail_is_known() {
    near(chi_squared_survival(3.841_458_820_694_124, 1), 0.05, 1e-12);
    near(chi_squared_survival(9.487_729_036_781_154, 4), 0.05, 1e-12);
    near(chi_squared_survival(0.0, 2), 1.0, 0.0);
    near(chi_squared_survival(f64::INFINITY, 2), 0.0, 0.0);
}

#[test]
fn the_binomial_tail_is_the_sum_of_its_terms() {
    // (1 + 10 + 45) / 1024.
    near(binomial_at_most(2, 10, 0.5), 56.0 / 1024.0, 1e-14);
    near(binomial_at_most(0, 3, 0.1), 0.729, 1e-14);
    assert_eq!(binomial_at_most(0, 0, 0.5), 1.0);
    assert_eq!(binomial_at_most(9, 4, 0.5), 1.0);
}
