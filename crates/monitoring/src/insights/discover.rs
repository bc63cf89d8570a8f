//! Fields that no column holds: in the attributes, and in the text of a row.
//!
//! CloudWatch discovers the members of JSON texts, and the fields of some services' lines:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html>.
//! All fields that a query names are looked for in one go, and the text is read at most once.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, MapArray, StringArray, StringBuilder, StructArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Expr, Volatility, create_udf};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::scalar::{descend, shown, text_fields};

/// A structure with a text for each of `names`, found in attributes and text.
pub fn discover(attributes: (Expr, DataType), text: Expr, names: Vec<String>) -> Expr {
    let fields = text_fields(&names);
    let returns = DataType::Struct(fields.clone());
    let run = Arc::new(move |values: &[ColumnarValue]| -> Result<ColumnarValue> {
        let scalar = values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(values)?;
        let attributes = arrays[0].as_map_opt();
        let texts = arrays[1].as_string::<i32>();
        let mut columns: Vec<_> = names.iter().map(|_| StringBuilder::new()).collect();
        let mut found: Vec<Option<String>> = vec![None; names.len()];
        for row in 0..texts.len() {
            found.iter_mut().for_each(|slot| *slot = None);
            if let Some(attributes) = attributes {
                in_attributes(attributes, row, &names, &mut found);
            }
            if texts.is_valid(row) && found.iter().any(Option::is_none) {
                in_text(texts.value(row), &names, &mut found);
            }
            for (column, value) in columns.iter_mut().zip(&found) {
                column.append_option(value.as_deref());
            }
        }
        let columns = columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let made: ArrayRef =
            Arc::new(StructArray::try_new(fields.clone(), columns.collect(), None)?);
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    });
    let types = vec![attributes.1, DataType::Utf8];
    create_udf("discover", types, returns, Volatility::Immutable, run)
        .call(vec![attributes.0, text])
}

fn in_attributes(map: &MapArray, row: usize, names: &[String], found: &mut [Option<String>]) {
    if map.is_null(row) {
        return;
    }
    let entries = map.value(row);
    let keys: Option<&StringArray> = entries.column(0).as_string_opt();
    let values: Option<&StringArray> = entries.column(1).as_string_opt();
    let (Some(keys), Some(values)) = (keys, values) else { return };
    for (key, value) in keys.iter().zip(values) {
        let (Some(key), Some(value)) = (key, value) else { continue };
        for (name, slot) in names.iter().zip(found.iter_mut()) {
            if slot.is_none() && name == key {
                *slot = Some(value.to_owned());
            }
        }
    }
}

/// Looks in a text: in the first JSON object in it, else by the form of its line.
pub fn in_text(text: &str, names: &[String], found: &mut [Option<String>]) {
    let before = found.iter().filter(|slot| slot.is_some()).count();
    if let Some(start) = text.find('{') {
        let mut json = serde_json::Deserializer::from_str(&text[start..]);
        // What was found before a mistake in the JSON counts.
        let _broken_off = Members { names, found }.deserialize(&mut json);
    }
    if found.iter().filter(|slot| slot.is_some()).count() > before {
        return;
    }
    for (name, value) in line_fields(text) {
        for (wanted, slot) in names.iter().zip(found.iter_mut()) {
            // Casing differs between AWS's pages (`srcAddr`, `srcaddr`).
            if slot.is_none() && wanted.eq_ignore_ascii_case(name) {
                *slot = Some(value.clone());
            }
        }
    }
}

/// Keeps the members that are wanted and skips all others.
struct Members<'a> {
    names: &'a [String],
    found: &'a mut [Option<String>],
}

impl Members<'_> {
    fn wants(&self, key: &str) -> bool {
        let under = |name: &String| {
            name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.names.iter().any(under)
    }
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if !self.wants(&key) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Value = members.next_value()?;
            for (name, slot) in self.names.iter().zip(self.found.iter_mut()) {
                let Some(rest) = name.strip_prefix(key.as_ref()) else { continue };
                let value = match rest.strip_prefix('.') {
                    Some(path) => descend(&value, path),
                    None if rest.is_empty() => Some(&value),
                    None => None,
                };
                if slot.is_none() {
                    *slot = value.and_then(shown);
                }
            }
        }
        Ok(())
    }
}

/// The fields of a line that Lambda, VPC flow logs or Route 53 wrote; none if none of them did.
fn line_fields(line: &str) -> Vec<(&'static str, String)> {
    let first = line.split_whitespace().next().unwrap_or_default();
    match first {
        "START" | "END" | "REPORT" => lambda(line, first),
        "2" => by_place(line, &FLOW),
        _ if first.parse::<f64>().is_ok() => by_place(line, &ROUTE_53),
        _ => Vec::new(),
    }
}

/// A flow log's default format, version 2.
const FLOW: [&str; 14] = [
    "version",
    "accountId",
    "interfaceId",
    "srcAddr",
    "dstAddr",
    "srcPort",
    "dstPort",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "logStatus",
];
/// A line of Route 53's query log.
const ROUTE_53: [&str; 10] = [
    "@version",
    "queryTimestamp",
    "hostedZoneId",
    "queryName",
    "queryType",
    "responseCode",
    "protocol",
    "edgeLocation",
    "resolverIp",
    "ednsClientSubnet",
];

fn by_place(line: &str, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let words: Vec<_> = line.split_whitespace().collect();
    if words.len() != names.len() {
        return Vec::new();
    }
    let present = names.iter().zip(words).filter(|(_, word)| *word != "-");
    present.map(|(name, word)| (*name, word.to_owned())).collect()
}

/// `REPORT RequestId: … Duration: 1.5 ms … Memory Size: 128 MB …`, with tabs or blanks between.
/// Sizes are told in bytes, of a million each, as CloudWatch's own queries expect.
fn lambda(line: &str, kind: &str) -> Vec<(&'static str, String)> {
    const LABELS: [(&str, &str, f64); 6] = [
        ("@duration", "Duration:", 1.0),
        ("@billedDuration", "Billed Duration:", 1.0),
        ("@initDuration", "Init Duration:", 1.0),
        ("@memorySize", "Memory Size:", 1e6),
        ("@maxMemoryUsed", "Max Memory Used:", 1e6),
        ("@restoreDuration", "Restore Duration:", 1.0),
    ];
    // `Duration:` also stands at the end of `Billed Duration:`, which is another field.
    let part_of_longer = |label: &str, at: usize| {
        LABELS.iter().filter(|(_, longer, _)| longer.len() > label.len()).any(|(_, longer, _)| {
            longer.ends_with(label) && line[..at + label.len()].ends_with(longer)
        })
    };
    let after = |label: &str| {
        let mut starts = line.match_indices(label).map(|(at, _)| at);
        let at = starts.find(|at| !part_of_longer(label, *at))?;
        line[at + label.len()..].split_whitespace().next()
    };
    let mut fields = vec![("@type", kind.to_owned())];
    fields.extend(after("RequestId:").map(|id| ("@requestId", id.to_owned())));
    for (name, label, unit) in LABELS {
        let number: Option<f64> = after(label).and_then(|word| word.parse().ok());
        fields.extend(number.map(|number| (name, (number * unit).to_string())));
    }
    fields
}

#[cfg(test)]
mod tests;
