//! The release path: simulated canaries beside threshold rules, assignment, and the registry beside
//! MLflow's.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use super::python;
use crate::process::{self, output, root};

/// Runs the benchmark.
///
/// # Errors
/// If something cannot be installed or fails.
pub fn run(peers: &[String]) -> Result<()> {
    if let Some(other) = peers.iter().find(|peer| *peer != "mlflow") {
        bail!("`{other}` is not a peer: use mlflow");
    }
    let home = std::env::temp_dir().join(format!("groundcrew-bench-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let mut bench = Command::new("cargo");
    bench.args(["bench", "--quiet", "--package", "delivery", "--bench", "rollouts"]);
    if !peers.is_empty() {
        let script = root().join("xtask/bench/mlflow_registry.py");
        let python = python("mlflow==3.17.2", &[])?;
        let told = output(Command::new(python).arg(script).arg(&home))?;
        let file = home.join("mlflow.json");
        fs::write(&file, told)?;
        bench.env("GROUNDCREW_BENCH_MLFLOW", file);
    }
    process::run(bench.current_dir(root()))?;
    fs::remove_dir_all(&home)?;
    Ok(())
}
