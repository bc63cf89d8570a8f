//! The functions of metric math.

use std::fmt;

use super::{Environment, Kind, MathError, Node, Series, Value};

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $least:literal..=$most:literal;)*) => {
        /// A function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Function {
            $($(#[$doc])* $variant,)*
        }

        impl Function {
            const ALL: &[(Self, &str, usize, usize)] =
                &[$((Self::$variant, $name, $least, $most),)*];
        }
    };
}

functions! {
    /// Without a sign.
    Abs = "ABS", 1..=1;
    /// The next whole number above.
    Ceil = "CEIL", 1..=1;
    /// The next whole number below.
    Floor = "FLOOR", 1..=1;
    /// The natural logarithm.
    Log = "LOG", 1..=1;
    /// The decimal logarithm.
    Log10 = "LOG10", 1..=1;
    /// e to that power.
    Exp = "EXP", 1..=1;
    /// The sum of several series at each moment, or of one over all moments.
    Sum = "SUM", 1..=1;
    /// The mean, in the same way.
    Average = "AVG", 1..=1;
    /// The least, in the same way.
    Minimum = "MIN", 1..=1;
    /// The greatest, in the same way.
    Maximum = "MAX", 1..=1;
    /// The standard deviation, in the same way.
    Deviation = "STDDEV", 1..=1;
    /// How many numbers there are, in the same way.
    Count = "DATAPOINT_COUNT", 1..=1;
    /// All metrics, or those whose id holds a text.
    Metrics = "METRICS", 0..=1;
    /// By a condition, one or the other, or nothing.
    If = "IF", 2..=3;
    /// With missing numbers filled: by a number, `REPEAT`, `LINEAR` or another series.
    Fill = "FILL", 2..=2;
    /// How much it grows in a second.
    Rate = "RATE", 1..=1;
    /// How much it grows from one number to the next.
    Difference = "DIFF", 1..=1;
    /// How many seconds lie between one number and the one before.
    DifferenceTime = "DIFF_TIME", 1..=1;
    /// How long a period is, in seconds.
    Period = "PERIOD", 1..=1;
    /// The sum of all numbers so far.
    RunningSum = "RUNNING_SUM", 1..=1;
    /// A series of one number.
    TimeSeries = "TIME_SERIES", 1..=1;
    /// The band in which a series is expected, so many standard deviations wide (2 if not said).
    Band = "ANOMALY_DETECTION_BAND", 1..=2;
}

impl Function {
    /// The function of that name.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known, ..)| known.eq_ignore_ascii_case(name));
        found.map(|(function, ..)| *function)
    }

    /// All names.
    pub fn names() -> String {
        Self::ALL.iter().map(|(_, name, ..)| *name).collect::<Vec<_>>().join(", ")
    }

    /// How many arguments it takes: at least, and at most.
    pub fn arity(self) -> (usize, usize) {
        let found = Self::ALL.iter().find(|(function, ..)| *function == self);
        found.map_or((0, 0), |(_, _, least, most)| (*least, *most))
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(function, ..)| function == self);
        f.write_str(found.map_or("", |(_, name, ..)| name))
    }
}

/// How `FILL` fills by a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    Repeat,
    Linear,
}

/// The word that tells how to fill, if this is one.
pub fn filling(node: &Node) -> Option<Filling> {
    let (Kind::Name(word) | Kind::Text(word)) = &node.kind else { return None };
    match word.to_ascii_uppercase().as_str() {
        "REPEAT" => Some(Filling::Repeat),
        "LINEAR" => Some(Filling::Linear),
        _ => None,
    }
}

/// What a call gives.
pub fn call(
    function: Function,
    (node, arguments): (&Node, &[Node]),
    environment: &Environment<'_>,
) -> Result<Value, MathError> {
    let first = || arguments[0].evaluate(environment);
    let series = |index: usize| match arguments[index].evaluate(environment)? {
        Value::Series(series) => Ok(series),
        Value::Scalar(number) if index > 0 => Ok(vec![number; environment.length]),
        other => Err(arguments[index].unfit(&other, "one series")),
    };
    let finite =
        |apply: fn(f64) -> f64| move |number| Some(apply(number)).filter(|it| it.is_finite());
    match function {
        Function::Abs => node.each(first()?, finite(f64::abs)),
        Function::Ceil => node.each(first()?, finite(f64::ceil)),
        Function::Floor => node.each(first()?, finite(f64::floor)),
        Function::Log => node.each(first()?, finite(f64::ln)),
        Function::Log10 => node.each(first()?, finite(f64::log10)),
        Function::Exp => node.each(first()?, finite(f64::exp)),
        Function::Sum
        | Function::Average
        | Function::Minimum
        | Function::Maximum
        | Function::Deviation
        | Function::Count => joined(function, first()?, &arguments[0], environment),
        Function::Metrics => metrics(arguments, environment),
        Function::If => {
            let condition = first()?;
            let yes = arguments[1].evaluate(environment)?;
            let no = arguments.get(2).map(|node| node.evaluate(environment)).transpose()?;
            choose(node, (condition, yes, no.unwrap_or(Value::Scalar(None))), environment)
        }
        Function::Fill => match (first()?, filling(&arguments[1])) {
            (Value::Series(given), Some(how)) => Ok(Value::Series(filled(given, how))),
            (Value::Series(given), None) => {
                let by = series(1)?;
                Ok(Value::Series(given.into_iter().zip(by).map(|(it, by)| it.or(by)).collect()))
            }
            (Value::List(given), Some(how)) => {
                Ok(Value::List(given.into_iter().map(|series| filled(series, how)).collect()))
            }
            (Value::List(given), None) => {
                let by = series(1)?;
                let fill = |series: Series| {
                    series.into_iter().zip(&by).map(|(it, by)| it.or(*by)).collect()
                };
                Ok(Value::List(given.into_iter().map(fill).collect()))
            }
            (other, _) => Err(arguments[0].unfit(&other, "a series")),
        },
        Function::Rate | Function::Difference | Function::DifferenceTime => {
            let period = f64::from(environment.period);
            let change = move |(before, back): (f64, usize), now: f64| {
                let seconds = back as f64 * period;
                match function {
                    Function::Rate => (now - before) / seconds,
                    Function::Difference => now - before,
                    _ => seconds,
                }
            };
            let changes = |series: Series| changes(&series, change);
            match first()? {
                Value::Series(series) => Ok(Value::Series(changes(series))),
                Value::List(list) => Ok(Value::List(list.into_iter().map(changes).collect())),
                other => Err(arguments[0].unfit(&other, "a series")),
            }
        }
        Function::Period => {
            series(0)?;
            Ok(Value::Scalar(Some(f64::from(environment.period))))
        }
        Function::RunningSum => {
            let mut sum = 0.0;
            let add = |number: Option<f64>| {
                number.map(|number| {
                    sum += number;
                    sum
                })
            };
            Ok(Value::Series(series(0)?.into_iter().map(add).collect()))
        }
        Function::TimeSeries => match first()? {
            Value::Scalar(number) => Ok(Value::Series(vec![number; environment.length])),
            other => Err(arguments[0].unfit(&other, "one number")),
        },
        Function::Band => band(arguments, environment),
    }
}

/// All metrics, or those whose id holds a text.
fn metrics(arguments: &[Node], environment: &Environment<'_>) -> Result<Value, MathError> {
    let part = match arguments.first() {
        None => "",
        Some(Node { kind: Kind::Text(part), .. }) => part,
        Some(node) => return Err(MathError::new(node.at, "a text in quotes must stand here")),
    };
    let named = environment.metrics.iter().filter(|id| id.contains(part));
    Ok(Value::List(named.filter_map(|id| environment.series.get(id)).cloned().collect()))
}

/// Several series joined at each moment, or one over all moments. What is missing does not count.
fn joined(
    function: Function,
    value: Value,
    node: &Node,
    environment: &Environment<'_>,
) -> Result<Value, MathError> {
    match value {
        Value::Series(series) => Ok(Value::Scalar(join(function, series.into_iter().flatten()))),
        Value::List(list) => {
            let at = |index: usize| list.iter().filter_map(move |series| *series.get(index)?);
            let each = (0..environment.length).map(|index| join(function, at(index)));
            Ok(Value::Series(each.collect()))
        }
        other => Err(node.unfit(&other, "series")),
    }
}

fn join(function: Function, numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let numbers: Vec<f64> = numbers.collect();
    let count = numbers.len() as f64;
    if function == Function::Count {
        return Some(count);
    }
    if numbers.is_empty() {
        return None;
    }
    let sum: f64 = numbers.iter().sum();
    Some(match function {
        Function::Sum => sum,
        Function::Average => sum / count,
        Function::Minimum => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        Function::Maximum => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => {
            let squares = numbers.iter().map(|number| (number - sum / count).powi(2));
            (squares.sum::<f64>() / count).sqrt()
        }
    })
}

/// By a condition one or the other. Where the condition is missing, so is the result.
fn choose(
    node: &Node,
    (condition, yes, no): (Value, Value, Value),
    environment: &Environment<'_>,
) -> Result<Value, MathError> {
    let single = [&condition, &yes, &no].iter().all(|value| matches!(value, Value::Scalar(_)));
    let line = |value: Value| match value {
        Value::Scalar(number) => Ok(vec![number; environment.length]),
        Value::Series(series) => Ok(series),
        other => Err(node.unfit(&other, "one series or number")),
    };
    if let (true, Value::Scalar(condition), Value::Scalar(yes), Value::Scalar(no)) =
        (single, &condition, &yes, &no)
    {
        return Ok(Value::Scalar(condition.and_then(|is| if is != 0.0 { *yes } else { *no })));
    }
    let (condition, yes, no) = (line(condition)?, line(yes)?, line(no)?);
    let each = condition.into_iter().zip(yes.into_iter().zip(no));
    Ok(Value::Series(each.map(|(is, (yes, no))| if is? != 0.0 { yes } else { no }).collect()))
}

/// A change from the number before, however far back that lies; the first one has none.
fn changes(series: &[Option<f64>], change: impl Fn((f64, usize), f64) -> f64) -> Series {
    let mut before: Option<(f64, usize)> = None;
    let each = series.iter().enumerate().map(|(index, number)| {
        let now = (*number)?;
        let changed = before.map(|(value, at)| change((value, index - at), now));
        before = Some((now, index));
        changed
    });
    each.collect()
}

fn filled(series: Series, how: Filling) -> Series {
    let mut out = series.clone();
    let mut before: Option<(usize, f64)> = None;
    for index in 0..series.len() {
        if let Some(number) = series[index] {
            before = Some((index, number));
            continue;
        }
        let Some((from, low)) = before else { continue };
        let after = || series[index..].iter().position(Option::is_some).map(|at| index + at);
        out[index] = match how {
            Filling::Repeat => Some(low),
            // Between two numbers on the line that joins them; after the last one there is none.
            Filling::Linear => after().and_then(|to| {
                let part = (index - from) as f64 / (to - from) as f64;
                series[to].map(|high| low + (high - low) * part)
            }),
        };
    }
    out
}

fn band(arguments: &[Node], environment: &Environment<'_>) -> Result<Value, MathError> {
    let Kind::Name(of) = &arguments[0].kind else {
        let why = "the id of a metric or expression must stand here";
        return Err(MathError::new(arguments[0].at, why));
    };
    // An unknown one is told here.
    arguments[0].evaluate(environment)?;
    let width = match arguments.get(1).map(|node| (node, node.evaluate(environment))) {
        None => 2.0,
        Some((_, Ok(Value::Scalar(Some(width))))) if width > 0.0 => width,
        Some((node, _)) => return Err(MathError::new(node.at, "a number above 0 must stand here")),
    };
    Ok(Value::Band { of: of.clone(), width })
}
