//! Metric math: expressions over series, as CloudWatch has them.
//!
//! `m2 / m1 * 100`, `IF(m1 > 10, m2 / m1)`, `SUM(METRICS())`. What is missing stays missing: a
//! period in which an operand has no number, or a division by zero, has none.

mod functions;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

pub use functions::Function;

/// The most characters of an expression.
const MAX_TEXT: usize = 1_024;

/// A mistake in an expression, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {message}")]
pub struct MathError {
    /// Which character, from 1.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl MathError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// A series: one number for each period, the oldest first.
pub type Series = Vec<Option<f64>>;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(Option<f64>),
    /// A number for each period.
    Series(Series),
    /// Several series.
    List(Vec<Series>),
    /// The band around a series, so many standard deviations wide.
    Band {
        /// Which series.
        of: String,
        /// How wide.
        width: f64,
    },
}

impl Value {
    const fn noun(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "one number",
            Self::Series(_) => "a series",
            Self::List(_) => "several series",
            Self::Band { .. } => "a band",
        }
    }
}

/// What an expression is computed over.
#[derive(Debug)]
pub struct Environment<'a> {
    /// How many periods there are.
    pub length: usize,
    /// How long one is, in seconds.
    pub period: u32,
    /// Series by id: the metrics, and the expressions that are computed already.
    pub series: &'a BTreeMap<String, Series>,
    /// Which of them are metrics: what `METRICS()` is.
    pub metrics: &'a [String],
}

/// An expression that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    /// Where it stands, in characters from 1.
    at: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Number(f64),
    Text(String),
    Name(String),
    List(Vec<Node>),
    Negated(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> Option<f64> {
        let truth = |is: bool| if is { 1.0 } else { 0.0 };
        let number = match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Power => left.powf(right),
            Self::Equal => truth(left == right),
            Self::NotEqual => truth(left != right),
            Self::Less => truth(left < right),
            Self::LessOrEqual => truth(left <= right),
            Self::Greater => truth(left > right),
            Self::GreaterOrEqual => truth(left >= right),
            Self::And => truth(left != 0.0 && right != 0.0),
            Self::Or => truth(left != 0.0 || right != 0.0),
        };
        number.is_finite().then_some(number)
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(text: &str) -> Result<Self, MathError> {
        if text.chars().count() > MAX_TEXT {
            return Err(MathError::new(MAX_TEXT, format!("more than {MAX_TEXT} characters")));
        }
        Ok(Self { text: text.to_owned(), root: parse::parse(text)? })
    }

    /// The ids it names, each once and with its place.
    pub fn names(&self) -> BTreeMap<&str, usize> {
        let mut names = BTreeMap::new();
        self.root.names(&mut names);
        names
    }

    /// What it is over `environment`.
    ///
    /// # Errors
    /// If a name is unknown, or an operand of the wrong kind.
    pub fn evaluate(&self, environment: &Environment<'_>) -> Result<Value, MathError> {
        self.root.evaluate(environment)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    fn names<'a>(&'a self, names: &mut BTreeMap<&'a str, usize>) {
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) => {}
            Kind::Name(name) => {
                names.entry(name).or_insert(self.at);
            }
            Kind::Negated(inner) => inner.names(names),
            Kind::Binary(_, left, right) => {
                left.names(names);
                right.names(names);
            }
            // How missing numbers are filled is told by a word, and is no series.
            Kind::Call(Function::Fill, arguments) => {
                let word = |node: &&Node| functions::filling(node).is_none();
                arguments.iter().filter(word).for_each(|node| node.names(names));
            }
            Kind::List(inner) | Kind::Call(_, inner) => {
                inner.iter().for_each(|node| node.names(names));
            }
        }
    }

    fn evaluate(&self, environment: &Environment<'_>) -> Result<Value, MathError> {
        match &self.kind {
            Kind::Number(number) => Ok(Value::Scalar(Some(*number))),
            Kind::Text(_) => Err(MathError::new(self.at, "a text cannot stand here")),
            Kind::Name(name) => match environment.series.get(name) {
                Some(series) => Ok(Value::Series(series.clone())),
                None => Err(self.unknown(name, environment)),
            },
            Kind::List(nodes) => {
                let mut list = Vec::new();
                for node in nodes {
                    match node.evaluate(environment)? {
                        Value::Series(series) => list.push(series),
                        Value::List(more) => list.extend(more),
                        other => return Err(node.unfit(&other, "series")),
                    }
                }
                Ok(Value::List(list))
            }
            Kind::Negated(inner) => {
                let value = inner.evaluate(environment)?;
                self.each(value, |number| Some(-number))
            }
            Kind::Binary(operator, left, right) => {
                let (left, right) = (left.evaluate(environment)?, right.evaluate(environment)?);
                self.binary(left, right, |left, right| operator.apply(left, right))
            }
            Kind::Call(function, arguments) => {
                functions::call(*function, (self, arguments), environment)
            }
        }
    }

    fn unknown(&self, name: &str, environment: &Environment<'_>) -> MathError {
        let known: Vec<_> = environment.series.keys().map(|id| format!("`{id}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        MathError::new(self.at, format!("there is no metric `{name}`; there are {known}"))
    }

    fn unfit(&self, value: &Value, wanted: &str) -> MathError {
        MathError::new(self.at, format!("{wanted} must stand here, not {}", value.noun()))
    }

    /// `apply` to each number.
    fn each(&self, value: Value, apply: impl Fn(f64) -> Option<f64>) -> Result<Value, MathError> {
        let each = |series: Series| series.into_iter().map(|it| it.and_then(&apply)).collect();
        Ok(match value {
            Value::Scalar(number) => Value::Scalar(number.and_then(&apply)),
            Value::Series(series) => Value::Series(each(series)),
            Value::List(list) => Value::List(list.into_iter().map(each).collect()),
            Value::Band { .. } => return Err(self.unfit(&value, "numbers")),
        })
    }

    /// `apply` to each pair of numbers of the same period.
    fn binary(
        &self,
        left: Value,
        right: Value,
        apply: impl Fn(f64, f64) -> Option<f64>,
    ) -> Result<Value, MathError> {
        use Value::{Band, List, Scalar, Series as Line};
        let apply = |left: Option<f64>, right: Option<f64>| apply(left?, right?);
        let lines = |left: &[Option<f64>], right: &[Option<f64>]| {
            left.iter().zip(right).map(|(left, right)| apply(*left, *right)).collect()
        };
        let after = |left: &[Option<f64>], right| -> Series {
            left.iter().map(|left| apply(*left, right)).collect()
        };
        let before = |left, right: &[Option<f64>]| -> Series {
            right.iter().map(|right| apply(left, *right)).collect()
        };
        Ok(match (left, right) {
            (Scalar(left), Scalar(right)) => Scalar(apply(left, right)),
            (Line(left), Scalar(right)) => Line(after(&left, right)),
            (Scalar(left), Line(right)) => Line(before(left, &right)),
            (Line(left), Line(right)) => Line(lines(&left, &right)),
            (List(left), Scalar(right)) => {
                List(left.iter().map(|left| after(left, right)).collect())
            }
            (Scalar(left), List(right)) => {
                List(right.iter().map(|right| before(left, right)).collect())
            }
            (List(left), Line(right)) => {
                List(left.iter().map(|left| lines(left, &right)).collect())
            }
            (Line(left), List(right)) => {
                List(right.iter().map(|right| lines(&left, right)).collect())
            }
            (List(_), List(_)) => {
                let why = "several series on both sides: join one with SUM, AVG, MIN or MAX";
                return Err(MathError::new(self.at, why));
            }
            (band @ Band { .. }, _) | (_, band @ Band { .. }) => {
                return Err(self.unfit(&band, "numbers"));
            }
        })
    }
}

#[cfg(test)]
mod tests;
