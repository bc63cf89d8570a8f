//! Simulating a delivery policy. It needs no server.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use delivery::simulate::{Report, Runs, Scenario, simulate};

use super::files::mistakes;
use super::show::Output;

#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// The scenario: the policy, the traffic and the candidates, as TOML.
    scenario: PathBuf,
    /// How many runs of each candidate under each policy.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// What the runs are drawn by: the same seed gives the same output.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
pub fn run(asked: &SimulateArguments, out: &Output) -> Result<()> {
    let report = simulated(asked)?;
    out.value(&serde_json::to_value(&report)?, |_| report.to_string())
}

fn simulated(asked: &SimulateArguments) -> Result<Report> {
    let named = asked.scenario.display().to_string();
    let text =
        fs::read_to_string(&asked.scenario).with_context(|| format!("cannot read {named}"))?;
    let scenario = Scenario::read(&named, &text).map_err(mistakes)?;
    Ok(simulate(&scenario, Runs { count: asked.runs, seed: asked.seed }))
}

#[cfg(test)]
mod tests;
