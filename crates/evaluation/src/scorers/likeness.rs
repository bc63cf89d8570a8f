//! Likeness of texts: by their embeddings, and by their spelling.

use super::{Engines, Outcome, Seen};
use crate::suite::Part;

/// The most characters of a text that are compared by spelling.
const MAX_CHARACTERS: usize = 4_000;

/// The cosine of the embeddings of the answer and of what is expected.
pub(super) async fn similarity(seen: Seen<'_>, engines: Engines<'_>) -> Result<Outcome, Outcome> {
    let texts = [seen.expected()?, seen.answer.text.as_str()];
    let cosines = cosines(engines, &texts).await?;
    let first = cosines.first().ok_or_else(|| Outcome::nonsense("the embedder gave no vector"));
    Ok(Outcome::scored(*first?, ""))
}

/// The cosine of the first text's embedding with each of the others'.
pub(crate) async fn cosines(engines: Engines<'_>, texts: &[&str]) -> Result<Vec<f64>, Outcome> {
    let embeds = engines.embeds.ok_or_else(|| Outcome::unavailable("there is no embedder"))?;
    let vectors = embeds.embed(texts).await?;
    let (Some((first, rest)), true) = (vectors.split_first(), vectors.len() == texts.len()) else {
        let why = format!("the embedder gave {} vectors for {}", vectors.len(), texts.len());
        return Err(Outcome::nonsense(why));
    };
    let cosine = |other: &Vec<f32>| {
        let wrong = || Outcome::nonsense("an embedding is zero, not finite or of another length");
        cosine(first, other).ok_or_else(wrong)
    };
    rest.iter().map(cosine).collect()
}

/// The cosine of two vectors, −1 to 1; `None` if it is not defined.
pub fn cosine(one: &[f32], two: &[f32]) -> Option<f64> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let lengths = (dot(one, one) * dot(two, two)).sqrt();
    let defined = one.len() == two.len() && lengths > 0.0 && lengths.is_finite();
    defined.then(|| (dot(one, two) / lengths).clamp(-1.0, 1.0)).filter(|it| it.is_finite())
}

/// Context precision or recall, where texts that are spelt alike are the same.
pub(super) fn context(seen: Seen<'_>, part: Part, alike: f64) -> Result<Outcome, Outcome> {
    let (found, wanted) = (&seen.answer.passages, &seen.case.context);
    if wanted.is_empty() {
        return Err(Outcome::not_applicable("the case has no `context`"));
    }
    if found.is_empty() {
        return Err(Outcome::not_applicable("there are no passages"));
    }
    let texts = wanted.iter().chain(found.iter().map(|passage| &passage.text));
    if texts.into_iter().any(|text| text.chars().nth(MAX_CHARACTERS).is_some()) {
        return Err(Outcome::undefined("a text is too long to compare"));
    }
    let same = |one: &str, two: &str| {
        let (one_long, two_long) = (one.chars().count() as f64, two.chars().count() as f64);
        // The distance is at least the difference of the lengths.
        let possible = one_long.min(two_long) >= alike * one_long.max(two_long);
        possible && strsim::normalized_levenshtein(one, two) >= alike
    };
    Ok(match part {
        Part::Precision => {
            let good = found.iter().map(|it| wanted.iter().any(|text| same(text, &it.text)));
            average_precision(&good.collect::<Vec<_>>())
        }
        Part::Recall => {
            let there = wanted.iter().filter(|text| found.iter().any(|it| same(text, &it.text)));
            Outcome::share(there.count(), wanted.len(), "texts of the context")
        }
    })
}

/// Σₖ P@k·vₖ / Σₖ vₖ, where vₖ says whether the passage of rank k is good; 0 if none is.
pub(crate) fn average_precision(good: &[bool]) -> Outcome {
    let (mut hits, mut sum) = (0.0, 0.0);
    for (rank, _) in (1_u32..).zip(good).filter(|(_, good)| **good) {
        hits += 1.0;
        sum += hits / f64::from(rank);
    }
    let explanation = format!("{hits} of {} passages help", good.len());
    Outcome::scored(if hits > 0.0 { sum / hits } else { 0.0 }, explanation)
}
