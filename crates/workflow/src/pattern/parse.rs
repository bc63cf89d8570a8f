//! From JSON to branches, refusing what the service refuses in its own words.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::matcher::{Bound, Matcher, Text, address, millionths};
use super::{Branch, MAX_LENGTH};
use crate::wildcard::Wildcard;

/// The deepest nesting of objects.
const MAX_DEPTH: usize = 32;
/// The most branches that alternatives may multiply to.
const MAX_BRANCHES: usize = 1_000;
/// Names that mean no field inside `$or`.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];
const ONE_KEY: &str = "Only one key allowed in match expression";
const TOO_MANY: &str = "Too many elements in numeric expression";

/// Reads a pattern.
pub fn pattern(value: &Value) -> Result<Vec<Branch>, String> {
    let fields = value.as_object().ok_or("Filter is not an object")?;
    if value.to_string().len() > MAX_LENGTH {
        return Err(format!("the pattern is longer than {MAX_LENGTH} bytes"));
    }
    let mut branches = vec![Branch::new()];
    Reader { path: Vec::new(), in_or: false }.object(fields, &mut branches)?;
    Ok(branches)
}

/// Where in a pattern we are.
struct Reader<'a> {
    path: Vec<&'a str>,
    in_or: bool,
}

impl<'a> Reader<'a> {
    /// Adds an object's fields to each branch.
    fn object(
        &mut self,
        fields: &'a Map<String, Value>,
        branches: &mut Vec<Branch>,
    ) -> Result<(), String> {
        if fields.is_empty() {
            return Err("Empty objects are not allowed".to_owned());
        }
        if self.path.len() > MAX_DEPTH {
            return Err(format!("objects are nested deeper than {MAX_DEPTH}"));
        }
        for (name, value) in fields {
            if let Some(either) = alternatives(name, value) {
                self.either(&either, branches)?;
                continue;
            }
            if self.in_or && RESERVED.contains(&name.as_str()) {
                return Err(format!(
                    "{name} is Ruler reserved fieldName which cannot be used inside $or."
                ));
            }
            self.path.push(name);
            match value {
                Value::Object(below) => self.object(below, branches)?,
                Value::Array(all) => {
                    let matchers: Arc<[Matcher]> = matchers(all)?.into();
                    let path = self.path.join(".");
                    for branch in branches.iter_mut() {
                        branch.insert(path.clone(), Arc::clone(&matchers));
                    }
                }
                _ => return Err(format!("\"{name}\" must be an object or an array")),
            }
            self.path.pop();
        }
        Ok(())
    }

    /// Multiplies the branches by alternatives.
    fn either(
        &mut self,
        either: &[&'a Map<String, Value>],
        branches: &mut Vec<Branch>,
    ) -> Result<(), String> {
        let outer = std::mem::replace(&mut self.in_or, true);
        let before = std::mem::take(branches);
        for fields in either {
            let mut one = before.clone();
            self.object(fields, &mut one)?;
            branches.append(&mut one);
            if branches.len() > MAX_BRANCHES {
                return Err(format!("$or multiplies to more than {MAX_BRANCHES} combinations"));
            }
        }
        self.in_or = outer;
        Ok(())
    }
}

/// `$or` means alternatives only with two objects or more, of fields; else it is a field's name.
fn alternatives<'a>(name: &str, value: &'a Value) -> Option<Vec<&'a Map<String, Value>>> {
    let all = value.as_array().filter(|all| name == "$or" && all.len() >= 2)?;
    let fields = |value: &'a Value| {
        let fields = value.as_object()?;
        (!fields.keys().any(|name| RESERVED.contains(&name.as_str()))).then_some(fields)
    };
    all.iter().map(fields).collect()
}

fn matchers(all: &[Value]) -> Result<Vec<Matcher>, String> {
    if all.is_empty() {
        return Err("Empty arrays are not allowed".to_owned());
    }
    all.iter().map(matcher).collect()
}

fn matcher(value: &Value) -> Result<Matcher, String> {
    match value {
        Value::Object(fields) => expression(fields),
        Value::Array(_) => {
            Err("Match value must be String, number, true, false, or null".to_owned())
        }
        // An address is compared as one, however it is spelt.
        Value::String(text) => Ok(match address(text) {
            Some(address) => Matcher::Addresses(address, address),
            None => Matcher::Value(value.clone()),
        }),
        value => Ok(Matcher::Value(value.clone())),
    }
}

fn expression(fields: &Map<String, Value>) -> Result<Matcher, String> {
    let (name, value) = fields.iter().next().ok_or("Match expression name not found")?;
    let matcher = match name.as_str() {
        "exactly" => {
            let text = value.as_str().ok_or("exact match pattern must be a string")?;
            Matcher::Value(text.into())
        }
        "exists" => {
            let wanted = value.as_bool();
            Matcher::Exists(wanted.ok_or("exists match pattern must be either true or false.")?)
        }
        "prefix" | "suffix" => Matcher::Text(edge(name, value)?),
        "equals-ignore-case" => Matcher::Text(Text::IgnoringCase(lower(value)?)),
        "wildcard" => Matcher::Text(Text::Wildcard(wildcard(value)?)),
        "anything-but" => Matcher::Not(anything_but(value)?),
        "numeric" => numeric(value)?,
        "cidr" => cidr(value)?,
        other => return Err(format!("Unrecognized match type {other}")),
    };
    match (fields.len(), name.as_str()) {
        (1, _) => Ok(matcher),
        (_, "numeric" | "anything-but") => Err(TOO_MANY.to_owned()),
        _ => Err(ONE_KEY.to_owned()),
    }
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{name} match pattern must be a string"))
}

fn lower(value: &Value) -> Result<String, String> {
    text("equals-ignore-case", value).map(str::to_lowercase)
}

/// A prefix or suffix, which may ignore case.
fn edge(name: &str, value: &Value) -> Result<Text, String> {
    let prefix = name == "prefix";
    let Some(fields) = value.as_object() else {
        return text(name, value).map(|text| plain_edge(prefix, text));
    };
    let capital = if prefix { "Prefix" } else { "Suffix" };
    let first = fields.iter().next();
    let (inner, value) = first.ok_or_else(|| format!("{capital} expression name not found"))?;
    if inner != "equals-ignore-case" {
        return Err(format!("Unsupported {name} pattern: {inner}"));
    }
    let text = lower(value)?;
    match fields.len() {
        1 if prefix => Ok(Text::PrefixIgnoringCase(text)),
        1 => Ok(Text::SuffixIgnoringCase(text)),
        _ => Err(ONE_KEY.to_owned()),
    }
}

fn plain_edge(prefix: bool, text: &str) -> Text {
    if prefix { Text::Prefix(text.to_owned()) } else { Text::Suffix(text.to_owned()) }
}

fn wildcard(value: &Value) -> Result<Wildcard, String> {
    let pattern = text("wildcard", value)?;
    let mut bytes = pattern.bytes().enumerate().peekable();
    // Positions are bytes and count from the quote before the text.
    while let Some((at, byte)) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'*', Some((_, b'*'))) => {
                return Err(format!("Consecutive wildcard characters at pos {}", at + 1));
            }
            (b'\\', Some((_, b'*' | b'\\'))) => {
                bytes.next();
            }
            (b'\\', _) => return Err(format!("Invalid escape character at pos {}", at + 1)),
            _ => {}
        }
    }
    Ok(Wildcard::parse(pattern))
}

fn anything_but(value: &Value) -> Result<Vec<Matcher>, String> {
    let one_of = "Value of anything-but must be an array or single string/number value.";
    match value {
        Value::Object(fields) => {
            let first = fields.iter().next();
            let (form, value) = first.ok_or("Anything-But expression name not found")?;
            if !matches!(form.as_str(), "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
                return Err(format!("Unsupported anything-but pattern: {form}"));
            }
            let not = match value {
                Value::Array(all) if all.is_empty() => {
                    return Err("Empty arrays are not allowed".to_owned());
                }
                Value::Array(all) => {
                    all.iter().map(|value| not_text(form, value)).collect::<Result<_, _>>()?
                }
                Value::String(_) | Value::Number(_) => vec![not_text(form, value)?],
                _ => return Err(one_of.to_owned()),
            };
            if fields.len() == 1 { Ok(not) } else { Err(TOO_MANY.to_owned()) }
        }
        Value::Array(all) => {
            let not = all.iter().map(not_value).collect::<Result<Vec<_>, _>>()?;
            // An empty list is of no kind at all.
            if all.is_empty()
                || (all.iter().any(Value::is_string) && !all.iter().all(Value::is_string))
            {
                let why = "Inside anything but list, either all values are number or string, \
                           mixed type is not supported";
                return Err(why.to_owned());
            }
            Ok(not)
        }
        Value::String(_) | Value::Number(_) => Ok(vec![not_value(value)?]),
        _ => Err(one_of.to_owned()),
    }
}

fn not_value(value: &Value) -> Result<Matcher, String> {
    match value {
        Value::String(_) => Ok(Matcher::Value(value.clone())),
        Value::Number(_) => comparable(value, "").map(|_| Matcher::Value(value.clone())),
        _ => Err("Inside anything but list, start|null|boolean is not supported.".to_owned()),
    }
}

fn not_text(form: &str, value: &Value) -> Result<Matcher, String> {
    let text = value.as_str().ok_or(match form {
        "equals-ignore-case" => {
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not \
             supported."
        }
        "wildcard" => "wildcard match pattern must be a string",
        _ => "prefix/suffix match pattern must be a string",
    })?;
    Ok(Matcher::Text(match form {
        "equals-ignore-case" => Text::IgnoringCase(text.to_lowercase()),
        "wildcard" => Text::Wildcard(wildcard(value)?),
        _ if text.is_empty() => return Err("Null prefix/suffix not allowed".to_owned()),
        _ => plain_edge(form == "prefix", text),
    }))
}

/// A number that can be compared, in millionths.
fn comparable(value: &Value, operator: &str) -> Result<i64, String> {
    let number = value.as_number().ok_or_else(|| {
        let operator = if operator == "=" { "equals" } else { operator };
        format!("Value of {operator} must be numeric")
    })?;
    let within = number.as_f64().is_some_and(|number| number.abs() <= 5e9);
    millionths(number).ok_or_else(|| match within {
        true => format!("Only values upto 6 decimals are supported{number}"),
        false => "Value must be between -5.0E9 and 5.0E9, inclusive".to_owned(),
    })
}

fn numeric(value: &Value) -> Result<Matcher, String> {
    let all = value.as_array().ok_or("Value of numeric must be an array.")?;
    let operator = all.first().unwrap_or(&Value::Null);
    let operator =
        operator.as_str().ok_or_else(|| format!("Invalid member in numeric match: {operator}"))?;
    if !matches!(operator, "=" | ">" | ">=" | "<" | "<=") {
        return Err(format!("Unrecognized numeric range operator: {operator}"));
    }
    let bound = |operator: &str, at: usize| {
        let millionths = comparable(all.get(at).unwrap_or(&Value::Null), operator)?;
        Ok::<_, String>(Bound { millionths, included: operator.ends_with('=') })
    };
    let first = bound(operator, 1)?;
    let (low, high) = match operator {
        "=" => (Some(first), Some(first)),
        ">" | ">=" => (Some(first), None),
        _ => (None, Some(first)),
    };
    match all.get(2) {
        None => Ok(Matcher::Numeric { low, high }),
        Some(_) if high.is_some() => Err(TOO_MANY.to_owned()),
        Some(Value::String(operator)) if matches!(operator.as_str(), "<" | "<=") => {
            let high = bound(operator, 3)?;
            if all.len() > 4 {
                Err("Too many terms in numeric range expression".to_owned())
            } else if first.millionths >= high.millionths {
                Err("Bottom must be less than top".to_owned())
            } else {
                Ok(Matcher::Numeric { low, high: Some(high) })
            }
        }
        Some(Value::String(operator)) => Err(format!("Bad numeric range operator: {operator}")),
        Some(other) => Err(format!("Bad value in numeric range: {other}")),
    }
}

fn cidr(value: &Value) -> Result<Matcher, String> {
    // The service names the wrong matcher here.
    let text = text("prefix", value)?;
    let parts: Vec<&str> = text.split('/').collect();
    let [network, bits] = parts[..] else {
        return Err("Malformed CIDR, one '/' required".to_owned());
    };
    let bits: i32 = bits.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer")?;
    let bits = u32::try_from(bits).map_err(|_| "Malformed CIDR, mask bits must not be negative")?;
    let first = address(network).ok_or_else(|| format!("Nonstandard IP address: {network}"))?;
    let last = match first {
        IpAddr::V4(_) if bits > 31 => return Err("IPv4 mask bits must be < 32".to_owned()),
        IpAddr::V6(_) if bits > 127 => return Err("IPv6 mask bits must be < 128".to_owned()),
        IpAddr::V4(first) => IpAddr::from((first.to_bits() | (u32::MAX >> bits)).to_be_bytes()),
        IpAddr::V6(first) => IpAddr::from((first.to_bits() | (u128::MAX >> bits)).to_be_bytes()),
    };
    Ok(Matcher::Addresses(first, last))
}
