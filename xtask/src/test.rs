//! `cargo xtask test`: set up, lint, and run every test.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

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
    let python = setup::python()?;
    let node = setup::node()?;
    let postgres = setup::Postgres::start()?;
    let s3 = setup::S3::start(&python)?;
    if args.is_empty() {
        heading(start, "format, layers, house rules, documentation");
        lint::format()?;
        layers::run()?;
        lint::house_rules()?;
        docs::run()?;
        heading(start, "clippy");
        lint::clippy()?;
    }
    heading(start, "tests");
    // The whole-product tests drive the binaries: they must be there, and as new as the tests.
    run_cargo(&["build", "--package", "server", "--package", "testkit", "--bins"])?;
    let mut nextest = Command::new("cargo");
    nextest
        .args(["nextest", "run", "--workspace"])
        .args(args)
        .env("GROUNDCREW_TEST_POSTGRES", &postgres.url)
        .env("GROUNDCREW_TEST_S3", &s3.endpoint)
        .env("GROUNDCREW_TEST_PYTHON", &python)
        .env("GROUNDCREW_TEST_NODE", &node)
        .current_dir(root());
    process::run(&mut nextest)?;
    if args.is_empty() {
        heading(start, "examples in the documentation");
        run_cargo(&["test", "--quiet", "--doc", "--workspace"])?;
    }
    heading(start, "all passed");
    Ok(())
}

fn run_cargo(args: &[&str]) -> Result<()> {
    process::run(Command::new("cargo").args(args).current_dir(root()))
}
