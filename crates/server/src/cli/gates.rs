//! Gates: how a release stands before them, approvals and waivers.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::show::{Output, moment, rows, short, table, text};
use crate::client::Client;

#[derive(Debug, Args)]
pub struct GatesArguments {
    /// The app.
    app: String,
    /// The release; the newest candidate if absent.
    release: Option<String>,
    /// The environment it is to enter.
    #[arg(long)]
    env: String,
}

#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The app.
    app: String,
    /// A change, a sequence number or a digest.
    release: String,
    /// The environment it is to enter.
    #[arg(long)]
    env: String,
    /// Say that it is not good; an approval of yours is withdrawn.
    #[arg(long)]
    deny: bool,
    /// The evidence that was looked at, as `release gates` prints it; what there is now if absent.
    #[arg(long)]
    evidence: Option<String>,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub struct WaiveArguments {
    /// The app.
    app: String,
    /// A change, a sequence number or a digest.
    release: String,
    /// The gate's name.
    gate: String,
    /// The environment it is to enter.
    #[arg(long)]
    env: String,
    /// Until when (RFC 3339), at most 30 days from now.
    #[arg(long)]
    until: String,
    /// Why.
    #[arg(long, short = 'm')]
    reason: String,
}

/// Shows how a release stands before the gates of an environment.
pub async fn gates(client: &Client, asked: GatesArguments, out: &Output) -> Result<()> {
    let GatesArguments { app, release, env } = asked;
    let path = format!("/api/v1/apps/{app}/environments/{env}/gates");
    let query: Vec<_> = release.into_iter().map(|release| ("release", release)).collect();
    out.value(&client.get(&path, &query).await?, shown)
}

/// Approves a release, or denies it.
pub async fn approve(client: &Client, asked: ApproveArguments, out: &Output) -> Result<()> {
    let ApproveArguments { app, release, env, deny, evidence, reason } = asked;
    let path = format!("/api/v1/apps/{app}/environments/{env}/approve");
    let body = json!({"release": release, "deny": deny, "evidence": evidence, "reason": reason});
    out.value(&client.post(&path, &body).await?, |decision| {
        let done = if deny { "denied" } else { "approved" };
        format!(
            "{} ({}) is {done} for {} by {}",
            text(&decision["change"]),
            short(&decision["release"]),
            text(&decision["environment"]),
            text(&decision["by"])
        )
    })
}

/// Lets a gate not count for a release.
pub async fn waive(client: &Client, asked: WaiveArguments, out: &Output) -> Result<()> {
    let WaiveArguments { app, release, gate, env, until, reason } = asked;
    let path = format!("/api/v1/apps/{app}/environments/{env}/waive");
    let body = json!({"release": release, "gate": gate, "until": until, "reason": reason});
    out.value(&client.post(&path, &body).await?, |waiver| {
        format!(
            "gate {} of {} does not count for {} until {}",
            text(&waiver["gate"]),
            text(&waiver["environment"]),
            short(&waiver["release"]),
            moment(&waiver["until"])
        )
    })
}

/// A report.
fn shown(report: &Value) -> String {
    let may = if report["eligible"] == true { "may enter" } else { "may not enter" };
    let mut out = vec![format!(
        "{} ({}) {may} {} of {}",
        text(&report["change"]),
        short(&report["release"]),
        text(&report["environment"]),
        text(&report["app"])
    )];
    let gates = rows(&report["gates"]).map(|judged| {
        let name = match judged["gate"] == judged["kind"] {
            true => text(&judged["gate"]),
            false => format!("{} ({})", text(&judged["gate"]), text(&judged["kind"])),
        };
        vec![name, text(&judged["state"]), moment(&judged["since"]), text(&judged["why"])]
    });
    let gates: Vec<_> = gates.collect();
    if !gates.is_empty() {
        out.push(table(&["GATE", "STATE", "SINCE", "WHY"], gates));
    }
    let not_needed: Vec<_> = rows(&report["not_needed"]).map(text).collect();
    if !not_needed.is_empty() {
        out.push(format!("not needed, since their slots are the same: {}", not_needed.join(", ")));
    }
    out.push(format!("evidence {}", text(&report["evidence"])));
    out.join("\n\n")
}

#[cfg(test)]
mod tests;
