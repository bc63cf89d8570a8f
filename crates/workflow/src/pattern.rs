//! Event patterns: which events a rule is for, in EventBridge's language.
//!
//! A pattern has the shape of the events it matches. Its leaves are lists of alternatives: values,
//! or matchers such as `{"prefix": "a"}`. An array in an event matches if one of its elements does;
//! fields below an array must match within one element. The reference is AWS's event-ruler, whose
//! ways hold where they surprise: names joined by dots are one path (`{"a.b": …}` is
//! `{"a": {"b": …}}`), a path given twice counts as given last, objects are not values (so
//! `exists` sees only leaves), and a network begins at the very address it is written with.
//!
//! ```text
//!  text ─► parse ─► branches (the alternatives of $or, multiplied out): path ─► matchers
//!  event ─► flatten ─► path ─► leaves, each with its places in arrays ─► consistent?
//! ```

mod event;
mod matcher;
mod parse;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use event::Flat;
use matcher::Matcher;

/// The longest text of a pattern, in bytes.
pub const MAX_LENGTH: usize = 4_096;

/// A parsed pattern: one of its branches must match.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Branch>);

/// Paths, each with the matchers of which one must admit it; branches share what stood once.
/// Absences depend on the order.
type Branch = BTreeMap<String, Arc<[Matcher]>>;

/// Why a text is no pattern, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {0}")]
pub struct PatternError(pub String);

impl Pattern {
    /// Reads a pattern that is JSON already.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        parse::pattern(pattern).map(Self).map_err(PatternError)
    }

    /// Whether `event` is one it is for.
    pub fn matches(&self, event: &Value) -> bool {
        let wanted = self.0.iter().flat_map(|branch| branch.keys().map(String::as_str));
        let Some(event) = Flat::of(event, wanted.collect()) else { return false };
        let mut steps = HashMap::new();
        self.0.iter().any(|branch| event.fits(branch, &mut steps))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pattern = serde_json::from_str(text);
        Self::parse(&pattern.map_err(|error| PatternError(format!("not JSON: {error}")))?)
    }
}

#[cfg(test)]
mod tests;
