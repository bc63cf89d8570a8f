//! Data points as rows.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use prost::Message;
use release::Timestamp;

use super::check::NO_RECORDED_VALUE;
use super::collect::{Collected, Shared};
use super::limits::MAX_COLUMN;
use super::times;
use crate::attributes as name;
use crate::rows::{Batch, MetricPoint};

/// Adds the rows of a message.
pub fn rows(request: &ExportMetricsServiceRequest, received_at: Timestamp, batch: &mut Batch) {
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            let shared = Shared::new(resource.resource.as_ref(), scope.scope.as_ref());
            for metric in &scope.metrics {
                let mut points = Points { metric, shared: &shared, received_at, batch };
                points.write();
            }
        }
    }
}

/// The data points of one metric, being written.
struct Points<'a> {
    metric: &'a Metric,
    shared: &'a Shared<'a>,
    received_at: Timestamp,
    batch: &'a mut Batch,
}

/// What all kinds of data points have.
struct Common<'a> {
    kind: &'static str,
    attributes: &'a [KeyValue],
    /// When counting began, and when it was read.
    times: (u64, u64),
    temporality: i32,
}

impl Points<'_> {
    fn write(&mut self) {
        match &self.metric.data {
            Some(Data::Gauge(gauge)) => self.numbers(&gauge.data_points, "gauge", 0),
            Some(Data::Sum(sum)) => {
                let kind = if sum.is_monotonic { "counter" } else { "sum" };
                self.numbers(&sum.data_points, kind, sum.aggregation_temporality);
            }
            Some(Data::Histogram(histogram)) => {
                let temporality = histogram.aggregation_temporality;
                for point in &histogram.data_points {
                    let mut bare = point.clone();
                    (bare.attributes, bare.exemplars) = (Vec::new(), Vec::new());
                    let row = distribution(
                        (point.count, point.sum, point.min, point.max),
                        bare.encode_to_vec(),
                    );
                    let times = (point.start_time_unix_nano, point.time_unix_nano);
                    let attributes = &point.attributes;
                    let common = Common { kind: "histogram", attributes, times, temporality };
                    self.push(point.flags, &common, row);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let temporality = histogram.aggregation_temporality;
                for point in &histogram.data_points {
                    let mut bare = point.clone();
                    (bare.attributes, bare.exemplars) = (Vec::new(), Vec::new());
                    let row = distribution(
                        (point.count, point.sum, point.min, point.max),
                        bare.encode_to_vec(),
                    );
                    let times = (point.start_time_unix_nano, point.time_unix_nano);
                    let attributes = &point.attributes;
                    let common = Common { kind: "histogram", attributes, times, temporality };
                    self.push(point.flags, &common, row);
                }
            }
            Some(Data::Summary(summary)) => {
                // A summary counts from its start (OpenTelemetry's data model).
                let temporality = AggregationTemporality::Cumulative as i32;
                for point in &summary.data_points {
                    // Quantiles of a sender cannot be merged: count and sum can.
                    let measured = (point.count, Some(point.sum), None, None);
                    let row = distribution(measured, Vec::new());
                    let times = (point.start_time_unix_nano, point.time_unix_nano);
                    let attributes = &point.attributes;
                    let common = Common { kind: "summary", attributes, times, temporality };
                    self.push(point.flags, &common, row);
                }
            }
            None => {}
        }
    }

    fn numbers(&mut self, points: &[NumberDataPoint], kind: &'static str, temporality: i32) {
        for point in points {
            let value = match point.value {
                Some(Value::AsDouble(number)) => number,
                Some(Value::AsInt(number)) => number as f64,
                None => continue,
            };
            let row = MetricPoint { value: Some(value), ..MetricPoint::default() };
            let times = (point.start_time_unix_nano, point.time_unix_nano);
            let attributes = &point.attributes;
            self.push(point.flags, &Common { kind, attributes, times, temporality }, row);
        }
    }

    fn push(&mut self, flags: u32, common: &Common<'_>, row: MetricPoint) {
        if flags & NO_RECORDED_VALUE != 0 {
            return;
        }
        let mut collected = Collected::new(common.attributes.iter(), self.shared);
        let (start, time) = common.times;
        let at = times::moment("time", time, self.received_at, &mut collected.marks);
        let origin = collected.origin();
        let name = collected.marks.fit("name", &self.metric.name, MAX_COLUMN);
        let unit = collected.marks.fit("unit", &self.metric.unit, MAX_COLUMN);
        let mut more = Vec::new();
        let mut say = |key: &str, value: String| more.push((key.to_owned(), value));
        match AggregationTemporality::try_from(common.temporality) {
            Ok(AggregationTemporality::Delta) => say(name::TEMPORALITY, "delta".to_owned()),
            Ok(AggregationTemporality::Cumulative) => {
                say(name::TEMPORALITY, "cumulative".to_owned());
                if start > 0 {
                    say(name::METRIC_START, start.to_string());
                }
            }
            _ => {}
        }
        let (attributes, kind) = (collected.rest(more), common.kind.to_owned());
        self.batch.metrics.push(MetricPoint { name, kind, unit, at, origin, attributes, ..row });
    }
}

/// A row of samples that were counted: how many, their sum, the least and the greatest.
fn distribution(
    (count, sum, min, max): (u64, Option<f64>, Option<f64>, Option<f64>),
    sketch: Vec<u8>,
) -> MetricPoint {
    let finite = |number: Option<f64>| number.filter(|number| number.is_finite());
    let (sum, min, max) = (finite(sum), finite(min), finite(max));
    let count = i64::try_from(count).ok();
    MetricPoint { count, sum, min, max, sketch, ..MetricPoint::default() }
}
