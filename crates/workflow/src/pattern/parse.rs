//! From JSON to a pattern, refusing what the service refuses in its own words.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Bound, Field, Matcher, Node, Not, Text};
use crate::wildcard::Wildcard;

/// The largest number, either way, that is compared.
const LARGEST: f64 = 5e9;
/// The matchers' names.
const MATCHERS: [&str; 8] = [
    "exists",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "anything-but",
    "numeric",
    "cidr",
    "wildcard",
];

/// Reads a pattern.
pub fn pattern(value: &Value) -> Result<Node, String> {
    match value {
        Value::Object(fields) => node(fields),
        _ => Err("Filter is not an object".to_owned()),
    }
}

fn node(fields: &Map<String, Value>) -> Result<Node, String> {
    if fields.is_empty() {
        return Err("Empty objects are not allowed".to_owned());
    }
    let mut node = Node::default();
    for (name, value) in fields {
        match value {
            Value::Array(nodes) if name == "$or" && is_or(nodes) => {
                let nodes = nodes.iter().map(pattern).collect::<Result<_, _>>()?;
                node.either.push(nodes);
            }
            Value::Object(below) => {
                node.fields.push((name.clone(), Field::Below(self::node(below)?)));
            }
            Value::Array(matchers) if matchers.is_empty() => {
                return Err("Empty arrays are not allowed".to_owned());
            }
            Value::Array(matchers) => {
                let matchers = matchers.iter().map(matcher).collect::<Result<_, _>>()?;
                node.fields.push((name.clone(), Field::Leaf(matchers)));
            }
            _ => return Err(format!("\"{name}\" must be an object or an array")),
        }
    }
    Ok(node)
}

/// `$or` means alternatives only with two objects or more that are not matchers themselves.
fn is_or(nodes: &[Value]) -> bool {
    let plain = |node: &Value| {
        node.as_object()
            .is_some_and(|fields| !fields.keys().any(|name| MATCHERS.contains(&name.as_str())))
    };
    nodes.len() >= 2 && nodes.iter().all(plain)
}

fn matcher(value: &Value) -> Result<Matcher, String> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(_) => {
            return Err("Match value must be String, number, true, false, or null".to_owned());
        }
        value => return Ok(Matcher::Value(value.clone())),
    };
    let (name, value) = only(fields)?;
    Ok(match name.as_str() {
        "exists" => {
            let wanted = value.as_bool();
            Matcher::Exists(wanted.ok_or("exists match pattern must be either true or false.")?)
        }
        "prefix" => Matcher::Text(edge(name, value, Text::Prefix, Text::PrefixIgnoringCase)?),
        "suffix" => Matcher::Text(edge(name, value, Text::Suffix, Text::SuffixIgnoringCase)?),
        "equals-ignore-case" => Matcher::Text(Text::IgnoringCase(string(name, value)?)),
        "wildcard" => Matcher::Text(wildcard(value)?),
        "anything-but" => Matcher::Not(anything_but(value)?),
        "numeric" => numeric(value)?,
        "cidr" => cidr(value)?,
        other => return Err(format!("Unrecognized match type {other}")),
    })
}

fn only(fields: &Map<String, Value>) -> Result<(&String, &Value), String> {
    let mut all = fields.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err("Empty objects are not allowed".to_owned()),
        _ => Err("Only one key allowed in match expression".to_owned()),
    }
}

fn string(name: &str, value: &Value) -> Result<String, String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("{name} match pattern must be a string"))
}

/// A prefix or suffix, which may ignore case.
fn edge(
    name: &str,
    value: &Value,
    plain: fn(String) -> Text,
    ignoring_case: fn(String) -> Text,
) -> Result<Text, String> {
    match value {
        Value::Object(fields) => {
            let (inner, value) = only(fields)?;
            if inner != "equals-ignore-case" {
                return Err(format!("Unsupported anything-but pattern: {inner}"));
            }
            string(inner, value).map(ignoring_case)
        }
        value => string(name, value).map(plain),
    }
}

fn wildcard(value: &Value) -> Result<Text, String> {
    let pattern = string("wildcard", value)?;
    let mut characters = pattern.chars().enumerate().peekable();
    // Positions count from the quote before the text.
    while let Some((at, c)) = characters.next() {
        match (c, characters.peek()) {
            ('*', Some((_, '*'))) => {
                return Err(format!("Consecutive wildcard characters at pos {}", at + 1));
            }
            ('\\', Some((_, '*' | '\\'))) => {
                characters.next();
            }
            ('\\', _) => return Err(format!("Invalid escape character at pos {}", at + 1)),
            _ => {}
        }
    }
    Ok(Text::Wildcard(Wildcard::parse(&pattern)))
}

fn anything_but(value: &Value) -> Result<Vec<Not>, String> {
    match value {
        Value::Object(fields) => {
            let (name, value) = only(fields)?;
            let all = match value {
                Value::Array(all) if all.is_empty() => {
                    return Err("Empty arrays are not allowed".to_owned());
                }
                Value::Array(all) => all.clone(),
                one => vec![one.clone()],
            };
            all.iter().map(|value| not_text(name, value).map(Not::Text)).collect()
        }
        Value::Array(all) if all.is_empty() => Err("Empty arrays are not allowed".to_owned()),
        Value::Array(all) => {
            if all.iter().any(|value| !value.is_string() && !value.is_number()) {
                let why = "Inside anything but list, start|null|boolean is not supported.";
                return Err(why.to_owned());
            }
            if all.iter().any(Value::is_string) && all.iter().any(Value::is_number) {
                let why = "Inside anything but list, either all values are number or string, \
                           mixed type is not supported";
                return Err(why.to_owned());
            }
            Ok(all.iter().cloned().map(Not::Value).collect())
        }
        Value::String(_) | Value::Number(_) => Ok(vec![Not::Value(value.clone())]),
        _ => {
            Err("Value of anything-but must be an array or single string/number value.".to_owned())
        }
    }
}

fn not_text(name: &str, value: &Value) -> Result<Text, String> {
    match name {
        "prefix" | "suffix" => {
            match value {
                Value::String(text) if text.is_empty() => {
                    return Err("Null prefix/suffix not allowed".to_owned());
                }
                Value::String(_) | Value::Object(_) => {}
                _ => return Err("prefix/suffix match pattern must be a string".to_owned()),
            }
            match name {
                "prefix" => edge(name, value, Text::Prefix, Text::PrefixIgnoringCase),
                _ => edge(name, value, Text::Suffix, Text::SuffixIgnoringCase),
            }
        }
        "equals-ignore-case" => match value {
            Value::String(text) => Ok(Text::IgnoringCase(text.clone())),
            _ => {
                let why = "Inside anything-but/equals-ignore-case list, number|start|null|boolean \
                           is not supported.";
                Err(why.to_owned())
            }
        },
        "wildcard" => wildcard(value),
        other => Err(format!("Unsupported anything-but pattern: {other}")),
    }
}

fn numeric(value: &Value) -> Result<Matcher, String> {
    let Value::Array(all) = value else {
        return Err("Value of numeric must be an array.".to_owned());
    };
    let mut all = all.iter();
    let (mut low, mut high) = (None, None);
    let mut first = true;
    while let Some(operator) = all.next() {
        let operator =
            operator.as_str().ok_or("Invalid member in numeric match: a string is expected")?;
        let number = all.next().and_then(Value::as_f64);
        let value = number.ok_or_else(|| format!("Value of {operator} must be numeric"))?;
        if !(-LARGEST..=LARGEST).contains(&value) {
            return Err("Value must be between -5.0E9 and 5.0E9, inclusive".to_owned());
        }
        let bound = |included| Some(Bound { value, included });
        match operator {
            "=" if first => (low, high) = (bound(true), bound(true)),
            ">" if low.is_none() && high.is_none() => low = bound(false),
            ">=" if low.is_none() && high.is_none() => low = bound(true),
            "<" if high.is_none() => high = bound(false),
            "<=" if high.is_none() => high = bound(true),
            "=" | ">" | ">=" | "<" | "<=" => {
                return Err("Too many elements in numeric expression".to_owned());
            }
            other => return Err(format!("Unrecognized numeric range operator: {other}")),
        }
        first = false;
    }
    match (low, high) {
        (None, None) => Err("Invalid member in numeric match: empty".to_owned()),
        (Some(low), Some(high))
            if low.value > high.value
                || (low.value == high.value && !(low.included && high.included)) =>
        {
            Err("Bottom must be less than top".to_owned())
        }
        _ => Ok(Matcher::Numeric { low, high }),
    }
}

fn cidr(value: &Value) -> Result<Matcher, String> {
    // The service names the wrong matcher here.
    let text = string("prefix", value)?;
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) if !bits.contains('/') => (address, Some(bits)),
        Some(_) => return Err("Malformed CIDR, one '/' required".to_owned()),
        None => (text.as_str(), None),
    };
    let network: IpAddr =
        address.parse().map_err(|_| format!("Malformed CIDR, invalid address: {address}"))?;
    let width = if network.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= width),
        None => Some(width),
    };
    let bits = bits.ok_or("Malformed CIDR, mask bits must be an integer in range")?;
    Ok(Matcher::Cidr { network, bits })
}
