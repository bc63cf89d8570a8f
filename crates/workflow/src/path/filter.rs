//! Filters of paths: `[?(@.price < 10 && @.tag)]`.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Path, Root, Scope};

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
    pub fn admits(&self, item: &Value, scope: Scope<'_>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.admits(item, scope)),
            Self::Any(filters) => filters.iter().any(|filter| filter.admits(item, scope)),
            Self::Not(filter) => !filter.admits(item, scope),
            Self::Exists(operand) => operand.value(item, scope).is_some(),
            Self::Compare(comparison) => comparison.holds(item, scope),
        }
    }
}

impl Operand {
    fn value(&self, item: &Value, scope: Scope<'_>) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Path(path) if path.root == Root::Item => path.select_in(item, scope),
            Self::Path(path) => path.select(scope),
        }
    }
}

impl Comparison {
    fn holds(&self, item: &Value, scope: Scope<'_>) -> bool {
        let values = (self.left.value(item, scope), self.right.value(item, scope));
        let (Some(left), Some(right)) = values else {
            return self.operator == Operator::NotEqual;
        };
        let order = order(&left, &right);
        match self.operator {
            Operator::Equal => same(&left, &right),
            Operator::NotEqual => !same(&left, &right),
            Operator::Less => order == Some(Ordering::Less),
            Operator::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Operator::In => contains(&right, &left),
            Operator::NotIn => !contains(&right, &left),
        }
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
