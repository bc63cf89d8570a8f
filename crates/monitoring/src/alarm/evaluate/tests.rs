//! CloudWatch's rules, row by row as its documentation has them.

use proptest::prelude::*;

use super::*;

const STATES: &[State] = &[State::Ok, State::Alarm, State::InsufficientData];

const POLICIES: [Missing; 4] =
    [Missing::Missing, Missing::Ignore, Missing::Breaching, Missing::NotBreaching];

fn judge(periods: u32, to_alarm: u32, missing: Missing) -> Judge {
    let comparison = Comparison::GreaterThanThreshold;
    Judge { comparison, threshold: Some(0.5), periods, to_alarm, missing, samples: None }
}

/// `0` is good, `X` breaches, `-` is missing.
fn points(text: &str) -> Vec<Point> {
    let second = |index: usize| Timestamp::from_second(index as i64 * 60).unwrap();
    let marks = text.chars().filter(|mark| *mark != ' ').enumerate();
    let point = |(index, mark)| {
        let value = match mark {
            '0' => Some(0.0),
            'X' => Some(1.0),
            _ => None,
        };
        Point { at: second(index), value, samples: None, band: None }
    };
    marks.map(point).collect()
}

/// What each policy gives, in the order of the documentation's columns. `keep` is the same state.
fn check(periods: u32, to_alarm: u32, row: &str, expected: [&str; 4], filled: u32) {
    for (missing, expected) in POLICIES.into_iter().zip(expected) {
        for before in STATES {
            let verdict = next(&judge(periods, to_alarm, missing), *before, &points(row));
            let wanted = if expected == "keep" { before.as_str() } else { expected };
            let what = format!("{to_alarm} of {periods}, `{row}`, {missing:?}, {before:?}");
            assert_eq!(verdict.state.as_str(), wanted, "{what}: {}", verdict.reason);
            assert_eq!(verdict.filled, filled, "{what}");
        }
    }
}

#[test]
fn three_of_three_is_as_documented() {
    check(3, 3, "0 - X - X", ["OK", "OK", "OK", "OK"], 0);
    check(3, 3, "- - - - 0", ["OK", "OK", "OK", "OK"], 2);
    check(3, 3, "0 - - - -", ["OK", "OK", "OK", "OK"], 2);
    check(3, 3, "- - - - -", ["INSUFFICIENT_DATA", "keep", "ALARM", "OK"], 3);
    check(3, 3, "0 X X - X", ["ALARM", "ALARM", "ALARM", "ALARM"], 0);
    check(3, 3, "- - X - -", ["ALARM", "keep", "ALARM", "OK"], 2);
    check(3, 3, "X - - - -", ["ALARM", "keep", "ALARM", "OK"], 2);
}

#[test]
fn two_of_three_is_as_documented() {
    check(3, 2, "0 - X - X", ["ALARM", "ALARM", "ALARM", "ALARM"], 0);
    check(3, 2, "0 0 X 0 X", ["ALARM", "ALARM", "ALARM", "ALARM"], 0);
    check(3, 2, "0 - X - -", ["OK", "OK", "ALARM", "OK"], 1);
    check(3, 2, "- - - - 0", ["OK", "OK", "ALARM", "OK"], 2);
    check(3, 2, "- - - X -", ["ALARM", "keep", "ALARM", "OK"], 2);
}

#[test]
fn a_young_breach_alone_is_not_yet_an_alarm() {
    for row in ["- - - - X", "- - - X -"] {
        check(3, 3, row, ["OK", "OK", "ALARM", "OK"], 2);
    }
    check(3, 3, "- - - X X", ["OK", "OK", "ALARM", "OK"], 1);
    check(3, 3, "- - X - X", ["ALARM", "keep", "ALARM", "OK"], 1);
    // One good point among them and they are waited upon.
    check(3, 3, "- - X - 0", ["OK", "OK", "OK", "OK"], 1);
    check(3, 3, "- 0 X - -", ["OK", "OK", "OK", "OK"], 1);
}

#[test]
fn what_lies_further_back_than_is_looked_at_does_not_count() {
    check(1, 1, "X - - -", ["INSUFFICIENT_DATA", "keep", "ALARM", "OK"], 1);
    check(1, 1, "X - -", ["ALARM", "ALARM", "ALARM", "ALARM"], 0);
    check(3, 3, "X X X 0 0 0 0 0", ["OK", "OK", "OK", "OK"], 0);
    check(3, 2, "X 0 0", ["OK", "OK", "OK", "OK"], 0);
    check(1, 1, "", ["INSUFFICIENT_DATA", "keep", "ALARM", "OK"], 1);
}

#[test]
fn zero_is_a_number() {
    let judge = Judge {
        comparison: Comparison::LessThanOrEqualToThreshold,
        threshold: Some(0.0),
        ..judge(1, 1, Missing::NotBreaching)
    };
    assert_eq!(next(&judge, State::Ok, &points("0")).state, State::Alarm);
    assert_eq!(next(&judge, State::Ok, &points("- - -")).state, State::Ok);
}

#[test]
fn each_comparison_stands_at_its_edge() {
    use Comparison::*;
    let all = [
        (GreaterThanOrEqualToThreshold, [false, true, true]),
        (GreaterThanThreshold, [false, false, true]),
        (LessThanThreshold, [true, false, false]),
        (LessThanOrEqualToThreshold, [true, true, false]),
        (LessThanLowerOrGreaterThanUpperThreshold, [true, false, true]),
        (LessThanLowerThreshold, [true, false, false]),
        (GreaterThanUpperThreshold, [false, false, true]),
    ];
    for (comparison, expected) in all {
        assert_eq!([4.0, 5.0, 6.0].map(|value| comparison.breaches(value, (5.0, 5.0))), expected);
    }
}

#[test]
fn a_percentile_of_few_samples_changes_nothing() {
    assert_eq!(least_samples(9_900), 1_000.0);
    assert_eq!(least_samples(5_000), 20.0);
    assert_eq!(least_samples(1_000), 100.0);
    assert_eq!(least_samples(10_000), f64::INFINITY);
    let judge = Judge { samples: Some(1_000.0), ..judge(1, 1, Missing::Missing) };
    let of = |samples| {
        let mut points = points("X");
        points[0].samples = samples;
        points
    };
    for before in STATES {
        assert_eq!(next(&judge, *before, &of(Some(999))).state, *before);
        assert_eq!(next(&judge, *before, &of(Some(1_000))).state, State::Alarm);
        assert_eq!(next(&judge, *before, &of(None)).state, State::Alarm);
    }
    let mut two = points("X X");
    two[0].samples = Some(5);
    let judge = Judge { periods: 2, to_alarm: 2, missing: Missing::NotBreaching, ..judge };
    assert_eq!(next(&judge, State::Ok, &two).state, State::Ok, "the scarce one is no point");
}

#[test]
fn a_band_that_is_not_known_yet_judges_nothing() {
    let comparison = Comparison::GreaterThanUpperThreshold;
    let judge = Judge { comparison, threshold: None, ..judge(1, 1, Missing::Missing) };
    let mut points = points("X");
    assert_eq!(next(&judge, State::Ok, &points).state, State::InsufficientData);
    points[0].band = Some((0.0, 0.9));
    assert_eq!(next(&judge, State::Ok, &points).state, State::Alarm);
}

#[test]
fn reasons_say_what_was_judged() {
    let told = |missing, row| next(&judge(3, 2, missing), State::Ok, &points(row)).reason;
    insta::assert_snapshot!(
        [
            told(Missing::Missing, "X X 0"),
            told(Missing::Missing, "- - - X -"),
            told(Missing::Ignore, "- - - X -"),
            told(Missing::Breaching, "- - - X 0"),
            told(Missing::NotBreaching, "- - - X -"),
            told(Missing::Missing, "- - -"),
            told(Missing::Ignore, "- - -"),
            told(Missing::Breaching, "- - -"),
        ]
        .join("\n")
    );
    assert_eq!(
        [0.1 + 0.2, 1_234_567.8, 1e-9, -2.5].map(number),
        ["0.3", "1234568", "0.000000001", "-2.5"]
    );
}

proptest! {
    #[test]
    fn a_breach_for_a_good_point_never_ends_an_alarm(
        row in "[0X\\-]{1,9}", periods in 1_u32..6, to_alarm in 1_u32..6,
        before in 0_usize..3, policy in 0_usize..4, at in 0_usize..9,
    ) {
        let judge = judge(periods, to_alarm.min(periods), POLICIES[policy]);
        let first = next(&judge, STATES[before], &points(&row));
        let goods: Vec<_> = row.match_indices('0').map(|(index, _)| index).collect();
        prop_assume!(first.state == State::Alarm && !goods.is_empty());
        let mut worse = row.clone();
        let place = goods[at % goods.len()];
        worse.replace_range(place..=place, "X");
        prop_assert_eq!(next(&judge, STATES[before], &points(&worse)).state, State::Alarm);
    }

    #[test]
    fn with_enough_points_the_policy_does_not_matter(
        row in "[0X\\-]{5}", to_alarm in 1_u32..4, before in 0_usize..3,
    ) {
        prop_assume!(row.matches('-').count() <= 2);
        let judged = |missing| next(&judge(3, to_alarm, missing), STATES[before], &points(&row));
        let states = POLICIES.map(|missing| judged(missing).state);
        prop_assert!(states.iter().all(|state| *state == states[0]));
    }
}
