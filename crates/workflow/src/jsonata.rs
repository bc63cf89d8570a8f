//! JSONata expressions: `{% $states.input.price * 2 %}`.
//!
//! The language is `jsonata-core`'s, inside bounds, with the service's own functions and without
//! `$eval`. Time and randomness come from the execution, so that an evaluation can be repeated.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use release::Timestamp;
use serde_json::{Map, Number, Value};

use crate::draw::Draw;
use crate::fault::Unevaluated;
use crate::hash;

/// How deep an evaluation may nest.
const DEPTH: usize = 1_000;
/// How many items a sequence may have.
const SEQUENCE: usize = 100_000;
/// How long one evaluation may take, in milliseconds: a stop for what explodes, never reached by
/// an expression that the other bounds allow.
const MILLISECONDS: u64 = 2_000;
/// How many items `$range` makes at most.
const RANGE: usize = 10_000;

/// An expression, as it was written between its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(String);

/// What an expression sees.
pub struct Sight<'a> {
    /// `$states`.
    pub states: &'a Value,
    /// The variables.
    pub variables: &'a Map<String, Value>,
    /// What `$now()` and `$millis()` tell.
    pub now: Timestamp,
    /// Where `$random()` and `$uuid()` draw.
    pub draw: &'a mut Draw,
}

impl Expression {
    /// The expression that a string is: it starts with `{%` and ends with `%}`.
    pub fn marked(text: &str) -> Option<&str> {
        text.strip_prefix("{%")?.strip_suffix("%}").map(str::trim)
    }

    /// Reads an expression without its marks.
    ///
    /// # Errors
    /// What is wrong with it, in the language's own words.
    pub fn parse(text: &str) -> Result<Self, String> {
        parser::parse(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }

    /// Its value. `location` names the field it stands in.
    ///
    /// # Errors
    /// If it fails, gives nothing or exceeds its bounds.
    pub fn evaluate(&self, sight: &mut Sight<'_>, location: &str) -> Result<Value, Unevaluated> {
        let failed = |what: &str| {
            let cause = format!(
                "The JSONata expression '{self}' specified for the field '{location}' {what}"
            );
            Unevaluated::query(Some(location), cause)
        };
        let threw = |why: &str| failed(&format!("threw an error during evaluation. {why}"));
        let tree = parser::parse(&self.0).map_err(|error| threw(&error.to_string()))?;
        let mut context = Context::new();
        for (name, value) in sight.variables {
            context.bind(name.clone(), value.clone().into());
        }
        context.bind("states".to_owned(), sight.states.clone().into());
        let options = EvaluatorOptions {
            timeout_ms: Some(MILLISECONDS),
            cancel: None,
            max_stack_depth: Some(DEPTH),
            max_sequence_length: Some(SEQUENCE),
        };
        let mut evaluator = Evaluator::with_options(context, options);
        let draw = Rc::new(RefCell::new(sight.draw.clone()));
        own_functions(&mut evaluator, &draw, sight.now).map_err(|error| threw(error.message()))?;
        let value = evaluator.evaluate(&tree, &JValue::Undefined);
        *sight.draw = draw.borrow().clone();
        let value = value.map_err(|error| threw(message(error.message())))?;
        if value.is_undefined() {
            return Err(failed("returned nothing (undefined)."));
        }
        if value.is_function() {
            return Err(failed("returned a function."));
        }
        Ok(whole(Value::from(&value)))
    }

    /// The error of a value that is not of the type a field needs.
    pub fn mistyped(&self, location: &str, expected: &str, value: &Value) -> Unevaluated {
        let cause = format!(
            "The JSONata expression '{self}' specified for the field '{location}' returned an \
             unexpected result type. Expected '{expected}', but was '{}' for value: {value}",
            type_name(value)
        );
        Unevaluated::query(Some(location), cause)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The JSON type of a value, as error messages name it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Numbers are floating-point inside the language; whole ones come back as integers.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => {
                Value::Number(Number::from(float as i64))
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, whole(value))).collect()
        }
        other => other,
    }
}

/// An error in the language's own words: some of the library's name the function besides.
fn message(text: &str) -> &str {
    const NO_FUNCTION: &str = "T1006: Attempted to invoke a non-function";
    if text.starts_with(NO_FUNCTION) { NO_FUNCTION } else { text }
}

fn own_functions(
    evaluator: &mut Evaluator,
    draw: &Rc<RefCell<Draw>>,
    now: Timestamp,
) -> Result<(), EvaluatorError> {
    let refuse = |code: &str, why: &str| EvaluatorError::EvaluationError(format!("{code}: {why}"));
    evaluator.register_fn_override("eval", move |_: &[JValue]| {
        Err(refuse("T1006", "Attempted to invoke a non-function"))
    })?;
    evaluator.register_fn_override("millis", move |_: &[JValue]| {
        Ok(JValue::from(now.as_millisecond()))
    })?;
    evaluator.register_fn_override("now", move |arguments: &[JValue]| {
        if arguments.iter().any(|argument| !argument.is_undefined()) {
            return Err(refuse("T0410", "$now takes no picture here: use $fromMillis"));
        }
        Ok(JValue::from(format!("{now:.3}")))
    })?;
    let source = Rc::clone(draw);
    evaluator.register_fn_override("random", move |arguments: &[JValue]| {
        let seed = arguments.first().and_then(JValue::as_f64);
        let unit = match seed {
            Some(seed) => Draw::seeded(seed.to_bits()).unit(),
            None => source.borrow_mut().unit(),
        };
        Ok(JValue::from(unit))
    })?;
    let source = Rc::clone(draw);
    evaluator.register_fn_override("shuffle", move |arguments: &[JValue]| {
        let mut items = match arguments.first() {
            Some(JValue::Array(items)) => items.to_vec(),
            Some(JValue::Undefined) | None => return Ok(JValue::Undefined),
            Some(other) => vec![other.clone()],
        };
        for last in (1..items.len()).rev() {
            let other = (source.borrow_mut().unit() * (last + 1) as f64) as usize;
            items.swap(last, other.min(last));
        }
        Ok(JValue::array(items))
    })?;
    let source = Rc::clone(draw);
    evaluator
        .register_fn("uuid", move |_: &[JValue]| Ok(JValue::from(source.borrow_mut().uuid())))?;
    evaluator.register_fn("parse", move |arguments: &[JValue]| {
        match arguments.first() {
            Some(JValue::Undefined) | None => return Ok(JValue::Undefined),
            Some(JValue::String(text)) => serde_json::from_str::<Value>(text).ok(),
            Some(_) => None,
        }
        .map(JValue::from)
        .ok_or_else(|| refuse("T0410", "Argument 1 of function \"parse\" is not a JSON string"))
    })?;
    evaluator.register_fn("hash", move |arguments: &[JValue]| {
        let text = |at: usize| arguments.get(at).and_then(JValue::as_str);
        let wrong = || refuse("T0410", "Function \"hash\" takes a string and an algorithm");
        let data = text(0).ok_or_else(wrong)?;
        let algorithm = text(1).unwrap_or("SHA-256");
        hash::hex(algorithm, data.as_bytes()).map(JValue::from).ok_or_else(wrong)
    })?;
    evaluator.register_fn("partition", move |arguments: &[JValue]| {
        let size = arguments.get(1).and_then(JValue::as_f64).unwrap_or(0.0) as usize;
        match arguments.first() {
            Some(JValue::Undefined) | None => Ok(JValue::Undefined),
            Some(JValue::Array(items)) if size > 0 => {
                Ok(JValue::array(items.chunks(size).map(|c| JValue::array(c.to_vec())).collect()))
            }
            Some(_) => Err(refuse("T0410", "Function \"partition\" takes an array and a size")),
        }
    })?;
    evaluator.register_fn("range", move |arguments: &[JValue]| {
        let number = |at: usize| arguments.get(at).and_then(JValue::as_f64);
        let (Some(first), Some(last), Some(step)) = (number(0), number(1), number(2)) else {
            return Err(refuse("T0410", "Function \"range\" takes three numbers"));
        };
        if step == 0.0 || !step.is_finite() {
            return Err(refuse("D3000", "The step of \"range\" must not be zero"));
        }
        let count = ((last - first) / step).floor() + 1.0;
        if count > RANGE as f64 {
            return Err(refuse("D2014", "The range has too many items"));
        }
        let all = (0..count.max(0.0) as usize).map(|at| JValue::from(first + at as f64 * step));
        Ok(JValue::array(all.collect()))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
