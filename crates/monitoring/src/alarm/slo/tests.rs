//! Budgets, and how fast they burn.

use super::*;

fn availability() -> SloFile {
    toml::from_str(
        "objective = 99.9\n\
         [total]\nmetric = \"groundcrew.requests\"\n\
         [bad]\nmetric = \"groundcrew.errors\"\n",
    )
    .unwrap()
}

fn minutes(parts: &[(usize, f64)]) -> Vec<Count> {
    let each =
        |(minutes, bad): &(usize, f64)| vec![Count { good: 100.0 - bad, total: 100.0 }; *minutes];
    parts.iter().flat_map(each).collect()
}

#[test]
fn the_usual_alarms_are_derived() {
    let alarms = availability().alarms().unwrap();
    let told: Vec<_> = alarms
        .iter()
        .map(|it| {
            let Watch::Burn(_, judge) = &it.alarm.watch else { panic!() };
            (it.suffix.as_str(), judge.threshold, it.severity)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("burn-1h", Some(14.4), Severity::Critical),
            ("burn-6h", Some(6.0), Severity::Critical),
            ("burn-3d", Some(1.0), Severity::Warning),
        ]
    );
}

#[test]
fn a_budget_burns_over_both_windows() {
    let slo = availability().compile().unwrap();
    let burn = Burn { slo, long_minutes: 60, short_minutes: 5 };
    // 2 % of bad ones is 20 times what 99.9 % allows.
    let rate = |parts: &[(usize, f64)]| burn.rate(&minutes(parts)).unwrap();
    assert!((rate(&[(60, 2.0)]) - 20.0).abs() < 1e-9);
    // It was long ago, and is over.
    assert_eq!(rate(&[(55, 2.0), (5, 0.0)]), 0.0);
    // It is bad now, and was well for long.
    assert!((rate(&[(55, 0.0), (5, 12.0)]) - 10.0).abs() < 1e-9);
    assert_eq!(burn.rate(&[]), None);
    assert_eq!(burn.rate(&[Count::default(); 60]), None);
}

#[test]
fn what_is_good_is_told_in_three_ways() {
    let bad = availability().compile().unwrap().indicator;
    let count = |good, total| Count { good, total };
    assert_eq!(bad.count(&[Some(100.0), Some(3.0)]), count(97.0, 100.0));
    assert_eq!(bad.count(&[Some(100.0), None]), count(100.0, 100.0));
    assert_eq!(bad.count(&[None, Some(3.0)]), count(0.0, 0.0));
    let mut file = availability();
    file.good = file.bad.take();
    let good = file.compile().unwrap().indicator;
    assert_eq!(good.count(&[Some(100.0), Some(97.0)]), count(97.0, 100.0));
    let minutes: SloFile = toml::from_str(
        "objective = 95\nmetric = \"groundcrew.request.duration\"\nstatistic = \"p95\"\nthreshold = 2\n",
    )
    .unwrap();
    let minutes = minutes.compile().unwrap().indicator;
    assert_eq!(minutes.count(&[Some(2.0)]), count(1.0, 1.0));
    assert_eq!(minutes.count(&[Some(2.1)]), count(0.0, 1.0));
}

#[test]
fn a_budget_outlives_its_metrics() {
    let slo = availability().compile().unwrap();
    let mut ledger = Ledger::default();
    let day = |day: i64| Timestamp::from_second(day * 86_400 + 60).unwrap();
    ledger.note(&[(day(0), Count { good: 999.0, total: 1_000.0 })], 30);
    ledger.note(&[(day(1), Count { good: 1_000.0, total: 1_000.0 })], 30);
    assert_eq!(ledger.counted(), Count { good: 1_999.0, total: 2_000.0 });
    assert!((slo.budget_left(ledger.counted()).unwrap() - 0.5).abs() < 1e-9);
    // Half a day that is left of the first one's metrics does not shrink it.
    ledger.note(&[(day(0), Count { good: 10.0, total: 10.0 })], 30);
    assert_eq!(ledger.counted().total, 2_000.0);
    ledger.note(&[(day(30), Count { good: 0.0, total: 10.0 })], 30);
    assert_eq!(ledger.days.len(), 2, "the first day is out of the window");
}

#[test]
fn mistakes_are_told_all_at_once() {
    let wrong: SloFile = toml::from_str(
        "objective = 100\nwindow_days = 0\n\
         [total]\nmetric = \"a\"\nstatistic = \"Mean\"\n[bad]\nmetric = \"b\"\n\
         [[burn]]\nfactor = 0\nlong_minutes = 5\nshort_minutes = 10\n",
    )
    .unwrap();
    let told: Vec<_> = wrong.compile().unwrap_err().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}
