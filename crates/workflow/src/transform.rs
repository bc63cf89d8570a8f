//! Input transformers: what of an event a target of a rule is given, in EventBridge's language.
//!
//! A target gets the whole event, a fixed value, the part at a path, or a template in which `<name>`
//! stands for what a path finds. A template is JSON, or lines in double quotes. Outside quotes a variable
//! becomes a JSON value, quotes of texts included; inside quotes it becomes text, and objects and
//! arrays lose their own quotes. What a path does not find is an empty text outside quotes and
//! nothing inside. Unlike the service, we escape what goes between quotes, so that no event can
//! add fields to what a template makes.

mod template;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::MAX_PAYLOAD;
use crate::path::{Path, PathError, Scope};
use crate::weight::{Allowance, TooMuch};
use template::Template;

/// The longest template, in characters.
const MAX_TEMPLATE: usize = 8_192;
/// The most variables of a template.
const MAX_PATHS: usize = 100;
/// The longest name and the longest path, in characters.
const MAX_NAME: usize = 256;

/// What of an event a target is given: without any field, the whole event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransformSpec {
    /// A fixed value to give, whatever the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<Value>,
    /// The path of the part to give, such as `$.detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The template's variables: each a name and the path of what it stands for (at most 100).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// JSON, or lines in double quotes, with `<name>` for each variable. Known without being
    /// named: `<aws.events.event.json>` (the event), `<aws.events.event>` (the event without its
    /// detail), `<aws.events.event.ingestion-time>`, `<aws.events.rule-name>` and
    /// `<aws.events.rule-arn>`.
    #[schemars(length(min = 1, max = 8192))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// What is wrong with a transformer, or with an event for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// Two ways at once.
    #[error("`constant`, `path` and `template` exclude each other")]
    Several,
    /// Variables of no template.
    #[error("`variables` need a `template`")]
    NoTemplate,
    /// Too many variables.
    #[error("a template has at most {MAX_PATHS} variables, not {0}")]
    TooManyVariables(usize),
    /// A variable's name.
    #[error("`{0}` is no variable's name: use 1 to {MAX_NAME} of A–Z, a–z, 0–9, `-` and `_`")]
    Name(String),
    /// A path that cannot be read.
    #[error("`{path}` is no path into an event: {why}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A variable that nothing defines.
    #[error("the template contains the undefined variable `{0}`")]
    Undefined(String),
    /// A variable in a field's name.
    #[error("the template has the variable `{0}` in the name of a field")]
    VariableInName(String),
    /// A template of neither form.
    #[error("the template is neither JSON nor lines in double quotes: {0}")]
    Malformed(String),
    /// A template of no or too many characters.
    #[error("a template has 1 to {MAX_TEMPLATE} characters, not {0}")]
    Length(usize),
    /// The event lacks what it should give.
    #[error("the event has nothing at `{0}`")]
    Nothing(String),
    /// The filled-in template is too long.
    #[error("the filled-in template is longer than {MAX_PAYLOAD} bytes")]
    TooLong,
    /// What its paths lead to is too much.
    #[error("what the event is to give was not taken together: {0}")]
    TooMuch(#[from] TooMuch),
}

/// A transformer that can be applied.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// Gives a fixed value.
    Constant(Value),
    /// Gives the whole event.
    Whole,
    /// Gives what is at the path.
    Part(Path),
    /// Gives a filled-in template.
    Template(Template),
}

/// An event on its way to a target.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The event.
    pub event: &'a Value,
    /// When it was received.
    pub received: Timestamp,
    /// The name of the rule it matched.
    pub rule: &'a str,
    /// The rule's ARN.
    pub rule_arn: &'a str,
}

impl TransformSpec {
    /// Reads paths and template.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn compile(&self) -> Result<Transform, TransformError> {
        let ways = [self.constant.is_some(), self.path.is_some(), self.template.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(TransformError::Several);
        }
        let Some(template) = &self.template else {
            return match (&self.path, &self.constant) {
                _ if !self.variables.is_empty() => Err(TransformError::NoTemplate),
                (None, None) => Ok(Transform::Whole),
                (None, Some(constant)) => Ok(Transform::Constant(constant.clone())),
                (Some(path), _) => Ok(Transform::Part(self::path(path)?)),
            };
        };
        if self.variables.len() > MAX_PATHS {
            return Err(TransformError::TooManyVariables(self.variables.len()));
        }
        let length = template.chars().count();
        if !(1..=MAX_TEMPLATE).contains(&length) {
            return Err(TransformError::Length(length));
        }
        let mut paths = BTreeMap::new();
        for (name, path) in &self.variables {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(allowed) {
                return Err(TransformError::Name(name.clone()));
            }
            paths.insert(name.as_str(), self::path(path)?);
        }
        Template::parse(template, &paths).map(Transform::Template)
    }
}

impl Transform {
    /// Whether what it gives is always JSON, as the input of an execution must be.
    pub fn gives_json(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Whole | Self::Part(_) => true,
            Self::Template(template) => template.is_json(),
        }
    }

    /// What the target is given.
    ///
    /// # Errors
    /// The event has nothing at the path of the part to give, or makes the template too long.
    pub fn apply(&self, delivery: Delivery<'_>) -> Result<String, TransformError> {
        match self {
            Self::Constant(constant) => Ok(constant.to_string()),
            Self::Whole => Ok(delivery.event.to_string()),
            Self::Part(path) => match select(path, delivery.event, &Allowance::default())? {
                Some(part) => Ok(part.to_string()),
                None => Err(TransformError::Nothing(path.as_str().to_owned())),
            },
            Self::Template(template) => template.fill(delivery),
        }
    }
}

fn path(text: &str) -> Result<Path, TransformError> {
    let wrong = |why: String| TransformError::Path { path: text.to_owned(), why };
    if text.chars().count() > MAX_NAME {
        return Err(wrong(format!("it has more than {MAX_NAME} characters")));
    }
    let path: Path = text.parse().map_err(|error: PathError| wrong(error.to_string()))?;
    if !path.starts_at_input() {
        return Err(wrong("it starts at `$`, the event".to_owned()));
    }
    Ok(path)
}

fn select(
    path: &Path,
    event: &Value,
    allowance: &Allowance,
) -> Result<Option<Value>, TransformError> {
    let (context, variables) = (&Value::Null, &Map::new());
    Ok(path.select(Scope { input: event, context, variables, allowance })?)
}

#[cfg(test)]
mod tests;
