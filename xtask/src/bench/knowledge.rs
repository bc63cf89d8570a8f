//! Finding passages, beside LanceDB on the same ones; real documentation through the release path;
//! embedding, beside the same weights in numpy.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::python;
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
    bench("knowledge", "retrieval", &[("GROUNDCREW_BENCH_KEEP", &home)])?;
    if wanted("lancedb") {
        let script = root().join("xtask/bench/retrieval.py");
        let python = python("lancedb==0.40.0", &[])?;
        for size in ["10000", "100000"] {
            process::run(Command::new(&python).arg(&script).arg(home.join(size)))?;
        }
    }
    fs::remove_dir_all(&home)?;
    let model = setup::minilm();
    let python_docs = python_documentation()?;
    let django = setup::django();
    let mut corpora = vec![("GROUNDCREW_BENCH_PYTHON", &python_docs)];
    corpora.extend(model.as_ref().map(|model| ("GROUNDCREW_TEST_MINILM", model)));
    corpora.extend(django.as_ref().map(|django| ("GROUNDCREW_TEST_DJANGO", django)));
    bench("delivery", "corpora", &corpora)?;
    bench("delivery", "batches", &[])?;
    if let Some(model) = model {
        bench("embedding", "tokens", &[("GROUNDCREW_TEST_MINILM", &model)])?;
        if wanted("numpy") {
            let script = root().join("xtask/bench/embedding.py");
            let python = python("numpy", &["tokenizers", "safetensors", "scipy"])?;
            process::run(Command::new(python).arg(script).arg(model))?;
        }
    }
    Ok(())
}

fn bench(package: &str, name: &str, folders: &[(&str, &PathBuf)]) -> Result<()> {
    process::run(
        Command::new("cargo")
            .args(["bench", "--quiet", "--package", package, "--bench", name])
            .envs(folders.iter().copied())
            .current_dir(root()),
    )
}

/// The Python 3.11 documentation of Debian's package, and queries from its index: all pages, and every
/// 25th of them, which a model embeds in about a minute.
fn python_documentation() -> Result<PathBuf> {
    let directory = setup::cache().join("python3.11-doc");
    if !directory.join("complete").exists() {
        println!("getting Debian's python3.11-doc into {}", directory.display());
        let package = directory.join("package");
        fs::create_dir_all(&package)?;
        // Without the rights of a user that cannot write here.
        let options = ["-o", "APT::Sandbox::User=root", "download", "python3.11-doc"];
        process::run(Command::new("apt-get").args(options).current_dir(&package))?;
        let archive = fs::read_dir(&package)?.next().context("apt-get downloaded nothing")??;
        process::run(Command::new("dpkg").arg("-x").arg(archive.path()).arg(&package))?;
        let html = package.join("usr/share/doc/python3.11/html");
        for (name, every) in [("all", "1"), ("sample", "25")] {
            let script = root().join("xtask/bench/genindex.py");
            let out = directory.join(name);
            process::run(Command::new("python3").arg(script).arg(&html).arg(out).arg(every))?;
        }
        fs::remove_dir_all(&package)?;
        fs::write(directory.join("complete"), "")?;
    }
    Ok(directory)
}
