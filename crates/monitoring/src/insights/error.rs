//! What is wrong with a query, and where.

use std::fmt;
use std::ops::Range;

use release::Place;

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsightsError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The line's text, and a line below it with carets under the place.
    pub excerpt: String,
}

impl InsightsError {
    /// A mistake in `text` at bytes `at`.
    pub(super) fn at(text: &str, at: &Range<usize>, message: impl Into<String>) -> Self {
        let place = Place::at("", text, at.start);
        let start = text.floor_char_boundary(at.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
        let line = &text[line_start..line_end];
        let under = text.get(start..at.end.min(line_end)).map_or(1, |under| under.chars().count());
        // A tab stays one, so that the carets stand where the text above does.
        let indent = text[line_start..start].chars().map(|c| if c == '\t' { '\t' } else { ' ' });
        let carets = std::iter::repeat_n('^', under.max(1));
        let excerpt = format!("{line}\n{}", indent.chain(carets).collect::<String>());
        let message = message.into();
        Self { message, hint: None, line: place.line, column: place.column, excerpt }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the name among `names` that is most like `name`, if one is.
    #[must_use]
    pub(super) fn like<'a>(self, name: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let wanted = name.to_lowercase();
        let scored = names
            .into_iter()
            .map(|known| (strsim::damerau_levenshtein(&wanted, &known.to_lowercase()), known));
        let near = scored.min_by_key(|(distance, _)| *distance);
        let length = wanted.chars().count();
        match near.filter(|(distance, _)| *distance <= 1 + length / 4 && *distance < length) {
            Some((_, known)) => self.hint(format!("did you mean `{known}`?")),
            None => self,
        }
    }
}

impl fmt::Display for InsightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        f.write_str(&self.excerpt)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for InsightsError {}
