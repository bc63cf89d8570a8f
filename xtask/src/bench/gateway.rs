//! Our gateway with everything on beside nginx and the LiteLLM proxy,
//! on the same scripted upstream, alternating in one run. Ratios are what to read: machines differ
//! and are shared.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Groundcrew, binaries, cpu, family_rss, rss, scripted_model};
use crate::load::{Measured, Shot, fire};
use crate::process::{self, Background, free_port, listens};
use crate::setup;

/// How long one round of one target takes.
const ROUND: Duration = Duration::from_secs(4);
/// How many rounds each target gets, alternating.
const ROUNDS: usize = 3;

/// Something that is measured.
struct Target {
    name: &'static str,
    plain: Shot,
    stream: Shot,
    pid: Option<u32>,
    _process: Option<Background>,
}

/// What was measured of one target in one setting, over all rounds.
#[derive(Default)]
struct Sum {
    whole: Vec<Duration>,
    first: Vec<Duration>,
    seconds: f64,
    cpu_seconds: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If something cannot be started or answers wrongly.
pub fn run(peers: &[String]) -> Result<()> {
    let binaries = binaries()?;
    let home = std::env::temp_dir().join(format!("groundcrew-bench-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let (upstream, upstream_port) = scripted_model(&binaries)?;

    let body = |model: &str, stream: bool| {
        format!(
            "{{\"model\":\"{model}\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\
             \"content\":\"Say something about the weather in sixty words, please.\"}}]}}"
        )
    };
    let path = "/v1/chat/completions";
    let shots = |port, path: &str, key: &str, model: &str| {
        let shot = |stream| Shot::post(port, path, key, &body(model, stream));
        (shot(false), shot(true))
    };
    let (plain, stream) = shots(upstream_port, path, "key", "gpt-bench");
    let direct = Target { name: "upstream", plain, stream, pid: None, _process: None };
    let mut targets = vec![direct, ours(&binaries, &home, upstream_port, &shots)?];
    for peer in peers {
        targets.push(match peer.as_str() {
            "nginx" => nginx(&home, upstream_port, &shots)?,
            "litellm" => litellm(&home, upstream_port, &shots)?,
            other => bail!("`{other}` is not a peer: use nginx or litellm"),
        });
    }
    println!("\nat rest: our RSS is {:.1} MB", rss(targets[1].pid));
    for (connections, streaming) in [(1, false), (8, false), (1, true), (8, true)] {
        measure(&targets, connections, streaming)?;
    }
    println!("\nafter load: our RSS is {:.1} MB", rss(targets[1].pid));
    drop(targets);
    drop(upstream);
    fs::remove_dir_all(&home)?;
    Ok(())
}

type Shots<'a> = &'a dyn Fn(u16, &str, &str, &str) -> (Shot, Shot);

/// Our gateway: keys, a release without knowledge, durable traces.
fn ours(binaries: &Path, home: &Path, upstream: u16, shots: Shots<'_>) -> Result<Target> {
    let Groundcrew { process, port, key } = Groundcrew::start(binaries, home, upstream)?;
    let (plain, stream) = shots(port, "/v1/chat/completions", &key, "bench");
    let pid = Some(process.0.id());
    Ok(Target { name: "groundcrew", plain, stream, pid, _process: Some(process) })
}

fn nginx(home: &Path, upstream: u16, shots: Shots<'_>) -> Result<Target> {
    setup::debian("nginx-light", Path::new("/usr/sbin/nginx").exists())?;
    let port = free_port()?;
    let config = format!(
        "daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/nginx.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up;\n\
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}\n",
        home = home.display()
    );
    let file = home.join("nginx.conf");
    fs::write(&file, config)?;
    let mut process = Background::start(
        Command::new("/usr/sbin/nginx").arg("-c").arg(&file).stderr(Stdio::null()),
    )?;
    process.wait_until("nginx", || listens(port))?;
    let (plain, stream) = shots(port, "/v1/chat/completions", "key", "gpt-bench");
    let pid = Some(process.0.id());
    Ok(Target { name: "nginx", plain, stream, pid, _process: Some(process) })
}

fn litellm(home: &Path, upstream: u16, shots: Shots<'_>) -> Result<Target> {
    let directory = setup::cache().join("litellm");
    if !directory.join("bin/litellm").exists() {
        println!("installing litellm[proxy] in {}", directory.display());
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        let install = ["install", "--quiet", "litellm[proxy]"];
        process::run(Command::new(directory.join("bin/pip")).args(install))?;
    }
    let port = free_port()?;
    let config = format!(
        "model_list:\n  - model_name: bench\n    litellm_params:\n      model: openai/gpt-bench\n\
        \x20     api_base: http://127.0.0.1:{upstream}/v1\n      api_key: key\n\
         general_settings:\n  master_key: sk-bench\n  dangerously_permit_weak_or_unset_master_key: true\n"
    );
    let file = home.join("litellm.yaml");
    fs::write(&file, config)?;
    let log = fs::File::create(home.join("litellm.log"))?;
    let mut command = Command::new(directory.join("bin/litellm"));
    command.arg("--config").arg(&file).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.stdout(log.try_clone()?).stderr(log);
    let mut process = Background::start(&mut command)?;
    process.wait_until("litellm", || listens(port))?;
    let (plain, stream) = shots(port, "/v1/chat/completions", "sk-bench", "bench");
    let pid = Some(process.0.id());
    Ok(Target { name: "litellm", plain, stream, pid, _process: Some(process) })
}

fn measure(targets: &[Target], connections: usize, streaming: bool) -> Result<()> {
    let mut sums: Vec<Sum> = targets.iter().map(|_| Sum::default()).collect();
    for round in 0..=ROUNDS {
        for (target, sum) in targets.iter().zip(&mut sums) {
            let shot = if streaming { &target.stream } else { &target.plain };
            let before = cpu(target.pid)?;
            // The first round warms up.
            let duration = if round == 0 { ROUND / 8 } else { ROUND };
            let measured = fire(shot, connections, duration)
                .with_context(|| format!("{} did not answer", target.name))?;
            if round > 0 {
                sum.cpu_seconds += cpu(target.pid)? - before;
                sum.seconds += measured.elapsed.as_secs_f64();
                sum.whole.extend(&measured.whole);
                sum.first.extend(&measured.first);
            }
        }
    }
    let kind = if streaming { "streaming" } else { "plain" };
    println!("\n{kind}, {connections} connection(s)");
    println!(
        "{:<12}{:>10}{:>12}{:>12}{:>14}{:>12}{:>14}",
        "", "req/s", "p50 µs", "p99 µs", "first p50 µs", "CPU µs/req", "req/CPU s"
    );
    for sum in &mut sums {
        sum.whole.sort();
        sum.first.sort();
    }
    let per_cpu = |sum: &Sum| sum.whole.len() as f64 / sum.cpu_seconds;
    for (target, sum) in targets.iter().zip(&sums) {
        println!(
            "{:<12}{:>10.0}{:>12.0}{:>12.0}{:>14.0}{:>12.1}{:>14.0}",
            target.name,
            sum.whole.len() as f64 / sum.seconds,
            Measured::quantile(&sum.whole, 0.5),
            Measured::quantile(&sum.whole, 0.99),
            Measured::quantile(&sum.first, 0.5),
            sum.cpu_seconds * 1e6 / sum.whole.len() as f64,
            per_cpu(sum)
        );
    }
    let added = Measured::quantile(&sums[1].first, 0.5) - Measured::quantile(&sums[0].first, 0.5);
    println!("added by groundcrew to the first byte, p50: {added:.0} µs");
    let rate = |sum: &Sum| sum.whole.len() as f64 / sum.seconds;
    for (target, sum) in targets.iter().zip(&sums).skip(2) {
        let at = |share| {
            Measured::quantile(&sums[1].whole, share) / Measured::quantile(&sum.whole, share)
        };
        println!(
            "groundcrew : {} = {:.2} requests per CPU second, {:.2} req/s, {:.2} p50, {:.2} p99, {:.2} RSS",
            target.name,
            per_cpu(&sums[1]) / per_cpu(sum),
            rate(&sums[1]) / rate(sum),
            at(0.5),
            at(0.99),
            rss(targets[1].pid) / family_rss(target.pid)
        );
    }
    Ok(())
}
