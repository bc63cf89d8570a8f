use release::{TenantId, Timestamp};

use super::{Instrument, OVERFLOW, RollupLimits, Rollups};
use crate::metrics::{Datapoint, Dimensions, MetricStat};
use crate::rows::{Batch, MetricPoint, Origin, Span};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A whole hour.
const HOUR: i64 = 1_764_000_000 / 3_600 * 3_600;

fn rollups() -> Rollups {
    Rollups::new(RollupLimits::default(), at(HOUR))
}

/// An answer that ended at `second`.
fn answer(second: i64, milliseconds: i64, outcome: &str) -> Span {
    Span {
        trace_id: "1".repeat(32),
        span_id: "2".repeat(16),
        name: "answer".to_owned(),
        kind: "server".to_owned(),
        started_at: at(second)
            .checked_sub(jiff::SignedDuration::from_millis(milliseconds))
            .unwrap(),
        duration_ns: milliseconds * 1_000_000,
        outcome: outcome.to_owned(),
        origin: Origin {
            service: "support".to_owned(),
            app: "support".to_owned(),
            environment: "prod".to_owned(),
            release: "sha256:aa".to_owned(),
        },
        ..Span::default()
    }
}

fn spans(spans: Vec<Span>) -> Batch {
    Batch { spans, ..Batch::default() }
}

fn gauge(name: &str, second: i64, value: f64) -> MetricPoint {
    MetricPoint {
        name: name.to_owned(),
        kind: "gauge".to_owned(),
        at: at(second),
        value: Some(value),
        ..MetricPoint::default()
    }
}

fn asked(metric: &str, statistic: &str, period: u32) -> MetricStat {
    let statistic = statistic.parse().unwrap();
    MetricStat { metric: metric.to_owned(), dimensions: Dimensions::new(), statistic, period }
}

fn values(points: &[Datapoint]) -> Vec<Option<f64>> {
    points.iter().map(|point| point.value).collect()
}

fn read(rollups: &Rollups, stat: &MetricStat, from: i64, to: i64) -> Vec<Option<f64>> {
    values(&rollups.datapoints(&TenantId::DEFAULT, stat, at(from), at(to)))
}

#[test]
fn each_period_has_its_number_and_one_without_samples_has_none() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    let batch = spans(vec![
        answer(HOUR + 5, 100, "answered"),
        answer(HOUR + 15, 200, "answered"),
        answer(HOUR + 59, 300, "failed"),
        answer(HOUR + 125, 400, "answered"),
    ]);
    rollups.observe(&tenant, &batch, at(HOUR + 130));
    let read = |metric: &str, statistic: &str, period| {
        read(&rollups, &asked(metric, statistic, period), HOUR, HOUR + 180)
    };
    assert_eq!(read("groundcrew.requests", "Sum", 60), [Some(3.0), None, Some(1.0)]);
    assert_eq!(read("groundcrew.errors", "Sum", 60), [Some(1.0), None, Some(0.0)]);
    assert_eq!(read("groundcrew.errors", "Average", 180), [Some(0.25)]);
    assert_eq!(read("groundcrew.request.duration", "Maximum", 60), [Some(0.3), None, Some(0.4)]);
    let p50 = read("groundcrew.request.duration", "p50", 180)[0].unwrap();
    assert!((p50 - 0.2).abs() <= 0.002, "{p50}");
    let fine = read("groundcrew.requests", "SampleCount", 10);
    assert_eq!(fine.len(), 18);
    assert_eq!((fine[0], fine[1], fine[2], fine[5]), (Some(1.0), Some(1.0), None, Some(1.0)));
    assert_eq!(read("groundcrew.nothing", "Sum", 60), [None, None, None]);
}

#[test]
fn periods_are_whole_and_cover_what_is_asked_for() {
    let rollups = rollups();
    rollups.observe(
        &TenantId::DEFAULT,
        &Batch { metrics: vec![gauge("g", HOUR + 59, 1.0)], ..Batch::default() },
        at(HOUR + 60),
    );
    let stat = asked("g", "Sum", 60);
    let points = rollups.datapoints(&TenantId::DEFAULT, &stat, at(HOUR + 30), at(HOUR + 61));
    let starts: Vec<_> = points.iter().map(|point| point.at.as_second() - HOUR).collect();
    assert_eq!(starts, [0, 60]);
    assert_eq!(read(&rollups, &stat, HOUR + 30, HOUR + 60), [Some(1.0)]);
    assert_eq!(read(&rollups, &stat, HOUR, HOUR).len(), 0);
    assert_eq!(read(&rollups, &stat, 0, HOUR).len(), super::MAX_PERIODS as usize);
}

#[test]
fn dimensions_that_are_not_named_are_summed_up_and_named_ones_select() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    let mut other = answer(HOUR + 10, 50, "answered");
    other.origin.release = "sha256:bb".to_owned();
    let batch = spans(vec![answer(HOUR + 10, 50, "answered"), other.clone(), other]);
    rollups.observe(&tenant, &batch, at(HOUR + 20));
    let mut stat = asked("groundcrew.requests", "Sum", 60);
    assert_eq!(read(&rollups, &stat, HOUR, HOUR + 60), [Some(3.0)]);
    stat.dimensions.insert("app".to_owned(), "support".to_owned());
    stat.dimensions.insert("release".to_owned(), "sha256:bb".to_owned());
    assert_eq!(read(&rollups, &stat, HOUR, HOUR + 60), [Some(2.0)]);
    stat.dimensions.remove("release");
    let by = ["release".to_owned()];
    let series = rollups.series(&tenant, &stat, &by, (at(HOUR), at(HOUR + 60)));
    let series: Vec<_> = series
        .iter()
        .map(|series| (series.dimensions["release"].as_str(), values(&series.datapoints)))
        .collect();
    assert_eq!(series, [("sha256:aa", vec![Some(1.0)]), ("sha256:bb", vec![Some(2.0)])]);
    let elsewhere: TenantId = "acme".parse().unwrap();
    let none = rollups.datapoints(&elsewhere, &stat, at(HOUR), at(HOUR + 60));
    assert_eq!(values(&none), [None]);
}

#[test]
fn an_hour_later_minutes_are_left_and_late_samples_find_theirs() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    let stat = asked("groundcrew.requests", "Sum", 60);
    rollups.observe(&tenant, &spans(vec![answer(HOUR + 5, 1, "answered")]), at(HOUR + 6));
    // Two hours later one comes that is just as old, and one of a minute before.
    let now = at(HOUR + 7_200);
    let late = spans(vec![answer(HOUR + 45, 1, "answered"), answer(HOUR - 20, 1, "answered")]);
    rollups.observe(&tenant, &late, now);
    assert_eq!(read(&rollups, &stat, HOUR - 60, HOUR + 60), [Some(1.0), Some(2.0)]);
    let fine = asked("groundcrew.requests", "Sum", 10);
    assert_eq!(read(&rollups, &fine, HOUR, HOUR + 60), [None; 6]);
    // After fifteen days it is gone, and what is older is refused and counted.
    let now = at(HOUR + 16 * 86_400);
    rollups.drain(&tenant);
    rollups.observe(&tenant, &spans(vec![answer(HOUR + 45, 1, "answered")]), now);
    assert_eq!(read(&rollups, &stat, HOUR - 60, HOUR + 60), [None, None]);
    assert!(rollups.stats(&tenant).late > 0);
    assert_eq!(rollups.stats(&tenant).series, 0);
}

#[test]
fn a_sample_of_the_future_counts_now_and_is_told_of_and_a_clock_may_go_back() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    let batch = |second| Batch { metrics: vec![gauge("g", second, 1.0)], ..Batch::default() };
    rollups.observe(&tenant, &batch(HOUR + 9_999), at(HOUR + 60));
    assert_eq!(rollups.stats(&tenant).clamped, 1);
    // The clock jumps a day ahead and back.
    rollups.observe(&tenant, &batch(HOUR + 86_400), at(HOUR + 86_400));
    rollups.observe(&tenant, &batch(HOUR + 120), at(HOUR + 120));
    rollups.observe(&tenant, &batch(HOUR + 130), at(HOUR + 130));
    let stat = asked("g", "SampleCount", 60);
    assert_eq!(read(&rollups, &stat, HOUR, HOUR + 180), [None, Some(1.0), Some(2.0)]);
}

#[test]
fn what_was_drained_and_what_came_after_add_up_after_a_restart() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    let now = at(HOUR + 100);
    rollups.observe(&tenant, &spans(vec![answer(HOUR + 10, 100, "answered")]), now);
    let mut rows = rollups.drain(&tenant);
    assert!(rollups.drain(&tenant).is_empty(), "nothing is drained twice");
    let second = spans(vec![answer(HOUR + 12, 300, "failed"), answer(HOUR + 70, 500, "answered")]);
    rollups.observe(&tenant, &second, now);
    rows.extend(rollups.drain(&tenant));
    let undrained = spans(vec![answer(HOUR + 71, 700, "answered")]);
    rollups.observe(&tenant, &undrained, now);

    let restarted = Rollups::new(RollupLimits::default(), now);
    restarted.restore(&tenant, &rows, now);
    restarted.observe(&tenant, &undrained, now);
    for (metric, statistic) in [
        ("groundcrew.requests", "Sum"),
        ("groundcrew.errors", "Average"),
        ("groundcrew.request.duration", "p90"),
        ("groundcrew.request.duration", "Minimum"),
    ] {
        let stat = asked(metric, statistic, 60);
        let wanted = read(&rollups, &stat, HOUR, HOUR + 120);
        assert_eq!(read(&restarted, &stat, HOUR, HOUR + 120), wanted, "{metric} {statistic}");
    }
    let by_error = rows.iter().find(|row| row.sum == Some(1.0) && row.name == "groundcrew.errors");
    let by_error = by_error.unwrap();
    assert_eq!(by_error.kind, "rollup");
    assert_eq!(by_error.at, at(HOUR));
    assert_eq!((by_error.origin.app.as_str(), by_error.count), ("support", Some(1)));
    assert_eq!(by_error.attributes, [("error_type".to_owned(), "failed".to_owned())]);
}

#[test]
fn a_flood_of_series_is_counted_in_one_that_keeps_the_app() {
    let limits = RollupLimits { series: 10, ..RollupLimits::default() };
    let rollups = Rollups::new(limits, at(HOUR));
    let tenant = TenantId::DEFAULT;
    let flood = (0..500).map(|number| {
        let mut span = answer(HOUR + 1, 10, "");
        span.name = format!("GET /users/{number}");
        span
    });
    rollups.observe(&tenant, &spans(flood.collect()), at(HOUR + 5));
    let stats = rollups.stats(&tenant);
    // Requests, errors and durations: ten of each, and the one for the rest.
    assert_eq!((stats.metrics, stats.series), (3, 33));
    assert_eq!(stats.overflowed, 3 * 490);
    let mut stat = asked("groundcrew.requests", "Sum", 60);
    stat.dimensions.insert("app".to_owned(), "support".to_owned());
    assert_eq!(read(&rollups, &stat, HOUR, HOUR + 60), [Some(500.0)]);
    stat.dimensions.insert(OVERFLOW.to_owned(), "true".to_owned());
    assert_eq!(read(&rollups, &stat, HOUR, HOUR + 60), [Some(490.0)]);
}

#[test]
fn a_flood_of_apps_or_of_metrics_is_bounded_too() {
    let limits = RollupLimits { series: 10, metrics: 4, ..RollupLimits::default() };
    let rollups = Rollups::new(limits, at(HOUR));
    let tenant = TenantId::DEFAULT;
    let flood = (0..500).map(|number| {
        let mut span = answer(HOUR + 1, 10, "");
        span.origin.app = format!("app-{number}");
        span
    });
    rollups.observe(&tenant, &spans(flood.collect()), at(HOUR + 5));
    assert!(rollups.stats(&tenant).series <= 3 * 12);
    let metrics = (0..50).map(|number| gauge(&format!("m{number}"), HOUR, 1.0)).collect();
    rollups.observe(&tenant, &Batch { metrics, ..Batch::default() }, at(HOUR + 5));
    assert_eq!(rollups.stats(&tenant).metrics, 4);
    assert!(rollups.stats(&tenant).overflowed >= 49);
}

#[test]
fn when_bytes_are_short_the_oldest_minutes_go_first_but_nothing_undrained() {
    let limits = RollupLimits { bytes: 40_000, ..RollupLimits::default() };
    let rollups = Rollups::new(limits, at(HOUR));
    let tenant = TenantId::DEFAULT;
    let minutes = 600;
    for minute in 0..minutes {
        let second = HOUR + minute * 60;
        let metrics = vec![gauge("g", second, 1.0 + minute as f64)];
        rollups.observe(&tenant, &Batch { metrics, ..Batch::default() }, at(second));
    }
    let stat = asked("g", "Sum", 60);
    assert!(read(&rollups, &stat, HOUR, HOUR + 60)[0].is_some(), "nothing was drained yet");
    rollups.drain(&tenant);
    let end = HOUR + minutes * 60;
    let metrics = vec![gauge("g", end, 1.0)];
    rollups.observe(&tenant, &Batch { metrics, ..Batch::default() }, at(end));
    let stats = rollups.stats(&tenant);
    assert!(stats.bytes <= limits.bytes, "{stats:?}");
    let kept = stats.kept_from.unwrap().as_second();
    assert!(kept > HOUR && kept < end, "{stats:?}");
    assert_eq!(read(&rollups, &stat, HOUR, HOUR + 60), [None]);
    assert!(read(&rollups, &stat, kept, end).iter().all(Option::is_some));
}

#[test]
fn a_slot_takes_as_many_bytes_as_is_said() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    for minute in 0..120 {
        let second = HOUR + minute * 60;
        let ten = (1..=10).map(|number| answer(second, number * 37, "answered"));
        rollups.observe(&tenant, &spans(ten.collect()), at(second));
        rollups.drain(&tenant);
    }
    let stats = rollups.stats(&tenant);
    // Four series: requests, errors, durations, blocked.
    let bytes = stats.bytes as f64 / stats.series as f64 / 120.0;
    assert!((60.0..160.0).contains(&bytes), "{bytes} bytes for each slot: {stats:?}");
}

#[test]
fn metrics_are_described_with_their_dimensions() {
    let rollups = rollups();
    let tenant = TenantId::DEFAULT;
    rollups.observe(&tenant, &spans(vec![answer(HOUR + 7, 1, "answered")]), at(HOUR + 8));
    let described = rollups.describe(&tenant);
    let names: Vec<_> = described.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "groundcrew.errors",
            "groundcrew.guardrail.blocked",
            "groundcrew.request.duration",
            "groundcrew.requests"
        ]
    );
    assert_eq!(described[3].dimensions, ["app", "environment", "release"]);
    assert_eq!(described[3].newest, Some(at(HOUR)));
    assert_eq!(described[3].instrument, Instrument::Counter);
    assert!(!described[3].help.is_empty());
}
