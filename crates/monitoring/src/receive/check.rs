//! Which items of a message are valid.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};
use opentelemetry_proto::tonic::trace::v1::Span;

/// OTLP's flag of a data point that says that there is no value.
pub const NO_RECORDED_VALUE: u32 = 1;

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Items that are valid.
    pub items: u64,
    /// Items that were taken out.
    pub rejected: u64,
    /// Why the first of them was.
    pub why: String,
}

impl Checked {
    /// Keeps the valid ones of `items`.
    fn retain<T>(&mut self, items: &mut Vec<T>, check: impl Fn(&T) -> Result<(), String>) {
        items.retain(|item| match check(item) {
            Ok(()) => {
                self.items += 1;
                true
            }
            Err(why) => {
                self.reject(1, why);
                false
            }
        });
    }

    fn reject(&mut self, count: usize, why: String) {
        if self.rejected == 0 {
            self.why = why;
        }
        self.rejected += count as u64;
    }
}

pub fn traces(request: &mut ExportTraceServiceRequest) -> Checked {
    let mut checked = Checked::default();
    for resource in &mut request.resource_spans {
        for scope in &mut resource.scope_spans {
            checked.retain(&mut scope.spans, span);
        }
    }
    checked
}

fn span(span: &Span) -> Result<(), String> {
    let name = &span.name;
    let zero = |id: &[u8]| id.iter().all(|byte| *byte == 0);
    if span.trace_id.len() != 16 || zero(&span.trace_id) {
        return Err(format!("span `{name}`: a trace id has 16 bytes that are not all zero"));
    }
    if span.span_id.len() != 8 || zero(&span.span_id) {
        return Err(format!("span `{name}`: a span id has 8 bytes that are not all zero"));
    }
    if !matches!(span.parent_span_id.len(), 0 | 8) {
        return Err(format!("span `{name}`: a parent's span id has 8 bytes, or none"));
    }
    Ok(())
}

/// Every log record is kept: an invalid id only means that it belongs to no trace (OTLP, `LogRecord`).
pub fn logs(request: &mut ExportLogsServiceRequest) -> Checked {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let items = scopes.map(|scope| scope.log_records.len() as u64).sum();
    Checked { items, ..Checked::default() }
}

pub fn metrics(request: &mut ExportMetricsServiceRequest) -> Checked {
    let mut checked = Checked::default();
    for resource in &mut request.resource_metrics {
        for scope in &mut resource.scope_metrics {
            scope.metrics.retain_mut(|metric| {
                let name = metric.name.clone();
                match &mut metric.data {
                    Some(data) if name.is_empty() => {
                        checked.reject(points(data), "a metric has no name".to_owned());
                        return false;
                    }
                    Some(data) => data_points(&mut checked, data, &name),
                    None => checked.reject(1, format!("metric `{name}` has no data")),
                }
                metric.data.is_some()
            });
        }
    }
    checked
}

fn points(data: &Data) -> usize {
    match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    }
}

fn data_points(checked: &mut Checked, data: &mut Data, name: &str) {
    match data {
        Data::Gauge(gauge) => checked.retain(&mut gauge.data_points, |point| number(point, name)),
        Data::Sum(sum) => checked.retain(&mut sum.data_points, |point| number(point, name)),
        Data::Histogram(histogram) => {
            checked.retain(&mut histogram.data_points, |point| buckets(point, name));
        }
        Data::ExponentialHistogram(histogram) => {
            checked.retain(&mut histogram.data_points, |_| Ok(()));
        }
        Data::Summary(summary) => checked.retain(&mut summary.data_points, |_| Ok(())),
    }
}

fn number(point: &NumberDataPoint, name: &str) -> Result<(), String> {
    match point.value {
        Some(Value::AsInt(_)) => Ok(()),
        Some(Value::AsDouble(number)) if number.is_finite() => Ok(()),
        _ if point.flags & NO_RECORDED_VALUE != 0 => Ok(()),
        _ => Err(format!("metric `{name}`: a data point has no finite value")),
    }
}

fn buckets(point: &HistogramDataPoint, name: &str) -> Result<(), String> {
    let (counts, bounds) = (&point.bucket_counts, &point.explicit_bounds);
    let none = counts.is_empty() && bounds.is_empty();
    if !none && counts.len() != bounds.len() + 1 {
        return Err(format!("metric `{name}`: a histogram has one count more than bounds"));
    }
    if !bounds.is_sorted_by(|lower, upper| lower < upper) {
        return Err(format!("metric `{name}`: a histogram's bounds must rise"));
    }
    Ok(())
}
