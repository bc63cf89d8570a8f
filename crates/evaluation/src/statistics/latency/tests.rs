use release::Draw;

use super::*;
use crate::statistics::Verdict;

#[test]
fn quantiles_are_rs_default() {
    let values = [4.0, 1.0, 3.0, 2.0];
    assert_eq!(quantile(&values, 0.5), Some(2.5));
    assert!((quantile(&values, 0.95).unwrap() - 3.85).abs() < 1e-12);
    assert_eq!(quantile(&values, 0.0), Some(1.0));
    assert_eq!(quantile(&values, 1.0), Some(4.0));
    assert_eq!(quantile(&[f64::INFINITY], 0.5), Some(f64::INFINITY));
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(quantile(&[1.0, f64::NAN], 0.5), None);
    assert_eq!(quantile(&[1.0], 95.0), None);
}

#[test]
fn a_slower_canary_is_harm_and_an_equal_one_is_safe() {
    let mut draw = Draw::seeded(7);
    let mut times = |count: usize, mean: f64| -> Vec<f64> {
        (0..count).map(|_| -mean * (1.0 - draw.unit()).ln()).collect()
    };
    let threshold = Threshold::of_control(&times(5_000, 1.0), 0.95).unwrap();
    let control = times(9_000, 1.0);
    let slower = threshold.step(0.1, &times(1_000, 2.0), &control);
    assert_eq!(judge(&[slower], &Settings::default()).verdict, Verdict::Harm);
    let equal = threshold.step(0.1, &times(1_000, 1.0), &control);
    let evidence = judge(&[equal], &Settings::default());
    assert_eq!(evidence.verdict, Verdict::Safe);
    assert_eq!(evidence.ln_e_absolute, None);
}
