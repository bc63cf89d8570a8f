//! The commands about alarms and service-level objectives. A simulation needs no server.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use delivery::project::document::{BAD_VALUE, Document};
use monitoring::alarm::simulate::{Beginning, Evaluation, simulate};
use monitoring::alarm::spec::AlarmFile;
use monitoring::alarm::{AlarmError, State};
use release::{Diagnostic, Place, Timestamp};
use serde_json::{Value, json};

use super::files::mistakes;
use super::show::{Output, moment, rows, table, text};
use crate::client::Client;

#[derive(Debug, Subcommand)]
pub enum AlarmCommand {
    /// The alarms and how they stand.
    List {
        /// Only those in this state: OK, ALARM or INSUFFICIENT_DATA.
        #[arg(long)]
        state: Option<String>,
    },
    /// One alarm: what it watches, how it stands and why.
    Show {
        /// The alarm.
        name: String,
    },
    /// How an alarm changed, the newest first.
    History {
        /// The alarm.
        name: String,
        /// How many changes.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Replay datapoints through an alarm, and tell each evaluation's state and reason. It needs no
    /// server.
    Simulate(SimulateArguments),
}

#[derive(Debug, Subcommand)]
pub enum SloCommand {
    /// The service-level objectives: what is left of their error budgets, and how fast it burns.
    List,
}

#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// The alarm: a file of `monitors/`, or AWS's JSON.
    alarm: PathBuf,
    /// The datapoints as JSON (`-` reads them from the standard input): `[1, null, 3]`, one for
    /// each period; `[{"timestamp": …, "value": …, "samples": …}]`; an object of such lists by the
    /// metric's id; or what `aws cloudwatch get-metric-statistics` and `get-metric-data` print.
    #[arg(long)]
    datapoints: PathBuf,
    /// The state before.
    #[arg(long, default_value = "INSUFFICIENT_DATA")]
    state: State,
    /// When the first period begins, of datapoints without a time (RFC 3339).
    #[arg(long)]
    start: Option<Timestamp>,
}

/// Runs a command.
pub async fn run(
    command: AlarmCommand,
    client: impl FnOnce() -> Result<Client>,
    out: &Output,
) -> Result<()> {
    match command {
        AlarmCommand::Simulate(asked) => simulated(&asked, out),
        AlarmCommand::List { state } => {
            let query: Vec<_> = state.into_iter().map(|state| ("state", state)).collect();
            out.value(&client()?.get("/api/v1/alarms", &query).await?, list)
        }
        AlarmCommand::Show { name } => {
            out.value(&client()?.get(&format!("/api/v1/alarms/{name}"), &[]).await?, shown)
        }
        AlarmCommand::History { name, limit } => {
            let path = format!("/api/v1/alarms/{name}/history");
            out.value(&client()?.get(&path, &[("limit", limit.to_string())]).await?, history)
        }
    }
}

/// Runs a command about objectives.
pub async fn objectives(command: SloCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        SloCommand::List => out.value(&client.get("/api/v1/slos", &[]).await?, slos),
    }
}

fn simulated(asked: &SimulateArguments, out: &Output) -> Result<()> {
    let alarm = alarm(&asked.alarm)?;
    let datapoints = if asked.datapoints.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        read(&asked.datapoints)?
    };
    let named = asked.datapoints.display();
    let datapoints: Value =
        serde_json::from_str(&datapoints).with_context(|| format!("{named} is not JSON"))?;
    let start = asked.start.unwrap_or(Beginning::default().start);
    let told = simulate(&alarm, &datapoints, Beginning { state: asked.state, start });
    let told = told.with_context(|| format!("{named}"))?;
    out.value(&serde_json::to_value(&told)?, |_| evaluations(&told))
}

/// Reads an alarm's file; every mistake is told at its place.
fn alarm(file: &Path) -> Result<monitoring::alarm::spec::Alarm> {
    let (name, text) = (file.display().to_string(), read(file)?);
    let wrong = |document: Option<&Document>, error: AlarmError| match (document, error) {
        (Some(document), AlarmError::Invalid(wrong)) => {
            let found = |wrong: &monitoring::alarm::spec::Wrong| {
                Diagnostic::error(BAD_VALUE, document.place(&wrong.pointer), &wrong.message)
            };
            mistakes(wrong.iter().map(found).collect())
        }
        (None, AlarmError::Invalid(wrong)) => {
            let found = |wrong: &monitoring::alarm::spec::Wrong| {
                Diagnostic::error(BAD_VALUE, Place::start_of(&name), wrong.to_string())
            };
            mistakes(wrong.iter().map(found).collect())
        }
        (_, other) => anyhow!("{other}"),
    };
    // JSON is what AWS prints; it has no places.
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let file = AlarmFile::from_value(value).map_err(|error| wrong(None, error))?;
        return file.compile().map_err(|found| wrong(None, AlarmError::Invalid(found)));
    }
    let document = Document::parse(&name, &text).map_err(mistakes)?;
    let file = if AlarmFile::is_foreign(document.value()) {
        let value = document.value().clone();
        AlarmFile::from_value(value).map_err(|error| wrong(Some(&document), error))?
    } else {
        document.read::<AlarmFile>().map_err(mistakes)?
    };
    file.compile().map_err(|found| wrong(Some(&document), AlarmError::Invalid(found)))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn evaluations(told: &[Evaluation]) -> String {
    let cells = told.iter().map(|it| {
        let changed = if it.previous == it.state { "" } else { "*" };
        let held = it.held.as_ref().map(|why| format!("; actions are held back: {why}"));
        let reason = format!("{}{}", it.reason, held.unwrap_or_default());
        vec![it.timestamp.to_string(), it.state.to_string(), changed.to_owned(), reason]
    });
    table(&["PERIOD", "STATE", "", "REASON"], cells.collect())
}

fn list(alarms: &Value) -> String {
    let cells = rows(alarms).map(|alarm| {
        let status = &alarm["status"];
        vec![
            text(&alarm["name"]),
            text(&status["state"]),
            moment(&status["since"]),
            text(&status["reason"]),
        ]
    });
    table(&["ALARM", "STATE", "SINCE", "REASON"], cells.collect())
}

fn shown(alarm: &Value) -> String {
    let status = &alarm["status"];
    let mut out = vec![
        format!(
            "{} {} since {}",
            text(&alarm["name"]),
            text(&status["state"]),
            moment(&status["since"])
        ),
        format!("  {}", text(&status["reason"])),
    ];
    for (what, value) in [
        ("description", &alarm["definition"]["description"]),
        ("project", &alarm["project"]),
        ("objective", &alarm["objective"]),
        ("actions held back", &status["held"]),
        ("evaluation failed", &status["fault"]),
    ] {
        if value.as_str().is_some_and(|text| !text.is_empty()) {
            out.push(format!("  {what}: {}", text(value)));
        }
    }
    out.push(format!("  evaluated: {}", moment(&status["evaluated_at"])));
    let cells = rows(&status["datapoints"]).map(|point| {
        let breaching = if point["breaching"] == json!(true) { "breaching" } else { "" };
        vec![moment(&point["timestamp"]), text(&point["value"]), breaching.to_owned()]
    });
    let cells: Vec<_> = cells.collect();
    if !cells.is_empty() {
        out.push(table(&["PERIOD", "VALUE", ""], cells));
    }
    out.join("\n")
}

fn history(changes: &Value) -> String {
    let cells = rows(changes).map(|change| {
        vec![
            moment(&change["at"]),
            text(&change["previous"]),
            text(&change["state"]),
            text(&change["reason"]),
        ]
    });
    table(&["AT", "FROM", "TO", "REASON"], cells.collect())
}

fn slos(slos: &Value) -> String {
    let percent =
        |value: &Value| value.as_f64().map_or("-".to_owned(), |it| format!("{:.3} %", it * 100.0));
    let cells = rows(slos).map(|slo| {
        let burns = rows(&slo["burn"]).map(|burn| {
            let rate = burn["rate"].as_f64().map_or("-".to_owned(), |rate| format!("{rate:.1}x"));
            format!("{} {rate}", text(&burn["window"]))
        });
        vec![
            text(&slo["name"]),
            format!("{} % in {} d", text(&slo["objective"]), text(&slo["window_days"])),
            percent(&slo["attained"]),
            percent(&slo["budget_left"]),
            burns.collect::<Vec<_>>().join(", "),
        ]
    });
    table(&["OBJECTIVE", "PROMISED", "ATTAINED", "BUDGET LEFT", "BURNS"], cells.collect())
}

#[cfg(test)]
mod tests;
