//! The rules of Choice states in JSONPath: comparisons and their combinations.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::fault::Unevaluated;
use crate::path::{Path, Scope};
use crate::wildcard::Wildcard;
use release::Timestamp;

/// How deep `And`, `Or` and `Not` may nest.
const DEPTH: usize = 32;

/// A parsed rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// All hold.
    And(Vec<Rule>),
    /// One holds.
    Or(Vec<Rule>),
    /// It does not hold.
    Not(Box<Rule>),
    /// A comparison of what a path selects.
    Compare {
        /// The path.
        variable: Path,
        /// The comparison.
        operator: Operator,
    },
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// Of two values of one kind.
    Order {
        /// Their kind.
        kind: Kind,
        /// Which orders satisfy it.
        relation: Relation,
        /// The other value.
        to: Operand,
    },
    /// Of a text with a pattern in which `*` stands for any text.
    Matches(Wildcard),
    /// Of what the value is with what it should (not) be.
    Is(Test, bool),
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Texts, by their characters.
    String,
    /// Numbers, by value.
    Numeric,
    /// Truth values.
    Boolean,
    /// Moments, as RFC 3339 texts.
    Timestamp,
}

/// How two values must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same.
    Equals,
    /// Less.
    LessThan,
    /// Less or the same.
    LessThanEquals,
    /// More.
    GreaterThan,
    /// More or the same.
    GreaterThanEquals,
}

/// The other side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// As it stands.
    Value(Value),
    /// Selected.
    Path(Path),
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// `null`.
    Null,
    /// There.
    Present,
    /// A number.
    Numeric,
    /// A text.
    String,
    /// A truth value.
    Boolean,
    /// A text that is a moment.
    Timestamp,
}

/// The fields of a rule that are not its comparison.
const OTHERS: [&str; 5] = ["Variable", "Next", "Comment", "Assign", "Output"];

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(rule: &Map<String, Value>) -> Result<Self, String> {
        parse(rule, 0)
    }

    /// Notes the variables that it reads.
    pub fn variables<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Self::And(rules) | Self::Or(rules) => {
                rules.iter().for_each(|rule| rule.variables(names));
            }
            Self::Not(rule) => rule.variables(names),
            Self::Compare { variable, operator } => {
                variable.variables(names);
                if let Operator::Order { to: Operand::Path(path), .. } = operator {
                    path.variables(names);
                }
            }
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// If a path of it leads nowhere, but for `IsPresent`, or to too much.
    pub fn holds(&self, scope: Scope<'_>) -> Result<bool, Unevaluated> {
        scope.allowance.look(1)?;
        match self {
            Self::And(rules) => {
                for rule in rules {
                    if !rule.holds(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(rules) => {
                for rule in rules {
                    if rule.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(rule) => Ok(!rule.holds(scope)?),
            Self::Compare { variable, operator } => scope.allowance.briefly(|| {
                let value = variable.find(scope)?;
                if let Operator::Is(Test::Present, wanted) = operator {
                    return Ok(value.is_some() == *wanted);
                }
                operator.holds(&*found(variable, value)?, scope)
            }),
        }
    }
}

fn found<'a>(path: &Path, value: Option<Cow<'a, Value>>) -> Result<Cow<'a, Value>, Unevaluated> {
    value.ok_or_else(|| {
        Unevaluated::runtime(format!(
            "Invalid path '{path}': The choice state's condition path references an invalid value."
        ))
    })
}

impl Operator {
    fn holds(&self, value: &Value, scope: Scope<'_>) -> Result<bool, Unevaluated> {
        match self {
            Self::Matches(pattern) => Ok(value.as_str().is_some_and(|text| pattern.matches(text))),
            Self::Is(test, wanted) => Ok(test.admits(value) == *wanted),
            Self::Order { kind, relation, to } => {
                let other = match to {
                    Operand::Value(value) => Cow::Borrowed(value),
                    Operand::Path(path) => found(path, path.find(scope)?)?,
                };
                Ok(kind.order(value, &other).is_some_and(|order| relation.admits(order)))
            }
        }
    }
}

impl Test {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Present => true,
            Self::Numeric => value.is_number(),
            Self::String => value.is_string(),
            Self::Boolean => value.is_boolean(),
            Self::Timestamp => value.as_str().and_then(timestamp).is_some(),
        }
    }
}

impl Kind {
    /// How two values stand to each other; `None` if one is not of this kind.
    fn order(self, left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
        match self {
            Self::String => Some(left.as_str()?.cmp(right.as_str()?)),
            Self::Numeric => left.as_f64()?.partial_cmp(&right.as_f64()?),
            Self::Boolean => Some(left.as_bool()?.cmp(&right.as_bool()?)),
            Self::Timestamp => Some(timestamp(left.as_str()?)?.cmp(&timestamp(right.as_str()?)?)),
        }
    }
}

impl Relation {
    fn admits(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equals => order.is_eq(),
            Self::LessThan => order.is_lt(),
            Self::LessThanEquals => order.is_le(),
            Self::GreaterThan => order.is_gt(),
            Self::GreaterThanEquals => order.is_ge(),
        }
    }
}

/// The moment a text is: RFC 3339 with an upper-case `T`, and a `Z` or an offset.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let zoned = bytes.last() == Some(&b'Z')
        || bytes.iter().skip(19).any(|byte| matches!(byte, b'+' | b'-'));
    if bytes.get(10) != Some(&b'T') || !zoned {
        return None;
    }
    text.parse().ok()
}

fn parse(rule: &Map<String, Value>, depth: usize) -> Result<Rule, String> {
    if depth > DEPTH {
        return Err(format!("rules are nested more than {DEPTH} deep"));
    }
    let inner = |value: &Value| match value {
        Value::Object(rule) => parse(rule, depth + 1),
        _ => Err("a rule must be an object".to_owned()),
    };
    let list = |value: &Value| match value {
        Value::Array(rules) if !rules.is_empty() => rules.iter().map(inner).collect(),
        _ => Err("`And` and `Or` need a list of rules".to_owned()),
    };
    let mut comparisons = rule.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str()));
    let Some((name, value)) = comparisons.next() else {
        return Err("a rule needs a comparison".to_owned());
    };
    if let Some((other, _)) = comparisons.next() {
        return Err(format!("a rule has one comparison, not `{name}` and `{other}`"));
    }
    match name.as_str() {
        "And" => return list(value).map(Rule::And),
        "Or" => return list(value).map(Rule::Or),
        "Not" => return inner(value).map(|rule| Rule::Not(Box::new(rule))),
        _ => {}
    }
    let variable = rule.get("Variable").and_then(Value::as_str);
    let variable = variable.ok_or_else(|| format!("`{name}` needs a `Variable`"))?;
    let variable: Path =
        variable.parse().map_err(|error| format!("`{variable}` is no path: {error}"))?;
    Ok(Rule::Compare { variable, operator: operator(name, value)? })
}

fn operator(name: &str, value: &Value) -> Result<Operator, String> {
    let test = match name {
        "IsNull" => Some(Test::Null),
        "IsPresent" => Some(Test::Present),
        "IsNumeric" => Some(Test::Numeric),
        "IsString" => Some(Test::String),
        "IsBoolean" => Some(Test::Boolean),
        "IsTimestamp" => Some(Test::Timestamp),
        _ => None,
    };
    if let Some(test) = test {
        let wanted = value.as_bool().ok_or_else(|| format!("`{name}` must be true or false"))?;
        return Ok(Operator::Is(test, wanted));
    }
    if name == "StringMatches" {
        let pattern = value.as_str().ok_or("`StringMatches` must be a string")?;
        return Ok(Operator::Matches(Wildcard::parse(pattern)));
    }
    let (bare, is_path) = match name.strip_suffix("Path") {
        Some(bare) => (bare, true),
        None => (name, false),
    };
    let kinds = [
        ("String", Kind::String),
        ("Numeric", Kind::Numeric),
        ("Boolean", Kind::Boolean),
        ("Timestamp", Kind::Timestamp),
    ];
    let found = kinds.iter().find_map(|(word, kind)| Some((*kind, bare.strip_prefix(word)?)));
    let relation = found.and_then(|(kind, word)| {
        let relation = match word {
            "Equals" => Relation::Equals,
            "LessThan" => Relation::LessThan,
            "LessThanEquals" => Relation::LessThanEquals,
            "GreaterThan" => Relation::GreaterThan,
            "GreaterThanEquals" => Relation::GreaterThanEquals,
            _ => return None,
        };
        (kind != Kind::Boolean || relation == Relation::Equals).then_some((kind, relation))
    });
    let (kind, relation) = relation.ok_or_else(|| format!("there is no comparison `{name}`"))?;
    let to = match (is_path, value) {
        (true, Value::String(path)) => {
            Operand::Path(path.parse().map_err(|error| format!("`{path}` is no path: {error}"))?)
        }
        (true, _) => return Err(format!("`{name}` must be a path")),
        (false, value) if kind.order(value, value).is_none() => {
            return Err(format!("`{name}` does not fit the value {value}"));
        }
        (false, value) => Operand::Value(value.clone()),
    };
    Ok(Operator::Order { kind, relation, to })
}

#[cfg(test)]
mod tests;
