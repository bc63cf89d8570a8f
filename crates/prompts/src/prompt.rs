//! A prompt: front matter and template.

use std::collections::BTreeMap;
use std::io;

use minijinja::{Environment, UndefinedBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How much work one rendering may do, in MiniJinja's instructions.
const FUEL: u64 = 1_000_000;
/// The most bytes a rendered prompt may have.
const MAX_RENDERED: usize = 1 << 20;
/// The line that opens and closes the front matter.
pub(crate) const FENCE: &str = "+++\n";

/// What stands before the template, between two lines of `+++`, in TOML.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrontMatter {
    /// What the prompt is for, for people.
    pub description: String,
    /// What the template may use, by name; values come from a request's `metadata`.
    pub variables: BTreeMap<String, Variable>,
    /// What the author would set on the model; hints only, the app's model artifact decides.
    pub model: ModelHints,
}

/// A value the template may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it must be.
    pub r#type: VariableType,
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value where the request has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether a request without it is refused. Without `required` and `default` it is empty.
    #[serde(default)]
    pub required: bool,
}

/// What a variable must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// A table.
    Object,
}

impl VariableType {
    /// Whether `value` is one.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// `value`, or what its text is written for: OpenAI's `metadata` holds nothing but text.
    fn take(self, value: &Value) -> Option<Value> {
        if self.admits(value) {
            return Some(value.clone());
        }
        serde_json::from_str(value.as_str()?).ok().filter(|value| self.admits(value))
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    fn empty(self) -> Value {
        match self {
            Self::String => Value::String(String::new()),
            Self::Integer | Self::Number => 0.into(),
            Self::Boolean => false.into(),
            Self::Array => Value::Array(Vec::new()),
            Self::Object => Value::Object(Map::new()),
        }
    }
}

/// What the author would set on the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelHints {
    /// Randomness, 0 to 2.
    pub temperature: Option<f64>,
    /// The most tokens of an answer.
    pub max_tokens: Option<u32>,
}

/// A passage, as the template sees it in `passages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassageView<'a> {
    /// Its number in citations, from 1.
    pub number: usize,
    /// Its id.
    pub id: &'a str,
    /// The document's title.
    pub title: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Where the document is.
    pub source: &'a str,
}

/// Why a prompt cannot be read or rendered.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The front matter is not closed.
    #[error("the front matter that starts with `+++` has no closing `+++` line")]
    Unclosed,
    /// The front matter is not the TOML it should be.
    #[error("the front matter cannot be read")]
    FrontMatter(#[source] Box<toml::de::Error>),
    /// The template is broken or failed.
    #[error("the template failed: {0}")]
    Template(#[from] minijinja::Error),
    /// A request lacks a required variable.
    #[error("the variable `{0}` is required: send it in `metadata`")]
    MissingVariable(String),
    /// A request's variable is of the wrong type.
    #[error("the variable `{name}` must be of type {expected}")]
    WrongType {
        /// The variable.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The rendered prompt is too long.
    #[error("the rendered prompt exceeds {MAX_RENDERED} bytes")]
    TooLong,
    /// An include that is not there, loops or is not a fixed name.
    #[error("{0}")]
    Include(String),
}

/// A prompt that is ready to be rendered.
#[derive(Debug, Clone)]
pub struct Prompt {
    front: FrontMatter,
    environment: Environment<'static>,
}

/// The two parts of a prompt's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub front: &'a str,
    pub template: &'a str,
    /// Where the template starts, in bytes.
    pub template_at: usize,
}

pub(crate) fn split(text: &str) -> Result<Parts<'_>, PromptError> {
    let Some(rest) = text.strip_prefix(FENCE) else {
        return Ok(Parts { front: "", template: text, template_at: 0 });
    };
    let (front, after) = if let Some(after) = rest.strip_prefix(FENCE) {
        ("", after)
    } else {
        let end = rest.find("\n+++\n").ok_or(PromptError::Unclosed)?;
        (&rest[..=end], &rest[end + 1 + FENCE.len()..])
    };
    Ok(Parts { front, template: after, template_at: text.len() - after.len() })
}

pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// The name the template has inside its environment.
pub(crate) const TEMPLATE: &str = "prompt";

impl Prompt {
    /// Reads a prompt whose includes are resolved.
    ///
    /// # Errors
    /// If the front matter or the template's syntax is wrong.
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        let parts = split(text)?;
        let front =
            toml::from_str(parts.front).map_err(|error| PromptError::FrontMatter(error.into()))?;
        let mut environment = environment();
        let template = parts.template.trim_end_matches('\n').to_owned();
        environment.add_template_owned(TEMPLATE, template)?;
        Ok(Self { front, environment })
    }

    /// The front matter.
    pub fn front(&self) -> &FrontMatter {
        &self.front
    }

    /// The system message for these variables and passages.
    ///
    /// # Errors
    /// If a variable is missing or of the wrong type, the template uses something undefined, or
    /// the result is too long.
    pub fn render(
        &self,
        values: &Map<String, Value>,
        passages: &[PassageView<'_>],
    ) -> Result<String, PromptError> {
        let mut context = BTreeMap::new();
        for (name, variable) in &self.front.variables {
            let value = match values.get(name).or(variable.default.as_ref()) {
                Some(value) => variable.r#type.take(value).ok_or_else(|| {
                    let expected = variable.r#type.as_str();
                    PromptError::WrongType { name: name.clone(), expected }
                })?,
                None if variable.required => {
                    return Err(PromptError::MissingVariable(name.clone()));
                }
                None => variable.r#type.empty(),
            };
            context.insert(name.as_str(), minijinja::Value::from(minijinja::value::Serde(value)));
        }
        context.insert("passages", minijinja::Value::from(minijinja::value::Serde(passages)));
        let mut out = Bounded::default();
        let rendered =
            self.environment.get_template(TEMPLATE)?.render_captured_to(context, &mut out);
        match rendered {
            Err(_) if out.full => Err(PromptError::TooLong),
            Err(error) => Err(error.into()),
            // A template and its values are text, so what they make is.
            Ok(_) => Ok(String::from_utf8_lossy(&out.text).into_owned()),
        }
    }
}

/// Takes the bytes of a rendered prompt, and no more than [`MAX_RENDERED`].
#[derive(Debug, Default)]
struct Bounded {
    text: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full |= self.text.len() + bytes.len() > MAX_RENDERED;
        if self.full {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
