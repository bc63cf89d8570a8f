//! Filters of paths: `[?(@.price < 10 && @.tag)]`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Path, Scope};
use crate::weight::TooMuch;

/// Which items a filter admits.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare(Comparison),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub left: Operand,
    pub operator: Operator,
    pub right: Operand,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Path(Path),
    Value(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    NotIn,
}

impl Filter {
    /// Whether `item` passes.
    pub fn admits<'a>(&'a self, item: &'a Value, scope: Scope<'a>) -> Result<bool, TooMuch> {
        scope.allowance.look(1)?;
        match self {
            Self::All(filters) => {
                for filter in filters {
                    if !filter.admits(item, scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(filters) => {
                for filter in filters {
                    if filter.admits(item, scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(filter) => Ok(!filter.admits(item, scope)?),
            Self::Exists(operand) => Ok(operand.value(item, scope)?.is_some()),
            Self::Compare(comparison) => comparison.holds(item, scope),
        }
    }

    /// Notes the variables that it reads.
    pub fn variables<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        let mut operand = |operand: &'a Operand| {
            if let Operand::Path(path) = operand {
                path.variables(names);
            }
        };
        match self {
            Self::Exists(only) => operand(only),
            Self::Compare(Comparison { left, right, .. }) => {
                operand(left);
                operand(right);
            }
            Self::All(filters) | Self::Any(filters) => {
                filters.iter().for_each(|filter| filter.variables(names));
            }
            Self::Not(filter) => filter.variables(names),
        }
    }
}

impl Operand {
    fn value<'a>(
        &'a self,
        item: &'a Value,
        scope: Scope<'a>,
    ) -> Result<Option<Cow<'a, Value>>, TooMuch> {
        match self {
            Self::Value(value) => Ok(Some(Cow::Borrowed(value))),
            Self::Path(path) => scope.allowance.briefly(|| path.find_from(item, scope)),
        }
    }
}

impl Comparison {
    fn holds<'a>(&'a self, item: &'a Value, scope: Scope<'a>) -> Result<bool, TooMuch> {
        let left = self.left.value(item, scope)?;
        let (Some(left), Some(right)) = (left, self.right.value(item, scope)?) else {
            return Ok(self.operator == Operator::NotEqual);
        };
        // As much as comparing looks at, at most.
        scope.allowance.look_into(&right)?;
        let order = order(&left, &right);
        Ok(match self.operator {
            Operator::Equal => same(&left, &right),
            Operator::NotEqual => !same(&left, &right),
            Operator::Less => order == Some(Ordering::Less),
            Operator::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Operator::In => contains(&right, &left),
            Operator::NotIn => !contains(&right, &left),
        })
    }
}

fn contains(list: &Value, wanted: &Value) -> bool {
    list.as_array().is_some_and(|items| items.iter().any(|item| same(item, wanted)))
}

/// Whether two values are the same, numbers by value.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => left.as_f64() == right.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
