//! The functions that the service adds to the language, and those it draws from the execution.

use std::cell::RefCell;
use std::rc::Rc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError};
use jsonata_core::value::JValue;
use release::{Draw, Timestamp};
use serde_json::Value;

use super::bounds;
use crate::draw::{java, uuid};
use crate::hash;

/// How many items `$range` makes at most.
const RANGE: usize = 360_000;

/// Registers them.
pub fn register(
    evaluator: &mut Evaluator,
    draw: &Rc<RefCell<Draw>>,
    now: Timestamp,
) -> Result<(), EvaluatorError> {
    evaluator.register_fn_override("eval", |_: &[JValue]| {
        Err(error("T1006: Attempted to invoke a non-function"))
    })?;
    evaluator.register_fn_override("millis", move |_: &[JValue]| {
        Ok(JValue::from(now.as_millisecond()))
    })?;
    evaluator.register_fn_override("now", move |arguments: &[JValue]| match arguments {
        [] | [JValue::Undefined, ..] => Ok(JValue::from(format!("{now:.3}"))),
        pictured if bounds::explodes("fromMillis", pictured)? => Err(error(bounds::TOO_MUCH)),
        pictured => formatted(now, pictured),
    })?;
    let source = Rc::clone(draw);
    evaluator.register_fn_override("random", move |arguments: &[JValue]| match arguments {
        [] | [JValue::Undefined] => Ok(JValue::from(source.borrow_mut().unit())),
        [JValue::Number(seed)] => Ok(JValue::from(java(*seed as i64))),
        _ => Err(mismatch(1, "random")),
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
    evaluator.register_fn("uuid", move |_: &[JValue]| {
        Ok(JValue::from(uuid(&mut source.borrow_mut())))
    })?;
    evaluator.register_fn("parse", |arguments: &[JValue]| match arguments.first() {
        Some(JValue::Undefined) | None => Ok(JValue::Undefined),
        Some(JValue::String(text)) => {
            serde_json::from_str::<Value>(text).map(JValue::from).map_err(|_| mismatch(1, "parse"))
        }
        Some(_) => Err(mismatch(1, "parse")),
    })?;
    evaluator.register_fn("hash", |arguments: &[JValue]| {
        let text = |at: usize| arguments.get(at).and_then(JValue::as_str);
        let data = text(0).ok_or_else(|| mismatch(1, "hash"))?;
        let algorithm = text(1).ok_or_else(|| mismatch(2, "hash"))?;
        let hash = hash::hex(algorithm, data.as_bytes());
        hash.map(JValue::from).ok_or_else(|| mismatch(2, "hash"))
    })?;
    evaluator.register_fn("partition", |arguments: &[JValue]| {
        let size = arguments.get(1).and_then(JValue::as_f64).unwrap_or(0.0) as usize;
        if size == 0 {
            return Err(mismatch(2, "partition"));
        }
        match arguments.first() {
            Some(JValue::Undefined) | None => Ok(JValue::Undefined),
            Some(JValue::Array(items)) => {
                let parts = items.chunks(size).map(|part| JValue::array(part.to_vec()));
                Ok(JValue::array(parts.collect()))
            }
            Some(_) => Err(mismatch(1, "partition")),
        }
    })?;
    evaluator.register_fn("range", |arguments: &[JValue]| {
        let number = |at: usize| {
            let number = arguments.get(at).and_then(JValue::as_f64);
            number.filter(|number| number.is_finite()).ok_or_else(|| mismatch(at + 1, "range"))
        };
        let (first, last, step) = (number(0)?, number(1)?, number(2)?);
        if step == 0.0 {
            return Err(mismatch(3, "range"));
        }
        let count = (((last - first) / step).floor() + 1.0).max(0.0);
        if count > RANGE as f64 {
            return Err(error(bounds::TOO_MUCH));
        }
        let all = (0..count as usize).map(|at| JValue::from(first + at as f64 * step));
        Ok(JValue::array(all.collect()))
    })
}

/// Tells of variables whether they are functions of the language, or of the service's.
pub fn known() -> impl FnMut(&str) -> bool {
    let mut evaluator = Evaluator::new();
    let draw = Rc::new(RefCell::new(Draw::seeded(0)));
    let registered = register(&mut evaluator, &draw, Timestamp::UNIX_EPOCH).is_ok();
    move |name| {
        let value = evaluator.evaluate(&AstNode::variable(name), &JValue::Undefined);
        registered && value.is_ok_and(|value| value.is_function() || value.is_builtin())
    }
}

fn error(text: &str) -> EvaluatorError {
    EvaluatorError::EvaluationError(text.to_owned())
}

/// The language's error for an argument of the wrong kind.
fn mismatch(argument: usize, function: &str) -> EvaluatorError {
    error(&format!(
        "T0410: Argument {argument} of function \"{function}\" does not match function signature"
    ))
}

/// `now` in a picture, perhaps of a time zone: the language's own formatting of milliseconds.
fn formatted(now: Timestamp, picture: &[JValue]) -> Result<JValue, EvaluatorError> {
    let moment = JValue::from(now.as_millisecond());
    let mut context = Context::new();
    let mut args = Vec::new();
    for (at, value) in std::iter::once(&moment).chain(picture).enumerate() {
        context.bind(format!("!{at}"), value.clone());
        args.push(AstNode::variable(format!("!{at}")));
    }
    let call = AstNode::Function { name: "fromMillis".to_owned(), args, is_builtin: true };
    Evaluator::with_context(context).evaluate(&call, &JValue::Undefined)
}
