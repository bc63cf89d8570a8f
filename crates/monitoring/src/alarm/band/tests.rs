//! What is usual is learned, and what is not is told.

use super::*;

const WEEKS: i64 = 14 * DAY;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// A small noise that is the same in every run.
fn noise(second: i64) -> f64 {
    ((second / 300).wrapping_mul(2_654_435_761) % 1_000) as f64 / 500.0 - 1.0
}

/// Five-minute numbers: busy by day, quiet at night and on every seventh day.
fn usual(second: i64) -> f64 {
    let of = at(second).as_second();
    let hour = of.rem_euclid(DAY) / HOUR;
    let busy = if (8..18).contains(&hour) { 100.0 } else { 10.0 };
    let free = if of.rem_euclid(7 * DAY) / DAY == 3 { -5.0 } else { 0.0 };
    busy + free + noise(second)
}

fn series(seconds: i64) -> Vec<(Timestamp, f64)> {
    (0..seconds / 300).map(|index| (at(index * 300), usual(index * 300))).collect()
}

#[test]
fn the_hour_and_the_day_are_learned() {
    let model = Model::train(&series(WEEKS), &[], at(WEEKS)).unwrap();
    for later in (WEEKS..WEEKS + 7 * DAY).step_by(3_600) {
        let (low, high) = model.band(at(later), 3.0);
        let value = usual(later);
        assert!(low < value && value < high, "{}: {low} < {value} < {high}", at(later));
        assert!(high - low < 20.0, "{low} to {high}");
        // A busy day's number at night is not usual.
        assert!(!(low..high).contains(&(value + 30.0)));
    }
}

#[test]
fn a_short_training_learns_no_week() {
    let model = Model::train(&series(3 * DAY), &[], at(3 * DAY)).unwrap();
    let cycles: Vec<_> = model.profiles.iter().map(|(cycle, ..)| *cycle).collect();
    assert_eq!(cycles, [DAY, HOUR]);
    let model = Model::train(&series(HOUR), &[], at(HOUR)).unwrap();
    assert_eq!(model.profiles.len(), 0);
    assert_eq!(Model::train(&series(1_800), &[], at(1_800)), None);
}

#[test]
fn outliers_and_excluded_windows_do_not_widen_it() {
    let clean = Model::train(&series(WEEKS), &[], at(WEEKS)).unwrap();
    let mut dirty = series(WEEKS);
    for (_, value) in dirty.iter_mut().skip(1_000).take(200) {
        *value += 1_000.0;
    }
    let kept = Model::train(&dirty, &[], at(WEEKS)).unwrap();
    assert!((kept.deviation - clean.deviation).abs() < clean.deviation * 0.5);
    let window = Window { start: at(300_000), end: at(360_000) };
    let excluded = Model::train(&dirty, std::slice::from_ref(&window), at(WEEKS)).unwrap();
    let mut without = series(WEEKS);
    without.retain(|(at, _)| !window.holds(*at));
    assert_eq!(excluded, Model::train(&without, &[], at(WEEKS)).unwrap());
}

#[test]
fn only_two_weeks_are_learned_from_and_nothing_later() {
    let all = series(3 * 7 * DAY);
    let model = Model::train(&all, &[], at(3 * 7 * DAY)).unwrap();
    assert_eq!(model, Model::train(&all[2_016..], &[], at(3 * 7 * DAY)).unwrap());
    let before = Model::train(&all, &[], at(WEEKS)).unwrap();
    assert_eq!(before, Model::train(&series(WEEKS), &[], at(WEEKS)).unwrap());
}

#[test]
fn numbers_that_are_all_equal_have_a_band_of_no_width() {
    let flat: Vec<_> = (0..100).map(|index| (at(index * 60), 5.0)).collect();
    let model = Model::train(&flat, &[], at(6_000)).unwrap();
    assert_eq!(model.band(at(6_000), 2.0), (5.0, 5.0));
}
