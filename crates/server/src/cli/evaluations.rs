//! Evaluations: running suites, looking at what came of it, and comparing releases.

pub mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Refused;
use super::progress::{self, Bar};
use super::show::{Output, rows, text};
use crate::client::Client;
use tables::{every, failing, listed, online, said, shown, side_by_side, suites};

/// How many cases that do not pass are told where all are not asked for.
const TOLD: usize = 10;

#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Ask a suite of a release and score what it answers. It ends with 0 if the release passes, with
    /// 1 if it fails or something could not be asked or scored, and with 3 if nothing decides.
    Run(RunArguments),
    /// Evaluations, newest first.
    List {
        /// Only of this app.
        #[arg(long)]
        app: Option<String>,
        /// Only of this suite.
        #[arg(long)]
        suite: Option<String>,
        /// Only of this release of the app.
        #[arg(long, requires = "app")]
        release: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// The suites that projects have.
    Suites,
    /// One evaluation: what each scorer found, and the cases that do not pass.
    Show {
        /// Its id, as `eval list` shows it.
        id: String,
        /// Every case; with --json, every answer with its scores.
        #[arg(long)]
        cases: bool,
    },
    /// Whether a release is worse than another, case by case. It ends with 0 if it is shown not to be,
    /// with 1 if it is, and with 3 if the suite is too small to tell.
    Compare(CompareArguments),
    /// What suites have scored of production today, what that cost, and what was left out.
    Online,
    /// Recorded requests of an app's clients, drawn as cases of a suite: one in JSON per line, to be
    /// looked through, completed and kept.
    Cases {
        /// The app.
        app: String,
        /// Whose requests; the app's first environment if absent.
        #[arg(long)]
        env: Option<String>,
        /// Since when: a moment (RFC 3339) or how long ago, as 7d.
        #[arg(long, default_value = "7d")]
        since: String,
        /// How many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Which of all draws.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// An evaluation as a page for people, and as JUnit's XML for build servers.
    Report {
        /// Its id, as `eval list` shows it.
        id: String,
        /// Write the page to this file.
        #[arg(long, required_unless_present = "junit")]
        out: Option<PathBuf>,
        /// Write JUnit's XML to this file.
        #[arg(long)]
        junit: Option<PathBuf>,
        /// Show it beside this evaluation, the answers' differences marked.
        #[arg(long, requires = "out")]
        base: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The suite: evals/NAME.toml of the app's project.
    suite: String,
    /// The app.
    #[arg(long)]
    app: String,
    /// The release: a change, a sequence number or a digest; the newest candidate if absent.
    #[arg(long)]
    release: Option<String>,
    /// The environment whose providers answer; the app's first if absent.
    #[arg(long)]
    env: Option<String>,
    /// How often each case is asked; as the suite says if absent.
    #[arg(long)]
    repeats: Option<u32>,
    #[command(flatten)]
    drawn: DrawnArguments,
    /// Do not wait: print the execution that does it, for `workflow show` and `workflow watch`.
    #[arg(long)]
    no_wait: bool,
}

/// Recorded requests, asked instead of a suite's cases.
#[derive(Debug, Args)]
struct DrawnArguments {
    /// Ask so many recorded requests of the environment's clients instead of the suite's cases.
    #[arg(long, value_name = "N")]
    traces: Option<u32>,
    /// Draw them since this moment (RFC 3339) or so long ago, as 7d.
    #[arg(long, requires = "traces", default_value = "7d")]
    since: String,
    /// Which of all draws; the same seed draws the same.
    #[arg(long, requires = "traces", default_value_t = 0)]
    seed: u64,
}

impl DrawnArguments {
    fn wish(&self) -> Value {
        let Self { traces, since, seed } = self;
        traces.map_or(Value::Null, |n| json!({"count": n, "since": since, "seed": seed}))
    }
}

#[derive(Debug, Args)]
pub struct CompareArguments {
    /// The evaluation to compare with; or a suite, whose newest evaluations of two releases are
    /// compared.
    first: String,
    /// The evaluation of the candidate.
    #[arg(conflicts_with_all = ["app", "base", "release", "traces"], required_unless_present = "app")]
    second: Option<String>,
    /// The app.
    #[arg(long, requires_all = ["base", "release"])]
    app: Option<String>,
    /// The release to compare with.
    #[arg(long, requires = "app")]
    base: Option<String>,
    /// The candidate.
    #[arg(long, requires = "app")]
    release: Option<String>,
    /// How much worse the candidate's share of passes may be.
    #[arg(long, default_value_t = 0.03)]
    margin: f64,
    /// With --traces: the environment whose requests are asked, and whose providers answer; the
    /// app's first if absent.
    #[arg(long, requires = "traces")]
    env: Option<String>,
    #[command(flatten)]
    drawn: DrawnArguments,
}

/// Nothing decides: neither passed nor failed.
const UNDECIDED: u8 = 3;

/// Runs a command.
pub async fn run(client: &Client, command: EvalCommand, out: &Output) -> Result<()> {
    match command {
        EvalCommand::Run(asked) => evaluate(client, asked, out).await,
        EvalCommand::List { app, suite, release, limit } => {
            let given = [("app", app), ("suite", suite), ("release", release)];
            let query = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let query: Vec<_> = query.chain([("limit", limit.to_string())]).collect();
            out.value(&client.get("/api/v1/evaluations", &query).await?, listed)
        }
        EvalCommand::Online => {
            out.value(&client.get("/api/v1/evaluations/online", &[]).await?, online)
        }
        EvalCommand::Suites => out.value(&client.get("/api/v1/suites", &[]).await?, suites),
        EvalCommand::Show { id, cases } => show(client, &id, cases, out).await,
        EvalCommand::Compare(asked) => compare(client, asked, out).await,
        EvalCommand::Cases { app, env, since, limit, seed } => {
            let query =
                [("since", since), ("limit", limit.to_string()), ("seed", seed.to_string())];
            let query: Vec<_> =
                query.into_iter().chain(env.map(|env| ("environment", env))).collect();
            let drawn = client.get(&format!("/api/v1/apps/{app}/cases"), &query).await?;
            out.value(&drawn, |drawn| {
                rows(&drawn["cases"]).map(Value::to_string).collect::<Vec<_>>().join("\n")
            })
        }
        EvalCommand::Report { id, out: page, junit, base } => {
            let mut written = Vec::new();
            if let Some(page) = &page {
                let base = base.map(|base| ("base", base));
                let query: Vec<_> =
                    [("format", "html".to_owned())].into_iter().chain(base).collect();
                write(client, &id, (page, &query)).await?;
                written.push(page);
            }
            if let Some(junit) = &junit {
                write(client, &id, (junit, &[("format", "junit".to_owned())])).await?;
                written.push(junit);
            }
            out.value(&json!({"evaluation": id, "written": written}), |_| {
                let written: Vec<_> =
                    written.iter().map(|file| file.display().to_string()).collect();
                format!("wrote {}", written.join(" and "))
            })
        }
    }
}

async fn evaluate(client: &Client, asked: RunArguments, out: &Output) -> Result<()> {
    let RunArguments { suite, app, release, env, repeats, drawn, no_wait } = asked;
    let body = json!({
        "suite": suite, "app": app, "release": release, "environment": env, "repeats": repeats,
        "traces": drawn.wish(),
    });
    let request = client.request(Method::POST, "/api/v1/evaluations").json(&body);
    if no_wait {
        let begun = client.send(request.query(&[("wait", "false")])).await?;
        return out.value(&begun, |begun| text(&begun["execution"]));
    }
    let record = ran(client, request, (&suite, out)).await?;
    if out.json {
        out.value(&record, shown)?;
    } else {
        let run = run_of(client, &record).await?;
        out.text(&format!("{}{}", shown(&record), failing(&record, &run, TOLD)))?;
    }
    verdict(&record)
}

/// Has a suite run, and waits for it.
async fn ran(
    client: &Client,
    request: RequestBuilder,
    (suite, out): (&str, &Output),
) -> Result<Value> {
    match Bar::new(out, &format!("asking {suite}")) {
        Some(bar) => progress::done(client, request, bar).await,
        None => client.send(request).await,
    }
}

/// How the command ends.
fn verdict(record: &Value) -> Result<()> {
    let told = said(record);
    match record["verdict"].as_str() {
        Some("passed") => Ok(()),
        Some("inconclusive") => Err(Refused { code: UNDECIDED, why: told }.into()),
        _ => bail!(told),
    }
}

async fn show(client: &Client, id: &str, cases: bool, out: &Output) -> Result<()> {
    let record = client.get(&format!("/api/v1/evaluations/{id}"), &[]).await?;
    if out.json && !cases {
        return out.value(&record, shown);
    }
    let run = run_of(client, &record).await?;
    let most = if cases { usize::MAX } else { TOLD };
    out.value(&run, |run| {
        let all = if cases { every(run) } else { String::new() };
        format!("{}{all}{}", shown(&record), failing(&record, run, most))
    })
}

async fn run_of(client: &Client, record: &Value) -> Result<Value> {
    client.get(&format!("/api/v1/evaluations/{}/run", text(&record["id"])), &[]).await
}

async fn write(client: &Client, id: &str, (file, query): (&Path, &[(&str, String)])) -> Result<()> {
    let path = format!("/api/v1/evaluations/{id}/report");
    let request = client.request(Method::GET, &path).query(query);
    let (bytes, _) = client.bytes(request).await?;
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

async fn compare(client: &Client, asked: CompareArguments, out: &Output) -> Result<()> {
    let CompareArguments { first, second, app, base, release, margin, env, drawn } = asked;
    let margin = ("margin", margin.to_string());
    let compared = match (second, app) {
        (None, app) if drawn.traces.is_some() => {
            // Both are asked the same: what the first has drawn.
            let (mut traces, mut cases_of, mut ids) = (drawn.wish(), Value::Null, Vec::new());
            for release in [base, release] {
                let body = json!({
                    "suite": first, "app": app, "release": release, "environment": env,
                    "traces": traces, "cases_of": cases_of,
                });
                let request = client.request(Method::POST, "/api/v1/evaluations").json(&body);
                let record = ran(client, request, (&first, out)).await?;
                (traces, cases_of) = (Value::Null, record["id"].clone());
                ids.push(text(&record["id"]));
            }
            let path = format!("/api/v1/evaluations/{}/comparison", ids.pop().unwrap_or_default());
            client.get(&path, &[("base", ids.pop().unwrap_or_default()), margin]).await?
        }
        (Some(second), _) => {
            let path = format!("/api/v1/evaluations/{second}/comparison");
            client.get(&path, &[("base", first), margin]).await?
        }
        (None, app) => {
            let path =
                format!("/api/v1/apps/{}/suites/{first}/comparison", app.unwrap_or_default());
            let (base, release) = (base.unwrap_or_default(), release.unwrap_or_default());
            client.get(&path, &[("base", base), ("release", release), margin]).await?
        }
    };
    out.value(&compared, side_by_side)?;
    let comparison = &compared["comparison"];
    let reason = text(&comparison["reason"]);
    match comparison["gate"].as_str() {
        Some("pass") => Ok(()),
        Some("inconclusive") => {
            Err(Refused { code: UNDECIDED, why: format!("inconclusive: {reason}") }.into())
        }
        _ => bail!("worse: {reason}"),
    }
}

#[cfg(test)]
mod tests;
