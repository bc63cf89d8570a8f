//! Finding passages, beside LanceDB on the same ones; embedding, beside the same weights in numpy.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, root};
use crate::setup;

/// Runs the benchmark.
///
/// # Errors
/// If something cannot be installed or fails.
pub fn run(peers: &[String]) -> Result<()> {
    if let Some(other) = peers.iter().find(|peer| !["lancedb", "numpy"].contains(&peer.as_str())) {
        bail!("`{other}` is not a peer: use lancedb or numpy");
    }
    let wanted = |peer: &str| peers.iter().any(|wanted| wanted == peer);
    let home = std::env::temp_dir().join(format!("groundcrew-bench-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    bench("knowledge", "retrieval", ("GROUNDCREW_BENCH_KEEP", &home))?;
    if wanted("lancedb") {
        let script = root().join("xtask/bench/retrieval.py");
        let python = python("lancedb==0.40.0", &[])?;
        for size in ["10000", "100000"] {
            process::run(Command::new(&python).arg(&script).arg(home.join(size)))?;
        }
    }
    fs::remove_dir_all(&home)?;
    if let Some(model) = setup::minilm() {
        bench("embedding", "tokens", ("GROUNDCREW_TEST_MINILM", &model))?;
        if wanted("numpy") {
            let script = root().join("xtask/bench/embedding.py");
            let python = python("numpy", &["tokenizers", "safetensors", "scipy"])?;
            process::run(Command::new(python).arg(script).arg(model))?;
        }
    }
    Ok(())
}

fn bench(package: &str, name: &str, (variable, folder): (&str, &PathBuf)) -> Result<()> {
    process::run(
        Command::new("cargo")
            .args(["bench", "--quiet", "--package", package, "--bench", name])
            .env(variable, folder)
            .current_dir(root()),
    )
}

/// A Python with `package`.
fn python(package: &str, others: &[&str]) -> Result<PathBuf> {
    let name = package.split('=').next().unwrap_or(package);
    let directory = setup::cache().join(format!("bench-{name}"));
    if !directory.join("complete").exists() {
        println!("installing {package} in {}", directory.display());
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        let pip = directory.join("bin/pip");
        process::run(Command::new(pip).args(["install", "--quiet", package]).args(others))?;
        fs::write(directory.join("complete"), "")?;
    }
    Ok(directory.join("bin/python"))
}
