//! The commands about backups. Restoring needs no server: there is none yet.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Waiting;
use super::show::{Output, moment, rows, table, text};
use crate::backups::RestoreArguments;
use crate::client::Client;

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Take a backup, copy it to the second place and delete old ones.
    Take {
        #[command(flatten)]
        waiting: Waiting,
    },
    /// The backups, and the last drills.
    List,
    /// Restore a backup into scratch, start it, and compare what it finds with the original.
    Drill(DrillArguments),
    /// Delete backups that are older than they are kept.
    Forget {
        /// Only say what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
    /// Restore a backup into an empty installation; no server may run on it.
    Restore(RestoreArguments),
}

#[derive(Debug, Args)]
pub struct DrillArguments {
    /// The backup's name (default: the newest).
    backup: Option<String>,
    /// Take the copy at the second place.
    #[arg(long)]
    replica: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs a command that asks the server.
pub async fn call(client: &Client, command: BackupCommand, out: &Output) -> Result<()> {
    let path = "/api/v1/backups";
    match command {
        BackupCommand::Take { waiting } => {
            waiting.post(client, (path, json!({})), out, taken).await
        }
        BackupCommand::List => out.value(&client.get(path, &[]).await?, listed),
        BackupCommand::Drill(DrillArguments { backup, replica, waiting }) => {
            let body = json!({"backup": backup, "replica": replica});
            waiting.post(client, ("/api/v1/backups/drill", body), out, drilled).await
        }
        BackupCommand::Forget { dry_run } => {
            let request = client.request(Method::POST, "/api/v1/backups/forget");
            let forgotten: Value = client.send(request.query(&[("dry_run", dry_run)])).await?;
            out.value(&forgotten, |forgotten| self::forgotten(forgotten, dry_run))
        }
        BackupCommand::Restore(_) => Ok(()),
    }
}

fn taken(taken: &Value) -> String {
    let moved = |moved: &Value| {
        let (copied, known) = (text(&moved["copied"]), text(&moved["known"]));
        format!("{copied} objects copied ({} bytes), {known} there already", text(&moved["bytes"]))
    };
    let mut out = vec![
        format!("backup {} taken", text(&taken["backup"])),
        format!("  {}", moved(&taken["moved"])),
    ];
    if !taken["replicated"].is_null() {
        out.push(format!("  at the second place: {}", moved(&taken["replicated"])));
    }
    if !rows(&taken["forgotten"]["backups"]).collect::<Vec<_>>().is_empty() {
        out.push(format!("  {}", forgotten(&taken["forgotten"], false)));
    }
    out.join("\n")
}

fn listed(listed: &Value) -> String {
    let row = |backup: &Value| {
        let fields = ["rows", "blobs", "position"].map(|field| text(&backup[field]));
        [vec![text(&backup["backup"]), moment(&backup["taken_at"])], fields.to_vec()].concat()
    };
    let backups = rows(&listed["backups"]).map(row).collect();
    let backups = table(&["backup", "state of", "rows", "blobs", "log position"], backups);
    match rows(&listed["drills"]).next() {
        Some(last) => {
            format!("{backups}\n\nlast drill, {}:\n{}", moment(&last["ended_at"]), drilled(last))
        }
        None => format!("{backups}\n\nnone was drilled yet: run `groundcrew backup drill`"),
    }
}

fn drilled(drilled: &Value) -> String {
    let faults: Vec<_> =
        rows(&drilled["faults"]).map(|fault| format!("  {}", text(fault))).collect();
    let seconds = |field: &str| match drilled[field].as_f64() {
        Some(seconds) => format!("{seconds:.1} s"),
        None => "none".to_owned(),
    };
    let verdict = if faults.is_empty() { "passes" } else { "FAILS" };
    let mut out = vec![
        format!("backup {} {verdict} its drill", text(&drilled["backup"])),
        format!(
            "  recovery time {}, recovery point {}",
            seconds("rto_seconds"),
            seconds("rpo_seconds")
        ),
        format!(
            "  {} objects hashed ({} bytes), {} live releases loaded, {} snapshots opened, {} queries \
             answered the same",
            text(&drilled["objects"]),
            text(&drilled["bytes"]),
            text(&drilled["releases"]),
            text(&drilled["snapshots"]),
            text(&drilled["queries"])
        ),
    ];
    out.extend(faults);
    out.join("\n")
}

fn forgotten(forgotten: &Value, dry_run: bool) -> String {
    let backups: Vec<_> = rows(&forgotten["backups"]).map(text).collect();
    let verb = if dry_run { "would be deleted" } else { "deleted" };
    let named = if backups.is_empty() { "no backup".to_owned() } else { backups.join(", ") };
    format!("{named} and {} objects that only they name {verb}", text(&forgotten["objects"]))
}

/// What was restored.
pub fn restored(restored: &Value) -> String {
    format!(
        "backup {} is restored: the state of {}, {} rows, {} objects ({} bytes)\n\
         start it with `groundcrew up`",
        text(&restored["backup"]),
        moment(&restored["taken_at"]),
        text(&restored["rows"]),
        text(&restored["moved"]["copied"]),
        text(&restored["moved"]["bytes"])
    )
}
