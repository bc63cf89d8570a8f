//! Marks by criteria: G-Eval (Liu and others, 2023).
//!
//! Criteria become steps; the judge follows them and gives a mark from 0 to 10. The score is the
//! mean of the marks it could have given, by their probabilities, divided by 10. Without
//! probabilities it is the mark itself divided by 10, and the explanation says so.

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{nonsense, read, weighted_mark};
use super::{Bench, Prompt, TOP_LOGPROBS};
use crate::scorers::{Outcome, Seen};
use crate::suite::Measure;

/// The most steps that are taken from a judge.
const MAX_STEPS: usize = 12;

#[derive(Deserialize)]
struct Steps {
    steps: Vec<String>,
}

#[derive(Deserialize)]
struct Marked {
    #[serde(default)]
    reason: String,
    score: Value,
}

/// Lets the judge write the steps.
pub(super) async fn write_steps(
    criteria: &str,
    bench: &mut Bench<'_>,
) -> Result<Vec<String>, Outcome> {
    let fields = [("criteria", json!(criteria))];
    let reply = bench.ask(Prompt::CRITERIA_STEPS, &fields, None).await?;
    let Steps { steps } = read(&reply)?;
    if steps.is_empty() || steps.len() > MAX_STEPS || steps.iter().any(|it| it.trim().is_empty()) {
        return Err(nonsense(&reply, &format!("it does not give 1 to {MAX_STEPS} steps")));
    }
    Ok(steps)
}

pub(super) async fn score(
    measure: &Measure,
    written: &[String],
    seen: Seen<'_>,
    bench: &mut Bench<'_>,
) -> Result<Outcome, Outcome> {
    let Measure::Criteria { criteria, steps, expected, passages } = measure else {
        return Err(Outcome::undefined("there are no criteria"));
    };
    let mut data = json!({ "question": seen.case.input.question(), "answer": seen.answer.text });
    if *expected {
        data["expected"] = json!(seen.expected()?);
    }
    if *passages {
        data["passages"] = json!(seen.passages()?);
    }
    let steps = match (steps.as_slice(), written) {
        ([], []) => write_steps(criteria, bench).await?,
        ([], written) => written.to_vec(),
        (steps, _) => steps.to_vec(),
    };
    let fields = [("criteria", json!(criteria)), ("steps", json!(steps)), ("data", data)];
    let reply = bench.ask(Prompt::CRITERIA, &fields, Some(TOP_LOGPROBS)).await?;
    let Marked { reason, score } = read(&reply)?;
    let mark = score.as_u64().and_then(|mark| u8::try_from(mark).ok()).filter(|it| *it <= 10);
    let mark = mark.ok_or_else(|| nonsense(&reply, "the mark is no whole number from 0 to 10"))?;
    Ok(match weighted_mark(&reply, mark) {
        Ok(mean) => Outcome::scored(mean / 10.0, reason),
        Err(why) => {
            let said = format!("{reason} (the mark itself: {why})");
            Outcome::scored(f64::from(mark) / 10.0, said.trim_start())
        }
    })
}
