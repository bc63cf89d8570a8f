//! One way to write each text: composed characters (NFC), plain spaces, no invisible characters, no
//! white space at ends of lines, at most one blank line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::document::Extracted;

/// Normalises a document; headings and pages move along.
pub fn normalise(content: &mut Extracted) {
    let marks = content.headings.iter().map(|heading| heading.at).chain(content.pages.clone());
    let mut moved: BTreeMap<usize, usize> = marks.map(|at| (at, at)).collect();
    let text = std::mem::take(&mut content.text);
    let mut from = 0;
    for (at, new) in &mut moved {
        append(&text[from..*at], &mut content.text);
        *new = content.text.len();
        from = *at;
    }
    append(&text[from..], &mut content.text);
    let new = |at: usize| moved.get(&at).copied().unwrap_or(at);
    for heading in &mut content.headings {
        heading.at = new(heading.at);
        heading.text = composed(heading.text.trim()).into_owned();
    }
    content.pages.iter_mut().for_each(|at| *at = new(*at));
    content.title = composed(content.title.trim()).into_owned();
}

fn composed(text: &str) -> Cow<'_, str> {
    match text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        true => text.into(),
        false => text.nfc().collect(),
    }
}

/// Soft hyphens, zero-width spaces, word joiners, marks of byte order and control characters.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
        || (char.is_control() && !matches!(char, '\t' | '\n' | '\u{b}' | '\u{c}' | '\u{85}'))
}

fn append(piece: &str, out: &mut String) {
    let start = out.len();
    let mut breaks = 0;
    // What is removed must not stand between what is to be composed.
    let visible = match piece.contains(is_invisible) {
        true => Cow::Owned(piece.replace(is_invisible, "")),
        false => Cow::Borrowed(piece),
    };
    for char in composed(&visible).chars() {
        match char {
            '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                let kept = out[start..].trim_end_matches([' ', '\t']).len();
                out.truncate(start + kept);
                breaks += 1;
                if breaks <= 2 {
                    out.push('\n');
                }
                continue;
            }
            ' ' | '\t' => out.push(char),
            char if char.is_whitespace() => out.push(' '),
            char => {
                breaks = 0;
                out.push(char);
            }
        }
    }
}
