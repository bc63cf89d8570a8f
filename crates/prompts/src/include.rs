//! Includes, resolved before a prompt is hashed.
//!
//! `{% include "name" %}` is replaced by the text of the prompt `name`, as if it stood there.

use std::collections::BTreeMap;

use minijinja::machinery::{Token, parse, tokenize};
use release::Place;

use crate::check::too_complex;
use crate::language::{did_you_mean, syntax};
use crate::text::normalize_text;
use crate::{MAX_PROMPT, Prompt, PromptError};

/// How deep includes may nest.
const MAX_DEPTH: usize = 16;

/// The text of prompt `name` with all includes replaced by what they name. `prompts` holds the
/// texts of all prompts and fragments by name.
///
/// # Errors
/// [`PromptError::Include`] for an include whose name is not a plain text or that names nothing,
/// [`PromptError::IncludeCycle`], [`PromptError::TooLarge`], [`PromptError::Missing`].
pub fn resolve_includes(
    name: &str,
    prompts: &BTreeMap<String, String>,
) -> Result<String, PromptError> {
    let text = prompts.get(name).ok_or_else(|| PromptError::Missing(name.to_owned()))?;
    let text = normalize_text(text);
    let Ok(parts) = Prompt::split(&text) else {
        // Its front matter is broken, which the check reports.
        return Ok(text);
    };
    let mut resolver = Resolver { prompts, open: Vec::new(), resolved: String::new() };
    resolver.resolved.push_str(&text[..parts.template_offset]);
    let source = Source { name, text: &text, offset: parts.template_offset };
    resolver.resolve(&source, parts.template)?;
    Ok(resolver.resolved)
}

struct Resolver<'a> {
    prompts: &'a BTreeMap<String, String>,
    /// The prompts being resolved, outermost first.
    open: Vec<String>,
    resolved: String,
}

/// A prompt's text; its template begins at `offset`.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    offset: usize,
}

impl Source<'_> {
    fn error(&self, at: usize, message: impl Into<String>) -> PromptError {
        let Place { line, column, .. } = Place::at("", self.text, self.offset + at);
        PromptError::Include { prompt: self.name.to_owned(), line, column, message: message.into() }
    }
}

impl Resolver<'_> {
    fn resolve(&mut self, source: &Source<'_>, template: &str) -> Result<(), PromptError> {
        self.open.push(source.name.to_owned());
        let mut copied = 0;
        for tag in include_tags(source, template)? {
            let before = &template[copied..tag.start];
            self.push(source, if tag.trims_before { before.trim_end() } else { before })?;
            self.include(source, &tag)?;
            let rest = &template[tag.end..];
            let skipped = if tag.trims_after { rest.len() - rest.trim_start().len() } else { 0 };
            copied = tag.end + skipped;
        }
        self.push(source, &template[copied..])?;
        self.open.pop();
        Ok(())
    }

    fn include(&mut self, source: &Source<'_>, tag: &Tag) -> Result<(), PromptError> {
        let Some(text) = self.prompts.get(&tag.name) else {
            let meant = did_you_mean(&tag.name, self.prompts.keys().map(String::as_str));
            let hint = meant.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
            let message = format!("there is no prompt `{}` to include{hint}", tag.name);
            return Err(source.error(tag.start, message));
        };
        if let Some(first) = self.open.iter().position(|open| *open == tag.name) {
            let mut circle = self.open.split_off(first);
            circle.push(tag.name.clone());
            return Err(PromptError::IncludeCycle(circle));
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("includes nest deeper than {MAX_DEPTH}");
            return Err(source.error(tag.start, message));
        }
        let text = normalize_text(text);
        let has_front_matter = Prompt::split(&text).map_or(true, |parts| parts.template_offset > 0);
        if has_front_matter {
            let message =
                format!("`{}` has front matter, so it is a prompt and not a part of one", tag.name);
            return Err(source.error(tag.start, message));
        }
        // As when a template is rendered, the line end at its end is not part of it.
        let template = text.strip_suffix('\n').unwrap_or(&text);
        let included = Source { name: &tag.name, text: &text, offset: 0 };
        if let Some((at, what)) = too_complex(template) {
            return Err(included.error(at, what));
        }
        if let Err(error) = parse(template, &tag.name, syntax()) {
            let at = error.range().map_or(0, |range| range.start);
            let what = error.detail().unwrap_or("the template does not parse");
            return Err(included.error(at, what));
        }
        self.resolve(&included, template)
    }

    fn push(&mut self, source: &Source<'_>, text: &str) -> Result<(), PromptError> {
        if self.resolved.len() + text.len() > MAX_PROMPT {
            let prompt = self.open.first().map_or(source.name, String::as_str).to_owned();
            return Err(PromptError::TooLarge { prompt, limit: MAX_PROMPT });
        }
        self.resolved.push_str(text);
        Ok(())
    }
}

/// `{% include "name" %}`, by its bytes in the template.
struct Tag {
    name: String,
    start: usize,
    end: usize,
    trims_before: bool,
    trims_after: bool,
}

/// The include tags of `template`. A template that cannot be read has none from there on: checking
/// the prompt reports why.
fn include_tags(source: &Source<'_>, template: &str) -> Result<Vec<Tag>, PromptError> {
    let mut tags = Vec::new();
    let mut tokens = tokenize(template, false, syntax()).map_while(Result::ok).peekable();
    while let Some((token, opening)) = tokens.next() {
        let is_include = matches!(token, Token::BlockStart)
            && matches!(tokens.peek(), Some((Token::Ident("include"), _)));
        if !is_include {
            continue;
        }
        tokens.next();
        let start = opening.start_offset as usize;
        let name = match tokens.next() {
            Some((Token::Str(name), _)) => name.to_owned(),
            Some((Token::String(name), _)) => name.into_string(),
            _ => return Err(source.error(start, DYNAMIC)),
        };
        let Some((Token::BlockEnd, closing)) = tokens.next() else {
            return Err(source.error(start, DYNAMIC));
        };
        let end = closing.end_offset as usize;
        tags.push(Tag {
            name,
            start,
            end,
            trims_before: template[start..].starts_with("{%-"),
            trims_after: template[..end].trim_end().ends_with("-%}"),
        });
    }
    Ok(tags)
}

const DYNAMIC: &str = "an include must be exactly `{% include \"name\" %}`, \
                       so that it can be resolved before the prompt is released";

#[cfg(test)]
mod tests;
