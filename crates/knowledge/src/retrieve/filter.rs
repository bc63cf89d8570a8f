//! Filters: which documents' passages may be found.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A condition on one of a document's properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "FilterForm", into = "FilterForm")]
#[schemars(with = "FilterForm")]
pub struct Filter {
    /// The property, as `language`.
    pub key: String,
    /// The test it must pass.
    pub test: Test,
    /// Whether it must fail the test instead.
    pub not: bool,
}

/// What is tested of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It is this.
    Equals(Value),
    /// It is one of these.
    In(Vec<Value>),
    /// It is a text that begins so.
    Prefix(String),
    /// It is a number between two numbers, or a text between two texts.
    Range {
        /// The least; any if absent.
        from: Option<Value>,
        /// The greatest; any if absent.
        to: Option<Value>,
    },
    /// It is there, whatever it is.
    Exists,
}

/// A condition on one of a document's properties: one test, or a range. `path` and `modified_at` are
/// known of every document; all others are its metadata. Of a list, as `tags`, one item that fits is
/// enough.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FilterForm {
    /// The property, as `language`.
    key: String,
    /// It is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Value>,
    /// It is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#in: Option<Vec<Value>>,
    /// It is a text that begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// It is at least this: a number, or a text, as the date `2026-11-26`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    /// It is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
    /// It is there, or with `false` it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
    /// Whether it must fail the test instead.
    #[serde(default, skip_serializing_if = "is_false")]
    not: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl TryFrom<FilterForm> for Filter {
    type Error = String;

    fn try_from(form: FilterForm) -> Result<Self, String> {
        let FilterForm { key, equals, r#in, prefix, from, to, exists, not } = form;
        let range = (from.is_some() || to.is_some()).then_some(Test::Range { from, to });
        let mut tests = [
            equals.map(Test::Equals),
            r#in.map(Test::In),
            prefix.map(Test::Prefix),
            range,
            exists.map(|_| Test::Exists),
        ]
        .into_iter()
        .flatten();
        match (tests.next(), tests.next()) {
            (Some(test), None) => Ok(Self { key, test, not: not != (exists == Some(false)) }),
            _ => Err(format!(
                "the filter on `{key}` needs one of equals, in, prefix, from and to, exists"
            )),
        }
    }
}

impl From<Filter> for FilterForm {
    fn from(filter: Filter) -> Self {
        let Filter { key, test, not } = filter;
        let form = Self { key, not, ..Self::default() };
        match test {
            Test::Equals(value) => Self { equals: Some(value), ..form },
            Test::In(values) => Self { r#in: Some(values), ..form },
            Test::Prefix(prefix) => Self { prefix: Some(prefix), ..form },
            Test::Range { from, to } => Self { from, to, ..form },
            Test::Exists => Self { exists: Some(true), ..form },
        }
    }
}

impl Filter {
    /// Whether a document with this property passes; `None` if it has none.
    pub(crate) fn passes(&self, value: Option<&Value>) -> bool {
        self.test.holds(value) != self.not
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let any = |test: &dyn Fn(&Value) -> bool| match value {
            Some(Value::Array(items)) => items.iter().any(test),
            Some(value) => test(value),
            None => false,
        };
        match self {
            Self::Exists => value.is_some_and(|value| !value.is_null()),
            Self::Equals(wanted) => any(&|value| same(value, wanted)),
            Self::In(wanted) => any(&|value| wanted.iter().any(|wanted| same(value, wanted))),
            Self::Prefix(prefix) => {
                any(&|value| value.as_str().is_some_and(|text| text.starts_with(prefix)))
            }
            Self::Range { from, to } => any(&|value| {
                let beyond = |limit: &Option<Value>, wrong: Ordering| {
                    limit.as_ref().is_some_and(|limit| {
                        compare(value, limit).is_none_or(|order| order == wrong)
                    })
                };
                !beyond(from, Ordering::Less) && !beyond(to, Ordering::Greater)
            }),
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    a == b || compare(a, b) == Some(Ordering::Equal)
}

/// Numbers with numbers, texts with texts. A text that begins with a shorter one is that date.
fn compare(value: &Value, limit: &Value) -> Option<Ordering> {
    match (value, limit) {
        (Value::String(value), Value::String(limit)) => Some(value.cmp(limit)),
        _ => value.as_f64()?.partial_cmp(&limit.as_f64()?),
    }
}

/// As it is written in commands: `language=en`, `language!=en`, `tags=a|b`, `path^=docs/`,
/// `year>=2020`, `year<=2026`, `author` (there) and `!author` (not there).
impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let filter = |key: &str, test: Test, not: bool| match key.trim() {
            "" => Err(format!(
                "`{text}` is not a filter; write KEY=VALUE, KEY!=VALUE, KEY=A|B, KEY^=PREFIX, \
                 KEY>=VALUE, KEY<=VALUE, KEY or !KEY"
            )),
            key => Ok(Self { key: key.to_owned(), test, not }),
        };
        let split = |mark: &str| text.split_once(mark);
        if let Some((key, prefix)) = split("^=") {
            return filter(key, Test::Prefix(prefix.to_owned()), false);
        }
        if let Some((key, from)) = split(">=") {
            return filter(key, Test::Range { from: Some(scalar(from)), to: None }, false);
        }
        if let Some((key, to)) = split("<=") {
            return filter(key, Test::Range { from: None, to: Some(scalar(to)) }, false);
        }
        let (equals, not) = match split("!=") {
            Some(found) => (Some(found), true),
            None => (split("="), false),
        };
        match equals {
            Some((key, value)) if value.contains('|') => {
                filter(key, Test::In(value.split('|').map(scalar).collect()), not)
            }
            Some((key, value)) => filter(key, Test::Equals(scalar(value)), not),
            None => match text.strip_prefix('!') {
                Some(key) => filter(key, Test::Exists, true),
                None => filter(text, Test::Exists, false),
            },
        }
    }
}

/// A number or a truth value if it reads as one, else a text.
fn scalar(text: &str) -> Value {
    let read = serde_json::from_str::<Value>(text).ok();
    let plain = read.filter(|value| value.is_number() || value.is_boolean());
    plain.unwrap_or_else(|| Value::String(text.to_owned()))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let plain = |value: &Value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let not = if self.not { "!" } else { "" };
        match &self.test {
            Test::Exists => write!(f, "{not}{key}"),
            Test::Equals(value) => write!(f, "{key}{not}={}", plain(value)),
            Test::In(values) => {
                let values: Vec<_> = values.iter().map(plain).collect();
                write!(f, "{key}{not}={}", values.join("|"))
            }
            Test::Prefix(prefix) => write!(f, "{not}{key}^={prefix}"),
            Test::Range { from, to } => {
                let limit = |value: &Option<Value>| value.as_ref().map(plain).unwrap_or_default();
                write!(f, "{not}{}<={key}<={}", limit(from), limit(to))
            }
        }
    }
}

#[cfg(test)]
mod tests;
