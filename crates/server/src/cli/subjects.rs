//! Who was told what, and taking a person out of what was recorded.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::show::{Output, moment, rows, table, text};
use crate::client::Client;

/// The most answers that are listed for people.
const LISTED: usize = 50;

/// What may have touched answers.
#[derive(Debug, Args)]
pub struct BlastArguments {
    /// A document's path, a passage's id, a snapshot, a release (support-7 or its digest), or a
    /// prompt's digest.
    of: String,
    /// What it is, where that is not plain: document, chunk, snapshot, release or prompt (by name).
    #[arg(long)]
    kind: Option<String>,
    /// Since when: a moment (RFC 3339) or how long ago, as 7d.
    #[arg(long, default_value = "30d")]
    since: String,
    /// Until when.
    #[arg(long)]
    until: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum TelemetryCommand {
    /// Take users or conversations out of what was recorded.
    Forget {
        /// A user, as traces name them. May be given several times.
        #[arg(long = "user")]
        users: Vec<String>,
        /// A conversation. May be given several times.
        #[arg(long = "conversation")]
        conversations: Vec<String>,
        /// Why; never whom it is about, since it stays in the event log.
        #[arg(long, short = 'm')]
        reason: String,
    },
}

/// Tells whom something touched.
pub async fn blast(client: &Client, asked: BlastArguments, out: &Output) -> Result<()> {
    let mut query = vec![("of", asked.of), ("since", asked.since)];
    query.extend(asked.kind.map(|kind| ("kind", kind)));
    query.extend(asked.until.map(|until| ("until", until)));
    out.value(&client.get("/api/v1/blast-radius", &query).await?, touched)
}

/// Runs a command about what was recorded.
pub async fn telemetry(client: &Client, command: TelemetryCommand, out: &Output) -> Result<()> {
    let TelemetryCommand::Forget { users, conversations, reason } = command;
    let body = json!({"users": users, "conversations": conversations, "reason": reason});
    out.value(&client.post("/api/v1/telemetry/forget", &body).await?, |erased| {
        format!(
            "{} traces name nobody any more, {} texts are gone, {} files were written anew",
            text(&erased["traces"]),
            text(&erased["texts"]),
            text(&erased["files"])
        )
    })
}

fn touched(found: &Value) -> String {
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    let answers = count(&found["answers"]);
    let mut out = vec![format!(
        "{answers} answers, {} users, {} conversations were touched by {} {}",
        count(&found["users"]),
        count(&found["conversations"]),
        text(&found["cause"]["kind"]),
        match &found["cause"]["is"] {
            Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(", "),
            one => text(one),
        }
    )];
    let cells = rows(&found["answers"]).take(LISTED).map(|answer| {
        vec![
            moment(&answer["at"]),
            text(&answer["trace"]),
            text(&answer["app"]),
            text(&answer["environment"]),
            text(&answer["user"]),
            text(&answer["conversation"]),
        ]
    });
    let cells: Vec<_> = cells.collect();
    if !cells.is_empty() {
        out.push(table(&["AT", "TRACE", "APP", "ENVIRONMENT", "USER", "CONVERSATION"], cells));
    }
    if answers > LISTED {
        out.push(format!("and {} more: --json lists all", answers - LISTED));
    }
    if found["cut"] == true {
        out.push("there are more than a query gives: ask for a shorter time".to_owned());
    }
    for file in found["damaged"].as_array().into_iter().flatten() {
        out.push(format!("not looked at, since it is damaged: {}", text(file)));
    }
    out.join("\n")
}
