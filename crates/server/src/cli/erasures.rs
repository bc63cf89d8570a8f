//! Erasing documents.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::show::{self, Output};
use crate::client::Client;

/// How often a pending erasure is looked at.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[group(skip)]
pub struct EraseArguments {
    /// The knowledge base.
    name: String,
    /// The documents' paths.
    #[arg(required_unless_present = "where")]
    documents: Vec<String>,
    /// Also all documents with this metadata, as `customer=4711`; several must all fit.
    #[arg(long)]
    r#where: Vec<String>,
    /// Why: who asked for it. It is kept.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Only tell what would be reached.
    #[arg(long)]
    dry_run: bool,
    /// Do not wait until everything is done; nothing finds the documents even so.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub struct AdmitArguments {
    /// The knowledge base.
    name: String,
    /// The document's path.
    document: String,
}

/// Erases documents.
pub async fn erase(client: &Client, asked: EraseArguments, out: &Output) -> Result<()> {
    let EraseArguments { name, documents, r#where, reason, dry_run, no_wait } = asked;
    let body = json!({
        "documents": documents, "where": r#where, "reason": reason.unwrap_or_default(),
        "dry_run": dry_run,
    });
    let told = client.post(&format!("/api/v1/knowledge/{name}/erase"), &body).await?;
    if dry_run {
        return out.value(&told, reach);
    }
    let mut erasure = told;
    while !no_wait && erasure["done_at"].is_null() && erasure["waits_for"].is_null() {
        tokio::time::sleep(LOOK).await;
        let all = client.get(&format!("/api/v1/knowledge/{name}/erasures"), &[]).await?;
        let same = |it: &&Value| it["number"] == erasure["number"];
        if let Some(now) = all.as_array().into_iter().flatten().find(same) {
            erasure = now.clone();
        }
    }
    out.value(&erasure, |erasure| erasures(&json!([erasure])))
}

/// Shows all erasures.
pub async fn list(client: &Client, name: &str, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{name}/erasures");
    out.value(&client.get(&path, &[]).await?, erasures)
}

/// Lets an erased document come back.
pub async fn admit(client: &Client, asked: AdmitArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/admit", asked.name);
    let body = json!({"document": asked.document});
    let text = format!("{} is admitted again", asked.document);
    out.value(&client.post(&path, &body).await?, |_| text.clone())
}

fn erasures(erasures: &Value) -> String {
    let cells = show::rows(erasures).map(|erasure| {
        let state = match (&erasure["done_at"], erasure["waits_for"].as_str()) {
            (Value::Null, Some(why)) => format!("masked; waits for {why}"),
            (Value::Null, None) => "masked".to_owned(),
            (done, _) => format!("erased {}", show::moment(done)),
        };
        let documents: Vec<_> = show::rows(&erasure["documents"]).map(show::text).collect();
        vec![
            show::text(&erasure["number"]),
            show::moment(&erasure["at"]),
            state,
            documents.join(", "),
            show::text(&erasure["reason"]),
            show::text(&erasure["actor"]),
        ]
    });
    show::table(&["ERASURE", "AT", "STATE", "DOCUMENTS", "REASON", "BY"], cells.collect())
}

fn reach(reach: &Value) -> String {
    let list = |name: &str| {
        let all: Vec<_> = show::rows(&reach[name]).map(show::text).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    };
    let releases: Vec<_> = show::rows(&reach["releases"])
        .map(|release| format!("{}#{}", show::text(&release["app"]), release["sequence"]))
        .collect();
    let releases = if releases.is_empty() { "none".to_owned() } else { releases.join(", ") };
    [
        format!("documents  {}", list("documents")),
        format!("snapshots  {}", reach["snapshots"]),
        format!("segments   {}", reach["segments"]),
        format!("releases   {releases}"),
        format!("texts      {}", reach["texts"]),
        format!("blobs      {}", reach["blobs"]),
        format!("backups    {}", list("backups")),
        "nothing was erased".to_owned(),
    ]
    .join("\n")
}
