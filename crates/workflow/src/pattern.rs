//! Event patterns: which events a rule is for, in EventBridge's language.
//!
//! A pattern has the shape of the events it matches. Its leaves are lists of alternatives: values,
//! or matchers such as `{"prefix": "a"}`. An array in an event matches if one of its elements does;
//! fields below an array must match within one element. The reference is AWS's event-ruler.

mod parse;

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::wildcard::Wildcard;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Node);

/// Why a text is no pattern, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {0}")]
pub struct PatternError(pub String);

/// What an object must hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    fields: Vec<(String, Field)>,
    /// Of each list, one node must match too.
    either: Vec<Vec<Node>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Below(Node),
    /// One of these must match.
    Leaf(Vec<Matcher>),
}

#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    Value(Value),
    Exists(bool),
    Text(Text),
    Not(Vec<Not>),
    Numeric { low: Option<Bound>, high: Option<Bound> },
    Cidr { network: IpAddr, bits: u8 },
}

#[derive(Debug, Clone, PartialEq)]
enum Text {
    Prefix(String),
    Suffix(String),
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    IgnoringCase(String),
    Wildcard(Wildcard),
}

/// What a value may not be.
#[derive(Debug, Clone, PartialEq)]
enum Not {
    Value(Value),
    Text(Text),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound {
    value: f64,
    included: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        parse::pattern(pattern).map(Self).map_err(PatternError)
    }

    /// Whether `event` is one it is for.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.matches(event)
    }
}

impl Node {
    fn matches(&self, value: &Value) -> bool {
        match value {
            Value::Object(fields) => self.matches_fields(fields),
            Value::Array(items) if !items.is_empty() => items.iter().any(|item| self.matches(item)),
            // Nothing is there: only what must be absent is satisfied.
            _ => self.matches_fields(&Map::new()),
        }
    }

    fn matches_fields(&self, fields: &Map<String, Value>) -> bool {
        let field = |(name, field): &(String, Field)| {
            let value = fields.get(name);
            match field {
                Field::Below(node) => node.matches(value.unwrap_or(&Value::Null)),
                Field::Leaf(matchers) => {
                    let mut leaves = Vec::new();
                    if let Some(value) = value {
                        gather(value, &mut leaves);
                    }
                    matchers.iter().any(|matcher| matcher.matches(&leaves))
                }
            }
        };
        self.fields.iter().all(field)
            && self.either.iter().all(|nodes| nodes.iter().any(|node| node.matches_fields(fields)))
    }
}

/// The plain values of a field; objects are none, and arrays only hold some.
fn gather<'a>(value: &'a Value, leaves: &mut Vec<&'a Value>) {
    match value {
        Value::Object(_) => {}
        Value::Array(items) => items.iter().for_each(|item| gather(item, leaves)),
        leaf => leaves.push(leaf),
    }
}

impl Matcher {
    fn matches(&self, leaves: &[&Value]) -> bool {
        match self {
            Self::Exists(wanted) => leaves.is_empty() != *wanted,
            _ => leaves.iter().any(|leaf| self.admits(leaf)),
        }
    }

    fn admits(&self, leaf: &Value) -> bool {
        match self {
            Self::Exists(_) => true,
            Self::Value(value) => crate::path::same(value, leaf),
            Self::Text(text) => leaf.as_str().is_some_and(|leaf| text.admits(leaf)),
            Self::Not(all) => !all.iter().any(|not| match not {
                Not::Value(value) => crate::path::same(value, leaf),
                Not::Text(text) => leaf.as_str().is_some_and(|leaf| text.admits(leaf)),
            }),
            Self::Numeric { low, high } => leaf.as_f64().is_some_and(|number| {
                low.is_none_or(|low| number > low.value || (low.included && number == low.value))
                    && high.is_none_or(|high| {
                        number < high.value || (high.included && number == high.value)
                    })
            }),
            Self::Cidr { network, bits } => {
                let address = leaf.as_str().and_then(|text| text.parse::<IpAddr>().ok());
                address.is_some_and(|address| within(address, *network, *bits))
            }
        }
    }
}

impl Text {
    fn admits(&self, leaf: &str) -> bool {
        let lower = |text: &str| text.to_lowercase();
        match self {
            Self::Prefix(prefix) => leaf.starts_with(prefix),
            Self::Suffix(suffix) => leaf.ends_with(suffix),
            Self::PrefixIgnoringCase(prefix) => lower(leaf).starts_with(&lower(prefix)),
            Self::SuffixIgnoringCase(suffix) => lower(leaf).ends_with(&lower(suffix)),
            Self::IgnoringCase(text) => lower(leaf) == lower(text),
            Self::Wildcard(wildcard) => wildcard.matches(leaf),
        }
    }
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let shift = width - u32::from(bits).min(width);
        shift == 128 || (a >> shift) == (b >> shift)
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            same(u128::from(u32::from(a)), u128::from(u32::from(b)), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => same(u128::from(a), u128::from(b), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
