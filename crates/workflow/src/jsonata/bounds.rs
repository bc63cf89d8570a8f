//! What an evaluation may hold: the library bounds time, depth and sequences, but no text, no
//! literal array and no value that holds another many times over.
//!
//! Wherever a parsed expression makes a value that may be kept, the value is weighed; functions
//! that could make a huge text of little, in one step, are looked at before they run. All of it
//! is put into the tree, under names that no expression can spell, so that the library runs as
//! it is. The bound on one value is the one that the service was measured to have.

use std::cell::Cell;
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp, Stage, StepId};
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::functions;
use jsonata_core::value::{JValue, with_stack};

/// The most that one value weighs: a number is 8, a text its bytes, a list what is in it.
const WEIGHT: usize = 8 * 873_783;
/// The most bytes that the values of one evaluation take up together.
const TOTAL: usize = 256 << 20;
/// The longest text whose matches are listed: a payload's.
const MATCHED: usize = crate::MAX_PAYLOAD;
/// The longest picture of a number or a moment.
const PICTURE: usize = 1_000;
/// The greatest number that is written in Roman digits.
const SPELLED: f64 = 1e6;
/// The most lists and objects that are compared each with each.
const COMPARED: usize = 10_000;

/// The service's own words.
pub const TOO_MUCH: &str =
    "Expression evaluation memory limit exceeded: Check for excessive memory usage";

const WEIGH: &str = "!weigh";
const LOOK: &str = "!look";
const SHIELD: &str = "!shield";

/// The functions that are looked at, with how many arguments they take.
const LOOKED_AT: [(&str, usize); 10] = [
    ("distinct", 1),
    ("formatInteger", 2),
    ("formatNumber", 3),
    ("fromMillis", 3),
    ("join", 2),
    ("match", 3),
    ("pad", 3),
    ("parseInteger", 2),
    ("replace", 4),
    ("toMillis", 2),
];

/// Puts the bounds into a tree.
pub fn bind(node: &mut AstNode) {
    with_stack(|| match node {
        AstNode::Path { steps } => {
            let reference = matches!(
                steps.first().map(|step| &step.node),
                Some(AstNode::Variable(name)) if arity(name).is_some()
            );
            for (at, step) in steps.iter_mut().enumerate() {
                if at > 0 || !reference {
                    bind(&mut step.node);
                    step.id = StepId::default();
                }
                for stage in &mut step.stages {
                    if let Stage::Filter(filter) = stage {
                        bind(filter);
                    }
                }
            }
            if let (true, Some(AstNode::Variable(name))) =
                (reference, steps.first().map(|step| &step.node))
            {
                let name = name.clone();
                shield(node, &name);
            }
        }
        AstNode::Binary { op: BinaryOp::ChainPipe, lhs, rhs }
            if matches!(&**rhs, AstNode::Function { name, args, .. }
                if arity(name).is_some() && !args.contains(&AstNode::Placeholder)) =>
        {
            let first = take(lhs);
            let mut call = take(rhs);
            if let AstNode::Function { args, .. } = &mut call {
                args.insert(0, first);
            }
            *node = call;
            bind(node);
        }
        AstNode::Binary { op, lhs, rhs } => {
            match op {
                BinaryOp::ColonEqual => return weighed(rhs),
                BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::In => {
                    weighed(lhs);
                    weighed(rhs);
                }
                _ => {
                    bind(lhs);
                    bind(rhs);
                }
            }
            if *op == BinaryOp::Concatenate {
                weigh(node);
            }
        }
        AstNode::Function { name, args, .. } => {
            args.iter_mut().for_each(weighed);
            if arity(name).is_some() {
                look(node);
            }
        }
        AstNode::Variable(name) if arity(name).is_some() => {
            let name = name.clone();
            shield(node, &name);
        }
        AstNode::Call { procedure, args } => {
            bind(procedure);
            args.iter_mut().for_each(weighed);
        }
        // What a tail call gives is weighed where it is made.
        AstNode::Lambda { body, thunk: true, .. } => bind(body),
        AstNode::Lambda { body, .. } => weighed(body),
        AstNode::Array(items) | AstNode::ArrayGroup(items) => {
            for item in items {
                // A list in a list stays one.
                if matches!(item, AstNode::Array(_)) { bind(item) } else { weighed(item) }
            }
        }
        AstNode::Object(pairs) => fields(pairs),
        AstNode::ObjectTransform { input, pattern } => {
            bind(input);
            fields(pattern);
        }
        AstNode::Block(nodes) => nodes.iter_mut().for_each(bind),
        AstNode::Conditional { condition, then_branch, else_branch } => {
            bind(condition);
            bind(then_branch);
            else_branch.iter_mut().for_each(|node| bind(node));
        }
        AstNode::Unary { operand: node, .. } | AstNode::FunctionApplication(node) => bind(node),
        AstNode::Sort { input, terms } => {
            bind(input);
            terms.iter_mut().for_each(|(term, _)| bind(term));
        }
        AstNode::Transform { location, update, delete } => {
            bind(location);
            bind(update);
            delete.iter_mut().for_each(|node| bind(node));
        }
        _ => {}
    });
}

fn arity(name: &str) -> Option<usize> {
    LOOKED_AT.iter().find(|(looked, _)| *looked == name).map(|(_, arity)| *arity)
}

fn take(node: &mut AstNode) -> AstNode {
    std::mem::replace(node, AstNode::Undefined)
}

fn call(name: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function { name: name.to_owned(), args, is_builtin: true }
}

fn let_be(name: &str, value: AstNode) -> AstNode {
    let name = Box::new(AstNode::variable(name));
    AstNode::Binary { op: BinaryOp::ColonEqual, lhs: name, rhs: Box::new(value) }
}

fn fields(pairs: &mut [(AstNode, AstNode)]) {
    for (name, value) in pairs {
        bind(name);
        weighed(value);
    }
}

/// Binds a node and has its value weighed, if it makes one.
fn weighed(node: &mut AstNode) {
    let plain = match &*node {
        // Fields of what is there already.
        AstNode::Path { steps } => steps.iter().all(|step| {
            step.stages.is_empty() && matches!(step.node, AstNode::Name(_) | AstNode::Variable(_))
        }),
        AstNode::Array(_)
        | AstNode::Object(_)
        | AstNode::ObjectTransform { .. }
        | AstNode::Binary { op: BinaryOp::Default | BinaryOp::Coalesce, .. }
        | AstNode::Binary { op: BinaryOp::ChainPipe | BinaryOp::Range, .. }
        | AstNode::Function { .. }
        | AstNode::Call { .. }
        | AstNode::Block(_)
        | AstNode::Conditional { .. }
        | AstNode::Sort { .. } => false,
        _ => true,
    };
    bind(node);
    if !plain {
        weigh(node);
    }
}

fn weigh(node: &mut AstNode) {
    *node = call(WEIGH, vec![take(node)]);
}

/// Has the arguments of a call looked at before it.
fn look(node: &mut AstNode) {
    let AstNode::Function { name, args, .. } = node else { return };
    let name = name.clone();
    let args = std::mem::take(args);
    if args.contains(&AstNode::Placeholder) {
        let mut function = AstNode::variable(name.as_str());
        shield(&mut function, &name);
        *node = AstNode::Block(vec![let_be("!f", function), call("!f", args)]);
        return;
    }
    let names: Vec<_> = (0..args.len()).map(|at| format!("!{at}")).collect();
    let all = || names.iter().map(|name| AstNode::variable(name.as_str()));
    let looked = std::iter::once(AstNode::string(name.as_str())).chain(all()).collect();
    let mut block: Vec<_> =
        names.iter().zip(args).map(|(name, argument)| let_be(name, argument)).collect();
    block.push(call(LOOK, looked));
    block.push(call(&name, all().collect()));
    *node = AstNode::Block(block);
}

/// Has a function that is mentioned, not called, looked at when it is.
fn shield(node: &mut AstNode, name: &str) {
    let params: Vec<_> = (0..arity(name).unwrap_or(0)).map(|at| format!("!p{at}")).collect();
    let args = params.iter().map(|name| AstNode::variable(name.as_str())).collect();
    let mut body = call(name, args);
    look(&mut body);
    let lambda = AstNode::Lambda { params, body: Box::new(body), signature: None, thunk: false };
    *node = AstNode::Block(vec![call(SHIELD, vec![take(node), lambda])]);
}

/// Registers the functions that a bound tree calls.
pub fn register(evaluator: &mut Evaluator) -> Result<(), EvaluatorError> {
    let total = Rc::new(Cell::new(0_usize));
    evaluator.register_fn(WEIGH, move |arguments: &[JValue]| {
        let value = arguments.first().cloned().unwrap_or(JValue::Undefined);
        let own = match &value {
            JValue::String(text) => text.len(),
            JValue::Array(items) => items.len() * size_of::<JValue>(),
            JValue::Object(fields) => fields.len() * 2 * size_of::<JValue>(),
            _ => 0,
        };
        total.set(total.get() + own);
        if total.get() > TOTAL || is_heavy(&value) {
            return Err(too_much());
        }
        Ok(value)
    })?;
    evaluator.register_fn(LOOK, |arguments: &[JValue]| match arguments.split_first() {
        Some((JValue::String(name), arguments)) if explodes(name, arguments)? => Err(too_much()),
        _ => Ok(JValue::Undefined),
    })?;
    evaluator.register_fn(SHIELD, |arguments: &[JValue]| match arguments {
        [JValue::Builtin { .. }, lambda] => Ok(lambda.clone()),
        [value, ..] => Ok(value.clone()),
        [] => Ok(JValue::Undefined),
    })
}

fn too_much() -> EvaluatorError {
    EvaluatorError::EvaluationError(TOO_MUCH.to_owned())
}

/// Whether a value weighs more than one may.
pub fn is_heavy(value: &JValue) -> bool {
    let (mut open, mut weight) = (vec![value], 0_usize);
    while let Some(value) = open.pop() {
        weight += match value {
            JValue::String(text) => text.len(),
            _ => 8,
        };
        match value {
            JValue::Array(items) => open.extend(items.iter()),
            JValue::Object(fields) => {
                weight += fields.keys().map(String::len).sum::<usize>();
                open.extend(fields.values());
            }
            _ => {}
        }
        if weight + 8 * open.len() > WEIGHT {
            return true;
        }
    }
    false
}

/// Whether a call makes too much of its arguments, in text or in work.
pub fn explodes(name: &str, arguments: &[JValue]) -> Result<bool, EvaluatorError> {
    let text = |at: usize| arguments.get(at).and_then(JValue::as_str).unwrap_or_default();
    let list = match arguments.first() {
        Some(JValue::Array(items)) => items.iter().as_slice(),
        Some(other) => std::slice::from_ref(other),
        None => &[],
    };
    Ok(match name {
        "distinct" => {
            let nested = |item: &&JValue| matches!(item, JValue::Array(_) | JValue::Object(_));
            list.iter().filter(nested).count() > COMPARED
        }
        "formatInteger" | "formatNumber" | "fromMillis" | "parseInteger" | "toMillis" => {
            let texts = || arguments.iter().filter_map(JValue::as_str);
            let spelled = name == "formatInteger" && texts().any(|text| text.contains(['I', 'i']));
            let number = arguments.first().and_then(JValue::as_f64).unwrap_or(0.0);
            texts().any(|text| text.len() > PICTURE) || (spelled && number.abs() > SPELLED)
        }
        "join" => {
            let texts: usize = list.iter().filter_map(JValue::as_str).map(str::len).sum();
            texts.saturating_add(list.len().saturating_mul(text(1).len())) > WEIGHT
        }
        "match" => text(0).len() > MATCHED,
        "pad" => {
            // Where the text comes from the context, the width is first.
            let width = arguments.iter().find_map(JValue::as_f64).unwrap_or(0.0).abs();
            let longest = arguments.iter().filter_map(JValue::as_str).map(str::len).max();
            width * longest.unwrap_or(0).max(1) as f64 > WEIGHT as f64
        }
        "replace" => {
            let (source, new) = (text(0), text(2));
            let found = match arguments.get(1) {
                Some(JValue::String(old)) if old.is_empty() => 0,
                Some(JValue::String(old)) => source.matches(&**old).count(),
                Some(JValue::Regex { pattern, flags }) => {
                    match functions::string::build_regex(pattern, flags) {
                        Ok(regex) => regex.find_iter(source).count(),
                        Err(_) => 0,
                    }
                }
                _ => 0,
            };
            // Each reference to a group repeats at most the whole source, over all matches.
            let groups = new.matches('$').count();
            let made = found.saturating_mul(new.len());
            made.saturating_add(groups.saturating_mul(source.len())) > WEIGHT
        }
        _ => false,
    })
}
