//! What is sent comes back as rows.

mod aliases;
mod bad_input;
mod json;
mod kinds;
mod own;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use release::Timestamp;

use super::*;
use crate::rows;

/// When messages arrive here.
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::new(NOW, 0).unwrap()
}

/// Seconds before now, as OTLP writes it.
fn before(seconds: u64) -> u64 {
    (NOW as u64 - seconds) * 1_000_000_000
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

fn double(key: &str, value: f64) -> KeyValue {
    pair(key, Value::DoubleValue(value))
}

fn list(key: &str, values: &[&str]) -> KeyValue {
    let value = |text: &&str| AnyValue { value: Some(Value::StringValue((*text).into())) };
    pair(key, Value::ArrayValue(ArrayValue { values: values.iter().map(value).collect() }))
}

fn span(attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "chat gpt".into(),
        kind: 3,
        start_time_unix_nano: before(10),
        end_time_unix_nano: before(8),
        attributes,
        ..Span::default()
    }
}

fn traces(resource: Vec<KeyValue>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: resource, ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

/// The rows of a message that was admitted and logged.
fn through(signal: Signal, message: &impl Message) -> rows::Batch {
    let body = message.encode_to_vec().into();
    let received = admit(signal, Format::Protobuf, None, body).unwrap();
    decode(signal, &received.otlp, now())
}

/// The row of one span with these attributes.
fn row(attributes: Vec<KeyValue>) -> rows::Span {
    through(Signal::Traces, &traces(vec![], vec![span(attributes)])).spans.remove(0)
}

fn attribute<'a>(attributes: &'a [rows::Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
