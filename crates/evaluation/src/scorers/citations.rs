//! Whether an answer's citations and quotations hold.

use super::form::beginning;
use super::{Outcome, Seen};

/// Opening and closing quotation marks.
const MARKS: [(char, char); 6] =
    [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('»', '«'), ('「', '」')];
/// How many of what does not hold are told.
const TOLD: usize = 3;

/// The share of citations that name a passage or document that the answer was given.
pub(super) fn valid(seen: Seen<'_>, required: bool) -> Result<Outcome, Outcome> {
    let answer = seen.answer;
    if answer.citations.is_empty() {
        let reason = "the answer cites nothing";
        return if required {
            Ok(Outcome::scored(0.0, reason))
        } else {
            Err(Outcome::not_applicable(reason))
        };
    }
    let given = |cited: &&String| {
        answer.passages.iter().any(|it| it.id == **cited || it.document == **cited)
    };
    let wrong: Vec<&String> = answer.citations.iter().filter(|cited| !given(cited)).collect();
    Ok(held(answer.citations.len(), &wrong, "citations"))
}

/// The share of quotations of at least `words` words that stand in a passage. White space and the
/// form of apostrophes do not matter.
pub(super) fn quotes(seen: Seen<'_>, words: usize) -> Result<Outcome, Outcome> {
    let quotations = quotations(&seen.answer.text, words);
    if quotations.is_empty() {
        return Err(Outcome::not_applicable("the answer quotes nothing"));
    }
    let passages: Vec<String> = seen.passages()?.into_iter().map(plain).collect();
    let stands = |quotation: &&String| passages.iter().any(|it| it.contains(quotation.as_str()));
    let wrong: Vec<&String> = quotations.iter().filter(|it| !stands(it)).collect();
    Ok(held(quotations.len(), &wrong, "quotations"))
}

fn held(all: usize, wrong: &[&String], what: &str) -> Outcome {
    let mut explanation = format!("{} of {all} {what} hold", all - wrong.len());
    for text in wrong.iter().take(TOLD) {
        explanation.push_str(&format!("; not `{}`", beginning(text)));
    }
    Outcome::scored((all - wrong.len()) as f64 / all as f64, explanation)
}

/// What stands in quotation marks, of at least `words` words, without a comma or full stop that
/// only the sentence around it needs. A mark that is not closed opens nothing.
fn quotations(text: &str, words: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, open)) = rest.char_indices().find(|(_, c)| closing(*c).is_some()) {
        let inside = &rest[at + open.len_utf8()..];
        let Some(end) = closing(open).and_then(|close| inside.find(close)) else {
            rest = inside;
            continue;
        };
        let quotation = plain(&inside[..end]);
        let quotation = quotation.trim_end_matches([',', '.', ';']).trim();
        if quotation.split(' ').count() >= words {
            found.push(quotation.to_owned());
        }
        let width = inside[end..].chars().next().map_or(0, char::len_utf8);
        rest = &inside[end + width..];
    }
    found
}

fn closing(open: char) -> Option<char> {
    MARKS.iter().find(|(mark, _)| *mark == open).map(|(_, close)| *close)
}

/// With single spaces and straight apostrophes.
fn plain(text: &str) -> String {
    text.replace(['’', '‘'], "'").split_whitespace().collect::<Vec<_>>().join(" ")
}
