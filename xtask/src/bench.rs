//! `cargo xtask bench`: measurements beside peers, alternating in one run. Ratios are what to read:
//! machines differ and are shared.

pub mod delivery;
pub mod gateway;
pub mod knowledge;
pub mod monitoring;
pub mod workflow;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::demo::target_directory;
use crate::process::{Background, free_port, listens, output, root, run};
use crate::setup;

/// Builds the binaries in release mode; where they are.
fn binaries() -> Result<PathBuf> {
    setup::compiler()?;
    run(Command::new("cargo")
        .args(["build", "--release", "--package", "server", "--package", "testkit", "--bins"])
        .current_dir(root()))?;
    Ok(target_directory()?.join("release"))
}

/// The scripted model server, and its port.
fn scripted_model(binaries: &Path) -> Result<(Background, u16)> {
    let port = free_port()?;
    let mut command = Command::new(binaries.join("scripted-model-server"));
    let mut server =
        Background::start(command.args(["--port", &port.to_string()]).stdout(Stdio::null()))?;
    server.wait_until("the scripted model server", || listens(port))?;
    Ok((server, port))
}

/// Our server with the app `bench`, which asks a scripted model.
struct Groundcrew {
    process: Background,
    port: u16,
    key: String,
}

impl Groundcrew {
    /// Starts it on `home/project`, which may be there from an earlier start.
    fn start(binaries: &Path, home: &Path, upstream: u16) -> Result<Self> {
        let project = home.join("project");
        let port = free_port()?;
        let write = |path: &str, text: &str| {
            let path = project.join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::write(path, text)
        };
        write("groundcrew.toml", "name = \"bench\"\nenvironments = [\"prod\"]\n")?;
        write("apps/bench.toml", "[slots]\nmodel = \"bench\"\nprompt = \"bench\"\n")?;
        write("models/bench.toml", "provider = \"scripted\"\nmodel = \"gpt-bench\"\n")?;
        write("prompts/bench.md", "You are helpful.\n")?;
        let config = format!(
            "listen = \"127.0.0.1:{port}\"\n[providers.scripted]\nkind = \"openai\"\n\
             endpoint = \"http://127.0.0.1:{upstream}/v1\"\ncredential = \"file:{}\"\n",
            project.join("credential").display()
        );
        write("server.toml", &config)?;
        write("credential", "key")?;
        let binary = binaries.join("groundcrew");
        let mut command = Command::new(&binary);
        command.arg("up").current_dir(&project).env("GROUNDCREW_LOG", "warn");
        let mut process = Background::start(command.stdout(Stdio::null()))?;
        process.wait_until("groundcrew", || listens(port))?;
        run(Command::new(&binary).arg("apply").current_dir(&project).stdout(Stdio::null()))?;
        let key = fs::read_to_string(project.join(".groundcrew/admin.key"))?;
        Ok(Self { process, port, key: key.trim().to_owned() })
    }
}

/// CPU time that a process and its children have used, in seconds.
fn cpu(pid: Option<u32>) -> Result<f64> {
    let Some(pid) = pid else { return Ok(f64::NAN) };
    let total: f64 = family(pid).iter().map(|pid| ticks_of(*pid)).sum();
    seconds(total)
}

fn ticks_of(pid: u32) -> f64 {
    ticks_in(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default())
}

fn ticks_in(stat: &str) -> f64 {
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<&str> = after.split(' ').collect();
    // utime and stime are fields 14 and 15 of the line, 11 and 12 after the name.
    [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum()
}

/// CPU time that a process's threads of that name have used, in seconds.
fn thread_cpu(pid: u32, name: &str) -> Result<f64> {
    let mut total = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ended meanwhile has nothing to tell.
        let stat = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
        if stat.contains(&format!("({name})")) {
            total += ticks_in(&stat);
        }
    }
    seconds(total)
}

fn seconds(ticks: f64) -> Result<f64> {
    let second: f64 = output(Command::new("getconf").arg("CLK_TCK"))?.trim().parse()?;
    Ok(ticks / second)
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

/// A Python with `package`.
fn python(package: &str, others: &[&str]) -> Result<PathBuf> {
    let name = package.split('=').next().unwrap_or(package);
    let directory = setup::cache().join(format!("bench-{name}"));
    if !directory.join("complete").exists() {
        println!("installing {package} in {}", directory.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        let pip = directory.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet", package]).args(others))?;
        fs::write(directory.join("complete"), "")?;
    }
    Ok(directory.join("bin/python"))
}
