//! `cargo xtask lint`: formatting, clippy, layers, and the rules that no other tool knows.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{output, root};
use crate::{docs, layers, process};

/// The most lines of a source file that does not say why it has more.
const LONG: usize = 800;

/// Texts that have no place in a source file, the files that may have them, and why.
const BANNED: &[(&str, &[&str], &str)] = &[
    (
        "Timestamp::now(",
        &["crates/server/", "crates/testkit/"],
        "time comes through `release::Clock`",
    ),
    (
        "SystemTime::now(",
        &["crates/server/", "crates/testkit/", "xtask/"],
        "time comes through `release::Clock`",
    ),
    ("TODO", &[], "finish it or leave it out"),
    ("FIXME", &[], "finish it or leave it out"),
    ("/root/", &[], "a path of somebody's machine"),
];

/// Everything.
///
/// # Errors
/// If a check fails.
pub fn run() -> Result<()> {
    format()?;
    layers::run()?;
    house_rules()?;
    docs::check()?;
    dependencies()?;
    clippy()
}

/// Formatting.
///
/// # Errors
/// If a file is not formatted.
pub fn format() -> Result<()> {
    process::run(Command::new("cargo").args(["fmt", "--all", "--check"]).current_dir(root()))
}

/// Clippy, warnings being errors.
///
/// # Errors
/// If there is a warning.
pub fn clippy() -> Result<()> {
    let args = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    process::run(Command::new("cargo").args(args).current_dir(root()))
}

/// Licences, advisories and duplicates, where `cargo deny` is installed.
fn dependencies() -> Result<()> {
    let deny = Command::new("cargo").args(["deny", "--version"]).output()?;
    if !deny.status.success() {
        bail!("licences and advisories cannot be checked: run `cargo install --locked cargo-deny`");
    }
    process::run(Command::new("cargo").args(["deny", "check"]).current_dir(root()))
}

/// The rules that no other tool knows, all findings at once.
///
/// # Errors
/// If one is broken.
pub fn house_rules() -> Result<()> {
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"];
    let listed = output(Command::new("git").args(listed).current_dir(root()))?;
    let mut found = Vec::new();
    for file in listed.lines().filter(|file| !file.ends_with("xtask/src/lint.rs")) {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        if file.ends_with("/mod.rs") {
            found.push(format!("{file}: use `name.rs` beside the folder `name/`"));
        }
        let named = file.contains("/src/") && !file.ends_with("tests.rs");
        if named && !text.starts_with("//!") {
            found.push(format!("{file}:1: begin with a line of `//!` that says what it is"));
        }
        let lines = text.lines().count();
        if lines > LONG && !text.contains("long because") {
            found.push(format!("{file}: {lines} lines; split it, or say why in its `//!`"));
        }
        for (number, line) in text.lines().enumerate() {
            for (banned, allowed, why) in BANNED {
                if line.contains(banned) && !allowed.iter().any(|start| file.starts_with(start)) {
                    found.push(format!("{file}:{}: `{banned}`: {why}", number + 1));
                }
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("{} house rule(s) broken:\n  {}", found.len(), found.join("\n  "))
}
