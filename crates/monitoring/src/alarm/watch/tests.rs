//! Several series at once.

use super::*;
use crate::alarm::evaluate::{Comparison, Missing};

fn judge() -> Judge {
    Judge {
        comparison: Comparison::GreaterThanThreshold,
        threshold: Some(5.0),
        periods: 1,
        to_alarm: 1,
        missing: Missing::Breaching,
        samples: None,
    }
}

fn points(values: &[Option<f64>]) -> Vec<Point> {
    let at = |index: usize| Timestamp::from_second(index as i64 * 60).unwrap();
    let point = |(index, value): (usize, &Option<f64>)| Point {
        at: at(index),
        value: *value,
        samples: None,
        band: None,
    };
    values.iter().enumerate().map(point).collect()
}

#[test]
fn one_series_that_breaches_is_enough_and_one_that_is_gone_is_well() {
    let series = [("a", points(&[Some(1.0)])), ("b", points(&[Some(9.0)]))];
    let series = series.map(|(name, points)| (name.to_owned(), points)).into();
    let first = several(&judge(), &BTreeMap::new(), &series);
    assert_eq!(first.verdict.state, State::Alarm);
    assert!(first.verdict.reason.starts_with("1 of 2 series: `b`"), "{}", first.verdict.reason);

    // `b` is gone: though missing counts as breaching, it is well.
    let series = [("a".to_owned(), points(&[Some(1.0)]))].into();
    let second = several(&judge(), &first.states, &series);
    assert_eq!(second.verdict.state, State::Ok);
    assert_eq!(second.states, [("a".to_owned(), State::Ok)].into());

    let third = several(&judge(), &second.states, &BTreeMap::new());
    assert_eq!(third.verdict.state, State::InsufficientData);
    let none = [("a".to_owned(), points(&[None, None, None, None]))].into();
    assert_eq!(several(&judge(), &second.states, &none).verdict.state, State::InsufficientData);
}
