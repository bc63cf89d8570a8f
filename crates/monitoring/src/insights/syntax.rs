//! What a query is made of.

use std::ops::Range;

use super::Compared;

/// Where something stands in the query, in bytes.
pub type Span = Range<usize>;

/// One command.
#[derive(Debug, Clone)]
pub struct Command {
    /// What it does.
    pub step: Step,
    /// Where it stands.
    pub span: Span,
}

/// What a command does.
#[derive(Debug, Clone)]
pub enum Step {
    /// `SOURCE table`: which table is asked.
    Source(String),
    /// `fields a, b as c`: shows fields, and computes new ones.
    Fields(Vec<Item>),
    /// `display a, b`: shows these and nothing else.
    Display(Vec<Item>),
    /// `filter a = 1 and b like /c/`.
    Filter(Expression),
    /// `stats count(*) as n by a, bin(5m)`.
    Stats { outputs: Vec<Item>, by: Vec<Item> },
    /// `sort a desc, b`.
    Sort(Vec<(Expression, Order)>),
    /// `limit 20`.
    Limit(usize),
    /// `dedup a, b`.
    Dedup(Vec<Expression>),
    /// `parse a "x=*" as b`, `parse a /x=(?<b>.*)/`.
    Parse { of: Expression, with: Extract, names: Vec<String> },
    /// `pattern a`.
    Pattern(Expression),
    /// `diff`, `diff previousDay`.
    Diff(Compared),
    /// `unnest a into b`.
    Unnest { list: Expression, into: String },
}

/// An expression, and the name its value is given.
#[derive(Debug, Clone)]
pub struct Item {
    /// What is computed.
    pub value: Expression,
    /// The alias, else what is written.
    pub name: String,
}

/// Which way is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// How `parse` extracts.
#[derive(Debug, Clone)]
pub enum Extract {
    /// The literal texts between the `*`s.
    Glob(Vec<String>),
    /// A regular expression, whose groups in order are the names.
    Regex(regex::Regex),
}

/// A part of an expression, and where it stands.
#[derive(Debug, Clone)]
pub struct Expression {
    /// What it is.
    pub node: Node,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub enum Node {
    /// A field's name.
    Field(String),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// `true`, `false`.
    Boolean(bool),
    /// `5m`.
    Period(Period),
    /// The `*` of `count(*)`.
    Star,
    /// A function, in small letters, and its arguments.
    Call(String, Vec<Expression>),
    /// `not a`.
    Not(Box<Expression>),
    /// `-a`.
    Negative(Box<Expression>),
    /// `a + b`, `a = b`, `a and b`.
    Binary(Binary, Box<Expression>, Box<Expression>),
    /// `a like "b"`.
    Contains(Box<Expression>, String),
    /// `a like /b/`.
    Matches(Box<Expression>, String),
    /// `a in [b, c]`.
    In(Box<Expression>, Vec<Expression>),
}

/// An operator between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

/// A length of time: months, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Whole months.
    pub months: i32,
    /// Nanoseconds, if it is no number of months.
    pub nanoseconds: i64,
}

impl Period {
    /// So many of a unit; none if there is no such unit, or if it is zero or too long.
    pub fn of(count: f64, unit: &str) -> Option<Self> {
        const SECOND: f64 = 1e9;
        let unit = unit.to_lowercase();
        // CloudWatch lets every unit of more than one letter have an `s`.
        let singular = unit.strip_suffix('s').filter(|rest| rest.len() > 1).unwrap_or(&unit);
        let months = match singular {
            "mo" | "mon" | "month" => Some(1.0),
            "q" | "qtr" | "quarter" => Some(3.0),
            "y" | "yr" | "year" => Some(12.0),
            _ => None,
        };
        let length = match singular {
            "millisecond" | "ms" | "msec" => SECOND / 1e3,
            "second" | "s" | "sec" => SECOND,
            "minute" | "m" | "min" => 60.0 * SECOND,
            "hour" | "h" | "hr" => 3_600.0 * SECOND,
            "day" | "d" => 86_400.0 * SECOND,
            "week" | "w" => 604_800.0 * SECOND,
            _ => months?,
        };
        let length = count * length;
        if !(1.0..=1e18).contains(&length) || length.fract() != 0.0 {
            return None;
        }
        match months {
            Some(_) if length <= 120_000.0 => Some(Self { months: length as i32, nanoseconds: 0 }),
            Some(_) => None,
            None => Some(Self { months: 0, nanoseconds: length as i64 }),
        }
    }
}

impl Expression {
    /// Calls `see` with this expression and every one in it, the outer ones first.
    pub fn walk<'a>(&'a self, see: &mut dyn FnMut(&'a Expression)) {
        see(self);
        match &self.node {
            Node::Call(_, inner) => inner.iter().for_each(|inner| inner.walk(see)),
            Node::Not(inner)
            | Node::Negative(inner)
            | Node::Contains(inner, _)
            | Node::Matches(inner, _) => inner.walk(see),
            Node::Binary(_, left, right) => {
                left.walk(see);
                right.walk(see);
            }
            Node::In(value, list) => {
                value.walk(see);
                list.iter().for_each(|inner| inner.walk(see));
            }
            Node::Field(_)
            | Node::Number(_)
            | Node::Text(_)
            | Node::Boolean(_)
            | Node::Period(_)
            | Node::Star => {}
        }
    }
}

impl Step {
    /// Every expression in it.
    pub fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Source(_) | Self::Limit(_) | Self::Diff(_) => Vec::new(),
            Self::Fields(shown) | Self::Display(shown) => items(shown),
            Self::Filter(condition) => vec![condition],
            Self::Stats { outputs, by } => [items(outputs), items(by)].concat(),
            Self::Sort(keys) => keys.iter().map(|(key, _)| key).collect(),
            Self::Dedup(fields) => fields.iter().collect(),
            Self::Parse { of, .. } => vec![of],
            Self::Pattern(of) => vec![of],
            Self::Unnest { list, .. } => vec![list],
        }
    }
}

fn items(items: &[Item]) -> Vec<&Expression> {
    items.iter().map(|item| &item.value).collect()
}
