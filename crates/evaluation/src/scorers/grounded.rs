//! How much of an answer is in the words of its passages.

use std::collections::HashSet;

use super::{Outcome, Seen};

/// The share of the answer's word n-grams, counted as often as they occur, that stand in a passage.
pub(super) fn grounded(seen: Seen<'_>, n: usize) -> Result<Outcome, Outcome> {
    let passages: Vec<Vec<String>> = seen.passages()?.into_iter().map(words).collect();
    let answer = words(&seen.answer.text);
    if answer.len() < n {
        return Err(Outcome::not_applicable(format!("the answer has fewer than {n} words")));
    }
    let known: HashSet<&[String]> = passages.iter().flat_map(|words| words.windows(n)).collect();
    let all = answer.len() + 1 - n;
    let found = answer.windows(n).filter(|gram| known.contains(gram)).count();
    Ok(Outcome::share(found, all, "n-grams"))
}

/// Runs of letters and digits, in lower case.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let runs = lower.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(str::to_owned).collect()
}
