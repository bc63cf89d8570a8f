use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, HistogramDataPoint};
use proptest::prelude::*;
use prost::Message;

use super::{RELATIVE_ERROR, Sketch};

fn of(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::default();
    for value in values {
        sketch.add(*value, 1);
    }
    sketch
}

/// The value at the rank that a sketch answers with.
fn exact(sorted: &[f64], quantile: f64) -> f64 {
    sorted[(quantile * (sorted.len() - 1) as f64) as usize]
}

proptest! {
    #[test]
    fn every_quantile_is_within_its_relative_error_also_after_merging_and_storing(
        mut values in prop::collection::vec(prop_oneof![-1e6..1e6f64, 1e-6..1.0f64, Just(0.0)], 1..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let (left, right) = values.split_at(cut.index(values.len()));
        let mut sketch = of(left);
        sketch.merge(&of(right));
        let sketch = Sketch::from_bytes(&sketch.to_bytes()).unwrap();
        prop_assert_eq!(sketch.count(), values.len() as u64);
        let sum: f64 = values.iter().sum();
        prop_assert!((sketch.sum() - sum).abs() <= 1e-6 * sum.abs().max(1.0));
        values.sort_by(f64::total_cmp);
        prop_assert_eq!(sketch.min(), values.first().copied());
        prop_assert_eq!(sketch.max(), values.last().copied());
        for quantile in [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let (found, wanted) = (sketch.quantile(quantile).unwrap(), exact(&values, quantile));
            let error = (found - wanted).abs();
            prop_assert!(
                error <= RELATIVE_ERROR * wanted.abs() + 1e-9,
                "p{}: {} is not {}", quantile * 100.0, found, wanted
            );
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(sketch) = Sketch::from_bytes(&bytes) {
            let _any = (sketch.quantile(0.5), sketch.quantile(0.99));
        }
    }

    #[test]
    fn what_came_since_is_what_was_added(
        before in prop::collection::vec(0.001..1e3f64, 0..50),
        fresh in prop::collection::vec(0.001..1e3f64, 1..50),
    ) {
        let earlier = of(&before);
        let mut later = earlier.clone();
        later.merge(&of(&fresh));
        let since = later.since(&earlier).unwrap();
        prop_assert_eq!(since.count(), fresh.len() as u64);
        let greatest = fresh.iter().copied().fold(0.0, f64::max);
        prop_assert!((since.max().unwrap() - greatest).abs() <= 0.0101 * greatest);
        prop_assert!(earlier.since(&later).is_none());
    }
}

#[test]
fn an_empty_sketch_knows_nothing_and_what_is_no_number_is_passed_over() {
    let mut sketch = Sketch::default();
    sketch.add(f64::NAN, 1);
    sketch.add(f64::INFINITY, 3);
    sketch.add(1.0, 0);
    assert_eq!(sketch, Sketch::default());
    assert_eq!((sketch.quantile(0.5), sketch.min(), sketch.average()), (None, None, None));
    assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Some(Sketch::default()));
}

#[test]
fn damaged_bins_are_refused() {
    let bins = super::Bins { keys: vec![3, 1], counts: vec![1, 1] };
    let damaged = Sketch { count: 2, positive: Some(bins), ..Sketch::default() };
    assert_eq!(Sketch::from_bytes(&damaged.to_bytes()), None);
}

#[test]
fn a_wide_range_keeps_its_upper_percentiles_and_bounded_bins() {
    let mut sketch = Sketch::default();
    let mut value = 1e-8;
    while value < 1e300 {
        sketch.add(value, 1);
        value *= 1.03;
    }
    assert!(sketch.positive.as_ref().unwrap().keys.len() <= super::MAX_BINS);
    assert!(sketch.to_bytes().len() < 10_000);
    let p99 = sketch.quantile(0.99).unwrap();
    assert!(p99 > 1e290, "{p99}");
}

#[test]
fn an_explicit_histogram_keeps_its_exact_count_sum_and_range() {
    let point = HistogramDataPoint {
        count: 10,
        sum: Some(7.5),
        min: Some(0.1),
        max: Some(3.0),
        explicit_bounds: vec![0.5, 1.0, 2.0],
        bucket_counts: vec![6, 2, 1, 1],
        ..HistogramDataPoint::default()
    };
    let sketch = Sketch::from_bytes(&point.encode_to_vec()).unwrap();
    assert_eq!(sketch, Sketch::from_histogram(&point));
    assert_eq!((sketch.count(), sketch.sum()), (10, 7.5));
    assert_eq!((sketch.min(), sketch.max()), (Some(0.1), Some(3.0)));
    // The sixth of ten is in the first bucket, the eighth in the second.
    assert!((sketch.quantile(0.5).unwrap() - 0.25).abs() < 0.01);
    assert!((sketch.quantile(0.75).unwrap() - 0.75).abs() < 0.01);
}

#[test]
fn an_exponential_histogram_is_read_by_its_scale() {
    // Scale 0: bucket 3 is (8, 16].
    let positive = Buckets { offset: 3, bucket_counts: vec![4, 0, 1] };
    let point = ExponentialHistogramDataPoint {
        count: 6,
        sum: Some(90.0),
        zero_count: 1,
        positive: Some(positive),
        max: Some(40.0),
        ..ExponentialHistogramDataPoint::default()
    };
    let sketch = Sketch::from_bytes(&point.encode_to_vec()).unwrap();
    assert_eq!((sketch.count(), sketch.sum(), sketch.max()), (6, 90.0, Some(40.0)));
    let median = sketch.quantile(0.5).unwrap();
    assert!((median - 128f64.sqrt()).abs() < 0.12, "{median}");
}

#[test]
fn a_histogram_without_buckets_is_its_mean() {
    let point = HistogramDataPoint { count: 4, sum: Some(8.0), ..HistogramDataPoint::default() };
    let sketch = Sketch::from_bytes(&point.encode_to_vec()).unwrap();
    assert_eq!((sketch.count(), sketch.sum()), (4, 8.0));
    assert!((sketch.quantile(0.9).unwrap() - 2.0).abs() < 0.03);
}
