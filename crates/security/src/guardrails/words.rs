//! Rules that are lists of words or phrases.
//!
//! Text and words are folded before they are compared: compatibility decomposition (NFKD), lower
//! case, white space as one space, invisible characters left out. A word is found where neither a
//! letter, a digit, `_` nor a combining mark touches it.

use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

use super::{End, Scan, hold_back_floor};

/// The most combining marks put in order behind one letter; no written language has so many. The
/// Stream-Safe Text Format of Unicode's annex 15 allows 30.
const MAX_MARKS: usize = 30;

pub(super) struct Words {
    automaton: AhoCorasick,
    /// The folded words in order, to find whether something begins one.
    sorted: Vec<String>,
    longest: usize,
}

impl Words {
    /// Whether something of `word` is left to compare.
    pub(super) fn is_word(word: &str) -> bool {
        !fold_word(word).is_empty()
    }

    pub(super) fn compile(words: &[String]) -> Result<Self, BuildError> {
        let mut sorted: Vec<String> = words.iter().map(|word| fold_word(word)).collect();
        sorted.sort();
        sorted.dedup();
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&sorted)?;
        let longest = sorted.iter().map(String::len).max().unwrap_or(0);
        Ok(Self { automaton, sorted, longest })
    }

    pub(super) fn scan(&self, text: &str, from: usize, end: End, most: usize) -> Scan {
        let folded = Folded::of(text, from);
        let undecided = match end {
            End::Complete => text.len(),
            End::Open => {
                let going_on = self.going_on_from(&folded).unwrap_or(text.len());
                going_on.max(hold_back_floor(text)).max(from)
            }
        };
        let mut scan = Scan { matches: Vec::new(), resume: undecided };
        // Matches come by their end; the leftmost, then the longest of those that touch is kept.
        let mut found: Vec<Range<usize>> = Vec::new();
        for at in self.automaton.find_overlapping_iter(&folded.text) {
            if !folded.stands_alone(at.range()) {
                continue;
            }
            let covered = found.partition_point(|kept| kept.start < at.start());
            let free = covered == 0 || found[covered - 1].end <= at.start();
            if free && covered > most {
                break;
            } else if free {
                found.truncate(covered);
                found.push(at.range());
            }
        }
        for folded_range in found.into_iter().take(most) {
            let range = folded.source(folded_range);
            if range.start < undecided {
                scan.resume = scan.resume.max(range.end);
                scan.matches.push(range);
            }
        }
        scan
    }

    /// The earliest place where what stands at the end of the text begins a word.
    fn going_on_from(&self, folded: &Folded) -> Option<usize> {
        let end = folded.last_letter_end;
        let window = end.saturating_sub(self.longest);
        let first = folded.sources.partition_point(|piece| piece.folded < window);
        let begun = folded.sources[first..].iter().take_while(|piece| piece.folded < end);
        let mut begun = begun.filter(|piece| folded.may_begin(piece.folded));
        let longest = begun.find(|piece| self.begins_word(&folded.text[piece.folded..end]));
        longest.map(|piece| piece.source)
    }

    fn begins_word(&self, beginning: &str) -> bool {
        let at = self.sorted.partition_point(|word| word.as_str() < beginning);
        self.sorted.get(at).is_some_and(|word| word.starts_with(beginning))
    }
}

fn fold_word(word: &str) -> String {
    Folded::of(word, 0).text.trim().to_owned()
}

/// A part of a text, folded, with the way back.
struct Folded {
    text: String,
    /// For each letter with its marks, where it begins in the folded text and in the source.
    sources: Vec<Piece>,
    source_end: usize,
    /// The character before the folded part.
    before: Option<char>,
    /// Where the folded form of the last letter ends, without its marks.
    last_letter_end: usize,
}

struct Piece {
    folded: usize,
    source: usize,
}

impl Folded {
    fn of(text: &str, from: usize) -> Self {
        let mut folded = Self {
            text: String::with_capacity(text.len() - from),
            sources: Vec::new(),
            source_end: text.len(),
            before: text[..from].chars().rev().find(|char| !is_invisible(*char)),
            last_letter_end: 0,
        };
        let mut marks: Vec<char> = Vec::new();
        for (at, char) in text[from..].char_indices() {
            folded.push(char, from + at, &mut marks);
        }
        folded.flush(&mut marks);
        folded
    }

    fn push(&mut self, char: char, at: usize, marks: &mut Vec<char>) {
        if is_invisible(char) {
            return;
        }
        if char.is_whitespace() {
            self.flush(marks);
            if !self.text.ends_with(' ') {
                self.begin(at);
                self.text.push(' ');
            }
            self.last_letter_end = self.text.len();
            return;
        }
        let mut first = true;
        decompose_compatible(char, |part| {
            fold_case(part, |part| {
                if canonical_combining_class(part) != 0 && marks.len() < MAX_MARKS {
                    marks.push(part);
                } else {
                    self.flush(marks);
                    if std::mem::take(&mut first) {
                        self.begin(at);
                    }
                    self.text.push(part);
                    self.last_letter_end = self.text.len();
                }
            });
        });
    }

    fn begin(&mut self, at: usize) {
        self.sources.push(Piece { folded: self.text.len(), source: at });
    }

    /// Marks in canonical order behind their letter.
    fn flush(&mut self, marks: &mut Vec<char>) {
        marks.sort_by_key(|mark| canonical_combining_class(*mark));
        self.text.extend(marks.drain(..));
    }

    /// Whether nothing that belongs to a word touches `range` on either side.
    fn stands_alone(&self, range: Range<usize>) -> bool {
        let piece = self.sources.binary_search_by_key(&range.start, |piece| piece.folded);
        let after = self.text[range.end..].chars().next();
        piece.is_ok() && self.may_begin(range.start) && !after.is_some_and(is_word_char)
    }

    /// Whether a word may begin at `at`.
    fn may_begin(&self, at: usize) -> bool {
        !self.text[..at].chars().next_back().or(self.before).is_some_and(is_word_char)
    }

    /// Where `range` of the folded text comes from.
    fn source(&self, range: Range<usize>) -> Range<usize> {
        let starting = |at| self.sources.partition_point(|piece| piece.folded < at);
        let start = self.sources.get(starting(range.start)).map(|piece| piece.source);
        let end = self.sources.get(starting(range.end)).map(|piece| piece.source);
        start.unwrap_or(self.source_end)..end.unwrap_or(self.source_end)
    }
}

fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || canonical_combining_class(char) != 0
}

/// Characters that are not seen and are put into words to hide them: soft hyphen, zero-width
/// space, joiners, word joiner, byte order mark.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn fold_case(char: char, mut emit: impl FnMut(char)) {
    match char {
        'ß' | 'ẞ' => {
            emit('s');
            emit('s');
        }
        'ς' => emit('σ'),
        _ => char.to_lowercase().for_each(emit),
    }
}
