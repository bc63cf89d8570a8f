//! What passes, and measures that are numbers already: length, latency and cost.

use super::{Outcome, Score, Seen};
use crate::suite::{LengthUnit, Measure, ScorerSpec, Wrong};

/// What is wrong with a scorer's bounds and parameters.
pub(super) fn wrong(spec: &ScorerSpec) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let (low, high) = spec.measure.range();
    for (key, bound) in [("/at_least", spec.at_least), ("/at_most", spec.at_most)] {
        if let Some(bound) = bound.filter(|bound| !(low..=high).contains(bound)) {
            wrong.push(Wrong::new(key, format!("{bound} is not between {low} and {high}")));
        }
    }
    if let (Some(least), Some(most)) = (spec.at_least, spec.at_most)
        && least > most
    {
        wrong.push(Wrong::new("/at_most", format!("{most} is less than `at_least`, {least}")));
    }
    if !(0.0..=1.0).contains(&spec.pass_rate) {
        wrong.push(Wrong::new("/pass_rate", format!("{} is not between 0 and 1", spec.pass_rate)));
    }
    let mut within = |key: &str, value: usize, most: usize| {
        if value == 0 || value > most {
            let pointer = format!("/measure/{key}");
            wrong.push(Wrong::new(&pointer, format!("{value} is not between 1 and {most}")));
        }
    };
    match &spec.measure {
        Measure::Grounded { n } => within("n", *n, 10),
        Measure::Quotes { words } => within("words", *words, 100),
        Measure::Retrieval { k, .. } => within("k", *k, 1_000),
        Measure::AnswerRelevancy { questions } => within("questions", *questions, 10),
        Measure::ContextLikeness { alike, .. } if !(*alike > 0.0 && *alike <= 1.0) => {
            let why = format!("{alike} is not above 0 and up to 1");
            wrong.push(Wrong::new("/measure/alike", why));
        }
        Measure::Criteria { criteria, .. } if criteria.trim().is_empty() => {
            wrong.push(Wrong::new("/measure/criteria", "there are no criteria"));
        }
        _ => {}
    }
    wrong
}

/// Says whether `score` passes. One outside the measure's range is undefined and never comes here.
pub(super) fn judge(spec: &ScorerSpec, mut score: Score) -> Score {
    let unbounded = spec.at_least.is_none() && spec.at_most.is_none();
    let least = spec.at_least.or(spec.measure.passes_at().filter(|_| spec.at_most.is_none()));
    // What an external scorer says itself stands unless the suite sets bounds.
    if unbounded && least.is_none() {
        return score;
    }
    let enough = least.is_none_or(|least| score.value >= least);
    let little = spec.at_most.is_none_or(|most| score.value <= most);
    score.pass = Some(enough && little);
    score
}

/// How long the answer is.
pub(super) fn length(seen: Seen<'_>, unit: LengthUnit) -> Result<Outcome, Outcome> {
    let text = &seen.answer.text;
    let (count, name) = match unit {
        LengthUnit::Words => (text.split_whitespace().count() as u64, "words"),
        LengthUnit::Characters => (text.chars().count() as u64, "characters"),
        LengthUnit::Tokens => {
            let usage = seen.answer.usage.map(|usage| usage.output_tokens);
            let unknown = || Outcome::not_applicable("the model reported no tokens");
            (usage.ok_or_else(unknown)?, "tokens")
        }
    };
    Ok(Outcome::scored(count as f64, format!("{count} {name}")))
}

/// How long it took, in seconds.
pub(super) fn latency(seen: Seen<'_>) -> Result<Outcome, Outcome> {
    let latency = seen.answer.latency;
    let seconds = latency.ok_or_else(|| Outcome::not_applicable("the latency is not known"))?;
    Ok(Outcome::scored(seconds, format!("{seconds:.3} s")))
}

/// What it cost, in the currency's unit.
pub(super) fn cost(seen: Seen<'_>) -> Result<Outcome, Outcome> {
    let cost = seen.answer.cost;
    let cost = cost.ok_or_else(|| Outcome::not_applicable("the cost is not known"))?;
    Ok(Outcome::scored(cost.nanos as f64 / 1e9, cost.to_string()))
}
