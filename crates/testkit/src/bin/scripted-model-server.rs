//! The scripted model server as a process, for tests and benchmarks that need one.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use testkit::model_server::faults::FAULTS;
use testkit::model_server::{MODELS, ModelServer, Script};

/// A model provider that answers, or misbehaves, as the model name says.
#[derive(Parser)]
#[command(name = "scripted-model-server", version)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Silence before every answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Speed of streams; without it a stream leaves in one write.
    #[arg(long)]
    tokens_per_second: Option<f64>,
    /// Factor on the waits of faults: 0.01 makes 120 s of silence 1.2 s.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// File that gets one JSON line per attempt, appended.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Print the model names that mean something, with their effect, and end.
    #[arg(long)]
    list_faults: bool,
}

/// One thread: it is the upstream of benchmarks on few cores and must leave them to others.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.list_faults {
        return list();
    }
    let script = Script {
        port: arguments.port,
        latency: Duration::from_millis(arguments.latency_ms),
        tokens_per_second: arguments.tokens_per_second,
        time_scale: arguments.time_scale,
        kept_attempts: 0,
        log: arguments.log,
    };
    let server = ModelServer::start(script).await?;
    {
        let mut out = io::stdout().lock();
        writeln!(out, "listening on {}", server.base_url())?;
        out.flush()?;
    }
    server.serve_forever().await;
    Ok(())
}

fn list() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let faults = FAULTS.iter().map(|fault| (fault.name, fault.effect));
    for (name, effect) in MODELS.iter().copied().chain(faults) {
        writeln!(out, "{name:<40} {effect}")?;
    }
    Ok(())
}
