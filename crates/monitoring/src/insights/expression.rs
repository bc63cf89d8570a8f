//! From an expression of the language to one of DataFusion's.
//!
//! Fields have no types, so each operator takes its sides as what it needs: a text counts as the
//! number that it says, and as no number if it says none.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::functions::expr_fn::{contains, power};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit, try_cast};
use release::Timestamp;

use super::InsightsError;
use super::functions::{self, Call};
use super::scalar;
use super::syntax::{Binary, Expression, Node, Span};

type Compiled = Result<Expr, InsightsError>;

/// What names stand for where an expression is.
pub trait Names {
    /// The columns that there are.
    fn schema(&self) -> &DFSchema;
    /// A field's value.
    fn field(&self, name: &str, span: &Span) -> Compiled;
    /// The value of a whole expression, if it was computed before.
    fn computed(&self, expression: &Expression) -> Option<Expr>;
}

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Boolean,
    Moment,
    Other,
}

/// Compiles expressions of one query.
#[derive(Debug, Clone, Copy)]
pub struct Compiler<'a> {
    pub text: &'a str,
    pub now: Timestamp,
}

/// A moment as our tables have it.
pub fn moment_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// A column by its bare name.
pub fn column(name: impl Into<String>) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// What an expression gives.
pub fn kind(expr: &Expr, schema: &DFSchema) -> Kind {
    match expr.get_type(schema) {
        Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) => {
            Kind::Text
        }
        Ok(DataType::Dictionary(_, of)) if of.is_string() => Kind::Text,
        Ok(DataType::Boolean) => Kind::Boolean,
        Ok(DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => Kind::Moment,
        Ok(found) if found.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

impl Compiler<'_> {
    /// A mistake at a place of the query.
    pub fn error(&self, span: &Span, message: impl Into<String>) -> InsightsError {
        InsightsError::at(self.text, span, message)
    }

    /// An expression of any kind.
    pub fn value(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        if let Some(computed) = names.computed(expression) {
            return Ok(computed);
        }
        let span = &expression.span;
        Ok(match &expression.node {
            Node::Field(name) => names.field(name, span)?,
            Node::Number(number) => number_literal(*number),
            Node::Text(text) => lit(text.as_str()),
            Node::Boolean(truth) => lit(*truth),
            Node::Period(_) => {
                let error = self.error(
                    span,
                    "a length of time stands only in `bin`, `datefloor` and `dateceil`",
                );
                return Err(error.hint("a time in milliseconds is a plain number"));
            }
            Node::Star => return Err(self.error(span, "`*` stands only in `count(*)`")),
            Node::Call(name, arguments) => {
                let call = Call { compiler: *self, names, arguments, span };
                functions::scalar(name, &call)?
            }
            Node::Not(inner) => !self.condition(inner, names)?,
            Node::Negative(inner) => -float(self.number(inner, names)?),
            Node::Binary(..) => self.chain(expression, names)?,
            Node::Contains(value, part) => {
                contains(self.text_value(value, names)?, lit(part.as_str()))
            }
            Node::Matches(value, pattern) => {
                let value = self.text_value(value, names)?;
                operation(value, Operator::RegexMatch, lit(pattern.as_str()))
            }
            Node::In(value, members) => self.member(value, members, names)?,
        })
    }

    /// An expression as a text.
    pub fn text_value(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        let value = self.value(expression, names)?;
        self.as_text(value, expression, names)
    }

    fn as_text(&self, value: Expr, expression: &Expression, names: &dyn Names) -> Compiled {
        match value.get_type(names.schema()) {
            Ok(DataType::Utf8) => Ok(value),
            Ok(DataType::Map(..) | DataType::Struct(_)) => {
                let error = self.error(&expression.span, "this is a map, not a value");
                Err(error.hint("name one of its members, with a point before it"))
            }
            _ => Ok(cast(value, DataType::Utf8)),
        }
    }

    /// An expression as a number.
    pub fn number(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        let value = self.value(expression, names)?;
        self.as_number(value, expression, names)
    }

    fn as_number(&self, value: Expr, expression: &Expression, names: &dyn Names) -> Compiled {
        match kind(&value, names.schema()) {
            Kind::Number => Ok(value),
            Kind::Text => Ok(scalar::number(cast_text(value, names))),
            Kind::Boolean => Ok(cast(cast(value, DataType::Int64), DataType::Float64)),
            Kind::Moment => Ok(milliseconds(value)),
            Kind::Other => Err(self.error(&expression.span, "this is no number, and holds none")),
        }
    }

    /// An expression as a moment: a text in RFC 3339, or a number of milliseconds.
    pub fn moment(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        let value = self.value(expression, names)?;
        Ok(match kind(&value, names.schema()) {
            Kind::Moment => value,
            Kind::Number => from_milliseconds(value),
            Kind::Text => {
                let text = cast_text(value, names);
                let by_number = from_milliseconds(scalar::number(text.clone()));
                let by_text = try_cast(text, moment_type());
                datafusion::functions::expr_fn::coalesce(vec![by_number, by_text])
            }
            Kind::Boolean | Kind::Other => {
                return Err(self.error(&expression.span, "this is no moment"));
            }
        })
    }

    /// An expression as a condition.
    pub fn condition(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        let value = self.value(expression, names)?;
        self.as_condition(value, expression, names)
    }

    fn as_condition(&self, value: Expr, expression: &Expression, names: &dyn Names) -> Compiled {
        match kind(&value, names.schema()) {
            Kind::Boolean => Ok(value),
            Kind::Text | Kind::Number => {
                Ok(self.as_number(value, expression, names)?.not_eq(lit(0.0)))
            }
            Kind::Moment | Kind::Other => Err(self
                .error(&expression.span, "this is no condition")
                .hint("compare it with something")),
        }
    }

    /// Operators that follow one another: `a + b - c` is `(a + b) - c`. There may be many, so that
    /// they are taken one by one and not one inside the other.
    fn chain(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        let (mut first, mut rest) = (expression, Vec::new());
        while let Node::Binary(operator, left, right) = &first.node {
            if !rest.is_empty() && names.computed(first).is_some() {
                break;
            }
            rest.push((*operator, first, right.as_ref()));
            first = left;
        }
        let mut left = self.value(first, names)?;
        for (operator, whole, right) in rest.into_iter().rev() {
            left = self.binary(operator, (left, first), right, names)?;
            first = whole;
        }
        Ok(left)
    }

    /// An operator between a value, made of `of`, and another.
    fn binary(
        &self,
        operator: Binary,
        (value, of): (Expr, &Expression),
        right: &Expression,
        names: &dyn Names,
    ) -> Compiled {
        let calculated = |by| {
            let left = float(self.as_number(value.clone(), of, names)?);
            Ok(operation(left, by, float(self.number(right, names)?)))
        };
        let left = (value.clone(), of);
        match operator {
            Binary::Or => {
                let left = self.as_condition(value, of, names)?;
                Ok(left.or(self.condition(right, names)?))
            }
            Binary::And => {
                let left = self.as_condition(value, of, names)?;
                Ok(left.and(self.condition(right, names)?))
            }
            Binary::Add => calculated(Operator::Plus),
            Binary::Subtract => calculated(Operator::Minus),
            Binary::Multiply => calculated(Operator::Multiply),
            Binary::Divide => calculated(Operator::Divide),
            Binary::Remainder => calculated(Operator::Modulo),
            Binary::Power => {
                let left = float(self.as_number(value, of, names)?);
                Ok(power(left, float(self.number(right, names)?)))
            }
            Binary::Equal => self.compared(Operator::Eq, left, right, names),
            Binary::NotEqual => self.compared(Operator::NotEq, left, right, names),
            Binary::Less => self.compared(Operator::Lt, left, right, names),
            Binary::LessOrEqual => self.compared(Operator::LtEq, left, right, names),
            Binary::Greater => self.compared(Operator::Gt, left, right, names),
            Binary::GreaterOrEqual => self.compared(Operator::GtEq, left, right, names),
        }
    }

    /// Two values compared: as moments, numbers or texts, by what they are.
    fn compared(
        &self,
        by: Operator,
        (a, left): (Expr, &Expression),
        right: &Expression,
        names: &dyn Names,
    ) -> Compiled {
        let b = self.value(right, names)?;
        let kinds = (kind(&a, names.schema()), kind(&b, names.schema()));
        let equality = matches!(by, Operator::Eq | Operator::NotEq);
        match kinds {
            (Kind::Moment, Kind::Moment) | (Kind::Boolean, Kind::Boolean) => {
                Ok(operation(a, by, b))
            }
            (Kind::Moment, Kind::Text) => Ok(operation(a, by, self.fixed_moment(right, names)?)),
            (Kind::Text, Kind::Moment) => Ok(operation(self.fixed_moment(left, names)?, by, b)),
            (Kind::Moment, Kind::Number) => Ok(operation(a, by, self.fixed_moment(right, names)?)),
            (Kind::Number, Kind::Moment) => Ok(operation(self.fixed_moment(left, names)?, by, b)),
            (Kind::Text, Kind::Text) => {
                let number = [left, right].map(|side| literal_text(side).map(scalar::read_number));
                match (number, equality) {
                    // One is a fixed text: equal texts are the same texts.
                    ([Some(_), _] | [_, Some(_)], true) => Ok(operation(a, by, b)),
                    ([Some(None), _] | [_, Some(None)], false) => Ok(operation(a, by, b)),
                    ([Some(Some(_)), _] | [_, Some(Some(_))], false) => {
                        let a = self.as_number(a, left, names)?;
                        Ok(operation(a, by, self.as_number(b, right, names)?))
                    }
                    ([None, None], _) => {
                        let order = scalar::compare(cast_text(a, names), cast_text(b, names));
                        Ok(operation(order, by, lit(0_i64)))
                    }
                }
            }
            (Kind::Other, _) | (_, Kind::Other) => {
                let a = self.as_text(a, left, names)?;
                Ok(operation(a, by, self.as_text(b, right, names)?))
            }
            _ => {
                let (x, y) = (self.as_number(a.clone(), left, names)?, b.clone());
                let y = self.as_number(y, right, names)?;
                match by {
                    // A text that is no number is not equal to any.
                    Operator::NotEq if kinds.0 == Kind::Text || kinds.1 == Kind::Text => {
                        let there = a.is_not_null().and(b.is_not_null());
                        Ok(operation(x, Operator::IsDistinctFrom, y).and(there))
                    }
                    by => Ok(operation(x, by, y)),
                }
            }
        }
    }

    /// A moment to compare with; what is written as a text must be one.
    fn fixed_moment(&self, expression: &Expression, names: &dyn Names) -> Compiled {
        let moment = match &expression.node {
            Node::Text(text) => {
                let at = text.parse::<Timestamp>().ok().or_else(|| {
                    let date: jiff::civil::DateTime = text.parse().ok()?;
                    jiff::tz::TimeZone::UTC.to_timestamp(date).ok()
                });
                at.ok_or_else(|| {
                    let message = format!("`{text}` is no moment");
                    self.error(&expression.span, message)
                        .hint("write it as 2026-11-27T14:05:00Z, or in milliseconds")
                })?
            }
            Node::Number(milliseconds) => Timestamp::from_millisecond(*milliseconds as i64)
                .map_err(|_| self.error(&expression.span, "no moment is that far away"))?,
            _ => return self.moment(expression, names),
        };
        let nanoseconds = i64::try_from(moment.as_nanosecond())
            .map_err(|_| self.error(&expression.span, "no moment is that far away"))?;
        Ok(lit(ScalarValue::TimestampNanosecond(Some(nanoseconds), Some("UTC".into()))))
    }

    fn member(&self, value: &Expression, members: &[Expression], names: &dyn Names) -> Compiled {
        if !members.is_empty() && members.iter().all(|member| literal_text(member).is_some()) {
            let found = self.value(value, names)?;
            if kind(&found, names.schema()) == Kind::Text {
                let members = members.iter().map(|member| self.value(member, names));
                return Ok(found.in_list(members.collect::<Result<_, _>>()?, false));
            }
        }
        let found = self.value(value, names)?;
        let equals = members
            .iter()
            .map(|member| self.compared(Operator::Eq, (found.clone(), value), member, names));
        let equals = equals.collect::<Result<Vec<_>, _>>()?;
        Ok(balanced(&equals).unwrap_or_else(|| lit(false)))
    }
}

/// One of many, without nesting deep.
fn balanced(any: &[Expr]) -> Option<Expr> {
    match any {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            Some(balanced(left)?.or(balanced(right)?))
        }
    }
}

fn literal_text(expression: &Expression) -> Option<&str> {
    match &expression.node {
        Node::Text(text) => Some(text),
        _ => None,
    }
}

fn operation(left: Expr, by: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), by, Box::new(right)))
}

/// Whole numbers as such, so that they compare with whole columns as they are.
fn number_literal(number: f64) -> Expr {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT { lit(number as i64) } else { lit(number) }
}

/// A number as a floating-point one.
pub fn float(number: Expr) -> Expr {
    cast(number, DataType::Float64)
}

/// A text column as plain text.
pub fn cast_text(value: Expr, names: &dyn Names) -> Expr {
    match value.get_type(names.schema()) {
        Ok(DataType::Utf8) => value,
        _ => cast(value, DataType::Utf8),
    }
}

/// A moment as milliseconds since 1970.
pub fn milliseconds(moment: Expr) -> Expr {
    let coarse = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    float(cast(cast(moment, coarse), DataType::Int64))
}

/// The moment so many milliseconds after 1970; missing if there is none.
pub fn from_milliseconds(number: Expr) -> Expr {
    let coarse = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    try_cast(try_cast(try_cast(number, DataType::Int64), coarse), moment_type())
}
