//! What a judge answered: read strictly, or not at all.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Reply;
use crate::scorers::{Outcome, beginning};

/// The least probability with which an alternative counts for a mark.
pub const MIN_SHARE: f64 = 0.01;
/// The most statements or verdicts of one answer.
pub(super) const MAX_ITEMS: usize = 200;

/// Reads the JSON that a judge was asked for. One code fence around it is taken off.
pub(super) fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, Outcome> {
    let text = reply.text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let text = fenced.map_or(text, |inside| inside.strip_prefix("json").unwrap_or(inside));
    serde_json::from_str(text).map_err(|_| nonsense(reply, "it is not the JSON that was asked for"))
}

/// An answer of which nothing can be made.
pub(super) fn nonsense(reply: &Reply, why: &str) -> Outcome {
    Outcome::nonsense(format!("the judge answered `{}`: {why}", beginning(&reply.text)))
}

/// Of several things in a row, what a judge says of each.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    number: usize,
    verdict: bool,
}

#[derive(Deserialize)]
struct Verdicts {
    verdicts: Vec<Verdict>,
}

/// Reads one verdict for each of `count` things, in their order.
pub(super) fn verdicts(reply: &Reply, count: usize) -> Result<Vec<bool>, Outcome> {
    let Verdicts { mut verdicts } = read(reply)?;
    verdicts.sort_by_key(|verdict| verdict.number);
    let numbers = verdicts.iter().map(|verdict| verdict.number);
    if !numbers.eq(1..=count) {
        let why = format!("{} verdicts do not say one thing of each of {count}", verdicts.len());
        return Err(nonsense(reply, &why));
    }
    Ok(verdicts.into_iter().map(|verdict| verdict.verdict).collect())
}

/// The mean of the marks 0 to 10 that could have stood for `score` in the reply, weighted by their
/// probabilities, of those with at least [`MIN_SHARE`] (G-Eval, section 2). The first place where
/// marks are split over tokens ends that.
///
/// # Errors
/// Why only the mark itself is known.
pub fn weighted_mark(reply: &Reply, score: u8) -> Result<f64, &'static str> {
    if reply.tokens.is_empty() {
        return Err("the provider gave no probabilities");
    }
    let spelt: String = reply.tokens.iter().map(|token| token.text.as_str()).collect();
    if spelt != reply.text {
        return Err("the tokens do not spell the answer");
    }
    let place = place_of_score(&reply.text).ok_or("the mark was not found among the tokens")?;
    let mut start = 0;
    let token = reply.tokens.iter().find(|token| {
        start += token.text.len();
        start > place
    });
    let token = token.ok_or("the mark was not found among the tokens")?;
    if mark(&token.text) != Some(score) {
        return Err("the mark is not one token");
    }
    let (mut sum, mut weights) = (0.0, 0.0);
    for (text, logarithm) in &token.alternatives {
        let share = logarithm.exp().min(1.0);
        if let Some(mark) = mark(text).filter(|_| share >= MIN_SHARE) {
            sum += share * f64::from(mark);
            weights += share;
        }
    }
    if weights > 0.0 { Ok(sum / weights) } else { Err("no alternative is a mark") }
}

fn mark(token: &str) -> Option<u8> {
    let text = token.trim();
    let mark: u8 = text.parse().ok()?;
    (mark <= 10 && mark.to_string() == text).then_some(mark)
}

/// Where the number after the key `score` begins. Within a JSON text the key cannot be spelt so.
fn place_of_score(text: &str) -> Option<usize> {
    const KEY: &str = "\"score\"";
    let after = text.rfind(KEY)? + KEY.len();
    let rest = text[after..].trim_start().strip_prefix(':')?;
    Some(text.len() - rest.trim_start().len())
}
