use super::*;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
}

const FIRST: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
const SECOND: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

#[test]
fn the_exact_test_has_rs_values() {
    let test = mann_whitney(&FIRST, &SECOND, Alternative::Greater).unwrap();
    assert_eq!(test.w, 35.0);
    assert!(test.exact);
    near(test.p, 0.127_206_1, 1e-7);
    let mirrored = mann_whitney(&SECOND, &FIRST, Alternative::Less).unwrap();
    near(mirrored.p, test.p, 1e-12);
    let two_sided = mann_whitney(&FIRST, &SECOND, Alternative::TwoSided).unwrap();
    near(two_sided.p, 2.0 * test.p, 1e-12);
}

#[test]
fn the_exact_distribution_sums_to_one() {
    for (n, m) in [(1, 1), (3, 7), (49, 49)] {
        let probabilities = distribution(n, m);
        assert_eq!(probabilities.len(), n * m + 1);
        near(probabilities.iter().sum(), 1.0, 1e-12);
    }
    near(distribution(2, 2)[2], 2.0 / 6.0, 1e-15);
}

#[test]
fn ties_take_the_normal_approximation() {
    // SciPy: mannwhitneyu([1, 2, 2, 3, 5], [2, 4, 5, 6], method="asymptotic").
    let test =
        mann_whitney(&[1.0, 2.0, 2.0, 3.0, 5.0], &[2.0, 4.0, 5.0, 6.0], Alternative::TwoSided);
    let test = test.unwrap();
    assert!(!test.exact);
    assert_eq!(test.w, 4.5);
    near(test.p, 0.210_902_9, 1e-7);
    let equal = mann_whitney(&[1.0; 5], &[1.0; 5], Alternative::TwoSided).unwrap();
    assert_eq!(equal.p, 1.0);
}

#[test]
fn cohens_d_has_the_known_value() {
    let (first, second) = ([5.0, 5.0, 5.0, 10.0, 10.0, 10.0], [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    near(cohens_d(&first, &second).unwrap(), 3.038_21, 1e-5);
    assert_eq!(cohens_d(&[1.0, 1.0], &[2.0, 2.0]), None);
    assert_eq!(cohens_d(&[1.0], &[2.0, 3.0]), None);
}

#[test]
fn the_common_language_effect_counts_pairs() {
    let same = [1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(common_language(&same, &same), Some(0.5));
    assert_eq!(common_language(&[3.0, 4.0], &[1.0, 2.0]), Some(1.0));
    // 3 beats two and ties with one of four, 1 beats none and ties with one: 3 of 8 pairs.
    assert_eq!(common_language(&[3.0, 1.0], &[1.0, 2.0, 3.0, 9.0]), Some(0.375));
    assert_eq!(common_language(&[], &same), None);
    assert_eq!(common_language(&[f64::NAN], &same), None);
}
