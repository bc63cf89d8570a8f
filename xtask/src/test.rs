//! `cargo xtask test`: set up, lint, and run every test.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::demo::target_directory;
use crate::process::{self, heading, root};
use crate::{docs, layers, lint, setup};

/// Runs all tests; with `args` only those that nextest selects, without the checks around them.
///
/// # Errors
/// If something is missing, a check fails or a test does.
pub fn run(args: &[String]) -> Result<()> {
    let start = Instant::now();
    heading(start, "set up");
    setup::compiler()?;
    setup::nextest()?;
    setup::readers()?;
    let python = setup::python()?;
    let node = setup::node()?;
    let minilm = setup::minilm();
    let django = setup::django();
    let postgres = setup::Postgres::start()?;
    let s3 = setup::S3::start(&python)?;
    if args.is_empty() {
        heading(start, "format, layers, house rules");
        lint::format()?;
        layers::run()?;
        lint::house_rules()?;
        heading(start, "clippy");
        lint::clippy()?;
    }
    heading(start, "build");
    build()?;
    if args.is_empty() {
        docs::check()?;
    }
    heading(start, "tests");
    let mut nextest = Command::new("cargo");
    nextest
        .args(["nextest", "run", "--workspace"])
        .args(args)
        .env("GROUNDCREW_TEST_POSTGRES", &postgres.url)
        .env("GROUNDCREW_TEST_S3", &s3.endpoint)
        .env("GROUNDCREW_TEST_PYTHON", &python)
        .env("GROUNDCREW_TEST_NODE", &node)
        .envs(minilm.map(|folder| ("GROUNDCREW_TEST_MINILM", folder)))
        .envs(django.map(|folder| ("GROUNDCREW_TEST_DJANGO", folder)))
        .current_dir(root());
    process::run(&mut nextest)?;
    if args.is_empty() {
        heading(start, "examples in the documentation");
        run_cargo(&["test", "--quiet", "--doc", "--workspace"])?;
    }
    heading(start, "all passed");
    Ok(())
}

/// Builds all there is, as tests need it: the whole-product tests drive the binaries, which must be
/// there and as new as the tests. Says where they are.
///
/// # Errors
/// If something does not compile.
pub fn build() -> Result<PathBuf> {
    run_cargo(&["build", "--workspace", "--bins", "--tests"])?;
    Ok(target_directory()?.join("debug"))
}

fn run_cargo(args: &[&str]) -> Result<()> {
    process::run(Command::new("cargo").args(args).current_dir(root()))
}
