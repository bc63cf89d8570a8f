use super::*;
use crate::statistics::paired::Gate;

fn cases(count: u32, shift: f64) -> Vec<Case> {
    (0..count)
        .map(|i| {
            let before = f64::from(i % 7) / 7.0;
            Case { before, after: before + shift + (f64::from(i % 5) - 2.0) * 0.05 }
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_interval() {
    let cases = cases(50, 0.1);
    assert_eq!(difference(&cases, 0.95, 3), difference(&cases, 0.95, 3));
    assert_ne!(difference(&cases, 0.95, 3), difference(&cases, 0.95, 4));
}

#[test]
fn the_interval_is_about_the_normal_one() {
    let cases = cases(500, 0.1);
    let drawn = difference(&cases, 0.95, 1).unwrap();
    let differences: Vec<f64> = cases.iter().map(Case::difference).collect();
    let expected = normal(&[Summary::of(&differences).unwrap()], 0.95);
    assert!((drawn.lower - expected.lower).abs() < 0.001, "{drawn:?} {expected:?}");
    assert!((drawn.upper - expected.upper).abs() < 0.001, "{drawn:?} {expected:?}");
}

#[test]
fn repeats_of_a_case_make_no_case_more() {
    let case = Case::of(&[(0.0, 1.0), (1.0, 1.0), (0.5, 1.0)]).unwrap();
    assert_eq!(case, Case { before: 0.5, after: 1.0 });
    assert_eq!(Case::of(&[]), None);
}

#[test]
fn many_cases_take_the_normal_interval_at_once() {
    let interval = difference(&cases(1_000_000, 0.1), 0.95, 1).unwrap();
    assert!(interval.lower > 0.0998 && interval.upper < 0.1002, "{interval:?}");
}

#[test]
fn two_samples_are_drawn_each_on_its_own() {
    let control: Vec<f64> = (0..60).map(|i| f64::from(i % 6)).collect();
    let treatment: Vec<f64> = control.iter().map(|value| value + 2.0).collect();
    let interval = difference_of_means(&control, &treatment, 0.95, 1).unwrap();
    assert!(interval.lower > 1.2 && interval.lower < 1.6, "{interval:?}");
    assert!(interval.upper > 2.4 && interval.upper < 2.8, "{interval:?}");
    assert_eq!(difference_of_means(&[1.0], &treatment, 0.95, 1), None);
}

#[test]
fn scores_pass_fail_or_are_too_few() {
    let gate = NonInferiority::default();
    assert_eq!(judge(&cases(200, 0.0), &gate, 1).gate, Gate::Pass);
    assert_eq!(judge(&cases(200, -0.2), &gate, 1).gate, Gate::Fail);
    assert_eq!(judge(&cases(25, -0.02), &gate, 1).gate, Gate::Inconclusive);
    // Equal scores of a few cases are no certainty.
    let equal = vec![Case { before: 1.0, after: 1.0 }; 5];
    assert_eq!(judge(&equal, &gate, 1).gate, Gate::Inconclusive);
    assert_eq!(judge(&[], &gate, 1).gate, Gate::Inconclusive);
}
