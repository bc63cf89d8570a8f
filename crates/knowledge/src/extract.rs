//! From a file's text to plain text with its headings.

mod html;
mod markdown;

use crate::document::{Extracted, Heading};

/// Extracts a document by the ending of its path; what is neither Markdown nor HTML is text.
///
/// # Errors
/// Why a document cannot be extracted in bounded time.
pub fn extract(path: &str, text: &str) -> Result<Extracted, String> {
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut extracted = match ending.as_str() {
        "md" | "markdown" => markdown::extract(text),
        "html" | "htm" => html::extract(text)?,
        _ => Extracted { text: text.to_owned(), ..Extracted::default() },
    };
    if extracted.title.is_empty() {
        let heading = extracted.headings.first().map(|heading| heading.text.clone());
        let line = || extracted.text.lines().map(str::trim).find(|line| !line.is_empty());
        let title = heading.or_else(|| line().map(str::to_owned)).unwrap_or_default();
        extracted.title = title.chars().take(120).collect();
    }
    Ok(extracted)
}

/// Plain text in the making: blocks separated by blank lines, white space folded.
#[derive(Debug, Default)]
struct Builder {
    out: Extracted,
    block: String,
}

impl Builder {
    /// Adds text to the present block; white space is folded.
    fn say(&mut self, text: &str) {
        for (position, word) in text.split_whitespace().enumerate() {
            let spaced = position > 0 || text.starts_with(char::is_whitespace);
            if spaced && !self.block.is_empty() && !self.block.ends_with(char::is_whitespace) {
                self.block.push(' ');
            }
            self.block.push_str(word);
        }
        if text.ends_with(char::is_whitespace)
            && !self.block.is_empty()
            && !self.block.ends_with(' ')
        {
            self.block.push(' ');
        }
    }

    /// Adds text to the present block as it stands.
    fn verbatim(&mut self, text: &str) {
        self.block.push_str(text);
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
        let block = block.trim();
        if !block.is_empty() {
            if !self.out.text.is_empty() {
                self.out.text.push_str("\n\n");
            }
            self.out.text.push_str(block);
        }
    }

    /// Ends the present block as a heading.
    fn heading(&mut self, level: u8) {
        let text = std::mem::take(&mut self.block).trim().to_owned();
        if !text.is_empty() {
            self.out.headings.push(Heading { level, text, at: self.out.text.len() });
        }
    }

    fn finish(mut self) -> Extracted {
        self.end();
        self.out
    }
}

#[cfg(test)]
mod tests;
