//! The pipeline for CI: applies a project, has its candidates go through the environments, and says
//! by its exit code what came of it.
//!
//! All of the work is the server's: a command that is cut off loses nothing, and the same command
//! again joins what is under way.

pub mod checkout;
mod junit;
mod sarif;
mod summary;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use release::Diagnostic;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::show::{self, Output, rows, short, text};
use super::{Refused, project, seconds};
use crate::client::{Client, Refusal, Unreachable};
use checkout::Checkout;

/// How often it is asked how far the pipelines are.
const ASK: Duration = Duration::from_millis(500);
/// How long a server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// Apply the project, and have its candidates go from environment to environment: evaluations
    /// that gates ask for are made, what needs time is waited for. It ends with 0 if all are live;
    /// with 2 if the input is bad, 3 if a person must act or the time ran out, 4 if a gate speaks
    /// against a release, 5 if one was taken back, 6 if no server answers, 7 if a newer change is
    /// live already, and with 1 if something else failed. The same command again goes on.
    Run(RunArguments),
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The project's directory.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Only this app; may be given several times.
    #[arg(long)]
    app: Vec<String>,
    /// The last environment that releases are to enter; the project's last if absent.
    #[arg(long)]
    to: Option<String>,
    /// The commit that the files are of; what git says if absent.
    #[arg(long)]
    commit: Option<String>,
    /// Who wrote it; what git says if absent.
    #[arg(long)]
    author: Option<String>,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    reason: String,
    /// How long it waits for gates and rollouts that only need time, as `30m`.
    #[arg(long, default_value = "30m", value_parser = seconds)]
    wait: u32,
    /// Write JUnit's XML to this file: a suite for each environment.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write SARIF 2.1.0 to this file: what is wrong with the files, and what scans found.
    #[arg(long)]
    sarif: Option<PathBuf>,
    /// Write a summary in Markdown to this file; else it is added to the file that
    /// GITHUB_STEP_SUMMARY names, if it names one.
    #[arg(long)]
    summary: Option<PathBuf>,
}

/// How the command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Code {
    Live = 0,
    Failed = 1,
    BadInput = 2,
    Waiting = 3,
    GateFailed = 4,
    TakenBack = 5,
    Unreachable = 6,
    Overtaken = 7,
}

/// What came of the command: what is printed, and what reports are made of.
#[derive(Debug, Default)]
struct Told {
    /// What git says of the directory.
    checkout: Option<Checkout>,
    /// What is wrong with the files.
    diagnostics: Vec<Diagnostic>,
    /// What came of each app, as the server tells it.
    pipelines: Vec<Value>,
    /// Why there is nothing to tell of apps.
    failure: Option<String>,
}

/// An app's pipeline under way.
struct Begun {
    app: String,
    path: String,
    told: String,
}

type Connect<'a> = &'a dyn Fn() -> Result<Client>;

/// Runs a pipeline, and writes the reports whatever comes of it.
pub async fn run(asked: RunArguments, connect: Connect<'_>, out: &Output) -> Result<()> {
    let mut told = Told { checkout: Checkout::of(&asked.directory), ..Told::default() };
    let (code, why) = match carry_out(&asked, connect, out, &mut told).await {
        Ok(()) => worst(&told.pipelines),
        Err(error) => {
            let why = format!("{error:#}");
            told.failure = Some(why.clone());
            (code_of(&error), why)
        }
    };
    if let Some(file) = &asked.junit {
        write(file, &junit::junit(&told))?;
    }
    if let Some(file) = &asked.sarif {
        write(file, &serde_json::to_string_pretty(&sarif::sarif(&told))?)?;
    }
    let summary = summary::summary(&told);
    match (&asked.summary, std::env::var_os("GITHUB_STEP_SUMMARY")) {
        (Some(file), _) => write(file, &summary)?,
        (None, Some(file)) if !file.is_empty() => {
            let added = File::options().append(true).create(true).open(&file);
            let added = added.and_then(|mut file| file.write_all(summary.as_bytes()));
            let place = || format!("cannot add to {}", Path::new(&file).display());
            added.with_context(place)?;
        }
        _ => {}
    }
    if told.failure.is_none() {
        let answer = json!({"code": code as u8, "pipelines": told.pipelines});
        out.value(&answer, |_| ends(&told.pipelines))?;
    }
    match code {
        Code::Live => Ok(()),
        code => Err(Refused { code: code as u8, why }.into()),
    }
}

async fn carry_out(
    asked: &RunArguments,
    connect: Connect<'_>,
    out: &Output,
    told: &mut Told,
) -> Result<()> {
    let mut body = project::upload(
        &asked.directory,
        told.checkout.as_ref(),
        (None, asked.reason.clone(), false),
    )?;
    match &told.checkout {
        Some(checkout) if checkout.dirty && asked.commit.is_none() => {
            say(out, "the directory has changes that no commit has: no commit is recorded")?;
        }
        _ => {}
    }
    body.commit = asked.commit.clone().or(body.commit);
    body.commit_author = asked.author.clone().or(body.commit_author);
    let client = connect()?;
    let applied = match client.post("/api/v1/projects", &body).await {
        Ok(applied) => applied,
        Err(error) => {
            let refusal = error.downcast_ref::<Refusal>();
            told.diagnostics = refusal.map(|it| it.diagnostics.clone()).unwrap_or_default();
            return Err(error);
        }
    };
    told.diagnostics = serde_json::from_value(applied["warnings"].clone()).unwrap_or_default();
    say(out, &show::applied(&applied))?;
    let apps = client.get("/api/v1/apps", &[]).await?;
    let of_project = |app: &&Value| app["project"] == applied["project"];
    let apps: Vec<&Value> = rows(&apps).filter(of_project).collect();
    let known: Vec<String> = apps.iter().map(|app| text(&app["name"])).collect();
    if let Some(unknown) = asked.app.iter().find(|app| !known.contains(app)) {
        let known = known.join(", ");
        let why = format!("the project has no app `{unknown}`: it has {known}");
        return Err(Refused { code: Code::BadInput as u8, why }.into());
    }
    let mut begun = Vec::new();
    for app in apps {
        let name = text(&app["name"]);
        if !asked.app.is_empty() && !asked.app.contains(&name) {
            continue;
        }
        // What was just proposed; else the newest candidate.
        let proposed = rows(&applied["changes"]).find(|change| change["app"] == app["name"]);
        let release = proposed.map_or(&app["head"], |change| &change["release"]);
        if release.is_null() {
            told.pipelines.push(without_release(&name, &applied));
            continue;
        }
        let wish = json!({
            "app": name, "release": release, "to": asked.to, "wait_seconds": asked.wait,
        });
        let execution = client.post("/api/v1/pipelines", &wish).await?;
        let execution = text(&execution["execution"]);
        say(out, &format!("{name}: release {} goes its way as {execution}", short(release)))?;
        let (workflow, execution) = execution.split_once('/').unwrap_or_default();
        let path = format!("/api/v1/workflows/{workflow}/executions/{execution}");
        begun.push(Begun { app: name, path, told: String::new() });
    }
    follow(client, connect, begun, (out, told)).await
}

/// Waits for all of them; a server that is away for a while is waited for.
async fn follow(
    mut client: Client,
    connect: Connect<'_>,
    mut begun: Vec<Begun>,
    (out, told): (&Output, &mut Told),
) -> Result<()> {
    let mut heard = Instant::now();
    while let Some(mut next) = begun.pop() {
        let execution = match client.get(&next.path, &[]).await {
            Ok(execution) => execution,
            Err(error) if error.is::<Unreachable>() && heard.elapsed() < PATIENCE => {
                begun.push(next);
                tokio::time::sleep(ASK).await;
                // It may come back elsewhere.
                if let Ok(found) = connect() {
                    client = found;
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        heard = Instant::now();
        if execution["status"] == "RUNNING" {
            let progress = execution["progress"].as_object().into_iter().flatten().next();
            if let Some((_, line)) = progress
                && *line != next.told.as_str()
            {
                next.told = text(line);
                say(out, &format!("{}: {}", next.app, next.told))?;
            }
            begun.insert(0, next);
            tokio::time::sleep(ASK).await;
            continue;
        }
        let report = match &execution["output"] {
            Value::Object(_) if execution["status"] == "SUCCEEDED" => {
                let mut report = execution["output"].clone();
                report["execution"] = execution["execution"].clone();
                report
            }
            _ => json!({
                "app": next.app, "execution": execution["execution"], "outcome": "failed",
                "why": format!("the execution is {}: {}",
                    text(&execution["status"]), text(&execution["cause"])),
                "stages": [],
            }),
        };
        told.pipelines.push(report);
    }
    told.pipelines.sort_by_key(|report| text(&report["app"]));
    Ok(())
}

/// What is told of an app that has no release yet.
fn without_release(app: &str, applied: &Value) -> Value {
    let waiting = rows(&applied["waiting"]).find(|waiting| waiting["app"] == app);
    let base = waiting.map(|waiting| text(&waiting["knowledge"])).unwrap_or_default();
    json!({
        "app": app, "outcome": "waiting", "stages": [],
        "why": format!("it waits for the first snapshot of knowledge base `{base}`"),
        "next": format!("groundcrew knowledge refresh {base}"),
    })
}

/// A line for people, while the work is under way.
fn say(out: &Output, line: &str) -> Result<()> {
    if out.json { Ok(()) } else { out.text(line) }
}

/// How all of them ended, and the command that lets each go on.
fn ends(pipelines: &[Value]) -> String {
    let mut lines = Vec::new();
    for report in pipelines {
        let (app, outcome) = (text(&report["app"]), words(report));
        let release = report["release"].as_str().map(|_| short(&report["release"]));
        let release = release.map_or_else(String::new, |release| format!(" (release {release})"));
        lines.push(format!("{app}{release}: {outcome}"));
        for stage in rows(&report["stages"]) {
            let (name, state) = (text(&stage["environment"]), words(stage));
            let why = stage["why"].as_str().filter(|why| !why.is_empty());
            let why = why.map_or_else(String::new, |why| format!("; {why}"));
            lines.push(format!("  {name}: {state}{why}"));
        }
        lines.extend(report["why"].as_str().map(|why| format!("  {why}")));
        if let Some(next) = next_of(report) {
            lines.push(format!("  next: {next}\n  and then the same command again"));
        }
    }
    lines.join("\n")
}

/// An outcome or a state as words.
fn words(told: &Value) -> String {
    let word = told["outcome"].as_str().or_else(|| told["state"].as_str());
    word.unwrap_or_default().replace('_', " ")
}

/// Why a pipeline did not come to its end.
fn why_of(report: &Value) -> String {
    let last = rows(&report["stages"]).filter(|stage| stage["state"] != "not_reached").last();
    match (report["why"].as_str(), last) {
        (Some(why), _) => why.to_owned(),
        (None, Some(stage)) => format!("{}: {}", text(&stage["environment"]), text(&stage["why"])),
        (None, None) => words(report),
    }
}

/// The command by which a person lets it go on.
fn next_of(report: &Value) -> Option<&str> {
    let stages = rows(&report["stages"]).find_map(|stage| stage["next"].as_str());
    report["next"].as_str().or(stages)
}

/// The gravest of what came of them, and why.
fn worst(pipelines: &[Value]) -> (Code, String) {
    let code = |report: &Value| match report["outcome"].as_str() {
        Some("live") => Code::Live,
        Some("gate_failed") => Code::GateFailed,
        Some("taken_back") => Code::TakenBack,
        Some("overtaken") => Code::Overtaken,
        Some("waiting") => Code::Waiting,
        _ => Code::Failed,
    };
    let gravest = [Code::Failed, Code::TakenBack, Code::GateFailed, Code::Waiting, Code::Overtaken];
    let found = gravest.into_iter().find_map(|gravest| {
        let report = pipelines.iter().find(|report| code(report) == gravest)?;
        Some((gravest, format!("{}: {}", text(&report["app"]), why_of(report))))
    });
    found.unwrap_or((Code::Live, String::new()))
}

/// How the command ends by an error.
fn code_of(error: &anyhow::Error) -> Code {
    if error.is::<Unreachable>() {
        return Code::Unreachable;
    }
    if error.downcast_ref::<Refused>().is_some_and(|it| it.code == Code::BadInput as u8) {
        return Code::BadInput;
    }
    let bad = |refusal: &Refusal| {
        let bad =
            [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY];
        bad.contains(&refusal.status)
    };
    if error.downcast_ref::<Refusal>().is_some_and(bad) { Code::BadInput } else { Code::Failed }
}

fn write(file: &Path, contents: &str) -> Result<()> {
    fs::write(file, contents).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests;
