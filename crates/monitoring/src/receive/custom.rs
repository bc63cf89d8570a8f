//! Measures and scores in plain JSON, for those who have no OpenTelemetry at hand: they become OTLP
//! and go the same way.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use release::Timestamp;
use serde::{Deserialize, Serialize};

use super::Export;
use crate::attributes as name;
use crate::record::TraceId;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The metric's name, as `user.satisfaction`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit in UCUM, as `s`, `%` or `{star}`.
    #[serde(default)]
    pub unit: String,
    /// When it was measured (RFC 3339); now if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub timestamp: Option<Timestamp>,
    /// What it was measured of. `app`, `environment`, `release` and `service` are known everywhere.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
}

/// What somebody thought of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Judgement {
    /// The answer's trace, as `x-groundcrew-trace` told it.
    #[schemars(with = "Option<String>")]
    pub trace: Option<TraceId>,
    /// The provider's id of the answer, where the trace is not known.
    pub response: String,
    /// What was judged, as `helpful`.
    pub name: String,
    /// The score.
    pub value: Option<f64>,
    /// The score in a word, as `pass`.
    pub label: String,
    /// Why.
    pub explanation: String,
    /// Why there is no score.
    pub error: String,
    /// When (RFC 3339); now if absent.
    #[schemars(with = "Option<String>")]
    pub timestamp: Option<Timestamp>,
    /// What else is known. `app`, `environment`, `release` and `service` are known everywhere.
    pub attributes: BTreeMap<String, String>,
}

/// Measurements as OTLP.
pub fn measures(measures: Vec<Measure>, now: Timestamp) -> Export {
    let metrics = measures.into_iter().map(|measure| {
        let point = NumberDataPoint {
            time_unix_nano: unix(measure.timestamp.unwrap_or(now)),
            attributes: measure.dimensions.into_iter().map(dimension).collect(),
            value: Some(number_data_point::Value::AsDouble(measure.value)),
            ..NumberDataPoint::default()
        };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: measure.name, unit: measure.unit, data, ..Metric::default() }
    });
    let scope_metrics = vec![ScopeMetrics { metrics: metrics.collect(), ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
    Export::Metrics(ExportMetricsServiceRequest { resource_metrics })
}

/// Scores as OTLP: events named `gen_ai.evaluation.result`.
///
/// # Errors
/// What is missing.
pub fn judgements(judgements: Vec<Judgement>, now: Timestamp) -> Result<Export, String> {
    let records = judgements.into_iter().map(|judgement| record(judgement, now));
    let log_records = records.collect::<Result<_, _>>()?;
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    Ok(Export::Logs(ExportLogsServiceRequest { resource_logs }))
}

fn record(judgement: Judgement, now: Timestamp) -> Result<LogRecord, String> {
    if judgement.name.is_empty() {
        return Err("a score needs a `name`: what was judged".to_owned());
    }
    let known = judgement.trace.is_some() || !judgement.response.is_empty();
    if !known {
        return Err(format!("score `{}` needs a `trace` or a `response`", judgement.name));
    }
    if judgement.value.is_none() && judgement.label.is_empty() && judgement.error.is_empty() {
        return Err(format!("score `{}` needs a `value`, a `label` or an `error`", judgement.name));
    }
    let mut attributes: Vec<_> = judgement.attributes.into_iter().map(dimension).collect();
    if let Some(value) = judgement.value {
        attributes.push(pair(name::EVALUATION_VALUE, Value::DoubleValue(value)));
    }
    let texts = [
        (name::EVALUATION_NAME, judgement.name),
        (name::EVALUATION_LABEL, judgement.label),
        (name::EVALUATION_EXPLANATION, judgement.explanation),
        (name::ERROR_TYPE, judgement.error),
        (name::RESPONSE_ID, judgement.response),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    attributes.extend(texts.map(|(key, text)| pair(key, Value::StringValue(text))));
    Ok(LogRecord {
        time_unix_nano: unix(judgement.timestamp.unwrap_or(now)),
        event_name: name::EVALUATION.to_owned(),
        trace_id: judgement.trace.map(|trace| trace.as_bytes().to_vec()).unwrap_or_default(),
        attributes,
        ..LogRecord::default()
    })
}

/// A dimension as an attribute; those that columns hold by their columns' names.
fn dimension((key, value): (String, String)) -> KeyValue {
    let key = match key.as_str() {
        "app" => name::APP,
        "environment" => name::ENVIRONMENT,
        "release" => name::RELEASE,
        "service" => name::SERVICE_NAME,
        other => other,
    };
    pair(key, Value::StringValue(value))
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn unix(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
