//! A function that is a command of this machine.
//!
//! It reads the payload from its input and writes its result to its output. It runs in a process
//! group of its own, which is killed as soon as its result is there or not wanted any more.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use release::Secret;
use security::ProcessGroup;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use workflow::engine::Progress;

use super::{Call, Failure, FunctionError, parsed, told, too_large};

/// How many of the last bytes of its errors are kept.
const TAIL: usize = 4 << 10;

/// A command.
#[derive(Debug)]
pub struct Command {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// What its environment has besides `PATH` and what is said of the call.
    pub environment: BTreeMap<String, Secret>,
}

impl Command {
    /// Runs it once.
    ///
    /// # Errors
    /// If it cannot be run, fails, gives too much or no JSON.
    pub async fn invoke(&self, call: Call<'_>) -> Result<Value, Failure> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.environment.iter().map(|(name, value)| (name, value.expose())))
            .env("GROUNDCREW_IDEMPOTENCY_KEY", call.key)
            .env("GROUNDCREW_TENANT", call.tenant.as_str())
            .envs(call.token.map(|token| ("GROUNDCREW_TASK_TOKEN", token)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let broken = |error: io::Error| {
            let message = format!("`{}` cannot be run: {error}", self.program);
            Failure::function("Runtime.InvalidEntrypoint", message)
        };
        let mut child = command.spawn().map_err(broken)?;
        // Dropped before the child, while its number is still its own.
        let group = ProcessGroup::of(&child);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(broken(io::Error::other("it has no input and output")));
        };
        let ((), output, errors) =
            tokio::try_join!(feed(input, call.payload), read(output, call.most), async {
                Ok(tail(errors, call.progress).await)
            })?;
        group.ended().await.map_err(broken)?;
        // What it left running is not wanted either.
        drop(group);
        let status = child.wait().await.map_err(broken)?;
        if status.success() { parsed(&output) } else { Err(failed(status, &output, &errors)) }
    }
}

/// Gives a command its payload.
async fn feed(mut input: ChildStdin, payload: &Value) -> Result<(), Failure> {
    // It need not read it: what it makes of that shows in its output.
    let _written = input.write_all(payload.to_string().as_bytes()).await;
    Ok(())
}

/// Reads what a command gives.
async fn read(output: ChildStdout, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = output.take(most as u64 + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| Failure::function("Runtime.ExitError", error.to_string()))?;
    if bytes.len() > most { Err(too_large(most)) } else { Ok(bytes) }
}

/// Reads what a command says aside, and keeps the end of it. Each line tells how far it is.
async fn tail(mut errors: ChildStderr, progress: &Progress) -> String {
    let (mut kept, mut piece) = (Vec::new(), vec![0; TAIL]);
    // If it cannot be read, what came before is all there is.
    while let Ok(count @ 1..) = errors.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        kept.drain(..kept.len().saturating_sub(TAIL));
        if let Some(line) = String::from_utf8_lossy(&kept).trim_end().lines().last() {
            progress.tell(line).await;
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The failure of a command: what it told itself, else how it ended and what it said aside.
fn failed(status: ExitStatus, output: &[u8], errors: &str) -> Failure {
    if let Some(error) = told(output) {
        return Failure::Function(error);
    }
    Failure::Function(FunctionError {
        error_message: format!("the command ended with {status}"),
        error_type: "Runtime.ExitError".to_owned(),
        stack_trace: errors.lines().map(str::to_owned).collect(),
        ..FunctionError::default()
    })
}
