//! Queries over telemetry: `query 'TEXT'`, `query run NAME`, `query list`.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use monitoring::Language;
use monitoring::results::Results;
use reqwest::Method;

use super::show;
use crate::api::{Format, QueryBody};
use crate::client::Client;

/// How high a plot is.
const PLOT_HEIGHT: usize = 16;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct QueryArguments {
    #[command(subcommand)]
    command: Option<QueryCommand>,
    /// The query, in SQL or the language of CloudWatch Logs Insights.
    #[arg(required = true)]
    text: Option<String>,
    /// The query's language; what it begins as if absent.
    #[arg(long, value_enum)]
    language: Option<Named>,
    /// Save it in the project as queries/NAME.sql or queries/NAME.insights.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum QueryCommand {
    /// Run a query that the project saves.
    Run {
        /// Its name.
        name: String,
        #[command(flatten)]
        how: How,
    },
    /// The queries that projects save.
    List,
}

/// Of which time, and told how.
#[derive(Debug, Clone, Args)]
struct How {
    /// From when: a moment (RFC 3339), or how long ago, as 15m, 3h, 7d.
    #[arg(long, default_value = "1h")]
    since: String,
    /// To before when; now if absent.
    #[arg(long)]
    until: Option<String>,
    /// The most rows; what the query says or 10,000 if absent.
    #[arg(long)]
    limit: Option<usize>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Printed::Table)]
    format: Printed,
    /// Draw a plot: of the time, if a column tells times; else bars.
    #[arg(long)]
    plot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Printed {
    /// A table as wide as the terminal.
    Table,
    /// A JSON object for each row, a line each.
    Json,
    /// CSV.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Named {
    /// SQL.
    Sql,
    /// CloudWatch Logs Insights.
    Insights,
}

/// Runs a command.
pub async fn run(client: &Client, asked: QueryArguments, out: &show::Output) -> Result<()> {
    let body = match asked.command {
        Some(QueryCommand::List) => {
            let listed = client.get("/api/v1/queries", &[]).await?;
            return out.value(&listed, saved);
        }
        Some(QueryCommand::Run { name, how }) => {
            return print(
                client,
                QueryBody { saved: Some(name), ..QueryBody::default() },
                how,
                out,
            )
            .await;
        }
        None => {
            let text = asked.text.unwrap_or_default();
            let language = match asked.language {
                Some(Named::Sql) => Language::Sql,
                Some(Named::Insights) => Language::Insights,
                None => Language::of(&text),
            };
            if let Some(name) = &asked.save {
                save(Path::new("."), name, (language, &text))?;
            }
            QueryBody { query: Some(text), language: Some(language), ..QueryBody::default() }
        }
    };
    print(client, body, asked.how, out).await
}

async fn print(client: &Client, mut body: QueryBody, how: How, out: &show::Output) -> Result<()> {
    (body.since, body.until, body.limit) = (Some(how.since), how.until, how.limit);
    body.format = Format::Arrow;
    let request = client.request(Method::POST, "/api/v1/query").json(&body);
    let (bytes, notes) = client.bytes(request).await?;
    let printed = if out.json { Printed::Json } else { how.format };
    if printed == Printed::Arrow && !how.plot {
        return Ok(std::io::stdout().write_all(&bytes)?);
    }
    let results = Results::read(&bytes).context("the server's answer is no Arrow stream")?;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = match std::io::stdout().is_terminal() {
        true => columns.unwrap_or(100),
        // What is piped is not cut.
        false => columns.unwrap_or(usize::MAX),
    };
    if how.plot {
        out.text(&results.plot(width.min(160), PLOT_HEIGHT)?)?;
    } else {
        match printed {
            Printed::Json => {
                for row in results.json() {
                    out.text(&serde_json::to_string(&row)?)?;
                }
            }
            Printed::Csv => out.text(&results.csv())?,
            Printed::Table | Printed::Arrow => out.text(&results.table(width))?,
        }
    }
    if !notes.is_empty() {
        // Beside the rows, so that these can be piped.
        writeln!(std::io::stderr(), "{notes}")?;
    }
    Ok(())
}

/// Writes a query into the project in `directory`.
fn save(directory: &Path, name: &str, (language, text): (Language, &str)) -> Result<()> {
    if !directory.join("groundcrew.toml").exists() {
        bail!("--save writes into a project: change to the directory of its groundcrew.toml");
    }
    let name: release::ArtifactName = name.parse()?;
    let folder = directory.join("queries");
    let path = folder.join(format!("{name}.{}", language.extension()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let text = format!("{}\n", text.trim_end());
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(std::io::stderr(), "saved as {}; `groundcrew apply` shares it", path.display())?;
    Ok(())
}

fn saved(queries: &serde_json::Value) -> String {
    let row = |query: &serde_json::Value| {
        let text = show::text(&query["text"]);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = line.chars().take(80).collect();
        vec![show::text(&query["name"]), show::text(&query["language"]), short]
    };
    show::table(&["NAME", "LANGUAGE", "QUERY"], show::rows(queries).map(row).collect())
}

#[cfg(test)]
mod tests;
