//! The commands about workflows. Looking at a definition, running it with pretended tasks and
//! scoring files of cases need no server.

mod versions;

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use workflow::cases::Score;
use workflow::definition::{Finding, Severity};
use workflow::engine::ScheduleFile;
use workflow::graph::{Graph, Look};
use workflow::rule::RuleSpec;
use workflow::simulate::{Mocks, Setting, simulate};
use workflow::{Machine, portable};

use super::files::{document, read};
use super::show::{Output, text};
use crate::client::Client;

/// How often an execution that is watched is looked at.
const WATCH: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Look for mistakes in a definition; all of them are told at once.
    Validate {
        /// The definition, in the Amazon States Language.
        file: PathBuf,
    },
    /// Tell what of a definition would not run on AWS Step Functions as it is.
    Lint {
        /// The definition.
        file: PathBuf,
        /// Against AWS Step Functions: the only target there is.
        #[arg(long, required = true)]
        portable: bool,
    },
    /// Run a definition under a virtual clock with pretended tasks, or score files of cases.
    Test {
        /// The definition.
        #[arg(required_unless_present = "cases")]
        file: Option<PathBuf>,
        /// The input: JSON, or `@FILE`.
        #[arg(long, default_value = "{}")]
        input: String,
        /// What each state's tasks report: `{"states": {"NAME": [{"result": …}, {"error": {"error":
        /// …, "cause": …}}, {"silent": {}}]}, "objects": [{"bucket": …, "key": …, "body": …}]}`.
        #[arg(long)]
        mocks: Option<PathBuf>,
        /// Files of recorded cases, one a line.
        #[arg(long, num_args = 1.., conflicts_with_all = ["input", "mocks"])]
        cases: Vec<PathBuf>,
    },
    /// Define a workflow, or a new definition of one.
    Define {
        /// Its name.
        name: String,
        /// The definition.
        file: PathBuf,
        /// Its type, which it keeps: `express` runs in memory, for five minutes at most.
        #[arg(long, value_name = "TYPE", value_parser = ["standard", "express"])]
        r#type: Option<String>,
        /// Publish it as a version.
        #[arg(long)]
        publish: bool,
        /// What the version is, for people.
        #[arg(long, requires = "publish")]
        description: Option<String>,
    },
    /// Versions and aliases.
    #[command(flatten)]
    Versions(versions::VersionCommand),
    /// The workflows, or the executions of one.
    List {
        /// The workflow; its executions are listed the newest first.
        workflow: Option<String>,
        /// Only executions that stand so, as `RUNNING` or `FAILED`.
        #[arg(long)]
        status: Option<String>,
        /// Only executions after the one of this name in the list.
        #[arg(long, value_name = "EXECUTION")]
        after: Option<String>,
        /// How many at most (1,000 in one list).
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Start an execution.
    Start {
        /// The workflow, a version of it (`NAME:3`) or an alias (`NAME:PROD`).
        workflow: String,
        /// The input: JSON, or `@FILE`.
        #[arg(long, default_value = "{}")]
        input: String,
        /// The execution's name: a second start with it is the same execution.
        #[arg(long)]
        name: Option<String>,
        /// Wait until it is over.
        #[arg(long)]
        wait: bool,
    },
    /// Draw a workflow, or an execution with the state that each of its steps is in.
    Show {
        /// The execution, as `WORKFLOW/NAME`, or the workflow.
        execution: String,
        /// Write the picture to this file as SVG instead.
        #[arg(long)]
        svg: Option<PathBuf>,
        /// Print the history as well.
        #[arg(long)]
        history: bool,
    },
    /// Follow an execution to its end, event by event.
    Watch {
        /// The execution, as `WORKFLOW/NAME`.
        execution: String,
    },
    /// Stop an execution.
    Stop {
        /// The execution, as `WORKFLOW/NAME`.
        execution: String,
        /// Why.
        #[arg(long, short = 'm', default_value = "")]
        reason: String,
    },
    /// Try again what failed in an execution.
    Redrive {
        /// The execution, as `WORKFLOW/NAME`.
        execution: String,
    },
    /// Start a workflow by a schedule, or change one.
    Schedule {
        /// The schedule's name.
        name: String,
        /// What is started, and when: a `.schedule.toml`.
        file: PathBuf,
    },
    /// The schedules.
    Schedules,
    /// Remove a schedule.
    Unschedule {
        /// Its name.
        name: String,
    },
    /// Act on events by a rule, or change one.
    Rule {
        /// The rule's name.
        name: String,
        /// Which events, and what to do with them: a `.rule.toml`.
        file: PathBuf,
    },
    /// The event rules.
    Rules,
    /// Remove an event rule.
    Unrule {
        /// Its name.
        name: String,
    },
    /// Post an event for rules to act on.
    Emit {
        /// Where it comes from, as `shop.orders`.
        source: String,
        /// What kind of event it is.
        detail_type: String,
        /// What it tells: a JSON object, or `@FILE`.
        #[arg(long, default_value = "{}")]
        detail: String,
    },
    /// The starts that failed, and the webhooks that were called in vain.
    DeadLetters,
    /// Start what a dead letter is about, or call its webhook again.
    Deliver {
        /// The letter.
        letter: String,
    },
    /// The approvals that are waited for.
    Approvals,
    /// Make a link with which somebody can decide what an execution waits for: a bearer of it
    /// decides in their name.
    ApprovalLink {
        /// The execution, as `WORKFLOW/NAME`.
        execution: String,
        /// The state that waits, where several do.
        #[arg(long)]
        state: Option<String>,
        /// Who decides with it, as `user:ada`: one of those who are asked.
        #[arg(long = "for")]
        principal: String,
        /// How long it counts, as `30m`, `24h` or `7d` (at most 30d).
        #[arg(long, default_value = "24h", value_parser = seconds)]
        expires: u32,
    },
    /// Approve what an execution waits for, or reject it.
    Approve {
        /// The execution, as `WORKFLOW/NAME`.
        execution: String,
        /// The state that waits, where several do.
        #[arg(long)]
        state: Option<String>,
        /// Reject it.
        #[arg(long)]
        reject: bool,
        /// Why.
        #[arg(long, short = 'm', default_value = "")]
        reason: String,
    },
}

/// Runs one; `client` is asked for only if the command needs a server.
pub async fn run(
    command: &WorkflowCommand,
    client: impl FnOnce() -> Result<Client>,
    out: &Output,
) -> Result<()> {
    let execution = |key: &str| match key.split_once('/') {
        Some((workflow, name)) => Ok(format!("/api/v1/workflows/{workflow}/executions/{name}")),
        None => bail!("`{key}` is not an execution: write WORKFLOW/NAME"),
    };
    match command {
        WorkflowCommand::Validate { file } => validate(file, out),
        WorkflowCommand::Lint { file, .. } => lint(file, out),
        WorkflowCommand::Test { file: Some(file), input, mocks, .. } => {
            test(file, input, mocks.as_deref(), out)
        }
        WorkflowCommand::Test { file: None, cases, .. } => score(cases, out),
        WorkflowCommand::Define { name, file, r#type, publish, description } => {
            let body = json!({"name": name, "definition": read(file)?, "publish": publish,
                "type": r#type.as_ref().map(|name| name.to_uppercase()),
                "description": description});
            let defined = client()?.post("/api/v1/workflows", &body).await?;
            out.value(&defined, |defined| {
                let name = text(&defined["name"]);
                match defined["version"].as_u64() {
                    Some(version) => format!("workflow {name} is defined as version {version}"),
                    None => format!("workflow {name} is defined"),
                }
            })
        }
        WorkflowCommand::Versions(command) => versions::run(command, &client()?, out).await,
        WorkflowCommand::List { workflow: None, .. } => {
            let all = client()?.get("/api/v1/workflows", &[]).await?;
            out.value(&all, |rows| super::show::column(rows, "name"))
        }
        WorkflowCommand::List { workflow: Some(workflow), status, after, limit } => {
            let path = format!("/api/v1/workflows/{workflow}/executions");
            let mut query = vec![("limit", limit.to_string())];
            query.extend(status.clone().map(|status| ("status", status)));
            query.extend(after.clone().map(|after| ("after", after)));
            out.value(&client()?.get(&path, &query).await?, executions)
        }
        WorkflowCommand::Start { workflow, input, name, wait } => {
            let client = client()?;
            let body = json!({"name": name, "input": given(input)?, "wait": wait});
            let path = format!("/api/v1/workflows/{workflow}/executions");
            let mut told = client.post(&path, &body).await?;
            while *wait && told["status"] == "RUNNING" {
                let path = execution(&text(&told["execution"]))?;
                told = client.get(&path, &[("wait", "true".to_owned())]).await?;
            }
            out.value(&told, ended)?;
            if *wait && told["status"] != "SUCCEEDED" {
                bail!("the execution is {}", text(&told["status"]));
            }
            Ok(())
        }
        WorkflowCommand::Show { execution: key, svg: Some(file), .. } => {
            let path = execution(key).unwrap_or_else(|_| format!("/api/v1/workflows/{key}"));
            let graph = graph(&client()?, &path).await?;
            fs::write(file, graph.svg())
                .with_context(|| format!("cannot write `{}`", file.display()))?;
            out.value(&json!({"written": file}), |_| format!("wrote `{}`", file.display()))
        }
        WorkflowCommand::Show { execution: key, history: whole, .. } => {
            let client = client()?;
            let Ok(path) = execution(key) else {
                let graph = graph(&client, &format!("/api/v1/workflows/{key}")).await?;
                return out.value(&serde_json::to_value(&graph)?, |_| drawn(&graph));
            };
            let told = client.get(&path, &[]).await?;
            let graph = graph(&client, &path).await?;
            out.value(&told, |told| {
                let before = if *whole { history(told) } else { String::new() };
                format!("{before}{}\n\n{}{}", drawn(&graph), map_runs(told), ended(told))
            })
        }
        WorkflowCommand::Watch { execution: key } => {
            let (client, path) = (client()?, execution(key)?);
            let mut seen = 0;
            loop {
                let told = client.get(&path, &[]).await?;
                let events = told["history"].as_array().map(Vec::as_slice).unwrap_or_default();
                for event in events.iter().skip(seen) {
                    out.value(event, event_line)?;
                }
                seen = events.len();
                if told["status"] != "RUNNING" {
                    return out.value(&told, ended);
                }
                tokio::time::sleep(WATCH).await;
            }
        }
        WorkflowCommand::Stop { execution: key, reason } => {
            let path = format!("{}/stop", execution(key)?);
            let body = json!({"cause": reason});
            out.value(&client()?.post(&path, &body).await?, ended)
        }
        WorkflowCommand::Redrive { execution: key } => {
            let path = format!("{}/redrive", execution(key)?);
            out.value(&client()?.post(&path, &json!({})).await?, ended)
        }
        WorkflowCommand::Schedule { name, file } => {
            let schedule: ScheduleFile = document(file)?;
            let body = json!({"name": name, "schedule": schedule});
            let made = client()?.post("/api/v1/schedules", &body).await?;
            out.value(&made, |made| format!("schedule {} is kept", text(&made["name"])))
        }
        WorkflowCommand::Schedules => {
            out.value(&client()?.get("/api/v1/schedules", &[]).await?, schedules)
        }
        WorkflowCommand::Unschedule { name } => {
            let removed = client()?.delete(&format!("/api/v1/schedules/{name}")).await?;
            out.value(&removed, |removed| format!("schedule {} is gone", text(&removed["removed"])))
        }
        WorkflowCommand::Rule { name, file } => {
            let rule: RuleSpec = document(file)?;
            let body = json!({"name": name, "rule": rule});
            let made = client()?.post("/api/v1/rules", &body).await?;
            out.value(&made, |made| format!("rule {} is kept", text(&made["name"])))
        }
        WorkflowCommand::Rules => {
            let all = client()?.get("/api/v1/rules", &[]).await?;
            out.value(&all, |rows| super::show::column(rows, "name"))
        }
        WorkflowCommand::Unrule { name } => {
            let removed = client()?.delete(&format!("/api/v1/rules/{name}")).await?;
            out.value(&removed, |removed| format!("rule {} is gone", text(&removed["removed"])))
        }
        WorkflowCommand::Emit { source, detail_type, detail } => {
            let body =
                json!({"source": source, "detail_type": detail_type, "detail": given(detail)?});
            let kept = client()?.post("/api/v1/events", &body).await?;
            out.value(&kept, |_| "the event is kept".to_owned())
        }
        WorkflowCommand::DeadLetters => {
            out.value(&client()?.get("/api/v1/dead-letters", &[]).await?, dead_letters)
        }
        WorkflowCommand::Deliver { letter } => {
            let path = format!("/api/v1/dead-letters/{letter}/deliver");
            out.value(&client()?.post(&path, &json!({})).await?, ended)
        }
        WorkflowCommand::Approvals => {
            out.value(&client()?.get("/api/v1/approvals", &[]).await?, approvals)
        }
        WorkflowCommand::ApprovalLink { execution: key, state, principal, expires } => {
            let client = client()?;
            let path = format!("{}/approval-link", execution(key)?);
            let body = json!({"principal": principal, "state": state, "expires_seconds": expires});
            let mut made = client.post(&path, &body).await?;
            made["url"] = format!("{}{}", client.url(), text(&made["path"])).into();
            out.value(&made, |made| {
                let until = super::show::moment(&made["expires_at"]);
                let principal = text(&made["principal"]);
                format!("{}\ndecides as {principal} until {until}", text(&made["url"]))
            })
        }
        WorkflowCommand::Approve { execution: key, state, reject, reason } => {
            let path = format!("{}/decision", execution(key)?);
            let body = json!({"approve": !reject, "state": state, "reason": reason});
            out.value(&client()?.post(&path, &body).await?, ended)
        }
    }
}

/// The graph at a path of the API.
async fn graph(client: &Client, path: &str) -> Result<Graph> {
    let graph = client.get(&format!("{path}/graph"), &[]).await?;
    serde_json::from_value(graph).context("the server's graph does not fit this command line")
}

/// The graph as wide as the terminal, and coloured if it is one.
fn drawn(graph: &Graph) -> String {
    let terminal = std::io::stdout().is_terminal();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let width = columns.unwrap_or(80).clamp(40, 160);
    graph.text(Look { width, colour })
}

/// A length of time such as `30m`, `24h` or `7d`, in seconds.
pub fn seconds(text: &str) -> Result<u32, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let known = units.iter().find_map(|(unit, seconds)| {
        let count: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        count.checked_mul(*seconds)
    });
    known.ok_or_else(|| format!("`{text}` is no length of time: write 30m, 24h or 7d"))
}

/// JSON, or `@FILE`.
fn given(input: &str) -> Result<Value> {
    let input = match input.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None => input.to_owned(),
    };
    serde_json::from_str(&input).context("the input is not JSON")
}

fn executions(rows: &Value) -> String {
    let mut lines = vec![format!("{:<48}{:<11}{:<22}{}", "EXECUTION", "STATUS", "STARTED", "BY")];
    for row in rows.as_array().into_iter().flatten() {
        lines.push(format!(
            "{:<48}{:<11}{:<22}{}",
            text(&row["execution"]),
            text(&row["status"]),
            super::show::moment(&row["started_at"]),
            text(&row["actor"])
        ));
    }
    lines.join("\n")
}

/// The Map runs of an execution, and how far they are.
fn map_runs(told: &Value) -> String {
    let mut lines = Vec::new();
    for run in told["map_runs"].as_array().into_iter().flatten() {
        let counts = run["executionCounts"].as_object().into_iter().flatten();
        let counts = counts.map(|(name, count)| format!("{name} {count}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        lines.push(format!("{} {}: {counts}\n\n", text(&run["map_run"]), text(&run["status"])));
    }
    lines.concat()
}

/// How an execution stands.
fn ended(told: &Value) -> String {
    let mut lines = Vec::new();
    for name in [
        "execution",
        "version",
        "alias",
        "parent",
        "status",
        "states",
        "progress",
        "output",
        "error",
        "cause",
    ] {
        if !told[name].is_null() {
            lines.push(format!("{name}: {}", text(&told[name])));
        }
    }
    lines.join("\n")
}

fn validate(file: &Path, out: &Output) -> Result<()> {
    let (findings, refused) = match Machine::parse(&read(file)?) {
        Ok((_, warnings)) => (warnings, false),
        Err(findings) => (findings, true),
    };
    let result = if refused { "FAIL" } else { "OK" };
    out.value(&json!({"result": result, "diagnostics": findings}), |_| {
        let mut lines: Vec<_> = findings.iter().map(finding).collect();
        if !refused {
            lines.push(format!("`{}` is right", file.display()));
        }
        lines.join("\n")
    })?;
    if refused {
        bail!("`{}` is not a state machine that can run", file.display());
    }
    Ok(())
}

fn finding(Finding { severity, code, message, location }: &Finding) -> String {
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let location = location.as_deref().unwrap_or("/");
    format!("{location}: {severity}[{code}]: {message}")
}

fn lint(file: &Path, out: &Output) -> Result<()> {
    let machine = parsed(file)?;
    let obstacles = portable::lint(&machine);
    out.value(&serde_json::to_value(&obstacles)?, |_| {
        let told = obstacles
            .iter()
            .map(|found| format!("{}: {}\n  hint: {}", found.place, found.message, found.hint));
        told.collect::<Vec<_>>().join("\n")
    })?;
    match obstacles.len() {
        0 => Ok(()),
        count => bail!("{count} place(s) do not run on AWS Step Functions as they are"),
    }
}

/// A definition that can run.
fn parsed(file: &Path) -> Result<Machine> {
    match Machine::parse(&read(file)?) {
        Ok((machine, _)) => Ok(machine),
        Err(findings) => {
            bail!("{}", findings.iter().map(finding).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn schedules(rows: &Value) -> String {
    let mut lines = vec![format!("{:<24}{:<32}{:<24}{}", "SCHEDULE", "WHEN", "WORKFLOW", "LAST")];
    for row in rows.as_array().into_iter().flatten() {
        lines.push(format!(
            "{:<24}{:<32}{:<24}{}",
            text(&row["name"]),
            text(&row["schedule"]["when"]["expression"]),
            text(&row["schedule"]["workflow"]),
            row["started"].as_str().unwrap_or("not yet")
        ));
    }
    lines.join("\n")
}

fn dead_letters(rows: &Value) -> String {
    let mut lines = Vec::new();
    for row in rows.as_array().into_iter().flatten() {
        lines.push(format!(
            "{}\n  {} of {} was not started: {}",
            text(&row["id"]),
            text(&row["execution"]),
            text(&row["source"]),
            text(&row["error"])
        ));
    }
    lines.join("\n")
}

fn approvals(rows: &Value) -> String {
    let mut lines = Vec::new();
    for row in rows.as_array().into_iter().flatten() {
        let approvers = row["approvers"].as_array().into_iter().flatten().map(text);
        lines.push(format!(
            "{} in {}: {}\n  asked by {}, to be decided by {} until {}",
            text(&row["execution"]),
            text(&row["state"]),
            text(&row["message"]),
            text(&row["requester"]),
            approvers.collect::<Vec<_>>().join(", "),
            super::show::moment(&row["times_out_at"])
        ));
    }
    lines.join("\n")
}

fn test(file: &Path, input: &str, mocks: Option<&Path>, out: &Output) -> Result<()> {
    let machine = parsed(file)?;
    let input = given(input)?;
    let mut mocks = match mocks {
        Some(file) => serde_json::from_str(&read(file)?)
            .with_context(|| format!("`{}` does not hold mocks", file.display()))?,
        None => Mocks::default(),
    };
    let simulated = simulate(&machine, &Setting::of(input), &mut mocks);
    let outcome = simulated.run.outcome.clone();
    let (output, fault) = outcome.map_or((None, None), |ended| (ended.output, ended.fault));
    let fault = fault.unwrap_or_default();
    let told = json!({
        "status": simulated.run.status,
        "output": output,
        "error": fault.error,
        "cause": fault.cause,
        "history": simulated.history.iter().map(workflow::Event::shown).collect::<Vec<_>>(),
    });
    out.value(&told, |told| history(told) + &ended(told))?;
    let missing: Vec<_> = mocks.missing().collect();
    if !missing.is_empty() {
        bail!("these states have no mock: {}", missing.join(", "));
    }
    Ok(())
}

/// The history as a table.
fn history(told: &Value) -> String {
    let events = told["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    let time = |event: &Value| event["timestamp"].as_f64().unwrap_or_default();
    let start = events.first().map_or(0.0, time);
    let mut lines = vec![format!("{:>6} {:>6} {:>10}  {}", "EVENT", "AFTER", "TIME", "WHAT")];
    for event in events {
        lines.push(format!(
            "{:>6} {:>6} {:>8.1} s  {}",
            text(&event["id"]),
            text(&event["previousEventId"]),
            time(event) - start,
            happened(event)
        ));
    }
    lines.join("\n") + "\n\n"
}

/// What happened, and in which state.
fn happened(event: &Value) -> String {
    let details = event.as_object().into_iter().flatten();
    let name = details.filter_map(|(_, value)| value.get("name")?.as_str()).next();
    let line = format!("{} {}", text(&event["type"]), name.unwrap_or_default());
    line.trim_end().to_owned()
}

fn event_line(event: &Value) -> String {
    format!("{:>6} {:>6}  {}", text(&event["id"]), text(&event["previousEventId"]), happened(event))
}

fn score(files: &[PathBuf], out: &Output) -> Result<()> {
    let mut score = Score::default();
    for file in files {
        score.extend(Score::of(&read(file)?));
    }
    out.value(&serde_json::to_value(&score)?, |_| score.to_string())?;
    match score.misses() {
        0 => Ok(()),
        misses => bail!("{misses} case(s) that count did not come out as recorded"),
    }
}
