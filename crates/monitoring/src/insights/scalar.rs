//! Functions on texts that DataFusion does not have.
//!
//! A field's value is a text; these read numbers, JSON and addresses out of it.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Float64Array, Int64Array, ListBuilder,
    StringArray, StringBuilder, StructArray, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionImplementation, Volatility, create_udf,
};
use serde_json::Value;

use super::syntax::Extract;

/// A function's texts, some of which may be missing.
type Texts<'a> = [Option<&'a str>];

/// Calls a function of texts on every row.
fn call(
    name: &str,
    arguments: Vec<Expr>,
    returns: DataType,
    over: impl Fn(&[&StringArray]) -> Result<ArrayRef> + Send + Sync + 'static,
) -> Expr {
    let run: ScalarFunctionImplementation = Arc::new(move |values: &[ColumnarValue]| {
        let scalar = values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(values)?;
        let texts: Vec<_> = arrays.iter().map(|array| array.as_string::<i32>()).collect();
        let made = over(&texts)?;
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    });
    let types = vec![DataType::Utf8; arguments.len()];
    create_udf(name, types, returns, Volatility::Immutable, run).call(arguments)
}

/// The rows of some columns of texts.
fn rows<'a>(columns: &'a [&'a StringArray]) -> impl Iterator<Item = Vec<Option<&'a str>>> {
    let length = columns.first().map_or(0, |column| column.len());
    (0..length).map(|row| {
        let value = |column: &&'a StringArray| column.is_valid(row).then(|| column.value(row));
        columns.iter().map(value).collect()
    })
}

fn texts(name: &str, of: Vec<Expr>, each: fn(&Texts<'_>) -> Option<String>) -> Expr {
    call(name, of, DataType::Utf8, move |columns| {
        Ok(Arc::new(rows(columns).map(|row| each(&row)).collect::<StringArray>()))
    })
}

fn truths(name: &str, of: Vec<Expr>, each: fn(&Texts<'_>) -> Option<bool>) -> Expr {
    call(name, of, DataType::Boolean, move |columns| {
        Ok(Arc::new(rows(columns).map(|row| each(&row)).collect::<BooleanArray>()))
    })
}

/// The number that a text says, if it says one. True is 1 and false is 0, as CloudWatch has it.
pub fn read_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ if numeric => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// A text as a number.
pub fn number(of: Expr) -> Expr {
    call("number", vec![of], DataType::Float64, |columns| {
        let texts = columns[0].iter();
        let numbers = texts.map(|text| text.and_then(read_number));
        Ok(Arc::new(numbers.collect::<Float64Array>()))
    })
}

/// How two texts compare, as -1, 0 or 1: as numbers if both are, else as texts.
pub fn compare(left: Expr, right: Expr) -> Expr {
    call("compare", vec![left, right], DataType::Int64, |columns| {
        let each = |row: Vec<Option<&str>>| {
            let (left, right) = (row[0]?, row[1]?);
            let order = match (read_number(left), read_number(right)) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                _ => left.cmp(right),
            };
            Some(match order {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            })
        };
        Ok(Arc::new(rows(columns).map(each).collect::<Int64Array>()))
    })
}

/// Bytes that sort as CloudWatch sorts texts.
pub fn sort_key(of: Expr) -> Expr {
    call("sort_key", vec![of], DataType::Binary, |columns| {
        let mut keys = BinaryBuilder::new();
        for text in columns[0] {
            keys.append_option(text.map(natural_key));
        }
        Ok(Arc::new(keys.finish()))
    })
}

/// What is no number comes first, and in it digits are compared by how many they are and then by
/// value; numbers come last, by value.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Sort.html>
pub fn natural_key(text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 9);
    if let Some(number) = read_number(text) {
        let bits = number.to_bits();
        // Orders the bits of negative numbers backwards and below those of positive ones.
        let ordered = if number.is_sign_negative() { !bits } else { bits | (1 << 63) };
        key.push(1);
        key.extend(ordered.to_be_bytes());
        key.extend(text.as_bytes());
        return key;
    }
    key.push(0);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let taken = if digits > 0 { digits } else { first.len_utf8() };
        if digits > 0 {
            // A run of digits stands where digits do, but the longer one is later.
            key.push(b'0');
            key.extend(u16::try_from(digits).unwrap_or(u16::MAX).to_be_bytes());
        }
        key.extend(&rest.as_bytes()[..taken]);
        rest = &rest[taken..];
    }
    key
}

/// What stands at a path in a JSON text.
pub fn at_path(of: Expr, path: &str) -> Expr {
    let path = path.to_owned();
    call("at_path", vec![of], DataType::Utf8, move |columns| {
        let each = |text: Option<&str>| {
            let value: Value = serde_json::from_str(text?).ok()?;
            descend(&value, &path).and_then(shown)
        };
        Ok(Arc::new(columns[0].iter().map(each).collect::<StringArray>()))
    })
}

/// Goes down a path with points: names of members, and places in lists from 0. A name may itself
/// have points.
pub fn descend<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => {
            if let Some(found) = members.get(path) {
                return Some(found);
            }
            let points = path.match_indices('.').map(|(at, _)| at);
            points.into_iter().find_map(|at| descend(members.get(&path[..at])?, &path[at + 1..]))
        }
        Value::Array(items) => {
            let (index, rest) = path.split_once('.').unwrap_or((path, ""));
            let item = items.get(index.parse::<usize>().ok()?)?;
            if rest.is_empty() { Some(item) } else { descend(item, rest) }
        }
        _ => None,
    }
}

/// A JSON value as a field's text.
pub fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// The items of a JSON list; anything else is a list of one.
pub fn items(of: Expr) -> Expr {
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    call("items", vec![of], DataType::List(item), |columns| {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for text in columns[0] {
            let Some(text) = text else {
                lists.append(false);
                continue;
            };
            match serde_json::from_str(text) {
                Ok(Value::Array(items)) => {
                    items.iter().for_each(|item| lists.values().append_option(shown(item)));
                }
                _ => lists.values().append_value(text),
            }
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    })
}

/// JSON objects and lists as they are; what is no JSON is missing.
pub fn json_parse(of: Expr) -> Expr {
    texts("json_parse", vec![of], |row| {
        let value: Value = serde_json::from_str(row[0]?).ok()?;
        shown(&value)
    })
}

/// A value as JSON text.
pub fn json_stringify(of: Expr) -> Expr {
    texts("json_stringify", vec![of], |row| {
        let text = row[0]?;
        let structured = text.starts_with(['{', '[']);
        let kept = structured || read_number(text).is_some();
        match serde_json::from_str::<Value>(text) {
            Ok(value) if kept => Some(value.to_string()),
            _ => Some(Value::from(text).to_string()),
        }
    })
}

/// Whether a text is an address: of version 4, 6, or either.
pub fn valid_ip(of: Expr, version: Option<u8>) -> Expr {
    let each: fn(&Texts<'_>) -> Option<bool> = match version {
        Some(4) => |row| Some(address(row[0]?).is_some_and(|found| found.is_ipv4())),
        Some(_) => |row| Some(address(row[0]?).is_some_and(|found| found.is_ipv6())),
        None => |row| Some(address(row[0]?).is_some()),
    };
    truths("valid_ip", vec![of], each)
}

/// Whether an address lies in a subnet as `10.0.0.0/8`.
pub fn ip_in_subnet(of: Expr, subnet: Expr, version: Option<u8>) -> Expr {
    let each: fn(&Texts<'_>) -> Option<bool> = match version {
        Some(4) => |row| Some(in_subnet(row[0]?, row[1]?, Some(true))),
        Some(_) => |row| Some(in_subnet(row[0]?, row[1]?, Some(false))),
        None => |row| Some(in_subnet(row[0]?, row[1]?, None)),
    };
    truths("ip_in_subnet", vec![of, subnet], each)
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok()
}

fn in_subnet(text: &str, subnet: &str, version_4: Option<bool>) -> bool {
    let inside = || {
        let (network, bits) = subnet.trim().split_once('/')?;
        let (address, network) = (address(text)?, address(network)?);
        let bits: u32 = bits.parse().ok()?;
        let same = match (address, network) {
            (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
                let differing = address.to_bits() ^ network.to_bits();
                differing.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
                let differing = address.to_bits() ^ network.to_bits();
                differing.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => return None,
        };
        Some(same && version_4.is_none_or(|wanted| wanted == address.is_ipv4()))
    };
    inside().unwrap_or(false)
}

/// The fields of a structure of texts.
pub fn text_fields(names: &[String]) -> Fields {
    names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect()
}

/// One part of a structure of texts.
///
/// DataFusion's own function would be moved as near to the table as can be, and with it what makes
/// the structure: below the filters that make it cheap.
pub fn part(of: Expr, fields: &Fields, name: &str) -> Expr {
    let (place, part) = (fields.find(name).map(|(place, _)| place), format!("part {name}"));
    let run: ScalarFunctionImplementation = Arc::new(move |values: &[ColumnarValue]| {
        let made = values[0].to_array(1)?;
        let part = match place {
            Some(place) => Arc::clone(made.as_struct().column(place)),
            None => new_null_array(&DataType::Utf8, made.len()),
        };
        Ok(match values[0] {
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&part, 0)?)
            }
            ColumnarValue::Array(_) => ColumnarValue::Array(part),
        })
    });
    let types = vec![DataType::Struct(fields.clone())];
    create_udf(&part, types, DataType::Utf8, Volatility::Immutable, run).call(vec![of])
}

/// A structure of the parts that a pattern finds in a text; missing where it does not match.
pub fn extract(of: Expr, with: Extract, names: &[String]) -> Expr {
    let fields = text_fields(names);
    call("extract", vec![of], DataType::Struct(fields.clone()), move |columns| {
        let mut found: Vec<_> = fields.iter().map(|_| StringBuilder::new()).collect();
        for text in columns[0] {
            let parts = text.and_then(|text| match &with {
                Extract::Glob(literals) => glob(text, literals),
                Extract::Regex(regex) => regex.captures(text).map(|captures| {
                    captures.iter().skip(1).map(|group| group.map(|found| found.as_str())).collect()
                }),
            });
            let parts = parts.unwrap_or_else(|| vec![None; found.len()]);
            for (column, part) in found.iter_mut().zip(parts) {
                column.append_option(part);
            }
        }
        let arrays = found.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        Ok(Arc::new(StructArray::try_new(fields.clone(), arrays.collect(), None)?))
    })
}

/// What stands between the literals: as little as possible each, and the last one to the end if
/// nothing follows it.
///
/// No going back is needed: where the first literal's first place leads nowhere, a later one has
/// less text to find the others in.
fn glob<'a>(text: &'a str, literals: &[String]) -> Option<Vec<Option<&'a str>>> {
    let (first, rest) = literals.split_first()?;
    let mut at = text.find(first.as_str())? + first.len();
    let mut parts = Vec::with_capacity(rest.len());
    for (index, literal) in rest.iter().enumerate() {
        let last = index + 1 == rest.len();
        let end = match literal.is_empty() {
            true if last => text.len(),
            true => at,
            false => at + text[at..].find(literal.as_str())?,
        };
        parts.push(Some(&text[at..end]));
        at = end + literal.len();
    }
    Some(parts)
}

#[cfg(test)]
mod tests;
