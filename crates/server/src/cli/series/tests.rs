use serde_json::json;

use super::{bars, listed, report, short, shown};

#[test]
fn a_metric_is_shown_as_a_line_of_bars_for_each_series() {
    let point = |value: Option<f64>| json!({"timestamp": "2026-11-27T05:00:00Z", "value": value});
    let told = json!({
        "metric": "groundcrew.request.duration", "statistic": "p95", "period": 60,
        "since": "2026-11-27T05:00:00Z", "until": "2026-11-27T06:00:00Z",
        "series": [
            {"dimensions": {"release": "sha256:aa"},
             "datapoints": [point(Some(0.5)), point(None), point(Some(1.0)), point(Some(0.0))]},
            {"dimensions": {}, "datapoints": [point(None)]},
        ]
    });
    insta::assert_snapshot!(shown(&told));
}

#[test]
fn many_periods_are_drawn_as_their_means() {
    let values: Vec<_> = (0..600).map(|minute| Some(f64::from(minute / 10))).collect();
    let drawn = bars(&values);
    assert_eq!(drawn.chars().count(), 60);
    assert!(drawn.starts_with('▁') && drawn.ends_with('█'));
    assert_eq!(bars(&[Some(0.0), None]), "▁ ");
}

#[test]
fn numbers_have_four_digits_that_count() {
    let told = [0.0, 1.0, 0.123_456, 123.456, 1_234_567.8, -0.5, 0.000_012_34].map(short);
    assert_eq!(told, ["0", "1", "0.1235", "123.5", "1234568", "-0.5", "0.00001234"]);
}

#[test]
fn metrics_are_listed_with_what_could_not_be_kept() {
    let told = json!({
        "metrics": [
            {"name": "groundcrew.requests", "instrument": "counter", "unit": "{request}",
             "series": 3, "dimensions": ["app", "release"]},
            {"name": "evil\u{1b}[2J", "instrument": "gauge", "unit": "", "series": 1,
             "dimensions": []},
        ],
        "held": {"series": 4, "bytes": 12_345, "overflowed": 7, "late": 0, "clamped": 1,
                 "kept_from": "2026-11-27T00:00:00Z"}
    });
    insta::assert_snapshot!(listed(&told));
}

#[test]
fn contributors_are_told_with_how_sure_it_is() {
    let told = json!({
        "rule": "tokens-by-user", "keys": ["$.user", "$.release"], "aggregate_on": "Sum",
        "from": "2026-11-27T05:00:00Z", "to": "2026-11-27T06:00:00Z",
        "total": 1000.0, "events": 12, "unlisted_at_most": 3.5,
        "contributors": [
            {"keys": ["ann", "sha256:aa"], "value": 600.0, "at_least": 600.0},
            {"keys": ["bob\u{7}", "sha256:bb"], "value": 30.0, "at_least": 26.5},
        ]
    });
    insta::assert_snapshot!(report(&told));
}
