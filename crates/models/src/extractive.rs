//! The built-in model: it answers with the sentences of the passages that support an answer best,
//! and cites them. It needs no key and no network, and says so when nothing supports an answer.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use crate::chat::Started;
use crate::provider::{Call, EventStream, Provider};
use crate::spec::EXTRACTIVE;
use crate::tokens::estimate;
use crate::{
    Citation, EmbedRequest, Embeddings, Event, FinishReason, ModelSpec, Passage, ProviderError,
    RerankRequest, ResponseFormat, Usage,
};

/// How many sentences answer where the model artifact does not say.
const SENTENCES: usize = 3;
/// The share of the question's weight that a first sentence must carry to count as support.
const SUPPORT: f64 = 0.2;
/// What is said when nothing supports an answer.
pub const NO_ANSWER: &str = "I found nothing in the documents that answers this.";

/// The built-in model.
#[derive(Debug)]
pub struct Extractive;

#[async_trait]
impl Provider for Extractive {
    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        let unsupported = |field: &str| ProviderError::Unsupported {
            field: field.to_owned(),
            provider: EXTRACTIVE.to_owned(),
        };
        if !call.request.tools.is_empty() {
            return Err(unsupported("tools"));
        }
        if !matches!(call.request.response_format, None | Some(ResponseFormat::Text)) {
            return Err(unsupported("response_format"));
        }
        let question = call.request.question().unwrap_or_default();
        let limit = call.model.parameters.sentences.map_or(SENTENCES, |limit| limit as usize);
        let mut chosen = choose(&question, &call.passages, limit);
        let sampling = call.model.parameters.sampling().overridden_by(&call.request.sampling);
        if let Some(most) = sampling.max_tokens {
            fit(&mut chosen, u64::from(most));
        }
        let input = call.request.messages.iter().map(|message| estimate(&message.text())).sum();
        let events = answer(&chosen, &call.passages, &call.model, input);
        Ok(stream::iter(events.into_iter().map(Ok)).boxed())
    }

    async fn embed(&self, _: &ModelSpec, _: EmbedRequest) -> Result<Embeddings, ProviderError> {
        let (field, provider) = ("embeddings".to_owned(), EXTRACTIVE.to_owned());
        Err(ProviderError::Unsupported { field, provider })
    }

    async fn rerank(&self, _: &ModelSpec, _: RerankRequest) -> Result<Vec<f32>, ProviderError> {
        let (field, provider) = ("rerank".to_owned(), EXTRACTIVE.to_owned());
        Err(ProviderError::Unsupported { field, provider })
    }
}

/// A sentence and where it stands.
#[derive(Debug, Clone, PartialEq)]
struct Sentence<'a> {
    passage: usize,
    /// Bytes into the passage's text.
    start: usize,
    text: &'a str,
    words: BTreeSet<String>,
    score: f64,
}

/// The sentences that support an answer best, best first. Greedy: each further sentence counts
/// only for words of the question that the ones before do not have.
fn choose<'a>(question: &str, passages: &'a [Passage], limit: usize) -> Vec<Sentence<'a>> {
    let mut sentences: Vec<_> = passages
        .iter()
        .enumerate()
        .flat_map(|(index, passage)| sentences(index, &passage.text))
        .collect();
    let asked = words(question);
    let mut weights: BTreeMap<&str, f64> = BTreeMap::new();
    for word in &asked {
        let having = sentences.iter().filter(|sentence| sentence.words.contains(word)).count();
        let rarity = (1.0 + sentences.len() as f64 / (1.0 + having as f64)).ln();
        weights.insert(word, rarity);
    }
    let whole: f64 = weights.values().sum();
    let titles: Vec<_> = passages.iter().map(|passage| words(&passage.title)).collect();
    let mut chosen: Vec<Sentence<'a>> = Vec::new();
    while chosen.len() < limit {
        for sentence in &mut sentences {
            let gained: f64 =
                sentence.words.iter().filter_map(|word| weights.get(word.as_str())).sum();
            // What the title already says, its sentences need not repeat; a passage's rank breaks
            // what words leave open.
            let title: f64 =
                titles[sentence.passage].iter().filter_map(|word| weights.get(word.as_str())).sum();
            let rank = 1.0 / (2.0 + sentence.passage as f64);
            let length = (sentence.words.len() as f64 / 12.0).min(1.0);
            sentence.score = (gained + 0.5 * title) * (0.5 + 0.5 * length) * (0.6 + rank);
            if gained <= 0.0 {
                sentence.score = 0.0;
            }
        }
        let best = sentences
            .iter()
            .enumerate()
            .max_by(|(i, a), (j, b)| a.score.total_cmp(&b.score).then(j.cmp(i)));
        let Some((at, best)) = best.filter(|(_, best)| best.score > 0.0) else { break };
        let gained: f64 = best.words.iter().filter_map(|word| weights.get(word.as_str())).sum();
        if chosen.is_empty() && gained < SUPPORT * whole {
            break;
        }
        for word in &best.words {
            if let Some(weight) = weights.get_mut(word.as_str()) {
                *weight *= 0.25;
            }
        }
        chosen.push(sentences.remove(at));
    }
    chosen
}

/// Drops whole sentences from the end until the answer has at most `most` tokens; the first stays.
fn fit(chosen: &mut Vec<Sentence<'_>>, most: u64) {
    let tokens = |chosen: &[Sentence<'_>]| -> u64 {
        chosen.iter().map(|sentence| estimate(sentence.text)).sum()
    };
    while chosen.len() > 1 && tokens(chosen) > most {
        chosen.pop();
    }
}

fn answer(
    chosen: &[Sentence<'_>],
    passages: &[Passage],
    model: &ModelSpec,
    input_tokens: u64,
) -> Vec<Event> {
    let started = Started { id: String::new(), model: model.id().to_owned(), fingerprint: None };
    let mut events = vec![Event::Started(started)];
    let mut written = 0;
    let mut say = |events: &mut Vec<Event>, text: String| {
        written += estimate(&text);
        events.push(Event::TextDelta { text });
    };
    if chosen.is_empty() {
        say(&mut events, NO_ANSWER.to_owned());
    }
    for (position, sentence) in chosen.iter().enumerate() {
        let gap = if position == 0 { "" } else { " " };
        say(&mut events, format!("{gap}{} [{}]", sentence.text, sentence.passage + 1));
        let passage = &passages[sentence.passage];
        let start = passage.start + sentence.start;
        events.push(Event::Citation(Citation {
            passage: sentence.passage,
            id: passage.id.clone(),
            title: passage.title.clone(),
            source: passage.source.clone(),
            copies: passage.copies.clone(),
            cited_text: sentence.text.to_owned(),
            start,
            end: start + sentence.text.len(),
            start_char: passage.start_char + passage.text[..sentence.start].chars().count(),
        }));
    }
    let usage = Usage { input_tokens, output_tokens: written, estimated: true, ..Usage::default() };
    events.push(Event::Usage(usage));
    events.push(Event::Finished(FinishReason::Stop));
    events
}

/// Cuts a passage into sentences: at `.`, `!`, `?` before white space, and at blank lines, list
/// items and headings.
fn sentences(passage: usize, text: &str) -> Vec<Sentence<'_>> {
    let mut cuts = vec![0];
    let bytes = text.as_bytes();
    for (at, character) in text.char_indices() {
        let next = bytes.get(at + 1).copied();
        let ends = matches!(character, '.' | '!' | '?')
            && next.is_none_or(|next| next.is_ascii_whitespace())
            && !abbreviated(&text[..at]);
        let breaks = character == '\n'
            && next
                .is_none_or(|next| matches!(next, b'\n' | b'-' | b'*' | b'#' | b'|' | b'0'..=b'9'));
        if ends || breaks {
            cuts.push(at + 1);
        }
    }
    cuts.push(text.len());
    let pieces = cuts.windows(2).filter_map(|cut| {
        let piece = &text[cut[0]..cut[1]];
        let skipped =
            piece.len() - piece.trim_start_matches(['-', '*', '#', ' ', '\n', '\t']).len();
        let sentence = piece[skipped..].trim_end();
        let words = words(sentence);
        (words.len() >= 3).then(|| Sentence {
            passage,
            start: cut[0] + skipped,
            text: sentence,
            words,
            score: 0.0,
        })
    });
    pieces.collect()
}

/// Whether a full stop after `before` belongs to an abbreviation or an initial.
fn abbreviated(before: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    matches!(
        word,
        "e.g" | "i.e" | "etc" | "Mr" | "Mrs" | "Ms" | "Dr" | "St" | "No" | "approx" | "vs"
    ) || (word.chars().count() == 1 && word.chars().all(char::is_uppercase))
}

/// The words that carry meaning, lower-case and without endings.
fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '-').map(str::to_lowercase);
    words
        .filter(|word| word.chars().any(char::is_alphanumeric) && !STOP.contains(&word.as_str()))
        .map(|word| stem(&word))
        .collect()
}

/// Cuts the commonest English endings, so that `returns` meets `returned`.
fn stem(word: &str) -> String {
    let endings = ["ations", "ation", "ings", "ing", "ied", "ies", "ed", "es", "s"];
    let cut = endings
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() >= 4))
        .unwrap_or(word);
    cut.strip_suffix('e').filter(|stem| stem.len() >= 4).unwrap_or(cut).to_owned()
}

const STOP: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "could", "did",
    "do", "does", "for", "from", "get", "had", "has", "have", "how", "i", "if", "in", "into", "is",
    "it", "its", "long", "many", "may", "me", "much", "must", "my", "of", "on", "or", "our",
    "shall", "should", "so", "than", "that", "the", "their", "them", "then", "there", "they",
    "this", "to", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will",
    "with", "would", "you", "your",
];

#[cfg(test)]
mod tests;
