//! From a document's bytes to its text, its headings and its pages.
//!
//! ```text
//!  RawDocument ─► Kind (media type, ending, first bytes)
//!              ├─ text, Markdown ─► here
//!              └─ all else ─► Extractor ─► a child process under limits ─► its format's function
//! ```
//!
//! A format's function takes bytes and gives text; it opens no file and follows no reference. PDF and
//! scanned images are read by commands (`pdftotext`, `tesseract`), which the child starts under its own
//! limits.

mod archive;
mod child;
mod command;
mod encoding;
mod html;
mod json;
mod kind;
mod mail;
mod markdown;
mod office;
mod sheet;
mod table;
mod text;
mod worker;

use serde::{Deserialize, Serialize};

use crate::document::{Extracted, Heading, RawDocument};
use encoding::Decoded;

pub use child::serve_documents;
pub use kind::Kind;
pub use worker::{Extractor, Limits};

/// The most bytes of text that one document gives.
const MAX_TEXT: usize = 32 << 20;
/// The most characters of a title, and of a heading: each passage below it repeats it.
const MAX_TITLE: usize = 120;
const MAX_HEADING: usize = 300;

/// Why there is no text of a document. The batch goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// It is not what it says it is.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Its format is not read, or not on this machine.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// It, or what is packed in it, is larger than allowed.
    #[error("too large: {0}")]
    TooLarge(String),
    /// It takes more time than allowed.
    #[error("out of time: {0}")]
    Time(String),
    /// It takes more memory than allowed.
    #[error("out of memory: {0}")]
    Memory(String),
    /// Reading it made the reader crash.
    #[error("crashed: {0}")]
    Crash(String),
    /// It holds what the knowledge base must not hold.
    #[error("withheld: {0}")]
    Withheld(String),
    /// A step of the knowledge base's own failed on it.
    #[error("a step failed: {0}")]
    Step(String),
}

impl Refusal {
    /// It is not what it says it is.
    fn malformed(why: impl std::fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }

    /// It could not be read on.
    fn broken(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::OutOfMemory => Self::Memory(error.to_string()),
            _ => Self::malformed(error),
        }
    }
}

/// Extracts a document here, whatever it is: the work of the child.
fn extract(document: &RawDocument) -> Result<Extracted, Refusal> {
    let bytes = &document.bytes[..];
    let kind = match Kind::of(document)? {
        Kind::Archive => kind::packed(bytes)?,
        kind => kind,
    };
    let declared = document.media_type.as_deref().and_then(encoding::declared);
    let Decoded { text, assumed } = match kind {
        Kind::Html => encoding::decode_html(bytes, declared)?,
        kind if kind.is_text() => encoding::decode(bytes, declared)?,
        _ => Decoded::default(),
    };
    let mut extracted = match kind {
        Kind::Text => text::extract(text),
        Kind::Markdown => markdown::extract(&text)?,
        Kind::Html => html::extract(&text)?,
        Kind::Csv => table::extract(&text)?,
        Kind::Json => json::extract(&text)?,
        Kind::JsonLines => json::extract_lines(&text)?,
        Kind::Sheet => sheet::extract(bytes)?,
        Kind::Docx => office::document(bytes)?,
        Kind::Pptx => office::slides(bytes)?,
        Kind::Mail => mail::extract(bytes)?,
        Kind::Pdf => command::pdf(bytes)?,
        Kind::Image => command::image(bytes)?,
        Kind::Archive => return Err(Refusal::malformed("an archive in disguise")),
    };
    if let Some(assumed) = assumed {
        extracted.metadata.insert("assumed_encoding".to_owned(), assumed.into());
    }
    if extracted.title.is_empty() {
        let heading = extracted.headings.first().map(|heading| heading.text.clone());
        let line = || extracted.text.lines().map(str::trim).find(|line| !line.is_empty());
        extracted.title = heading.or_else(|| line().map(str::to_owned)).unwrap_or_default();
    }
    extracted.title = extracted.title.chars().take(MAX_TITLE).collect();
    Ok(extracted)
}

/// Plain text in the making: blocks separated by blank lines, white space folded.
#[derive(Debug, Default)]
struct Builder {
    out: Extracted,
    block: String,
    /// Whether there was more text than a document may have.
    full: bool,
}

impl Builder {
    /// Adds text to the present block; white space is folded.
    fn say(&mut self, text: &str) {
        if self.is_full(text) {
            return;
        }
        for (position, word) in text.split_whitespace().enumerate() {
            let spaced = position > 0 || text.starts_with(char::is_whitespace);
            if spaced && !self.block.is_empty() && !self.block.ends_with(char::is_whitespace) {
                self.block.push(' ');
            }
            self.block.push_str(word);
        }
        if text.ends_with(char::is_whitespace)
            && !self.block.is_empty()
            && !self.block.ends_with(char::is_whitespace)
        {
            self.block.push(' ');
        }
    }

    /// Adds text to the present block as it stands.
    fn verbatim(&mut self, text: &str) {
        if !self.is_full(text) {
            self.block.push_str(text);
        }
    }

    fn is_full(&mut self, text: &str) -> bool {
        self.full |= self.out.text.len() + self.block.len() + text.len() > MAX_TEXT;
        self.full
    }

    /// Ends the present line within the block.
    fn line(&mut self) {
        if !self.block.trim().is_empty() {
            self.block.truncate(self.block.trim_end().len());
            self.block.push('\n');
        }
    }

    /// Ends the present block.
    fn end(&mut self) {
        let block = std::mem::take(&mut self.block);
        // Indentation is the content of code.
        let block = block.trim_end().trim_start_matches(['\n', '\r']);
        if !block.trim().is_empty() {
            if !self.out.text.is_empty() {
                self.out.text.push_str("\n\n");
            }
            self.out.text.push_str(block);
        }
    }

    /// Ends the present block as a heading.
    fn heading(&mut self, level: u8) {
        let text = std::mem::take(&mut self.block);
        let text: String = text.trim().replace('\n', " ").chars().take(MAX_HEADING).collect();
        if !text.is_empty() {
            self.out.headings.push(Heading { level, text, at: self.out.text.len() });
        }
    }

    /// Ends the present block, and begins a page.
    fn page(&mut self) {
        self.end();
        self.out.pages.push(self.out.text.len());
    }

    /// Adds what was extracted of a part of the document.
    fn take_in(&mut self, part: Extracted) {
        self.end();
        if self.is_full(&part.text) {
            return;
        }
        let gap = if self.out.text.is_empty() { "" } else { "\n\n" };
        self.out.text.push_str(gap);
        let start = self.out.text.len();
        self.out.text.push_str(&part.text);
        let moved =
            part.headings.into_iter().map(|heading| Heading { at: heading.at + start, ..heading });
        self.out.headings.extend(moved);
    }

    /// Tells something of the document, unless it is empty.
    fn tell(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        let value = value.into();
        if value.as_str() != Some("") {
            self.out.metadata.insert(name.to_owned(), value);
        }
    }

    fn finish(mut self) -> Result<Extracted, Refusal> {
        self.end();
        match self.full {
            false => Ok(self.out),
            true => Err(Refusal::TooLarge(format!("it gives more than {MAX_TEXT} bytes of text"))),
        }
    }
}

#[cfg(test)]
pub mod tests;
