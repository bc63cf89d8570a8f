//! JSONata expressions: `{% $states.input.price * 2 %}`.
//!
//! The language is `jsonata-core`'s, inside bounds, with the service's own functions and without
//! `$eval`. Time and randomness come from the execution, so that an evaluation can be repeated.

mod bounds;
mod functions;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use jsonata_core::ast::{AstNode, BinaryOp, Stage};
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use release::{Draw, Timestamp};
use serde_json::{Map, Number, Value};

use crate::fault::Unevaluated;
use crate::weight::NESTED;

/// How deep an evaluation may nest.
const DEPTH: usize = 1_000;
/// How many items a sequence may have.
const SEQUENCE: usize = 100_000;
/// How long one evaluation may take, in milliseconds: a stop for what explodes, never reached by
/// an expression that the other bounds allow.
const MILLISECONDS: u64 = 2_000;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// As it was written between its marks.
    text: String,
    /// With bounds put into it.
    tree: Arc<AstNode>,
}

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
        let mut tree = parser::parse(text).map_err(|error| error.to_string())?;
        bounds::bind(&mut tree);
        Ok(Self { text: text.to_owned(), tree: Arc::new(tree) })
    }

    /// The expression as it was written, without its marks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables that it reads and neither binds itself nor finds in the language.
    pub fn variables(&self) -> BTreeSet<&str> {
        let (mut read, mut bound) = (BTreeSet::new(), BTreeSet::from(["", "$", "states"]));
        let mut open = vec![&*self.tree];
        while let Some(node) = open.pop() {
            match node {
                AstNode::Variable(name) => {
                    read.insert(name.as_str());
                }
                AstNode::Path { steps } => {
                    for step in steps {
                        open.push(&step.node);
                        bound.extend(step.focus.iter().chain(&step.index_var).map(String::as_str));
                        for stage in &step.stages {
                            match stage {
                                Stage::Filter(filter) => open.push(filter),
                                Stage::Index(name) => {
                                    bound.insert(name);
                                }
                                Stage::KeepArray => {}
                            }
                        }
                    }
                }
                AstNode::Binary { op, lhs, rhs } => {
                    if let (BinaryOp::ColonEqual, AstNode::Variable(name)) = (op, &**lhs) {
                        bound.insert(name);
                    }
                    open.extend([&**lhs, &**rhs]);
                }
                AstNode::Unary { operand: inner, .. } | AstNode::FunctionApplication(inner) => {
                    open.push(inner);
                }
                AstNode::Function { args, .. } => open.extend(args),
                AstNode::Call { procedure, args } => {
                    open.push(procedure);
                    open.extend(args);
                }
                AstNode::Lambda { params, body, .. } => {
                    bound.extend(params.iter().map(String::as_str));
                    open.push(body);
                }
                AstNode::Array(nodes) | AstNode::ArrayGroup(nodes) | AstNode::Block(nodes) => {
                    open.extend(nodes);
                }
                AstNode::Object(pairs) => open.extend(pairs.iter().flat_map(|(a, b)| [a, b])),
                AstNode::ObjectTransform { input, pattern } => {
                    open.push(input);
                    open.extend(pattern.iter().flat_map(|(a, b)| [a, b]));
                }
                AstNode::Conditional { condition, then_branch, else_branch } => {
                    open.extend([&**condition, &**then_branch]);
                    open.extend(else_branch.as_deref());
                }
                AstNode::Sort { input, terms } => {
                    open.push(input);
                    open.extend(terms.iter().map(|(term, _)| term));
                }
                AstNode::Transform { location, update, delete } => {
                    open.extend([&**location, &**update]);
                    open.extend(delete.as_deref());
                }
                _ => {}
            }
        }
        read.retain(|name| !bound.contains(name));
        let mut is_function = functions::known();
        read.retain(|name| !is_function(name));
        read
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
        let threw = |why: &str| {
            let why = words(why);
            let mark = if is_coded(why) { '.' } else { ':' };
            failed(&format!("threw an error during evaluation{mark} {why}"))
        };
        let draw = Rc::new(RefCell::new(sight.draw.clone()));
        let mut evaluator = evaluator(sight);
        let registered = bounds::register(&mut evaluator)
            .and_then(|()| functions::register(&mut evaluator, &draw, sight.now));
        registered.map_err(|error| threw(error.message()))?;
        // A fault of the library's is this expression's failure, not the engine's.
        let evaluated =
            catch_unwind(AssertUnwindSafe(|| evaluator.evaluate(&self.tree, &JValue::Undefined)));
        *sight.draw = draw.borrow().clone();
        let value = evaluated
            .map_err(|_| failed("threw an internal error during evaluation."))?
            .map_err(|error| threw(error.message()))?;
        if value.is_undefined() {
            return Err(failed("returned nothing (undefined)."));
        }
        if value.is_function() {
            return Err(failed("returned a function."));
        }
        if bounds::is_heavy(&value) {
            return Err(threw(bounds::TOO_MUCH));
        }
        json(&value, NESTED).ok_or_else(|| threw(TOO_DEEP))
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
        f.write_str(&self.text)
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

fn evaluator(sight: &Sight<'_>) -> Evaluator {
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
    Evaluator::with_options(context, options)
}

/// A value as JSON; `None` if it nests deeper than `depth`. Numbers are floating-point inside the
/// language: whole ones come back as integers, infinite ones as texts.
fn json(value: &JValue, depth: usize) -> Option<Value> {
    Some(match value {
        JValue::Array(_) | JValue::Object(_) if depth == 0 => return None,
        JValue::Array(items) => {
            Value::Array(items.iter().map(|item| json(item, depth - 1)).collect::<Option<_>>()?)
        }
        JValue::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| Some((name.clone(), json(value, depth - 1)?)));
            Value::Object(fields.collect::<Option<_>>()?)
        }
        JValue::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Number::from(*number as i64).into()
        }
        JValue::Number(number) if number.is_nan() => "NaN".into(),
        JValue::Number(number) if number.is_infinite() => {
            if *number > 0.0 {
                "Infinity".into()
            } else {
                "-Infinity".into()
            }
        }
        other => Value::from(other),
    })
}

const TOO_DEEP: &str = "Stack overflow error: Check for non-terminating recursive function. \
                        Consider rewriting as tail-recursive.";

/// An error in the service's words: the library has its own for what is no function, and for its
/// bounds.
fn words(text: &str) -> &str {
    match text.split_once(':').map(|(code, _)| code) {
        Some("T1006") => "T1006: Attempted to invoke a non-function",
        Some("D1011" | "U1001") => TOO_DEEP,
        Some("D1012") => "Expression evaluation timeout: Check for infinite loop",
        Some("D2015") => bounds::TOO_MUCH,
        _ => text,
    }
}

/// Whether an error begins with a code such as `T1006`.
fn is_coded(text: &str) -> bool {
    let code = text.split_once(':').map_or("", |(code, _)| code);
    let mut characters = code.chars();
    code.len() == 5
        && characters.next().is_some_and(|c| c.is_ascii_uppercase())
        && characters.all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
