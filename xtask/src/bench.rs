//! `cargo xtask bench`: measurements beside peers, alternating in one run. Ratios are what to read:
//! machines differ and are shared.

pub mod gateway;
pub mod knowledge;
pub mod workflow;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::demo::target_directory;
use crate::process::{output, root, run};
use crate::setup;

/// Builds the binaries in release mode; where they are.
fn binaries() -> Result<PathBuf> {
    setup::compiler()?;
    run(Command::new("cargo")
        .args(["build", "--release", "--package", "server", "--package", "testkit", "--bins"])
        .current_dir(root()))?;
    Ok(target_directory()?.join("release"))
}

/// CPU time that a process and its children have used, in seconds.
fn cpu(pid: Option<u32>) -> Result<f64> {
    let Some(pid) = pid else { return Ok(f64::NAN) };
    let ticks: f64 = output(Command::new("getconf").arg("CLK_TCK"))?.trim().parse()?;
    let total: f64 = family(pid).iter().map(|pid| ticks_of(*pid)).sum();
    Ok(total / ticks)
}

fn ticks_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<&str> = after.split(' ').collect();
    // utime and stime are fields 14 and 15 of the line, 11 and 12 after the name.
    [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum()
}

fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

/// Resident memory in megabytes.
fn rss(pid: Option<u32>) -> f64 {
    let path = PathBuf::from(format!("/proc/{}/status", pid.unwrap_or(0)));
    let status = fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

/// Resident memory of a process and its children, in megabytes.
fn family_rss(pid: Option<u32>) -> f64 {
    pid.map_or(f64::NAN, |pid| family(pid).into_iter().map(|pid| rss(Some(pid))).sum())
}
