//! Recorded requests, answered again: both answers side by side.

use anyhow::{Result, bail};
use clap::Args;
use evaluation::replay::{Piece, words};
use serde_json::{Value, json};

use super::evaluations::tables::{money, number, outcome_of};
use super::show::{Output, rows, short, table, text};
use crate::client::Client;

#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// The trace's id, from the header `x-groundcrew-trace`.
    trace: String,
    /// The release: a change, a sequence number or a digest; the one that answered if absent, which
    /// tells how well it repeats itself.
    #[arg(long)]
    release: Option<String>,
    /// The environment whose providers answer; that of the trace if absent.
    #[arg(long, alias = "environment")]
    env: Option<String>,
    /// A suite of the app's project, whose scorers score both answers.
    #[arg(long)]
    suite: Option<String>,
}

/// Replays a trace. It ends with 0 if there is a new answer, whatever it is.
pub async fn replay(client: &Client, asked: ReplayArguments, out: &Output) -> Result<()> {
    let ReplayArguments { trace, release, env, suite } = asked;
    let body = json!({"release": release, "environment": env, "suite": suite});
    let replayed = client.post(&format!("/api/v1/traces/{trace}/replay"), &body).await?;
    out.value(&replayed, shown)?;
    match replayed["replayed"]["missing"].as_str() {
        Some(why) => bail!("the replay has no answer: {why}"),
        None => Ok(()),
    }
}

fn shown(replay: &Value) -> String {
    let (before, after) = (&replay["recorded"], &replay["replayed"]);
    let mut out = vec![
        format!(
            "{}: recorded by {} in {}, answered again by {} in {} (trace {})",
            text(&replay["app"]),
            short(&before["release"]),
            text(&before["environment"]),
            short(&after["release"]),
            text(&after["environment"]),
            text(&after["trace"]),
        ),
        format!("asked    {}", text(&replay["question"])),
    ];
    out.extend(answers(before, after));
    out.push(String::new());
    out.push(figures(replay));
    out.extend(passages(replay));
    let differences: Vec<_> = rows(&replay["differences"]).map(text).collect();
    if !differences.is_empty() {
        out.push("\nnot the same, or not known to be:".to_owned());
        out.extend(differences.iter().map(|told| format!("  {told}")));
    }
    out.join("\n")
}

/// Both answers: one text with its differences marked, or each by itself.
fn answers(before: &Value, after: &Value) -> Vec<String> {
    let said = |side: &Value| match side["text"].as_str() {
        Some(answer) => answer.to_owned(),
        None => format!("none: {}", text(&side["missing"])),
    };
    let (Some(old), Some(new)) = (before["text"].as_str(), after["text"].as_str()) else {
        return vec![format!("recorded {}", said(before)), format!("replayed {}", said(after))];
    };
    if old == new {
        return vec![format!("answered {new}"), "both answers are the same".to_owned()];
    }
    match words(old, new) {
        Some(pieces) => vec![format!("answered {}", marked(&pieces))],
        None => vec![format!("recorded {old}"), format!("replayed {new}")],
    }
}

/// Words that differ, as `git diff --word-diff` writes them.
fn marked(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Same(words) => words.clone(),
        Piece::Lost(words) => format!("[-{words}-]"),
        Piece::Gained(words) => format!("{{+{words}+}}"),
    };
    pieces.iter().map(piece).collect()
}

/// What both took, and what scorers found.
fn figures(replay: &Value) -> String {
    let (before, after) = (&replay["recorded"], &replay["replayed"]);
    let cost = |side: &Value| match &side["cost"] {
        Value::Null => "unknown".to_owned(),
        cost => money(cost),
    };
    let seconds = |side: &Value| format!("{} s", number(&side["latency"]));
    let row =
        |name: &str, of: &dyn Fn(&Value) -> String| vec![name.to_owned(), of(before), of(after)];
    let mut cells = vec![
        row("outcome", &|side| text(&side["outcome"])),
        row("model", &|side| text(&side["model"])),
        row("tokens in", &|side| text(&side["input_tokens"])),
        row("tokens out", &|side| text(&side["output_tokens"])),
        row("cost", &cost),
        row("latency", &seconds),
    ];
    let likeness = &replay["likeness"];
    if likeness.is_object() {
        for (name, figure) in [("ROUGE-L", "rouge_l"), ("chrF", "chrf")] {
            cells.push(vec![name.to_owned(), String::new(), number(&likeness[figure])]);
        }
    }
    for (name, pair) in replay["scored"]["scorers"].as_object().into_iter().flatten() {
        let found = |outcome: &Value| match outcome {
            Value::Null => "-".to_owned(),
            outcome => {
                let (score, bad, _) = outcome_of(outcome);
                format!("{score}{}", if bad { " (does not pass)" } else { "" })
            }
        };
        cells.push(vec![name.clone(), found(&pair["recorded"]), found(&pair["replayed"])]);
    }
    table(&["", "RECORDED", "REPLAYED"], cells)
}

/// The passages of both, with their ranks.
fn passages(replay: &Value) -> Vec<String> {
    let cells: Vec<_> = rows(&replay["passages"])
        .map(|passage| {
            let became = match (passage["before"].as_u64(), passage["after"].as_u64()) {
                (Some(before), Some(after)) if before == after => "kept".to_owned(),
                (Some(before), Some(after)) if after < before => {
                    format!("up by {}", before - after)
                }
                (Some(before), Some(after)) => format!("down by {}", after - before),
                (None, _) => "gained".to_owned(),
                (_, None) => "lost".to_owned(),
            };
            let rank = |of: &str| text(&passage[of]);
            let (document, chunk) = (text(&passage["document"]), short(&passage["id"]));
            vec![document, chunk, rank("before"), rank("after"), became]
        })
        .collect();
    if cells.is_empty() {
        return Vec::new();
    }
    let head = ["DOCUMENT", "PASSAGE", "RANK THEN", "NOW", ""];
    let mut out = vec![String::new(), table(&head, cells)];
    match replay["vector"].as_str() {
        Some("recorded") => out.push("the question's vector is the recorded one".to_owned()),
        Some(_) => out.push("the question was embedded again".to_owned()),
        None => {}
    }
    out
}

#[cfg(test)]
mod tests;
