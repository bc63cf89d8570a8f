//! The form of an answer: its exact text, a pattern in it, a schema it keeps.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{Compiled, Outcome, Seen};
use crate::suite::{Measure, Wrong};

/// The most memory a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// How many of a schema's objections are told.
const TOLD: usize = 3;

/// Compiles a pattern or a schema.
pub(super) fn compile(measure: &Measure) -> Result<Compiled, Wrong> {
    match measure {
        Measure::Regex { pattern, .. } => {
            let built = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
            let wrong = |error: regex::Error| {
                // The lines before the last only draw where it is.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                Wrong::new("/measure/pattern", last.trim_start_matches("error: "))
            };
            built.map(Compiled::Pattern).map_err(wrong)
        }
        Measure::JsonSchema { schema } => {
            let built = jsonschema::validator_for(schema);
            let wrong = |error: ValidationError<'_>| {
                let message = match error.kind() {
                    ValidationErrorKind::Referencing(_) => {
                        "it refers to a schema that is not within it".to_owned()
                    }
                    _ => error.to_string(),
                };
                Wrong::new(&format!("/measure/schema{}", error.instance_path()), message)
            };
            built.map(|schema| Compiled::Schema(Box::new(schema))).map_err(wrong)
        }
        _ => Ok(Compiled::Nothing),
    }
}

/// Whether the answer is what is expected.
pub(super) fn exact(seen: Seen<'_>, ignore_case: bool) -> Result<Outcome, Outcome> {
    let (expected, answer) = (seen.expected()?.trim(), seen.answer.text.trim());
    let same = if ignore_case {
        expected.to_lowercase() == answer.to_lowercase()
    } else {
        expected == answer
    };
    Ok(Outcome::whether(same, ""))
}

/// Whether the pattern is found, or absent.
pub(super) fn pattern(seen: Seen<'_>, pattern: &Regex, absent: bool) -> Outcome {
    let found = pattern.find(&seen.answer.text);
    let explanation = match &found {
        Some(found) => format!("found `{}`", beginning(found.as_str())),
        None => "not found".to_owned(),
    };
    Outcome::whether(found.is_some() != absent, explanation)
}

/// Whether the answer is JSON that the schema allows.
pub(super) fn schema(seen: Seen<'_>, schema: &Validator) -> Outcome {
    let value: Value = match serde_json::from_str(seen.answer.text.trim()) {
        Ok(value) => value,
        Err(error) => return Outcome::whether(false, format!("not JSON: {error}")),
    };
    let objections = schema.iter_errors(&value).take(TOLD).map(|error| {
        let at = error.instance_path().to_string();
        let at = if at.is_empty() { "/".to_owned() } else { at };
        format!("{at}: {error}")
    });
    let objections: Vec<String> = objections.collect();
    Outcome::whether(objections.is_empty(), objections.join("; "))
}

/// The beginning of `text`, for people to read.
pub(crate) fn beginning(text: &str) -> String {
    let mut characters = text.chars();
    let mut start: String = characters.by_ref().take(80).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}
