use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;
use prost::Message;
use release::Timestamp;

use super::{METRIC_START, Streams, TEMPORALITY};
use crate::metrics::rollup::Values;
use crate::rows::{MetricPoint, Origin};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn counter(second: i64, value: f64, attributes: &[(&str, &str)]) -> MetricPoint {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    MetricPoint {
        name: "tickets".to_owned(),
        kind: "counter".to_owned(),
        at: at(second),
        value: Some(value),
        attributes: attributes.collect(),
        ..MetricPoint::default()
    }
}

/// What each point added.
fn added(points: &[MetricPoint]) -> Vec<Option<f64>> {
    let mut streams = Streams::default();
    let each = points.iter().map(|point| {
        streams.sample(point, at(1_000), 10).map(|sample| match sample.values {
            Values::One(value) => value,
            Values::Many(sketch) => sketch.count() as f64,
        })
    });
    each.collect()
}

#[test]
fn a_cumulative_counter_counts_what_came_since_and_starts_anew_when_it_falls() {
    let points = [5.0, 8.0, 8.0, 3.0, 4.0].into_iter().enumerate();
    let points: Vec<_> = points.map(|(at, value)| counter(at as i64, value, &[])).collect();
    assert_eq!(added(&points), [None, Some(3.0), Some(0.0), Some(3.0), Some(1.0)]);
}

#[test]
fn one_that_began_here_counts_from_zero_and_a_new_start_counts_whole() {
    let (here, before) = ("1000000000001", "999");
    let points = [
        counter(1_001, 5.0, &[(METRIC_START, here)]),
        counter(1_002, 6.0, &[(METRIC_START, here)]),
        counter(1_003, 9.0, &[(METRIC_START, "1003000000000")]),
        counter(1_003, 7.0, &[(METRIC_START, before), ("other", "stream")]),
    ];
    assert_eq!(added(&points), [Some(5.0), Some(1.0), Some(9.0), None]);
}

#[test]
fn deltas_count_as_they_are_and_points_that_come_again_do_not() {
    let delta = &[(TEMPORALITY, "delta")];
    assert_eq!(added(&[counter(1, 2.0, delta), counter(2, 3.0, delta)]), [Some(2.0), Some(3.0)]);
    let points = [counter(5, 2.0, &[]), counter(6, 4.0, &[]), counter(5, 2.0, &[])];
    assert_eq!(added(&points), [None, Some(2.0), None]);
}

#[test]
fn two_processes_are_two_streams_of_one_series() {
    let (one, two) = (&[("service.instance.id", "1")], &[("service.instance.id", "2")]);
    let points = [
        counter(1, 10.0, one),
        counter(1, 70.0, two),
        counter(2, 11.0, one),
        counter(2, 75.0, two),
    ];
    assert_eq!(added(&points), [None, None, Some(1.0), Some(5.0)]);
    let mut streams = Streams::default();
    let mut point = counter(3, 1.0, one);
    point.origin = Origin { service: "desk".to_owned(), ..Origin::default() };
    point.attributes.push(("queue".to_owned(), "blue".to_owned()));
    point.kind = "gauge".to_owned();
    let sample = streams.sample(&point, at(0), 10).unwrap();
    let dimensions: Vec<_> = sample.dimensions.iter().collect();
    assert_eq!(
        dimensions,
        [(&"queue".to_owned(), &"blue".to_owned()), (&"service".to_owned(), &"desk".to_owned())]
    );
}

#[test]
fn a_cumulative_histogram_counts_its_new_buckets_and_survives_other_bounds() {
    let histogram = |second, bounds: &[f64], counts: &[u64], sum| {
        let point = HistogramDataPoint {
            count: counts.iter().sum(),
            sum: Some(sum),
            explicit_bounds: bounds.to_vec(),
            bucket_counts: counts.to_vec(),
            ..HistogramDataPoint::default()
        };
        MetricPoint {
            name: "latency".to_owned(),
            kind: "histogram".to_owned(),
            at: at(second),
            count: Some(counts.iter().sum::<u64>() as i64),
            sum: Some(sum),
            sketch: point.encode_to_vec(),
            ..MetricPoint::default()
        }
    };
    let mut streams = Streams::default();
    assert!(streams.sample(&histogram(1, &[1.0, 2.0], &[9, 0, 0], 4.5), at(0), 10).is_none());
    let next = histogram(2, &[1.0, 2.0], &[9, 2, 0], 7.5);
    let Values::Many(fresh) = streams.sample(&next, at(0), 10).unwrap().values else {
        panic!("a histogram is a sketch");
    };
    assert_eq!((fresh.count(), fresh.sum()), (2, 3.0));
    assert!((fresh.quantile(0.5).unwrap() - 1.5).abs() < 0.02);
    let other = histogram(3, &[4.0], &[12, 0], 9.5);
    let Values::Many(fresh) = streams.sample(&other, at(0), 10).unwrap().values else {
        panic!("a histogram is a sketch");
    };
    assert_eq!((fresh.count(), fresh.sum()), (1, 2.0));
    let same = histogram(4, &[4.0], &[12, 0], 9.5);
    assert!(streams.sample(&same, at(0), 10).is_none());
}

#[test]
fn what_is_no_number_is_passed_over_and_streams_are_bounded_and_forgotten() {
    let mut gauge = counter(1, f64::NAN, &[]);
    gauge.kind = "gauge".to_owned();
    assert_eq!(added(&[gauge]), [None]);
    let mut streams = Streams::default();
    for number in 0..50 {
        let point = counter(1, 1.0, &[("stream", &number.to_string())]);
        assert!(streams.sample(&point, at(1_000), 10).is_none());
    }
    assert_eq!(streams.0.len(), 10);
    streams.forget(4_000);
    assert!(streams.0.is_empty());
}
