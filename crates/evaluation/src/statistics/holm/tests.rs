use super::*;

#[test]
fn p_values_are_adjusted_as_r_does() {
    // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (value, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((value - expected).abs() < 1e-12, "{adjusted:?}");
    }
}

#[test]
fn what_is_no_number_counts_as_one_and_nothing_exceeds_one() {
    assert_eq!(holm(&[f64::NAN, 0.6]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}
