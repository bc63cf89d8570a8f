//! Cutting a document into passages along its headings.

use release::Digest;
use serde::{Deserialize, Serialize};

use crate::document::Extracted;
use crate::spec::Chunking;

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
    /// The page it starts on, from 1, if its document has pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// Which of the document's parents it is a part of, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// The white space between it and the passage before, if both have the same parent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gap: String,
}

/// The passages around one that was found, as one: its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surrounding {
    /// Their text.
    pub text: String,
    /// Where it starts in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Where it starts in the document's text, in characters.
    pub start_char: usize,
    /// Where it ends, in characters.
    pub end_char: usize,
    /// The page it starts on, from 1, if the document has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
}

/// The parent of the passage in `row`: the text of all passages that share it. `None` if it stands for
/// itself. The passages of a document follow each other in `chunks`.
pub fn surrounding(chunks: &[Chunk], row: usize) -> Option<Surrounding> {
    let found = chunks.get(row).filter(|chunk| chunk.parent.is_some())?;
    let same = |chunk: &&Chunk| chunk.parent == found.parent && chunk.document == found.document;
    let first = row - chunks[..row].iter().rev().take_while(same).count();
    let mut text = String::new();
    for chunk in chunks[first..].iter().take_while(same) {
        text.push_str(&chunk.gap);
        text.push_str(&chunk.text);
    }
    let Chunk { start, start_char, page, .. } = chunks[first];
    let (end, end_char) = (start + text.len(), start_char + text.chars().count());
    Some(Surrounding { text, start, end, start_char, end_char, page })
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

/// Cuts a document into passages of at most as many tokens as `chunking` says, never across a heading,
/// at paragraphs where it can, else at lines, sentences, words. Parents, if there are any, are cut the
/// same way, and passages out of them. Linear in the length of the text.
pub fn chunks(origin: Origin<'_>, extracted: &Extracted, chunking: &Chunking) -> Vec<Chunk> {
    let mut cutter = Cutter { origin, extracted, path: Vec::new(), out: Vec::new() };
    let bytes = |tokens: u32| tokens as usize * BYTES_PER_TOKEN;
    let most = bytes(chunking.max_tokens);
    let parent = chunking.parent_tokens.map(|tokens| bytes(tokens).max(most));
    let starts = extracted.headings.iter().map(|heading| heading.at);
    let starts: Vec<usize> = starts.chain([extracted.text.len()]).collect();
    let mut parents = 0;
    for (number, end) in starts.iter().enumerate() {
        let mut from = 0;
        if let Some(heading) = number.checked_sub(1).and_then(|it| extracted.headings.get(it)) {
            cutter.path.retain(|(level, _)| *level < heading.level);
            cutter.path.push((heading.level, heading.text.clone()));
            from = heading.at;
        }
        let Some(parent) = parent else {
            cutter.section((from, *end), None, most);
            continue;
        };
        for (start, length) in pieces(&extracted.text[from..*end], parent) {
            let start = from + start;
            cutter.section((start, start + length), Some(parents), most);
            parents += 1;
        }
    }
    cutter.out
}

struct Cutter<'a> {
    origin: Origin<'a>,
    extracted: &'a Extracted,
    /// The headings that are open, with their levels.
    path: Vec<(u8, String)>,
    out: Vec<Chunk>,
}

impl Cutter<'_> {
    /// Cuts what stands under one heading, or a parent of it.
    fn section(&mut self, (from, to): (usize, usize), parent: Option<usize>, most: usize) {
        let text = &self.extracted.text;
        let mut end = None;
        for (start, length) in pieces(&text[from..to], most) {
            let start = from + start;
            let passage = text[start..start + length].trim_end();
            let counted =
                self.out.last().map_or((0, 0), |before| (before.start, before.start_char));
            let ordinal = (self.out.len() as u64).to_be_bytes();
            let pages = &self.extracted.pages;
            let gap = end.filter(|_| parent.is_some()).map_or("", |end| &text[end..start]);
            end = Some(start + passage.len());
            self.out.push(Chunk {
                id: Digest::of_fields([
                    self.origin.version.as_bytes().as_slice(),
                    self.origin.recipe.as_bytes(),
                    &ordinal,
                    passage.as_bytes(),
                ]),
                document: self.origin.path.to_owned(),
                title: self.extracted.title.clone(),
                headings: self.path.iter().map(|(_, heading)| heading.clone()).collect(),
                text: passage.to_owned(),
                start,
                start_char: counted.1 + text[counted.0..start].chars().count(),
                page: Some(pages.partition_point(|page| *page <= start)).filter(|page| *page > 0),
                parent,
                gap: gap.to_owned(),
            });
        }
    }
}

/// Where the pieces of `text` start that have at most `most` bytes each, and how long they are. None
/// begins with white space.
fn pieces(text: &str, most: usize) -> Vec<(usize, usize)> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    loop {
        let rest = &text[at..];
        let begun = rest.trim_start();
        at += rest.len() - begun.len();
        if begun.is_empty() {
            return pieces;
        }
        let length = cut(begun, most);
        pieces.push((at, length));
        at += length;
    }
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
