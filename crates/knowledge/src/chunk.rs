//! Cutting a document into passages along its headings.

use release::Digest;
use serde::{Deserialize, Serialize};

use crate::document::Extracted;

/// A passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its identity: over document version, recipe, ordinal and text.
    pub id: Digest,
    /// The document's path.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// The headings it stands under, outermost first.
    pub headings: Vec<String>,
    /// Its text.
    pub text: String,
    /// Where it starts in the document's text, in bytes.
    pub start: usize,
    /// Where it starts in the document's text, in characters.
    pub start_char: usize,
    /// The page it starts on, from 1, if the document has pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// About how many bytes a token has.
const BYTES_PER_TOKEN: usize = 4;

/// The document a passage is of.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its version: over path and bytes.
    pub version: Digest,
    /// How it was cut.
    pub recipe: Digest,
}

/// Cuts a document into passages of at most `max_tokens`, never across a heading, at paragraphs
/// where it can, else at lines, sentences, words. Linear in the length of the text.
pub fn chunks(origin: Origin<'_>, extracted: &Extracted, max_tokens: u32) -> Vec<Chunk> {
    let max = max_tokens as usize * BYTES_PER_TOKEN;
    let mut out = Vec::new();
    let mut path: Vec<(u8, String)> = Vec::new();
    let mut starts: Vec<usize> = extracted.headings.iter().map(|heading| heading.at).collect();
    starts.push(extracted.text.len());
    let first = starts[0];
    section(origin, extracted, (0, first), &path, max, &mut out);
    for (heading, end) in extracted.headings.iter().zip(&starts[1..]) {
        path.retain(|(level, _)| *level < heading.level);
        path.push((heading.level, heading.text.clone()));
        section(origin, extracted, (heading.at, *end), &path, max, &mut out);
    }
    out
}

#[expect(clippy::too_many_arguments, reason = "a step of `chunks`, split off to be read apart")]
fn section(
    origin: Origin<'_>,
    extracted: &Extracted,
    (from, to): (usize, usize),
    path: &[(u8, String)],
    max: usize,
    out: &mut Vec<Chunk>,
) {
    let mut at = from;
    while at < to {
        let rest = &extracted.text[at..to];
        let skipped = rest.len() - rest.trim_start().len();
        at += skipped;
        let rest = &rest[skipped..];
        if rest.is_empty() {
            return;
        }
        let length = cut(rest, max);
        let text = rest[..length].trim_end();
        let counted = out.last().map_or((0, 0), |before| (before.start, before.start_char));
        let ordinal = (out.len() as u64).to_be_bytes();
        out.push(Chunk {
            id: Digest::of_fields([
                origin.version.as_bytes().as_slice(),
                origin.recipe.as_bytes(),
                &ordinal,
                text.as_bytes(),
            ]),
            document: origin.path.to_owned(),
            title: extracted.title.clone(),
            headings: path.iter().map(|(_, heading)| heading.clone()).collect(),
            text: text.to_owned(),
            start: at,
            start_char: counted.1 + extracted.text[counted.0..at].chars().count(),
            page: page(extracted, at),
        });
        at += length;
    }
}

/// The page on which the text at byte `at` stands.
fn page(extracted: &Extracted, at: usize) -> Option<u32> {
    let begun = extracted.pages.partition_point(|start| *start <= at);
    u32::try_from(begun).ok().filter(|page| *page > 0)
}

/// Where to cut `text` so that at most `max` bytes come before: after the last paragraph that
/// fits, else line, sentence, word, character.
fn cut(text: &str, max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    let window = &text[..floor_char_boundary(text, max)];
    let after =
        |mark: &str| window.rfind(mark).map(|at| at + mark.len()).filter(|at| *at > max / 4);
    after("\n\n")
        .or_else(|| after("\n"))
        .or_else(|| after(". "))
        .or_else(|| after(" "))
        .unwrap_or(window.len())
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0).max(
        // Even a window smaller than one character makes progress.
        text.chars().next().map_or(0, char::len_utf8),
    )
}

#[cfg(test)]
mod tests;
