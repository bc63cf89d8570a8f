//! Bodies: unpacking within bounds, and OTLP's JSON.
//!
//! The JSON encoding (OTLP specification, "JSON Protobuf Encoding") has ids in hex, enumerations as
//! numbers and 64-bit numbers as text. Senders take liberties, which are put right first.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::limits::{MAX_JSON_VALUES, MAX_PLAIN};
use super::{Export, Refused};
use crate::frame::Signal;

/// How a body is written; an answer is written alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Format {
    /// The format that a `Content-Type` names.
    ///
    /// # Errors
    /// [`Refused::Unsupported`] if it is none of ours.
    pub fn of(content_type: Option<&str>) -> Result<Self, Refused> {
        let given = content_type.unwrap_or("no content type");
        let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refused::Unsupported(given.to_owned())),
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The body without its encoding.
pub fn plain(encoding: Option<&str>, body: Bytes) -> Result<Bytes, Refused> {
    let too_large = Refused::TooLarge { limit: MAX_PLAIN, unit: "bytes" };
    match encoding.map(str::trim).unwrap_or_default() {
        "" | "identity" if body.len() > MAX_PLAIN => Err(too_large),
        "" | "identity" => Ok(body),
        "gzip" => {
            let mut plain = Vec::new();
            let mut unpacked = MultiGzDecoder::new(&*body).take(MAX_PLAIN as u64 + 1);
            let read = unpacked.read_to_end(&mut plain);
            read.map_err(|error| Refused::Malformed(format!("it is no gzip: {error}")))?;
            if plain.len() > MAX_PLAIN { Err(too_large) } else { Ok(plain.into()) }
        }
        other => Err(Refused::Unsupported(other.to_owned())),
    }
}

/// Reads OTLP's JSON.
pub fn from_json(signal: Signal, bytes: &[u8]) -> Result<Export, Refused> {
    // Values are separated by commas: counting them bounds what parsing can take.
    if bytes.iter().filter(|byte| **byte == b',').count() > MAX_JSON_VALUES {
        return Err(Refused::TooLarge { limit: MAX_JSON_VALUES, unit: "values" });
    }
    match signal {
        Signal::Traces => read(bytes).map(Export::Traces),
        Signal::Metrics => read(bytes).map(Export::Metrics),
        Signal::Logs => read(bytes).map(Export::Logs),
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let malformed = |error: serde_json::Error| Refused::Malformed(error.to_string());
    let mut value = serde_json::from_slice(bytes).map_err(malformed)?;
    // Not only when reading fails: what is wrong in a data point reads as no data point.
    repair(&mut value);
    serde_json::from_value(value).map_err(malformed)
}

/// Takes out `null`s, and puts numbers where names of enumerations and texts of numbers stand.
fn repair(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(repair);
        }
        Value::Object(fields) => repair_fields(fields),
        _ => {}
    }
}

fn repair_fields(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
    for (name, value) in fields {
        match (name.as_str(), &mut *value) {
            ("arrayValue" | "kvlistValue", Value::Object(list)) => {
                list.entry("values").or_insert_with(|| json!([]));
            }
            (
                "kind" | "code" | "severityNumber" | "aggregationTemporality",
                Value::String(word),
            ) => {
                if let Some(number) = enumeration(name, word) {
                    *value = number.into();
                }
            }
            (
                "asDouble"
                | "doubleValue"
                | "sum"
                | "min"
                | "max"
                | "zeroThreshold"
                | "scale"
                | "offset"
                | "flags"
                | "droppedAttributesCount"
                | "droppedEventsCount"
                | "droppedLinksCount",
                Value::String(word),
            ) => {
                if let Ok(number) = serde_json::from_str::<serde_json::Number>(word) {
                    *value = Value::Number(number);
                }
            }
            _ => {}
        }
        repair(value);
    }
}

fn enumeration(field: &str, word: &str) -> Option<i32> {
    let named = match field {
        "kind" => SpanKind::from_str_name(word).map(|kind| kind as i32),
        "code" => StatusCode::from_str_name(word).map(|code| code as i32),
        "severityNumber" => SeverityNumber::from_str_name(word).map(|number| number as i32),
        _ => AggregationTemporality::from_str_name(word).map(|temporality| temporality as i32),
    };
    named.or_else(|| word.parse().ok())
}
