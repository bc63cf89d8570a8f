//! The project's chores: `cargo xtask demo`, `test`, `lint`, `layers`, `docs` and `bench`.
//!
//! `demo` and `test` do all the set-up they need. Start reading at `setup.rs`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "chores talk in the terminal")]

mod bench;
mod demo;
mod docs;
mod layers;
mod lint;
mod load;
mod process;
mod setup;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's chores.
#[derive(Parser)]
struct Xtask {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Show the main job on the example project, step by step, then stay up.
    Demo {
        /// End after the last step.
        #[arg(long)]
        exit: bool,
    },
    /// Run all tests, with all the set-up they need.
    Test {
        /// Passed on to nextest; with any, only these tests run.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Formatting, clippy, layers and the house rules.
    Lint,
    /// Check who depends on whom.
    Layers,
    /// Write the reference pages anew and check all documentation.
    Docs {
        /// Only check.
        #[arg(long)]
        check: bool,
    },
    /// Measure, side by side with peers.
    Bench {
        /// What to measure.
        #[arg(value_parser = ["delivery", "gateway", "knowledge", "monitoring", "workflow"])]
        what: String,
        /// Peers to measure beside: mlflow, nginx and litellm, lancedb and numpy, phoenix, or moto
        /// and dbos. Installed when missing.
        #[arg(long)]
        peer: Vec<String>,
        /// Monitoring: over how many spans queries are measured.
        #[arg(long, default_value_t = 1_000_000)]
        spans: u64,
    },
}

fn main() -> ExitCode {
    let result = match Xtask::parse().chore {
        Chore::Demo { exit } => demo::run_demo(exit),
        Chore::Test { args } => test::run(&args),
        Chore::Lint => lint::run(),
        Chore::Layers => layers::run(),
        Chore::Docs { check: true } => docs::check(),
        Chore::Docs { check: false } => docs::write(),
        Chore::Bench { what, peer, .. } if what == "workflow" => bench::workflow::run(&peer),
        Chore::Bench { what, peer, .. } if what == "delivery" => bench::delivery::run(&peer),
        Chore::Bench { what, peer, .. } if what == "knowledge" => bench::knowledge::run(&peer),
        Chore::Bench { what, peer, spans } if what == "monitoring" => {
            bench::monitoring::run(&peer, spans)
        }
        Chore::Bench { peer, .. } => bench::gateway::run(&peer),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
