//! The commands about versions of workflows, and aliases that lead to them.

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use workflow::engine::Route;

use super::super::show::{Output, moment, text};
use crate::client::Client;

#[derive(Debug, Subcommand)]
pub enum VersionCommand {
    /// The versions of a workflow, the newest first.
    Versions {
        /// The workflow.
        workflow: String,
    },
    /// Delete a version that no alias leads to.
    Unpublish {
        /// The workflow.
        workflow: String,
        /// The version's number.
        version: u32,
    },
    /// Make an alias that leads to a version, or to two by weight, or change one.
    Alias {
        /// The workflow.
        workflow: String,
        /// The alias's name, as `PROD`.
        alias: String,
        /// Where it leads: `VERSION`, or two as `VERSION=WEIGHT` whose weights sum to 100.
        #[arg(required = true, num_args = 1..=2, value_parser = route)]
        routes: Vec<Route>,
        /// What it is, for people.
        #[arg(long)]
        description: Option<String>,
    },
    /// The aliases of a workflow.
    Aliases {
        /// The workflow.
        workflow: String,
    },
    /// Delete an alias.
    Unalias {
        /// The workflow.
        workflow: String,
        /// The alias.
        alias: String,
    },
}

/// `3` or `3=90`.
fn route(text: &str) -> Result<Route, String> {
    let (version, weight) = text.split_once('=').unwrap_or((text, "100"));
    match (version.parse(), weight.parse()) {
        (Ok(version), Ok(weight)) => Ok(Route { version, weight }),
        _ => Err("write VERSION or VERSION=WEIGHT, as `3` or `3=90`".to_owned()),
    }
}

/// Runs one.
pub async fn run(command: &VersionCommand, client: &Client, out: &Output) -> Result<()> {
    let gone = |removed: &Value| format!("{} is gone", text(&removed["removed"]));
    match command {
        VersionCommand::Versions { workflow } => {
            let all = client.get(&format!("/api/v1/workflows/{workflow}/versions"), &[]).await?;
            out.value(&all, versions)
        }
        VersionCommand::Unpublish { workflow, version } => {
            let path = format!("/api/v1/workflows/{workflow}/versions/{version}");
            out.value(&client.delete(&path).await?, gone)
        }
        VersionCommand::Alias { workflow, alias, routes, description } => {
            let path = format!("/api/v1/workflows/{workflow}/aliases");
            let body = json!({"name": alias, "routes": routes, "description": description});
            let made = client.post(&path, &body).await?;
            out.value(&made, |made| format!("{workflow}:{alias} leads to {}", led(made)))
        }
        VersionCommand::Aliases { workflow } => {
            let all = client.get(&format!("/api/v1/workflows/{workflow}/aliases"), &[]).await?;
            out.value(&all, aliases)
        }
        VersionCommand::Unalias { workflow, alias } => {
            let path = format!("/api/v1/workflows/{workflow}/aliases/{alias}");
            out.value(&client.delete(&path).await?, gone)
        }
    }
}

fn versions(rows: &Value) -> String {
    let mut lines = vec![format!("{:<9}{:<22}{}", "VERSION", "PUBLISHED", "DESCRIPTION")];
    for row in rows.as_array().into_iter().flatten() {
        lines.push(format!(
            "{:<9}{:<22}{}",
            text(&row["version"]),
            moment(&row["created_at"]),
            text(&row["description"])
        ));
    }
    lines.join("\n")
}

fn aliases(rows: &Value) -> String {
    let mut lines = vec![format!("{:<24}{:<32}{}", "ALIAS", "LEADS TO", "DESCRIPTION")];
    for row in rows.as_array().into_iter().flatten() {
        let (name, description) = (text(&row["name"]), text(&row["description"]));
        lines.push(format!("{name:<24}{:<32}{description}", led(row)));
    }
    lines.join("\n")
}

/// Where an alias leads, as `version 3 (90 %), version 2 (10 %)`.
fn led(alias: &Value) -> String {
    let routes = alias["routes"].as_array().into_iter().flatten();
    let routes = routes
        .map(|route| format!("version {} ({} %)", text(&route["version"]), text(&route["weight"])));
    routes.collect::<Vec<_>>().join(", ")
}
