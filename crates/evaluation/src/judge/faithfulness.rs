//! Faithfulness (RAGAS: Es and others, 2023): supported statements by all statements.

use serde::Deserialize;
use serde_json::json;

use super::reply::{MAX_ITEMS, nonsense, read, verdicts};
use super::{Bench, Prompt};
use crate::scorers::{Outcome, Seen, beginning};

/// How many statements without support are told.
const TOLD: usize = 3;

#[derive(Deserialize)]
struct Statements {
    statements: Vec<String>,
}

pub(super) async fn score(seen: Seen<'_>, bench: &mut Bench<'_>) -> Result<Outcome, Outcome> {
    let passages = seen.passages()?;
    let fields =
        [("question", json!(seen.case.input.question())), ("answer", json!(seen.answer.text))];
    let reply = bench.ask(Prompt::STATEMENTS, &fields, None).await?;
    let Statements { statements } = read(&reply)?;
    if statements.is_empty() {
        return Err(Outcome::undefined("the answer makes no statements"));
    }
    if statements.len() > MAX_ITEMS {
        return Err(nonsense(&reply, &format!("it gives more than {MAX_ITEMS} statements")));
    }
    let fields = [("passages", json!(passages)), ("statements", numbered(&statements))];
    let reply = bench.ask(Prompt::FAITHFULNESS, &fields, None).await?;
    let supported = verdicts(&reply, statements.len())?;
    let all = statements.len();
    let without: Vec<&String> =
        statements.iter().zip(&supported).filter(|(_, yes)| !**yes).map(|(it, _)| it).collect();
    let mut explanation = format!("{} of {all} statements are supported", all - without.len());
    for statement in without.iter().take(TOLD) {
        explanation.push_str(&format!("; not `{}`", beginning(statement)));
    }
    Ok(Outcome::scored((all - without.len()) as f64 / all as f64, explanation))
}

/// Texts with their numbers from 1.
pub(super) fn numbered(texts: &[impl AsRef<str>]) -> serde_json::Value {
    let numbered = (1_usize..).zip(texts);
    numbered.map(|(number, text)| json!({ "number": number, "text": text.as_ref() })).collect()
}
