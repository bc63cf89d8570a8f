//! Executions of workflows: the engine on SQLite and Postgres, our API beside moto's, and the engine
//! beside DBOS on the same Postgres.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{binaries, rss};
use crate::process::{self, Background, free_port, listens, output, root};
use crate::setup;

/// How often each server is measured, alternating.
const ROUNDS: usize = 2;

/// A server with Step Functions' API.
struct Server {
    name: &'static str,
    url: String,
    access_key: String,
    secret: String,
    process: Background,
}

/// Runs the benchmark.
///
/// # Errors
/// If something cannot be started or answers wrongly.
pub fn run(peers: &[String]) -> Result<()> {
    if let Some(other) = peers.iter().find(|peer| !["moto", "dbos"].contains(&peer.as_str())) {
        bail!("`{other}` is not a peer: use moto or dbos");
    }
    let wanted = |peer: &str| peers.iter().any(|wanted| wanted == peer);
    let postgres = setup::Postgres::start()?;
    process::run(
        Command::new("cargo")
            .args(["bench", "--quiet", "--package", "workflow", "--bench", "engine"])
            .env("GROUNDCREW_TEST_POSTGRES", &postgres.url)
            .current_dir(root()),
    )?;
    if wanted("dbos") {
        println!("DBOS, on the same Postgres");
        let python = dbos()?;
        for told in measure(&python, &["dbos", &postgres.url])? {
            print_row("", &told);
        }
    }
    let python = setup::python()?;
    let home = std::env::temp_dir().join(format!("groundcrew-bench-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let mut servers = vec![ours(&binaries()?, &home)?];
    if wanted("moto") {
        servers.push(moto(&python)?);
    }
    println!("Step Functions' API: five Pass states, started and described by boto3");
    for _ in 0..ROUNDS {
        for server in &servers {
            let Server { name, url, access_key, secret, process } = server;
            let pid = process.0.id();
            let args = ["stepfunctions", url, access_key, secret, &pid.to_string()];
            for told in measure(&python, &args)? {
                print_row(name, &told);
            }
            println!("  {name}: {:.0} MB resident", rss(Some(pid)));
        }
    }
    drop(servers);
    fs::remove_dir_all(&home)?;
    Ok(())
}

fn measure(python: &Path, args: &[&str]) -> Result<Vec<Value>> {
    let script = root().join("xtask/bench/workflow.py");
    let told = output(Command::new(python).arg(script).args(args))?;
    told.lines().map(|line| serde_json::from_str(line).context("no row of the benchmark")).collect()
}

fn print_row(name: &str, told: &Value) {
    let number = |field: &str| told[field].as_f64().unwrap_or(f64::NAN);
    println!(
        "  {name:<10} {:>5} in flight: {:>6.0} executions/s  {:>6.0} per CPU second  whole p50 \
         {:>7.2} ms  p99 {:>7.2} ms",
        number("in_flight"),
        number("executions_per_second"),
        number("executions_per_cpu_second"),
        number("p50_ms"),
        number("p99_ms"),
    );
}

fn ours(binaries: &Path, home: &Path) -> Result<Server> {
    let port = free_port()?;
    fs::write(home.join("server.toml"), format!("listen = \"127.0.0.1:{port}\"\n"))?;
    let binary = binaries.join("groundcrew");
    let mut process = Background::start(
        Command::new(&binary)
            .arg("up")
            .current_dir(home)
            .env("GROUNDCREW_LOG", "warn")
            .stdout(Stdio::null()),
    )?;
    process.wait_until("groundcrew", || listens(port))?;
    let create = ["key", "create", "user:admin", "--aws", "--json"];
    let made = output(Command::new(&binary).args(create).current_dir(home))?;
    let made: Value = serde_json::from_str(&made)?;
    let text = |field: &str| {
        let text = made[field].as_str().map(str::to_owned);
        text.with_context(|| format!("`key create --aws` told no `{field}`"))
    };
    let (access_key, secret) = (text("id")?, text("secret")?);
    Ok(Server {
        name: "groundcrew",
        url: format!("http://127.0.0.1:{port}"),
        access_key,
        secret,
        process,
    })
}

fn moto(python: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(python);
    command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
    let mut process = Background::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    process.wait_until("moto", || listens(port))?;
    let url = format!("http://127.0.0.1:{port}");
    // Without this it keeps executions and runs none.
    let config = r#"{"stepfunctions": {"execute_state_machine": true}}"#;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--json", config, &format!("{url}/moto-api/config")]);
    output(&mut curl)?;
    let (access_key, secret) = ("key".to_owned(), "secret".to_owned());
    Ok(Server { name: "moto", url, access_key, secret, process })
}

/// A Python with DBOS.
fn dbos() -> Result<PathBuf> {
    let directory = setup::cache().join("dbos");
    if !directory.join("complete").exists() {
        println!("installing dbos in {}", directory.display());
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        let install = ["install", "--quiet", "dbos==3.4.0"];
        process::run(Command::new(directory.join("bin/pip")).args(install))?;
        fs::write(directory.join("complete"), "")?;
    }
    Ok(directory.join("bin/python"))
}
