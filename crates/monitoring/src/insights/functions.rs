//! The functions there are: of one row, and of many.

use std::ops::RangeInclusive;

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as scalar_functions;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::{Expr, ExprFunctionExt, SortExpr, cast, lit, when};

use super::InsightsError;
use super::expression::{
    Compiler, Kind, Names, cast_text, float, from_milliseconds, kind, milliseconds,
};
use super::scalar as own;
use super::syntax::{Expression, Node, Period, Span};

type Compiled = Result<Expr, InsightsError>;

/// A function that is called.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub compiler: Compiler<'a>,
    pub names: &'a dyn Names,
    pub arguments: &'a [Expression],
    pub span: &'a Span,
}

/// One function.
struct Function {
    /// In small letters.
    name: &'static str,
    /// How it is written.
    usage: &'static str,
    /// How many arguments it takes.
    takes: RangeInclusive<usize>,
    build: fn(&Call<'_>) -> Compiled,
}

const MANY: usize = 64;

const fn function(
    usage: &'static str,
    name: &'static str,
    takes: RangeInclusive<usize>,
    build: fn(&Call<'_>) -> Compiled,
) -> Function {
    Function { name, usage, takes, build }
}

/// Functions of one row.
const SCALAR: &[Function] = &[
    // Numbers.
    function("abs(number)", "abs", 1..=1, |c| Ok(scalar_functions::abs(c.number(0)?))),
    function("ceil(number)", "ceil", 1..=1, |c| Ok(scalar_functions::ceil(c.float(0)?))),
    function("floor(number)", "floor", 1..=1, |c| Ok(scalar_functions::floor(c.float(0)?))),
    function("log(number)", "log", 1..=1, |c| Ok(scalar_functions::ln(c.float(0)?))),
    function("sqrt(number)", "sqrt", 1..=1, |c| Ok(scalar_functions::sqrt(c.float(0)?))),
    function("greatest(number, …)", "greatest", 1..=MANY, |c| {
        Ok(scalar_functions::greatest(c.all(Call::float)?))
    }),
    function("least(number, …)", "least", 1..=MANY, |c| {
        Ok(scalar_functions::least(c.all(Call::float)?))
    }),
    // Moments.
    function("bin(period)", "bin", 1..=1, |c| {
        let moment = c.names.field("@timestamp", c.span)?;
        Ok(floor(moment, c.period(0)?))
    }),
    function("datefloor(moment, period)", "datefloor", 2..=2, |c| {
        Ok(floor(c.moment(0)?, c.period(1)?))
    }),
    function("dateceil(moment, period)", "dateceil", 2..=2, |c| {
        let (moment, period) = (c.moment(0)?, c.period(1)?);
        let floor = floor(moment.clone(), period);
        let ceiling =
            when(floor.clone().eq(moment.clone()), moment).otherwise(floor + stride(period));
        ceiling.map_err(|error| c.compiler.error(c.span, error.to_string()))
    }),
    function("fromMillis(number)", "frommillis", 1..=1, |c| Ok(from_milliseconds(c.number(0)?))),
    function("toMillis(moment)", "tomillis", 1..=1, |c| Ok(milliseconds(c.moment(0)?))),
    function("now()", "now", 0..=0, |c| Ok(lit(c.compiler.now.as_second()))),
    // Any values.
    function("ispresent(field)", "ispresent", 1..=1, |c| Ok(c.value(0)?.is_not_null())),
    function("coalesce(field, …)", "coalesce", 1..=MANY, |c| {
        let values = c.all(Call::value)?;
        let mut kinds = values.iter().map(|value| kind(value, c.names.schema()));
        let first = kinds.next();
        let values = match kinds.all(|kind| Some(kind) == first) {
            true => values,
            false => c.all(Call::text)?,
        };
        Ok(scalar_functions::coalesce(values))
    }),
    // Texts.
    function("isempty(text)", "isempty", 1..=1, |c| {
        let text = c.text(0)?;
        Ok(text.clone().is_null().or(text.eq(lit(""))))
    }),
    function("isblank(text)", "isblank", 1..=1, |c| {
        let text = c.text(0)?;
        Ok(text.clone().is_null().or(trimmed(text).eq(lit(""))))
    }),
    function("concat(text, …)", "concat", 1..=MANY, |c| {
        Ok(scalar_functions::concat(c.all(Call::text)?))
    }),
    function("trim(text) or trim(text, characters)", "trim", 1..=2, |c| match c.arguments {
        [_] => Ok(trimmed(c.text(0)?)),
        _ => Ok(scalar_functions::btrim(c.all(Call::text)?)),
    }),
    function("ltrim(text) or ltrim(text, characters)", "ltrim", 1..=2, |c| match c.arguments {
        [_] => Ok(scalar_functions::ltrim(vec![c.text(0)?, lit(BLANK)])),
        _ => Ok(scalar_functions::ltrim(c.all(Call::text)?)),
    }),
    function("rtrim(text) or rtrim(text, characters)", "rtrim", 1..=2, |c| match c.arguments {
        [_] => Ok(scalar_functions::rtrim(vec![c.text(0)?, lit(BLANK)])),
        _ => Ok(scalar_functions::rtrim(c.all(Call::text)?)),
    }),
    function("strlen(text)", "strlen", 1..=1, |c| {
        Ok(scalar_functions::character_length(c.text(0)?))
    }),
    function("toupper(text)", "toupper", 1..=1, |c| Ok(scalar_functions::upper(c.text(0)?))),
    function("tolower(text)", "tolower", 1..=1, |c| Ok(scalar_functions::lower(c.text(0)?))),
    function("substr(text, start) or substr(text, start, length)", "substr", 2..=3, |c| {
        // The first character is at 0 here, and at 1 in SQL.
        let start = cast(c.number(1)?, DataType::Int64) + lit(1_i64);
        match c.arguments {
            [_, _] => Ok(scalar_functions::substr(c.text(0)?, start)),
            _ => {
                let length = cast(c.number(2)?, DataType::Int64);
                Ok(scalar_functions::substring(c.text(0)?, start, length))
            }
        }
    }),
    function("replace(text, what, by)", "replace", 3..=3, |c| {
        Ok(scalar_functions::replace(c.text(0)?, c.text(1)?, c.text(2)?))
    }),
    function("strcontains(text, part)", "strcontains", 2..=2, |c| {
        Ok(cast(scalar_functions::contains(c.text(0)?, c.text(1)?), DataType::Int64))
    }),
    // Addresses.
    function("isValidIp(text)", "isvalidip", 1..=1, |c| Ok(own::valid_ip(c.text(0)?, None))),
    function("isValidIpv4(text)", "isvalidipv4", 1..=1, |c| Ok(own::valid_ip(c.text(0)?, Some(4)))),
    function("isValidIpv6(text)", "isvalidipv6", 1..=1, |c| Ok(own::valid_ip(c.text(0)?, Some(6)))),
    function("isIpInSubnet(address, subnet)", "isipinsubnet", 2..=2, |c| {
        Ok(own::ip_in_subnet(c.text(0)?, c.text(1)?, None))
    }),
    function("isIpv4InSubnet(address, subnet)", "isipv4insubnet", 2..=2, |c| {
        Ok(own::ip_in_subnet(c.text(0)?, c.text(1)?, Some(4)))
    }),
    function("isIpv6InSubnet(address, subnet)", "isipv6insubnet", 2..=2, |c| {
        Ok(own::ip_in_subnet(c.text(0)?, c.text(1)?, Some(6)))
    }),
    // JSON.
    function("jsonParse(text)", "jsonparse", 1..=1, |c| Ok(own::json_parse(c.text(0)?))),
    function("jsonStringify(value)", "jsonstringify", 1..=1, |c| {
        Ok(own::json_stringify(c.text(0)?))
    }),
];

/// Functions of many rows, for `stats`.
const AGGREGATE: &[Function] = &[
    function("count(*) or count(field)", "count", 0..=1, |c| match c.arguments {
        [] | [Expression { node: Node::Star, .. }] => Ok(aggregates::count(lit(1_i64))),
        _ => Ok(aggregates::count(c.value(0)?)),
    }),
    function("count_distinct(field)", "count_distinct", 1..=1, |c| {
        Ok(aggregates::count_distinct(c.value(0)?))
    }),
    function("sum(number)", "sum", 1..=1, |c| Ok(aggregates::sum(c.number(0)?))),
    function("avg(number)", "avg", 1..=1, |c| Ok(aggregates::avg(c.float(0)?))),
    function("min(number)", "min", 1..=1, |c| Ok(aggregates::min(c.ordered(0)?))),
    function("max(number)", "max", 1..=1, |c| Ok(aggregates::max(c.ordered(0)?))),
    function("stddev(number)", "stddev", 1..=1, |c| Ok(aggregates::stddev(c.float(0)?))),
    function("median(number)", "median", 1..=1, |c| percentile(c, 50.0)),
    function("pct(number, percent)", "pct", 2..=2, |c| percentile(c, c.percent(1)?)),
    function("percentile(number, percent)", "percentile", 2..=2, |c| percentile(c, c.percent(1)?)),
    function("earliest(field)", "earliest", 1..=1, |c| {
        let by = c.names.field("@timestamp", c.span)?;
        first(c, c.value(0)?, by.sort(true, false))
    }),
    function("latest(field)", "latest", 1..=1, |c| {
        let by = c.names.field("@timestamp", c.span)?;
        first(c, c.value(0)?, by.sort(false, false))
    }),
    function("sortsFirst(field)", "sortsfirst", 1..=1, |c| {
        let value = c.value(0)?;
        first(c, value.clone(), sort_by(value, c.names).sort(true, false))
    }),
    function("sortsLast(field)", "sortslast", 1..=1, |c| {
        let value = c.value(0)?;
        first(c, value.clone(), sort_by(value, c.names).sort(false, false))
    }),
];

/// What `trim` takes away: all that Unicode's ASCII part calls white space.
const BLANK: &str = " \t\n\r\u{b}\u{c}";

/// Whether a function is one of many rows.
pub fn is_aggregate(name: &str) -> bool {
    AGGREGATE.iter().any(|function| function.name == name)
}

/// Calls a function of one row.
pub fn scalar(name: &str, call: &Call<'_>) -> Compiled {
    if is_aggregate(name) {
        let message = format!("`{name}` is computed of many rows, and stands only in `stats`");
        let error = call.compiler.error(call.span, message);
        return Err(error.hint("inside `stats`, one cannot stand in another"));
    }
    build(SCALAR, name, call)
}

/// Calls a function of many rows.
pub fn aggregate(name: &str, call: &Call<'_>) -> Compiled {
    build(AGGREGATE, name, call)
}

fn build(among: &[Function], name: &str, call: &Call<'_>) -> Compiled {
    let Some(found) = among.iter().find(|function| function.name == name) else {
        let shown = |function: &Function| function.usage.split('(').next().unwrap_or_default();
        let names: Vec<_> = SCALAR.iter().chain(AGGREGATE).map(shown).collect();
        let start = call.span.start..call.span.start + name.len();
        let error = call.compiler.error(&start, format!("there is no function `{name}`"));
        return Err(error.like(name, names));
    };
    if !found.takes.contains(&call.arguments.len()) {
        let message = format!("`{}` is given {} values", found.name, call.arguments.len());
        let error = call.compiler.error(call.span, message);
        return Err(error.hint(format!("it is written {}", found.usage)));
    }
    (found.build)(call)
}

impl Call<'_> {
    fn value(&self, index: usize) -> Compiled {
        self.compiler.value(&self.arguments[index], self.names)
    }

    fn text(&self, index: usize) -> Compiled {
        self.compiler.text_value(&self.arguments[index], self.names)
    }

    fn number(&self, index: usize) -> Compiled {
        self.compiler.number(&self.arguments[index], self.names)
    }

    fn float(&self, index: usize) -> Compiled {
        self.number(index).map(float)
    }

    fn moment(&self, index: usize) -> Compiled {
        self.compiler.moment(&self.arguments[index], self.names)
    }

    fn all(&self, each: fn(&Self, usize) -> Compiled) -> Result<Vec<Expr>, InsightsError> {
        (0..self.arguments.len()).map(|index| each(self, index)).collect()
    }

    /// What has a least and a greatest: a moment as it is, all else as a number.
    fn ordered(&self, index: usize) -> Compiled {
        let value = self.value(index)?;
        match kind(&value, self.names.schema()) {
            Kind::Moment | Kind::Number => Ok(value),
            _ => self.number(index),
        }
    }

    fn period(&self, index: usize) -> Result<Period, InsightsError> {
        match &self.arguments[index].node {
            Node::Period(period) => Ok(*period),
            _ => {
                let span = &self.arguments[index].span;
                let error = self.compiler.error(span, "a length of time is expected here");
                Err(error.hint("a number and its unit, as `30s`, `5m`, `1h`, `1d`, `1mo`"))
            }
        }
    }

    fn percent(&self, index: usize) -> Result<f64, InsightsError> {
        match &self.arguments[index].node {
            Node::Number(percent) if (0.0..=100.0).contains(percent) => Ok(*percent),
            _ => {
                let span = &self.arguments[index].span;
                Err(self.compiler.error(span, "a number from 0 to 100 is expected here"))
            }
        }
    }
}

fn trimmed(text: Expr) -> Expr {
    scalar_functions::btrim(vec![text, lit(BLANK)])
}

fn stride(period: Period) -> Expr {
    let interval = IntervalMonthDayNano::new(period.months, 0, period.nanoseconds);
    lit(ScalarValue::IntervalMonthDayNano(Some(interval)))
}

/// The start of the period that a moment is in, counted from 1970.
fn floor(moment: Expr, period: Period) -> Expr {
    let origin = ScalarValue::TimestampNanosecond(Some(0), Some("UTC".into()));
    scalar_functions::date_bin(stride(period), moment, lit(origin))
}

fn percentile(call: &Call<'_>, percent: f64) -> Compiled {
    let by = call.float(0)?.sort(true, false);
    Ok(aggregates::approx_percentile_cont(by, lit(percent / 100.0), None))
}

/// The first value that is there, by an order.
fn first(call: &Call<'_>, value: Expr, by: SortExpr) -> Compiled {
    let first = first_value_udaf().call(vec![value]).order_by(vec![by]);
    let present = first.null_treatment(NullTreatment::IgnoreNulls).build();
    present.map_err(|error| call.compiler.error(call.span, error.to_string()))
}

/// What a value is sorted by: texts as CloudWatch sorts them.
pub fn sort_by(value: Expr, names: &dyn Names) -> Expr {
    match kind(&value, names.schema()) {
        Kind::Text => own::sort_key(cast_text(value, names)),
        _ => value,
    }
}
