//! Rollouts: how far they are, what was seen of them, and steering the one under way.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use release::Money;
use serde_json::{Value, json};

use super::show::{Output, commit, moment, rows, short, table, text};
use super::simulation::{self, SimulateArguments};
use crate::client::Client;

/// How often a rollout that is watched is asked for.
const ASK: Duration = Duration::from_secs(1);
/// How wide the bars of evidence are.
const BAR: usize = 32;

#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// The rollouts of an app's environment, newest first.
    List(Place),
    /// One rollout: how far it is, what was seen of it, and what it went through.
    Show {
        /// Its id, as `support/prod/17`.
        id: String,
    },
    /// Look at a rollout until it is over. It ends with 0 only if the release was promoted.
    Watch {
        /// Its id, as `support/prod/17`.
        id: String,
    },
    /// Try rules on simulated traffic: how often they take back what is good, how often they find what
    /// is bad, and how long both take, beside thresholds on the same traffic. It needs no server.
    Simulate(SimulateArguments),
}

/// An app's environment.
#[derive(Debug, Args)]
pub struct Place {
    /// The app.
    pub app: String,
    /// The environment.
    #[arg(long)]
    pub env: String,
}

/// The rollout of an app's environment that is under way, and why it is steered.
#[derive(Debug, Args)]
pub struct SteerArguments {
    #[command(flatten)]
    place: Place,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    reason: String,
}

/// What is bad.
#[derive(Debug, Args)]
pub struct QuarantineArguments {
    /// The artifact: six digits of its digest at least, or `kind/name@digits`.
    artifact: String,
    /// Why.
    #[arg(long, short = 'm', required_unless_present = "check")]
    reason: Option<String>,
    /// Only tell what it would reach.
    #[arg(long)]
    check: bool,
}

/// Takes what is bad out of use, or tells what that would reach.
pub async fn quarantine(client: &Client, asked: QuarantineArguments, out: &Output) -> Result<()> {
    let path = "/api/v1/quarantine";
    let reached = match asked.check {
        true => client.get(path, &[("artifact", asked.artifact)]).await?,
        false => {
            client.post(path, &json!({"artifact": asked.artifact, "reason": asked.reason})).await?
        }
    };
    let check = asked.check;
    out.value(&reached, |reached| reach(reached, check))
}

/// What became of a release.
pub async fn record(client: &Client, (app, release): (&str, &str), out: &Output) -> Result<()> {
    let release = release.trim_start_matches('#');
    let path = format!("/api/v1/apps/{app}/releases/{release}/record");
    out.value(&client.get(&path, &[]).await?, became)
}

fn became(told: &Value) -> String {
    let release = &told["release"];
    let (app, number) = (text(&release["app"]), text(&release["sequence"]));
    let mut lines = vec![format!("release {} of {app} (#{number})", short(&release["release"]))];
    for change in rows(&told["changes"]) {
        let slots: Vec<_> = rows(&change["diff"]).map(|diff| text(&diff["slot"])).collect();
        let commit = commit(change);
        lines.push(format!(
            "{}  {} by {}{commit}: {} {}",
            moment(&change["proposed_at"]),
            text(&change["id"]),
            text(&change["author"]),
            slots.join(", "),
            text(&change["reason"])
        ));
    }
    for run in rows(&told["evaluations"]) {
        let (id, verdict) = (text(&run["id"]), text(&run["verdict"]));
        lines.push(format!("{}  evaluation {id}: {verdict}", moment(&run["ended_at"])));
    }
    for place in rows(&told["environments"]) {
        lines.push(format!("\n{}", text(&place["environment"])));
        for gate in rows(&place["gates"]) {
            let (name, state, why) =
                (text(&gate["gate"]), text(&gate["state"]), text(&gate["why"]));
            lines.push(format!("  gate {name} {state} at {}: {why}", moment(&gate["at"])));
        }
        for said in rows(&place["decisions"]) {
            let (choice, by, why) =
                (text(&said["choice"]), text(&said["by"]), text(&said["reason"]));
            lines.push(format!("  {choice} by {by} at {}: {why}", moment(&said["at"])));
        }
        for waiver in rows(&place["waivers"]) {
            let (gate, by, why) =
                (text(&waiver["gate"]), text(&waiver["by"]), text(&waiver["reason"]));
            lines.push(format!("  waived {gate} by {by} at {}: {why}", moment(&waiver["at"])));
        }
        for rollout in rows(&place["rollouts"]) {
            lines.push(format!("  rollout {}", text(&rollout["id"])));
            lines.extend(rows(&rollout["passed"]).map(|it| format!("    {}", went_through(it))));
        }
        for live in rows(&place["live"]) {
            let (from, by) = (moment(&live["from"]), text(&live["by"]));
            lines.push(match &live["end"] {
                Value::Null => format!("  live since {from} ({by})"),
                end => format!(
                    "  live from {from} ({by}) until {} ({}), then {}",
                    moment(&end["at"]),
                    text(&end["by"]),
                    short(&end["after"])
                ),
            });
        }
    }
    lines.join("\n")
}

fn reach(reached: &Value, check: bool) -> String {
    let name = |it: &Value| {
        format!("{} {} {}", text(&it["kind"]), text(&it["name"]), short(&it["digest"]))
    };
    let mut lines = vec![name(&reached["artifact"])];
    lines.extend(rows(&reached["derived"]).map(|it| format!("  made from it: {}", name(it))));
    lines.extend(rows(&reached["releases"]).map(|it| {
        let (app, number) = (text(&it["app"]), text(&it["sequence"]));
        format!("  used by release {} of {app} (#{number})", short(&it["release"]))
    }));
    lines.extend(rows(&reached["environments"]).map(|it| {
        let place = format!("{} in {}", text(&it["app"]), text(&it["environment"]));
        match (&it["instead"], check) {
            (_, true) => format!("  answers for {place}"),
            (Value::Null, false) => {
                format!("  STILL ANSWERS for {place}: there is no release to return to")
            }
            (instead, false) => format!("  {place}: {} answers instead", short(instead)),
        }
    }));
    lines.join("\n")
}

/// Runs a command about rollouts.
pub async fn rollout(client: &Client, command: RolloutCommand, out: &Output) -> Result<()> {
    match command {
        RolloutCommand::List(place) => {
            let rollouts = client.get(&path_of(&place), &[]).await?;
            out.value(&rollouts, |all| {
                let cells = rows(all).map(|rollout| {
                    vec![
                        text(&rollout["id"]),
                        short(&rollout["candidate"]),
                        state(rollout),
                        moment(&rollout["began_at"]),
                        text(&rollout["by"]),
                        copies(rollout).unwrap_or_default(),
                    ]
                });
                table(&["ROLLOUT", "RELEASE", "STATE", "BEGAN", "BY", "COPIES"], cells.collect())
            })
        }
        RolloutCommand::Show { id } => out.value(&client.get(&path(&id)?, &[]).await?, shown),
        RolloutCommand::Watch { id } => watch(client, &id, out).await,
        RolloutCommand::Simulate(asked) => simulation::run(&asked, out),
    }
}

/// Does `deed` (`pause`, `resume`, `abort`) to the rollout that is under way.
pub async fn steer(client: &Client, deed: &str, asked: SteerArguments, out: &Output) -> Result<()> {
    let all = client.get(&path_of(&asked.place), &[]).await?;
    let open = rows(&all).next().filter(|rollout| !is_over(rollout));
    let Place { app, env } = &asked.place;
    let open = open.with_context(|| format!("no rollout of `{app}` is under way in `{env}`"))?;
    let path = format!("{}/{deed}", path(&text(&open["id"]))?);
    let steered = client.post(&path, &json!({"reason": asked.reason})).await?;
    out.value(&steered, |rollout| format!("{}: {}", text(&rollout["id"]), state(rollout)))
}

fn path_of(Place { app, env }: &Place) -> String {
    format!("/api/v1/apps/{app}/environments/{env}/rollouts")
}

fn path(id: &str) -> Result<String> {
    match id.split('/').collect::<Vec<_>>().as_slice() {
        [app, env, number] => {
            Ok(format!("/api/v1/apps/{app}/environments/{env}/rollouts/{number}"))
        }
        _ => bail!("`{id}` is no rollout: write app/environment/number, as `support/prod/17`"),
    }
}

/// Draws a rollout anew each second, on a terminal; elsewhere, and as JSON, each change is a line.
async fn watch(client: &Client, id: &str, out: &Output) -> Result<()> {
    let (path, draws) = (path(id)?, !out.json && std::io::stdout().is_terminal());
    let mut told = 0;
    loop {
        let rollout = client.get(&path, &[]).await?;
        if draws {
            // Home, and clear from there.
            write!(std::io::stdout(), "\x1b[H\x1b[2J")?;
            out.value(&rollout, shown)?;
        } else {
            let passed: Vec<&Value> = rows(&rollout["passed"]).collect();
            for step in passed.iter().skip(told) {
                out.value(step, went_through)?;
            }
            told = passed.len();
        }
        if is_over(&rollout) {
            return match rollout["state"]["state"].as_str() {
                Some("completed") => Ok(()),
                _ => bail!("rollout `{id}` is {}", state(&rollout)),
            };
        }
        tokio::time::sleep(ASK).await;
    }
}

fn is_over(rollout: &Value) -> bool {
    !matches!(rollout["state"]["state"].as_str(), Some("progressing" | "paused"))
}

/// Its state, and its step where it has one.
fn state(rollout: &Value) -> String {
    let name = text(&rollout["state"]["state"]).replace('_', " ");
    let steps = rows(&rollout["rules"]["steps"]).count();
    match rollout["state"]["step"].as_u64() {
        Some(step) => format!("{name}, step {} of {steps}", step + 1),
        None => name,
    }
}

/// A rollout: how far it is, what was seen, and what it went through.
fn shown(rollout: &Value) -> String {
    let mut out = vec![format!(
        "{}: release {} instead of {} ({}), {}",
        text(&rollout["id"]),
        short(&rollout["candidate"]),
        short(&rollout["control"]),
        text(&rollout["change"]),
        state(rollout)
    )];
    let now = rollout["state"]["step"].as_u64();
    let steps = (0u64..).zip(rows(&rollout["rules"]["steps"])).map(|(number, step)| {
        let mark = if Some(number) == now { "►" } else { "" };
        vec![
            mark.to_owned(),
            (number + 1).to_string(),
            match step["mirror"].as_f64() {
                Some(mirror) if mirror > 0.0 => format!("copies of {mirror} %"),
                _ => format!("{} %", text(&step["weight"])),
            },
            format!("{} s", text(&step["seconds"])),
        ]
    });
    out.push(table(&["", "STEP", "WEIGHT", "AT LEAST"], steps.collect()));
    let looked = &rollout["looked"];
    let arms = rows(&looked["outcomes"]).map(|arm| {
        let number = |name: &str| text(&arm[name]);
        let step = arm["step"].as_u64().map_or(String::new(), |step| (step + 1).to_string());
        vec![
            number("arm"),
            step,
            number("sessions"),
            number("failed"),
            number("slow"),
            number("unstuck"),
        ]
    });
    let arms: Vec<_> = arms.collect();
    if !arms.is_empty() {
        out.push(table(&["ARM", "STEP", "SESSIONS", "FAILED", "SLOW", "WITHOUT"], arms));
    }
    out.extend(copies(rollout).map(|copies| format!("copies: {copies}")));
    for (name, evidence) in [("failures", &looked["failures"]), ("slow answers", &looked["slow"])] {
        out.extend(bars(name, evidence));
    }
    if looked.is_object() {
        out.push(format!(
            "{} at {}: {}",
            text(&looked["finding"]).replace('_', " "),
            moment(&looked["at"]),
            text(&looked["why"])
        ));
    }
    out.push(rows(&rollout["passed"]).map(went_through).collect::<Vec<_>>().join("\n"));
    out.join("\n\n")
}

/// What became of its copies, if it makes any and that is known.
fn copies(rollout: &Value) -> Option<String> {
    let copies = rollout["looked"]["copies"].as_object()?;
    let of = &rollout["rules"]["copies"];
    let spent: Money = serde_json::from_value(copies["spent"].clone()).ok()?;
    let (made, dropped) = (text(&copies["made"]), text(&copies["dropped"]));
    let (cap, currency) = (text(&of["spend_cap"]), text(&of["currency"]));
    Some(format!("{made} made, {dropped} dropped, {spent} of {cap} {currency} spent"))
}

/// How near evidence is to a decision: the bar is full where it decides.
fn bars(name: &str, evidence: &Value) -> Option<String> {
    let bound = evidence["bound"].as_f64()?;
    let bar = |ln_e: f64| {
        let full = (ln_e / bound).clamp(0.0, 1.0) * BAR as f64;
        let full = full.round() as usize;
        format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
    };
    let (bad, safe) = (evidence["ln_e_bad"].as_f64()?, evidence["ln_e_safe"].as_f64()?);
    Some(format!("{name:<14} harm {}\n{:<14} safe {}", bar(bad), "", bar(safe)))
}

fn went_through(passed: &Value) -> String {
    let state = text(&passed["state"]["state"]).replace('_', " ");
    let (at, by) = (moment(&passed["at"]), text(&passed["by"]));
    format!("{at}  {state:<12} {} ({by})", text(&passed["why"]))
}

#[cfg(test)]
mod tests;
