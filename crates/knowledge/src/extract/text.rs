//! Plain text. Titles that are underlined, as in reStructuredText, are its headings: passages end
//! there, so that a change in one section leaves those of the others as they are.

use super::MAX_HEADING;
use crate::document::{Extracted, Heading};

/// What titles are underlined with.
const ADORNMENTS: &str = "=-~`:'\"^_*+#";
/// The fewest characters of an underline.
const SHORTEST: usize = 3;

pub fn extract(text: String) -> Extracted {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut out, mut headings) = (String::with_capacity(text.len()), Vec::new());
    // A style is what is above and below a title; the first one met is the outermost.
    let mut styles: Vec<(bool, char)> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some((title, over, below)) = title(&lines[at..]) else {
            out.push_str(line);
            at += 1;
            continue;
        };
        let level = styles.iter().position(|style| *style == (over, below)).unwrap_or_else(|| {
            styles.push((over, below));
            styles.len() - 1
        });
        let text = title.chars().take(MAX_HEADING).collect();
        headings.push(Heading { level: (level + 1).min(9) as u8, text, at: out.len() });
        at += if over { 3 } else { 2 };
    }
    match headings.is_empty() {
        true => Extracted { text, ..Extracted::default() },
        false => Extracted { text: out, headings, ..Extracted::default() },
    }
}

/// The title that `lines` begin with, whether it has a line above, and what it is underlined with.
fn title<'a>(lines: &[&'a str]) -> Option<(&'a str, bool, char)> {
    let line = |at: usize| lines.get(at).map(|line: &&'a str| line.trim_end());
    let over = adornment(line(0)?);
    let title = line(usize::from(over.is_some()))?;
    let below = adornment(line(1 + usize::from(over.is_some()))?)?;
    let says = title.chars().any(char::is_alphanumeric);
    let long = lines[1 + usize::from(over.is_some())].trim_end().chars().count();
    let fits = says && title.trim().chars().count() <= long && title.chars().count() <= MAX_HEADING;
    let framed = over.is_none_or(|over| over == below);
    // Without a line above, what is indented is a quotation or a list's.
    let placed = over.is_some() || !title.starts_with(char::is_whitespace);
    (fits && framed && placed).then_some((title.trim(), over.is_some(), below))
}

/// The character that a line repeats and has nothing else.
fn adornment(line: &str) -> Option<char> {
    let first = line.chars().next().filter(|first| ADORNMENTS.contains(*first))?;
    (line.len() >= SHORTEST && line.chars().all(|char| char == first)).then_some(first)
}

#[cfg(test)]
mod tests;
