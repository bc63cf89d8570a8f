//! Templates: JSON in which some places are computed.
//!
//! In JSONPath a field whose name ends in `.$` holds a path or an intrinsic call; in JSONata any
//! string between `{%` and `%}` is an expression, wherever it stands.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::fault::{Unevaluated, name};
use crate::intrinsic::{Intrinsic, IntrinsicError};
use crate::jsonata::{Expression, Sight};
use crate::path::{Path, Scope};
use crate::weight::Allowance;
use release::{Draw, Timestamp};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// What it is, as it stands.
    Value(Value),
    /// An object with a computed field somewhere.
    Object(Vec<(String, Template)>),
    /// An array with a computed item somewhere.
    Array(Vec<Template>),
    /// A path, with the name of its field.
    Path(String, Path),
    /// A call, with the name of its field.
    Call(String, Intrinsic),
    /// An expression.
    Expression(Expression),
}

/// The query languages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Paths and intrinsic functions.
    #[default]
    JsonPath,
    /// Expressions.
    Jsonata,
}

/// What computed places see.
pub struct View<'a> {
    /// `$` in JSONPath.
    pub input: &'a Value,
    /// `$$` in JSONPath.
    pub context: &'a Value,
    /// `$name` in both.
    pub variables: &'a Map<String, Value>,
    /// `$states` in JSONata.
    pub states: &'a Value,
    /// The present moment.
    pub now: Timestamp,
    /// Randomness.
    pub draw: &'a mut Draw,
    /// What the computation may still do.
    pub allowance: Allowance,
}

impl<'a> View<'a> {
    /// What paths see.
    pub fn scope(&self) -> Scope<'_> {
        let (input, context, variables) = (self.input, self.context, self.variables);
        Scope { input, context, variables, allowance: &self.allowance }
    }

    /// What expressions see.
    pub fn sight(&mut self) -> Sight<'_> {
        let (states, variables) = (self.states, self.variables);
        Sight { states, variables, now: self.now, draw: self.draw }
    }
}

/// A place of a template that cannot be read: where, and why.
pub type Misread = (String, String);

impl Template {
    /// Reads a template; every mistake is told, with its JSON pointer below `at`.
    ///
    /// # Errors
    /// The mistakes.
    pub fn parse(value: &Value, language: Language, at: &str) -> Result<Self, Vec<Misread>> {
        let mut wrong = Vec::new();
        let template = read(value, language, &mut at.to_owned(), &mut wrong);
        if wrong.is_empty() { Ok(template) } else { Err(wrong) }
    }

    /// The names of its fields.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Value(Value::Object(fields)) => fields.keys().map(String::as_str).collect(),
            Self::Object(fields) => fields.iter().map(|(name, _)| name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The text at a place in it, if it is written out.
    pub fn text(&self, place: &[&str]) -> Option<&str> {
        match (self, place) {
            (Self::Value(value), _) => {
                place.iter().try_fold(value, |value, name| value.get(name))?.as_str()
            }
            (Self::Object(fields), [name, below @ ..]) => {
                fields.iter().find(|(own, _)| own == name)?.1.text(below)
            }
            _ => None,
        }
    }

    /// Notes the variables that it reads.
    pub fn variables<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Self::Value(_) => {}
            Self::Object(fields) => fields.iter().for_each(|(_, field)| field.variables(names)),
            Self::Array(items) => items.iter().for_each(|item| item.variables(names)),
            Self::Path(_, path) => path.variables(names),
            Self::Call(_, call) => call.variables(names),
            Self::Expression(expression) => names.extend(expression.variables()),
        }
    }

    /// Its value. `location` names the field it stands in.
    ///
    /// # Errors
    /// If a place has no value.
    pub fn evaluate(&self, view: &mut View<'_>, location: &str) -> Result<Value, Unevaluated> {
        self.fill(view, &mut location.to_owned())
    }

    fn fill(&self, view: &mut View<'_>, location: &mut String) -> Result<Value, Unevaluated> {
        let above = location.len();
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Object(fields) => {
                let mut object = Map::new();
                for (name, template) in fields {
                    location.push('/');
                    location.push_str(name);
                    object.insert(name.clone(), template.fill(view, location)?);
                    location.truncate(above);
                }
                Ok(object.into())
            }
            Self::Array(items) => {
                let items = items.iter().enumerate().map(|(at, item)| {
                    location.push_str(&format!("[{at}]"));
                    let value = item.fill(view, location);
                    location.truncate(above);
                    value
                });
                items.collect()
            }
            Self::Path(field, path) => path
                .select(view.scope())?
                .ok_or_else(|| Unevaluated::runtime(not_found(path.as_str(), field, view.input))),
            Self::Call(field, call) => {
                let scope = view.scope();
                let mut draw = view.draw.clone();
                let value = call.evaluate(scope, &mut draw);
                *view.draw = draw;
                value.map_err(|error| match error {
                    IntrinsicError::TooMuch(error) => error.into(),
                    IntrinsicError::Missing(path) => {
                        Unevaluated::runtime(not_found(&path, field, view.input))
                    }
                    IntrinsicError::Failed { call, why } => Unevaluated {
                        error: name::INTRINSIC,
                        cause: format!("The function '{call}' had the following error: {why}"),
                        location: None,
                    },
                })
            }
            Self::Expression(expression) => {
                let value = expression.evaluate(&mut view.sight(), location)?;
                view.allowance.weigh(&value)?;
                Ok(value)
            }
        }
    }
}

fn not_found(path: &str, field: &str, input: &Value) -> String {
    format!(
        "The JSONPath '{path}' specified for the field '{field}' could not be found in the input \
         '{input}'"
    )
}

fn read(value: &Value, language: Language, at: &mut String, wrong: &mut Vec<Misread>) -> Template {
    let above = at.len();
    match (value, language) {
        (Value::String(text), Language::Jsonata) => match Expression::marked(text) {
            Some(text) => match Expression::parse(text) {
                Ok(expression) => Template::Expression(expression),
                Err(why) => {
                    wrong.push((at.clone(), why));
                    Template::Value(Value::Null)
                }
            },
            None => Template::Value(value.clone()),
        },
        (Value::Object(fields), _) => {
            let fields = fields.iter().map(|(name, value)| {
                at.push('/');
                at.push_str(name);
                let field = match name.strip_suffix(".$").filter(|_| language == Language::JsonPath)
                {
                    Some(bare) => (bare.to_owned(), computed(name, value, at, wrong)),
                    None => (name.clone(), read(value, language, at, wrong)),
                };
                at.truncate(above);
                field
            });
            let fields: Vec<_> = fields.collect();
            match fields.iter().all(|(_, field)| matches!(field, Template::Value(_))) {
                true => Template::Value(value.clone()),
                false => Template::Object(fields),
            }
        }
        (Value::Array(items), _) => {
            let items = items.iter().enumerate();
            let items = items.map(|(n, item)| {
                at.push_str(&format!("/{n}"));
                let item = read(item, language, at, wrong);
                at.truncate(above);
                item
            });
            let items: Vec<_> = items.collect();
            match items.iter().all(|item| matches!(item, Template::Value(_))) {
                true => Template::Value(value.clone()),
                false => Template::Array(items),
            }
        }
        _ => Template::Value(value.clone()),
    }
}

fn computed(name: &str, value: &Value, at: &str, wrong: &mut Vec<Misread>) -> Template {
    let read = match value.as_str() {
        Some(text) if Intrinsic::is_call(text) => {
            Intrinsic::parse(text).map(|call| Template::Call(name.to_owned(), call))
        }
        Some(text) => match text.parse() {
            Ok(path) => Ok(Template::Path(name.to_owned(), path)),
            Err(error) => Err(format!("`{text}` is no path: {error}")),
        },
        None => Err(format!("the field `{name}` must hold a path or an intrinsic call")),
    };
    read.unwrap_or_else(|why| {
        wrong.push((at.to_owned(), why));
        // Refused with the rest: never evaluated, and no plain value either.
        Template::Array(Vec::new())
    })
}

#[cfg(test)]
mod tests;
