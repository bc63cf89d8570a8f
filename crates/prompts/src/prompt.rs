//! A prompt that can be rendered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value as TemplateValue};
use release::{Diagnostic, Severity};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::text::normalize_text;
use crate::{FrontMatter, MAX_RENDERED, Parts, PromptError, check, language};

/// The name of the only template of an environment.
const TEMPLATE: &str = "prompt";

/// What a prompt sees of one retrieved passage, as an element of `passages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PassageView<'a> {
    /// The chunk's id.
    pub id: &'a str,
    /// The title of its document and section.
    pub title: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Where it comes from.
    pub source: &'a str,
}

/// A prompt, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Prompt {
    front_matter: Arc<FrontMatter>,
    environment: Arc<Environment<'static>>,
    /// Lines before the template.
    lines_before: u32,
}

impl Prompt {
    /// Reads a prompt whose includes are resolved.
    ///
    /// # Errors
    /// [`PromptError::Invalid`] with every finding that is an error.
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        let text = normalize_text(text);
        let (located, mut found) = check::check(TEMPLATE, &text, check::Includes::Resolved);
        found.retain(|finding| finding.severity == Severity::Error);
        let parts = match (Parts::of(TEMPLATE, &text), found.is_empty()) {
            (Ok(parts), true) => parts,
            _ => return Err(PromptError::Invalid(found)),
        };
        let mut environment = language::environment();
        environment.add_template_owned(TEMPLATE, parts.template.to_owned()).map_err(|error| {
            PromptError::Invalid(vec![check::syntax_error(TEMPLATE, &text, &parts, &error)])
        })?;
        let lines_before = text[..parts.template_offset].matches('\n').count();
        Ok(Self {
            front_matter: Arc::new(located.front_matter),
            environment: Arc::new(environment),
            lines_before: u32::try_from(lines_before).unwrap_or(u32::MAX),
        })
    }

    /// Cuts a prompt's text into front matter and template.
    ///
    /// # Errors
    /// [`PromptError::Invalid`] if the front matter does not begin with `+++` or does not end.
    pub fn split(text: &str) -> Result<Parts<'_>, PromptError> {
        Parts::of(TEMPLATE, text).map_err(|finding| PromptError::Invalid(vec![*finding]))
    }

    /// Everything that is wrong, or probably wrong, with `text`, the contents of `file`. Includes
    /// may be unresolved; then a variable may be used where this does not see it.
    pub fn check(file: &str, text: &str) -> Vec<Diagnostic> {
        let (_, mut found) = check::check(file, &normalize_text(text), check::Includes::Allowed);
        found.sort();
        found
    }

    /// What the prompt says about itself.
    pub fn front_matter(&self) -> &FrontMatter {
        &self.front_matter
    }

    /// The prompt's text for these variables and passages. Variables that the prompt does not
    /// declare are not used: `metadata` may hold others.
    ///
    /// # Errors
    /// [`PromptError::MissingVariable`] and [`PromptError::WrongVariable`] name the variable;
    /// [`PromptError::Render`] and [`PromptError::TooMuch`] are about the template.
    pub fn render(
        &self,
        variables: &Map<String, Value>,
        passages: &[PassageView<'_>],
    ) -> Result<String, PromptError> {
        let mut context: BTreeMap<&str, TemplateValue> = BTreeMap::new();
        for (name, variable) in &self.front_matter.variables {
            let value = match variables.get(name) {
                Some(given) => variable.accept(name, given)?,
                None => match &variable.default {
                    Some(default) => default.clone(),
                    None if variable.is_required() => {
                        return Err(PromptError::MissingVariable { name: name.clone() });
                    }
                    None => continue,
                },
            };
            context.insert(name, TemplateValue::from(Serde(value)));
        }
        context.insert("passages", TemplateValue::from(Serde(passages)));
        let template =
            self.environment.get_template(TEMPLATE).map_err(|error| self.failed(&error))?;
        let rendered = template.render(context).map_err(|error| self.failed(&error))?;
        if rendered.len() > MAX_RENDERED { Err(PromptError::TooMuch) } else { Ok(rendered) }
    }

    fn failed(&self, error: &minijinja::Error) -> PromptError {
        if error.kind() == ErrorKind::OutOfFuel {
            return PromptError::TooMuch;
        }
        let in_template = error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(1);
        let source = error.template_source().zip(error.range());
        let expression = source.and_then(|(source, range)| source.get(range));
        let message = match (error.kind(), expression) {
            (ErrorKind::UndefinedError, Some(expression)) => format!("`{expression}` is undefined"),
            (kind, Some(expression)) => format!("{kind} in `{expression}`"),
            (kind, None) => kind.to_string(),
        };
        PromptError::Render { line: self.lines_before.saturating_add(in_template), message }
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("front_matter", &self.front_matter).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
