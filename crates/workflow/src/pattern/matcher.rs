//! One condition on one leaf of an event.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Number, Value};

use crate::wildcard::Wildcard;

/// What a leaf may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// This value.
    Value(Value),
    /// The leaf is there, or is not.
    Exists(bool),
    /// A text of this form.
    Text(Text),
    /// None of these values; no text of one of these forms.
    Not(Vec<Self>),
    /// A number within bounds.
    Numeric {
        /// The lower bound.
        low: Option<Bound>,
        /// The upper bound.
        high: Option<Bound>,
    },
    /// An address from the first to the last.
    Addresses(IpAddr, IpAddr),
}

/// A form of text. What ignores case is kept in lower case.
#[derive(Debug, Clone, PartialEq)]
pub enum Text {
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It begins so, in whatever case.
    PrefixIgnoringCase(String),
    /// It ends so, in whatever case.
    SuffixIgnoringCase(String),
    /// It is this, in whatever case.
    IgnoringCase(String),
    /// It fits.
    Wildcard(Wildcard),
}

/// One end of a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The end, in millionths.
    pub millionths: i64,
    /// Whether it belongs to the range.
    pub included: bool,
}

impl Matcher {
    /// Whether a leaf that is there is admitted.
    pub fn admits(&self, leaf: &Value) -> bool {
        match self {
            Self::Exists(wanted) => *wanted,
            Self::Value(value) => same(value, leaf),
            Self::Text(text) => leaf.as_str().is_some_and(|leaf| text.admits(leaf)),
            Self::Not(all) => !all.iter().any(|not| not.admits(leaf)),
            Self::Numeric { low, high } => number(leaf).is_some_and(|number| {
                let above = |low: &Bound| number > low.millionths || low.is(number);
                let below = |high: &Bound| number < high.millionths || high.is(number);
                low.as_ref().is_none_or(above) && high.as_ref().is_none_or(below)
            }),
            Self::Addresses(first, last) => leaf
                .as_str()
                .and_then(address)
                // Addresses of the two families have an order, yet none lies between the other's.
                .is_some_and(|address| (*first..=*last).contains(&address)),
        }
    }
}

impl Bound {
    fn is(self, number: i64) -> bool {
        self.included && number == self.millionths
    }
}

impl Text {
    fn admits(&self, leaf: &str) -> bool {
        match self {
            Self::Prefix(prefix) => leaf.starts_with(prefix),
            Self::Suffix(suffix) => leaf.ends_with(suffix),
            Self::PrefixIgnoringCase(prefix) => leaf.to_lowercase().starts_with(prefix),
            Self::SuffixIgnoringCase(suffix) => leaf.to_lowercase().ends_with(suffix),
            Self::IgnoringCase(text) => leaf.to_lowercase() == *text,
            Self::Wildcard(wildcard) => wildcard.matches(leaf),
        }
    }
}

/// Equal values: numbers that are compared at all by value, others as they are written.
fn same(a: &Value, b: &Value) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn number(value: &Value) -> Option<i64> {
    millionths(value.as_number()?)
}

/// A number in millionths, if it is one that is compared: up to 5,000,000,000 either way, with six
/// decimals at most.
pub fn millionths(number: &Number) -> Option<i64> {
    let number = number.as_f64()?;
    let whole = (number * 1e6).round();
    // Dividing rounds to the nearest number, so this is the number that was written.
    let exact = number.abs() <= 5e9 && whole / 1e6 == number;
    exact.then_some(whole as i64)
}

/// An address, in the spellings of the reference: leading zeros are decimal, and an IPv4 address
/// wrapped in IPv6 is an IPv4 address.
pub fn address(text: &str) -> Option<IpAddr> {
    if !text.contains('.') {
        return text.parse().ok().map(|address: IpAddr| address.to_canonical());
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        *octet = part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()))?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}
