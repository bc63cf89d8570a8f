//! Values of attributes as text and as JSON.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::Value as Json;

/// The value as text: JSON, unless it is text, a number or a truth value.
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::StringValue(text) => Cow::Borrowed(text),
        Value::BoolValue(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        Value::IntValue(number) => Cow::Owned(number.to_string()),
        Value::DoubleValue(number) => Cow::Owned(number.to_string()),
        Value::BytesValue(bytes) => Cow::Owned(STANDARD.encode(bytes)),
        list => Cow::Owned(json(list).to_string()),
    }
}

/// The value as JSON.
pub fn json(value: &Value) -> Json {
    match value {
        Value::StringValue(text) => Json::String(text.clone()),
        Value::BoolValue(flag) => Json::Bool(*flag),
        Value::IntValue(number) => Json::from(*number),
        // JSON has no word for what is no number.
        Value::DoubleValue(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| Json::String(number.to_string()), Json::Number),
        Value::ArrayValue(list) => list.values.iter().map(any).collect(),
        Value::KvlistValue(list) => pairs(&list.values),
        Value::BytesValue(bytes) => Json::String(STANDARD.encode(bytes)),
        // Only profiles refer to tables of strings.
        Value::StringValueStrindex(_) => Json::Null,
    }
}

/// A value that may be absent.
pub fn any(value: &AnyValue) -> Json {
    value.value.as_ref().map_or(Json::Null, json)
}

/// Pairs as an object.
pub fn pairs(pairs: &[KeyValue]) -> Json {
    let fields = pairs.iter().map(|pair| {
        let value = pair.value.as_ref().map_or(Json::Null, any);
        (pair.key.clone(), value)
    });
    Json::Object(fields.collect())
}

/// A whole number, however it is written.
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::IntValue(number) => Some(*number),
        Value::DoubleValue(number) if number.fract() == 0.0 => Some(*number as i64),
        Value::StringValue(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A finite number, however it is written.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::IntValue(number) => *number as f64,
        Value::DoubleValue(number) => *number,
        Value::StringValue(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(number).filter(|number| number.is_finite())
}

/// An id in hex; empty if it has not `length` bytes or is all zero.
pub fn id(bytes: &[u8], length: usize) -> String {
    use std::fmt::Write;
    if bytes.len() != length || bytes.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    bytes.iter().fold(String::with_capacity(length * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
