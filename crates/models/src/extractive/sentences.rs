//! Where sentences begin and end.

/// Endings that look like the end of a sentence and are none.
const ABBREVIATIONS: [&str; 16] = [
    "e.g.", "i.e.", "etc.", "approx.", "no.", "nos.", "vs.", "mr.", "mrs.", "ms.", "dr.", "st.",
    "fig.", "incl.", "max.", "min.",
];

/// The shortest and longest sentence that is quoted, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=600;

/// The sentences of `text`, trimmed, in order. Headings, table rules and fragments are left out;
/// each line of a list is a sentence of its own.
pub(super) fn of(text: &str) -> impl Iterator<Item = &str> {
    blocks(text).flat_map(split).map(clean).filter(|sentence| {
        LENGTHS.contains(&sentence.chars().count()) && sentence.contains(char::is_alphabetic)
    })
}

/// Paragraphs and list items: text between blank lines, and lines that begin with a list's mark.
/// Headings are no sentences.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return None;
            }
            let end = block_end(rest);
            let (block, after) = rest.split_at(end);
            rest = after;
            if !block.starts_with('#') {
                return Some(block);
            }
        }
    })
}

/// Where the block that `text` begins with ends.
fn block_end(text: &str) -> usize {
    let heading = text.starts_with('#');
    let mut from = 0;
    while let Some(at) = text[from..].find('\n') {
        let next = from + at + 1;
        let line = text[next..].trim_start_matches([' ', '\t']);
        let item = line.starts_with("- ") || line.starts_with("* ") || line.starts_with('|');
        if heading
            || line.is_empty()
            || line.starts_with(['\n', '\r', '#'])
            || item
            || numbered(line)
        {
            return next;
        }
        from = next;
    }
    text.len()
}

/// Whether a line begins like `12. `.
fn numbered(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.len() && rest.starts_with(". ")
}

/// The sentences of one block: they end with `.`, `!` or `?`, and closing marks after it, before
/// white space that no lower-case letter follows.
fn split(block: &str) -> impl Iterator<Item = &str> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.trim().is_empty() {
            return None;
        }
        let (sentence, after) = rest.split_at(sentence_end(rest));
        rest = after;
        Some(sentence)
    })
}

fn sentence_end(text: &str) -> usize {
    for (at, mark) in text.char_indices() {
        if !matches!(mark, '.' | '!' | '?') {
            continue;
        }
        let closing = |c: char| matches!(c, '"' | '\'' | ')' | ']' | '”' | '’' | '*' | '_');
        let after = text[at + 1..].trim_start_matches(closing);
        let end = text.len() - after.len();
        let next = after.trim_start().chars().next();
        let word_start = text[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let word = text[word_start..=at].trim_start_matches(['(', '"', '“']).to_lowercase();
        let list_number =
            word[..word.len() - 1].chars().all(|c| c.is_ascii_digit()) && word_start == 0;
        if after.starts_with(char::is_whitespace)
            && !next.is_some_and(char::is_lowercase)
            && !ABBREVIATIONS.contains(&word.as_str())
            && !list_number
        {
            return end;
        }
    }
    text.len()
}

/// A sentence without the mark of its list item.
fn clean(sentence: &str) -> &str {
    let sentence = sentence.trim();
    let sentence =
        ["- ", "* ", "> "].iter().find_map(|mark| sentence.strip_prefix(mark)).unwrap_or(sentence);
    if numbered(sentence) {
        return sentence.trim_start_matches(|c: char| c.is_ascii_digit())[1..].trim();
    }
    sentence.trim()
}

#[cfg(test)]
mod tests;
