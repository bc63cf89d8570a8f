//! Which sentences support an answer to a question.

use std::collections::{BTreeMap, BTreeSet};

use super::sentences;
use crate::Passage;

/// Words that say nothing about what a question is about.
const STOP_WORDS: &str = "a about all also am an and any are as at be been but by can could did do \
    does for from get had has have how i if in into is it its just long many may me much my no \
    not now of on or our please should so take tell than that the their them then there these \
    they this to us was we were what when where which who whom whose why will with would you your";

/// The share of the question's weight that a sentence, with its passage's title, must cover.
const SUPPORT: f64 = 0.45;

/// What a word of the question that no sentence has is worth.
const UNKNOWN_WORD: f64 = 3.0;

/// What a figure in the sentence adds to its score when the question asks for one.
const FIGURE: f64 = 0.15;

/// A sentence and where it is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found<'a> {
    pub(super) passage: &'a Passage,
    pub(super) text: &'a str,
}

struct Candidate<'a> {
    found: Found<'a>,
    /// Passage and sentence, to keep the order of reading.
    place: (usize, usize),
    terms: BTreeSet<String>,
    score: f64,
    supported: bool,
}

/// The at most `most` sentences of `passages` that support an answer to `question` best, in
/// reading order. Empty if none does.
///
/// A sentence's score is the weight of the question's words in it, as a share of the whole
/// question's; words that only its passage's title has count half, a figure adds to it when the
/// question asks how long, how much or when, and an earlier passage breaks ties. Sentences are taken greedily, each judged by the words it adds (a maximal marginal
/// relevance without parameters), so that one fact is not quoted twice.
pub(super) fn best<'a>(question: &str, passages: &'a [Passage], most: usize) -> Vec<Found<'a>> {
    let asked = terms(question);
    let mut candidates = candidates(passages);
    let weights = weights(&asked, &candidates);
    let wants_figure = asks_for_a_figure(question);
    let whole: f64 = weights.values().sum();
    if whole <= 0.0 {
        return Vec::new();
    }
    for candidate in &mut candidates {
        let title = terms(&candidate.found.passage.title);
        let covered: f64 = weights
            .iter()
            .map(|(term, weight)| match (candidate.terms.contains(*term), title.contains(*term)) {
                (true, _) => *weight,
                (false, true) => weight / 2.0,
                (false, false) => 0.0,
            })
            .sum();
        let any = weights.keys().any(|term| candidate.terms.contains(*term));
        let rank = 1.0 / (1.0 + candidate.place.0 as f64);
        let share = if any { covered / whole } else { 0.0 };
        candidate.supported = share >= SUPPORT;
        let figure = wants_figure && candidate.found.text.contains(|c: char| c.is_ascii_digit());
        candidate.score = share + 0.02 * rank + if figure { FIGURE } else { 0.0 };
    }
    candidates.retain(|candidate| candidate.supported);
    let mut taken: Vec<Candidate<'a>> = Vec::new();
    while taken.len() < most
        && let Some(next) = next(&mut candidates, &taken)
    {
        taken.push(next);
    }
    taken.sort_by_key(|candidate| candidate.place);
    taken.into_iter().map(|candidate| candidate.found).collect()
}

/// Whether an answer is likely to hold a number: a time, an amount, a count.
fn asks_for_a_figure(question: &str) -> bool {
    let question = question.to_lowercase();
    let asks = ["how long", "how much", "how many", "how soon", "how often", "how far", "when "];
    asks.iter().any(|words| question.contains(words))
}

/// Takes out the best candidate that is not a repetition. Ties go to the earlier place.
fn next<'a>(candidates: &mut Vec<Candidate<'a>>, taken: &[Candidate<'a>]) -> Option<Candidate<'a>> {
    let value = |candidate: &Candidate<'_>| {
        let overlap = taken.iter().map(|other| overlap(&candidate.terms, &other.terms));
        candidate.score * (1.0 - overlap.fold(0.0, f64::max))
    };
    let best = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (at, value(candidate), candidate.place))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.2.cmp(&a.2)))?;
    if best.1 < SUPPORT / 2.0 {
        return None;
    }
    Some(candidates.swap_remove(best.0))
}

fn candidates(passages: &[Passage]) -> Vec<Candidate<'_>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (at, passage) in passages.iter().enumerate() {
        for (number, text) in sentences::of(&passage.text).enumerate() {
            if seen.insert(text) {
                let found = Found { passage, text };
                let (place, terms) = ((at, number), terms(text));
                all.push(Candidate { found, place, terms, score: 0.0, supported: false });
            }
        }
    }
    all
}

/// What each word of the question is worth: from 1 for a word that every sentence has to 2 for a
/// rare one. The range is small because the passages were chosen for the question: the words that
/// matter most are common in them. A word that no sentence has is worth more, so that a question
/// about something else finds no support in the few words it shares.
fn weights<'q>(
    asked: &'q BTreeSet<String>,
    candidates: &[Candidate<'_>],
) -> BTreeMap<&'q str, f64> {
    let total = (candidates.len() as f64 + 1.0).ln();
    asked
        .iter()
        .map(|term| {
            let with = candidates.iter().filter(|c| c.terms.contains(term)).count() as f64;
            let worth = if with == 0.0 { UNKNOWN_WORD } else { 2.0 - (with + 1.0).ln() / total };
            (term.as_str(), worth)
        })
        .collect()
}

/// The share of the shorter sentence's words that the other has too.
fn overlap(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let shorter = a.len().min(b.len()).max(1);
    a.intersection(b).count() as f64 / shorter as f64
}

/// The words of a text that mean something, in lower case and without common English endings.
fn terms(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| !STOP_WORDS.split_whitespace().any(|stop| stop == word))
        .map(stem)
        .collect()
}

/// A light stemmer: plural and verb endings only, so that `returns`, `returned` and `returning`
/// are one word. Words that are not plain ASCII letters stay as they are.
fn stem(word: String) -> String {
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word;
    }
    let endings: [(&str, &str); 7] =
        [("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", "")];
    for (ending, put) in endings {
        if let Some(root) = word.strip_suffix(ending)
            && root.len() >= 3
            && !(ending == "s" && root.ends_with(['s', 'u', 'i']))
        {
            return format!("{root}{put}");
        }
    }
    word
}
