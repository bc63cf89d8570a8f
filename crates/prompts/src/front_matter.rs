//! What a prompt says about itself.

use std::collections::BTreeMap;

use release::{Code, Diagnostic, Place};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::language::did_you_mean;
use crate::{Parts, PromptError, codes};

/// The TOML between the `+++` lines of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrontMatter {
    /// What the prompt is for.
    pub description: Option<String>,
    /// The variables of the template; a request sets them through its `metadata`.
    pub variables: BTreeMap<String, Variable>,
    /// What the prompt was written for.
    pub model: ModelHints,
}

/// One variable of a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Variable {
    /// What its values are.
    pub r#type: VariableType,
    /// What it is for.
    pub description: Option<String>,
    /// Its value when a request gives none.
    pub default: Option<Value>,
    /// Whether a request must give it; without this, it must unless there is a default.
    pub required: Option<bool>,
    /// The only values it may have; for type `string`.
    pub choices: Option<Vec<String>>,
}

/// The type of a variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// A text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// Named values.
    Object,
}

/// Settings the prompt was written for. They are defaults: an app's configuration and the request
/// come before them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelHints {
    /// Sampling temperature, 0 to 2.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// Nucleus sampling, over 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// The most tokens of an answer, from 1.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
}

impl Variable {
    /// Whether a request must give it.
    pub fn is_required(&self) -> bool {
        self.required.unwrap_or(self.default.is_none())
    }

    /// `value` as the variable's type. Numbers and booleans may be written as text, as the
    /// `metadata` of requests can hold nothing else.
    pub(crate) fn accept(&self, name: &str, value: &Value) -> Result<Value, PromptError> {
        let accepted = match (self.r#type, value) {
            (VariableType::String, Value::String(text)) => {
                let chosen = self.choices.as_ref().is_none_or(|choices| choices.contains(text));
                chosen.then(|| value.clone())
            }
            (VariableType::Integer, Value::Number(number)) if number.is_i64() => {
                Some(value.clone())
            }
            (VariableType::Integer, Value::String(text)) => {
                text.parse::<i64>().ok().map(Value::from)
            }
            (VariableType::Number, Value::Number(_))
            | (VariableType::Boolean, Value::Bool(_))
            | (VariableType::Array, Value::Array(_))
            | (VariableType::Object, Value::Object(_)) => Some(value.clone()),
            (VariableType::Number, Value::String(text)) => {
                text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
            }
            (VariableType::Boolean, Value::String(text)) => {
                text.parse::<bool>().ok().map(Value::from)
            }
            _ => None,
        };
        accepted.ok_or_else(|| PromptError::WrongVariable {
            name: name.to_owned(),
            expected: self.expected(),
        })
    }

    fn expected(&self) -> String {
        match (&self.choices, self.r#type) {
            (Some(choices), VariableType::String) => format!("one of `{}`", choices.join("`, `")),
            (_, VariableType::String) => "a string".to_owned(),
            (_, VariableType::Integer) => "an integer".to_owned(),
            (_, VariableType::Number) => "a number".to_owned(),
            (_, VariableType::Boolean) => "`true` or `false`".to_owned(),
            (_, VariableType::Array) => "an array".to_owned(),
            (_, VariableType::Object) => "an object".to_owned(),
        }
    }
}

/// Front matter with the places of its variables.
#[derive(Default)]
pub(crate) struct Located {
    pub(crate) front_matter: FrontMatter,
    /// Where each variable is declared, in bytes of the file's text. It holds broken ones too, so
    /// that using them is not one more mistake.
    pub(crate) declared: BTreeMap<String, usize>,
}

/// Reads the front matter of `parts`, reporting every mistake to `found`.
pub(crate) fn read(
    file: &str,
    text: &str,
    parts: &Parts<'_>,
    found: &mut Vec<Diagnostic>,
) -> Located {
    let mut reader = Reader { file, text, offset: parts.front_matter_offset, found };
    let (document, errors) = DeTable::parse_recoverable(parts.front_matter);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.error(codes::SYNTAX, at, error.message().to_owned(), None);
    }
    reader.document(document.into_inner())
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    offset: usize,
    found: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn document(&mut self, document: DeTable<'_>) -> Located {
        let mut located = Located::default();
        for (key, value) in document {
            match key.get_ref().as_ref() {
                "description" => located.front_matter.description = self.value(value),
                "model" => {
                    if self.known_keys(&value, &["temperature", "top_p", "max_tokens"]) {
                        let table = value.get_ref().as_table().into_iter().flatten();
                        let places: Vec<(String, usize)> = table
                            .map(|(key, _)| (key.get_ref().to_string(), key.span().start))
                            .collect();
                        located.front_matter.model = self.value(value).unwrap_or_default();
                        self.check_hints(&located.front_matter.model, &places);
                    }
                }
                "variables" => match value.into_inner() {
                    DeValue::Table(variables) => {
                        for (name, variable) in variables {
                            self.variable(&name, variable, &mut located);
                        }
                    }
                    other => {
                        let message =
                            format!("`variables` must be a table, not {}", other.type_str());
                        let hint = "declare each as `[variables.NAME]`".to_owned();
                        self.error(codes::BAD_VALUE, key.span().start, message, Some(hint));
                    }
                },
                unknown => self.unknown_key(
                    unknown,
                    key.span().start,
                    &["description", "variables", "model"],
                ),
            }
        }
        located
    }

    fn variable(
        &mut self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: Spanned<DeValue<'_>>,
        located: &mut Located,
    ) {
        let (at, name) = (name.span().start, name.get_ref().as_ref());
        located.declared.insert(name.to_owned(), self.offset + at);
        if !is_variable_name(name) {
            let message = format!("`{name}` cannot be the name of a variable");
            let hint = "use letters, digits and `_`, not beginning with a digit; `passages`, \
                        `loop`, `self` and the words of the template language are taken";
            self.error(codes::BAD_NAME, at, message, Some(hint.to_owned()));
            return;
        }
        if !self.known_keys(&value, &["type", "description", "default", "required", "choices"]) {
            return;
        }
        let Some(variable) = self.value::<Variable>(value) else { return };
        self.check_variable(name, &variable, at);
        located.front_matter.variables.insert(name.to_owned(), variable);
    }

    fn check_variable(&mut self, name: &str, variable: &Variable, at: usize) {
        if variable.choices.is_some() && variable.r#type != VariableType::String {
            let message = format!("variable `{name}` has choices but is not a string");
            self.error(codes::BAD_VALUE, at, message, None);
        }
        let Some(default) = &variable.default else { return };
        if variable.required == Some(true) {
            let message = format!("variable `{name}` is required and has a default");
            let hint = "leave out `required` or `default`".to_owned();
            self.error(codes::BAD_DEFAULT, at, message, Some(hint));
        }
        let is_text = default.is_string() && variable.r#type != VariableType::String;
        if is_text || variable.accept(name, default).is_err() {
            let message =
                format!("the default of variable `{name}` must be {}", variable.expected());
            let hint = is_text.then(|| "write it without quotation marks".to_owned());
            self.error(codes::BAD_DEFAULT, at, message, hint);
        }
    }

    fn check_hints(&mut self, hints: &ModelHints, places: &[(String, usize)]) {
        let out_of_range = [
            ("temperature", hints.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)), "0 to 2"),
            ("top_p", hints.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)), "over 0 to 1"),
            ("max_tokens", hints.max_tokens == Some(0), "1 or more"),
        ];
        for (key, wrong, range) in out_of_range {
            let place = places.iter().find(|(name, _)| name == key).filter(|_| wrong);
            if let Some((_, at)) = place {
                self.error(codes::BAD_VALUE, *at, format!("`{key}` must be {range}"), None);
            }
        }
    }

    fn value<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Option<T> {
        let start = value.span().start;
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(value),
            Err(error) => {
                let at = error.span().map_or(start, |span| span.start);
                self.error(codes::BAD_VALUE, at, error.message().to_owned(), None);
                None
            }
        }
    }

    /// Whether `value`, if a table, has only keys of `known`; the others are reported.
    fn known_keys(&mut self, value: &Spanned<DeValue<'_>>, known: &[&str]) -> bool {
        let mut all_known = true;
        for (key, _) in value.get_ref().as_table().into_iter().flatten() {
            if !known.contains(&key.get_ref().as_ref()) {
                self.unknown_key(key.get_ref(), key.span().start, known);
                all_known = false;
            }
        }
        all_known
    }

    fn unknown_key(&mut self, key: &str, at: usize, known: &[&str]) {
        let hint = match did_you_mean(key, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys are `{}`", known.join("`, `")),
        };
        self.error(codes::UNKNOWN_KEY, at, format!("unknown key `{key}`"), Some(hint));
    }

    fn error(&mut self, code: Code, at: usize, message: String, hint: Option<String>) {
        let place = Place::at(self.file, self.text, self.offset + at);
        let mut finding = Diagnostic::error(code, place, message);
        finding.hint = hint;
        self.found.push(finding);
    }
}

fn is_variable_name(name: &str) -> bool {
    const TAKEN: &[&str] = &[
        "passages",
        "loop",
        "self",
        "super",
        "true",
        "True",
        "false",
        "False",
        "none",
        "None",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "range",
        "dict",
        "namespace",
    ];
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !TAKEN.contains(&name)
}
