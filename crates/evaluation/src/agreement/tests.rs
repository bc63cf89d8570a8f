use super::Agreement;
use crate::suite::JudgeSpec;

/// Pairs of a table: rows are people's no and yes, columns the judge's.
fn table([[nn, ny], [yn, yy]]: [[usize; 2]; 2]) -> Agreement {
    let cells =
        [((false, false), nn), ((false, true), ny), ((true, false), yn), ((true, true), yy)];
    Agreement::of(cells.into_iter().flat_map(|(pair, count)| std::iter::repeat_n(pair, count)))
}

#[test]
fn kappa_and_its_interval_are_those_of_statsmodels() {
    let known = [
        ([[20, 5], [10, 15]], 0.4, 0.151_092_29, 0.648_907_71),
        ([[45, 15], [25, 15]], 0.130_434_78, -0.062_938_28, 0.323_807_84),
        ([[50, 3], [4, 43]], 0.859_324_76, 0.758_851_90, 0.959_797_62),
        ([[40, 0], [0, 10]], 1.0, 1.0, 1.0),
        ([[0, 10], [10, 0]], -1.0, -1.0, -1.0),
    ];
    for (counts, kappa, low, high) in known {
        let found = table(counts);
        let (found_low, found_high) = found.interval.unwrap();
        let wanted = [kappa, low, high];
        for (found, wanted) in [found.kappa.unwrap(), found_low, found_high].iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-8, "{found}, not {wanted}");
        }
    }
}

#[test]
fn agreement_without_disagreement_in_the_labels_has_no_kappa() {
    let same = table([[0, 0], [0, 60]]);
    assert_eq!((same.observed, same.kappa), (Some(1.0), None));
    assert_eq!(table([[0; 2]; 2]).observed, None);
}

#[test]
fn a_judge_may_decide_with_enough_labels_and_agreement_alone() {
    let judge = JudgeSpec { model: "m".parse().unwrap(), min_labels: 50, min_kappa: 0.6 };
    let why = |counts| table(counts).may_gate(&judge).unwrap_err();
    assert_eq!(table([[25, 3], [2, 25]]).may_gate(&judge), Ok(()));
    insta::assert_snapshot!(why([[20, 0], [0, 20]]), @"people have labelled 40 answers of 50");
    insta::assert_snapshot!(why([[20, 5], [10, 15]]), @"κ with people is 0.40, less than 0.6");
    insta::assert_snapshot!(
        why([[0, 0], [0, 60]]),
        @"κ is undefined: all answers have the same label"
    );
}
