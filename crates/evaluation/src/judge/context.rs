//! Context precision and recall (RAGAS: Es and others, 2023).
//!
//! Precision is Σₖ P@k·vₖ / Σₖ vₖ, where vₖ says whether the passage of rank k was useful: 0 if none
//! was. Recall is the share of the statements of a good answer that the passages hold.

use serde::Deserialize;
use serde_json::json;

use super::faithfulness::numbered;
use super::reply::{MAX_ITEMS, nonsense, read, verdicts};
use super::{Bench, Prompt};
use crate::scorers::{Outcome, Seen, average_precision};

#[derive(Deserialize)]
struct Statements {
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    attributed: bool,
}

pub(super) async fn precision(seen: Seen<'_>, bench: &mut Bench<'_>) -> Result<Outcome, Outcome> {
    let expected = seen.expected()?;
    let passages = retrieved(seen)?;
    let fields = [
        ("question", json!(seen.case.input.question())),
        ("expected", json!(expected)),
        ("passages", numbered(&passages)),
    ];
    let reply = bench.ask(Prompt::CONTEXT_PRECISION, &fields, None).await?;
    Ok(average_precision(&verdicts(&reply, passages.len())?))
}

pub(super) async fn recall(seen: Seen<'_>, bench: &mut Bench<'_>) -> Result<Outcome, Outcome> {
    let expected = seen.expected()?;
    let passages = retrieved(seen)?;
    let fields = [
        ("question", json!(seen.case.input.question())),
        ("expected", json!(expected)),
        ("passages", json!(passages)),
    ];
    let reply = bench.ask(Prompt::CONTEXT_RECALL, &fields, None).await?;
    let Statements { statements } = read(&reply)?;
    if statements.len() > MAX_ITEMS {
        return Err(nonsense(&reply, &format!("it gives more than {MAX_ITEMS} statements")));
    }
    let attributed = statements.iter().filter(|statement| statement.attributed).count();
    Ok(Outcome::share(attributed, statements.len(), "statements"))
}

/// What was retrieved. The case's own context was not, so it does not count here.
fn retrieved<'a>(seen: Seen<'a>) -> Result<Vec<&'a str>, Outcome> {
    let texts: Vec<&str> = seen.answer.passages.iter().map(|it| it.text.as_str()).collect();
    if texts.is_empty() {
        return Err(Outcome::not_applicable("there are no passages"));
    }
    Ok(texts)
}
