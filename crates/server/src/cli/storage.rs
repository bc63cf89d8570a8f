//! What is kept, why, and what goes.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Waiting;
use super::report;
use super::show::{self, Output, text};
use crate::client::Client;

#[derive(Debug, Subcommand)]
pub enum StorageCommand {
    /// Drop what is not kept any more, as [retention] in server.toml says.
    Prune {
        /// Only tell what would go.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Why a content is kept.
    Explain {
        /// Its digest, as sha256:….
        digest: String,
    },
    /// Have a release, a snapshot or any content kept, with all that it is made of.
    Hold {
        /// Its digest, as sha256:….
        digest: String,
        /// Why.
        #[arg(long, short = 'm')]
        reason: String,
    },
    /// What is kept because somebody asked for it.
    Holds,
    /// End a hold.
    Release {
        /// The digest that is held.
        digest: String,
    },
}

#[derive(Debug, Args)]
pub struct CompactArguments {
    /// The knowledge base.
    name: String,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs a command.
pub async fn run(client: &Client, command: StorageCommand, out: &Output) -> Result<()> {
    match command {
        StorageCommand::Prune { dry_run, waiting } => {
            let path = format!("/api/v1/storage/prune?dry_run={dry_run}");
            waiting.post(client, (path.as_str(), json!({})), out, pruned).await
        }
        StorageCommand::Explain { digest } => {
            let path = format!("/api/v1/storage/contents/{digest}");
            out.value(&client.get(&path, &[]).await?, explained)
        }
        StorageCommand::Hold { digest, reason } => {
            let body = json!({"digest": digest, "reason": reason});
            let held = client.post("/api/v1/storage/holds", &body).await?;
            out.value(&held, |hold| format!("{} is held", text(&hold["digest"])))
        }
        StorageCommand::Holds => {
            out.value(&client.get("/api/v1/storage/holds", &[]).await?, show::holds)
        }
        StorageCommand::Release { digest } => {
            let path = format!("/api/v1/storage/holds/{digest}");
            let released = client.delete(&path).await?;
            out.value(&released, |told| format!("{} is not held any more", text(&told["released"])))
        }
    }
}

/// Compacts a knowledge base.
pub async fn compact(client: &Client, asked: CompactArguments, out: &Output) -> Result<()> {
    let CompactArguments { name, dry_run, waiting } = asked;
    let path = format!("/api/v1/knowledge/{name}/compact?dry_run={dry_run}");
    waiting.post(client, (path.as_str(), json!({})), out, compacted).await
}

fn pruned(pruned: &Value) -> String {
    let dry_run = pruned["dry_run"] == true;
    let (would, swept) = (if dry_run { "would be " } else { "" }, &pruned["swept"]);
    let mut out = Vec::new();
    for (kinds, kind) in [("releases", "release"), ("batches", "batch"), ("artifacts", "artifact")]
    {
        for name in pruned["dropped"][kinds].as_array().into_iter().flatten() {
            out.push(format!("{kind} {} {would}dropped", text(name)));
        }
    }
    let kinds = [
        ("pinned", "kept"),
        ("young", "too young to go"),
        ("set_aside", "set aside"),
        ("waiting", "waiting where they were set aside"),
        ("put_back", "needed again and put back"),
        ("deleted", "deleted"),
    ];
    for (kind, what) in kinds {
        let (blobs, bytes) = (&swept[kind]["blobs"], &swept[kind]["bytes"]);
        if *blobs != 0 {
            let would = if ["pinned", "young", "waiting"].contains(&kind) { "" } else { would };
            out.push(format!("{blobs} contents ({bytes} bytes) {would}{what}"));
        }
    }
    if pruned["backup_under_way"] == true {
        out.push("nothing is deleted while a backup is taken".to_owned());
    }
    out.join("\n")
}

fn explained(told: &Value) -> String {
    let mut out = vec![text(&told["digest"])];
    if told["there"] == false {
        out.push("  there is no such content".to_owned());
    }
    let by: Vec<_> = told["by"].as_array().into_iter().flatten().collect();
    if by.is_empty() {
        out.push("  nothing names it: it goes with the next prunes".to_owned());
    }
    out.extend(by.into_iter().map(|reason| format!("  {}", text(reason))));
    out.join("\n")
}

fn compacted(told: &Value) -> String {
    let done = &told["compaction"];
    if done.is_null() {
        return format!("{}: there is nothing to gain", text(&told["knowledge"]));
    }
    let wear = |wear: &Value| {
        let count = |name: &str| text(&wear[name]);
        format!(
            "{} segments, {} passages ({} gone)",
            count("segments"),
            count("rows"),
            count("dead")
        )
    };
    let (before, after) = (wear(&done["before"]), wear(&done["after"]));
    let mut out = vec![format!("{}: {before} → {after}", text(&told["knowledge"]))];
    match &told["batch"] {
        Value::Null => out.push("  nothing was done: this is a dry run".to_owned()),
        batch => {
            let count = |name: &str| text(&done[name]);
            out.push(format!(
                "  {} questions compared, {} find passages in another order as words are weighed now",
                count("questions"),
                count("reweighed")
            ));
            out.push(report::told(batch, &Value::Null, 0));
        }
    }
    out.join("\n")
}
