//! A prompt's file as text: its line ends, and where its front matter ends.

use release::{Diagnostic, Place};

use crate::{PromptError, codes};

/// A file's bytes as the text that is checked, hashed and stored: UTF-8 without a byte order mark,
/// lines ended by LF.
///
/// # Errors
/// [`PromptError::NotUtf8`], with the place.
pub fn normalize(bytes: &[u8]) -> Result<String, PromptError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(normalize_text(text)),
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let Place { line, column, .. } = Place::at("", &valid, valid.len());
            Err(PromptError::NotUtf8 { line, column })
        }
    }
}

pub(crate) fn normalize_text(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

/// A prompt's text cut into front matter and template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The TOML between the `+++` lines; empty if there is no front matter.
    pub front_matter: &'a str,
    /// Where it begins in the text, in bytes.
    pub front_matter_offset: usize,
    /// The template.
    pub template: &'a str,
    /// Where it begins in the text, in bytes.
    pub template_offset: usize,
}

impl<'a> Parts<'a> {
    /// Cuts `text`, which lies in `file`. Lines end with LF.
    pub(crate) fn of(file: &str, text: &'a str) -> Result<Self, Box<Diagnostic>> {
        let (first, rest_offset) = line_at(text, 0);
        if first.trim_end() == "---" {
            let message = "the front matter begins with `---`";
            let finding = Diagnostic::error(codes::FRONT_MATTER, Place::start_of(file), message);
            let hint = "front matter is TOML between two lines of `+++`: \
                        write `description = \"…\"` instead of `description: …`";
            return Err(Box::new(finding.hint(hint)));
        }
        if first.trim_end() != "+++" {
            let without = Self {
                front_matter: "",
                front_matter_offset: 0,
                template: text,
                template_offset: 0,
            };
            return Ok(without);
        }
        let mut at = rest_offset;
        while at < text.len() {
            let (line, next) = line_at(text, at);
            if line.trim_end() == "+++" {
                return Ok(Self {
                    front_matter: &text[rest_offset..at],
                    front_matter_offset: rest_offset,
                    template: &text[next..],
                    template_offset: next,
                });
            }
            at = next;
        }
        let message = "the front matter has no end";
        let finding = Diagnostic::error(codes::FRONT_MATTER, Place::start_of(file), message);
        Err(Box::new(finding.hint("end it with a line of `+++`")))
    }
}

/// The line that begins at `at`, without its end, and where the next one begins.
fn line_at(text: &str, at: usize) -> (&str, usize) {
    match text[at..].find('\n') {
        Some(length) => (&text[at..at + length], at + length + 1),
        None => (&text[at..], text.len()),
    }
}
