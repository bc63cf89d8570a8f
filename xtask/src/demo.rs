//! `cargo xtask demo`: the main job on the example project, told step by step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Background, free_port, output, root, run, shown};
use crate::setup;

/// What is asked throughout.
const QUESTION: &str = "How many days do I have to return a helmet?";

/// The demo's stage: a copy of the example and the server on it.
struct Stage {
    project: PathBuf,
    binary: PathBuf,
    python: PathBuf,
    url: String,
    step: usize,
}

/// Plays the demo; without `exit` it then stays up until interrupted.
///
/// # Errors
/// If a step does not do what it says.
pub fn run_demo(exit: bool) -> Result<()> {
    let start = Instant::now();
    setup::compiler()?;
    let python = setup::python()?;
    println!("building groundcrew (the first time this takes some minutes)");
    run(Command::new("cargo").args(["build", "--package", "server"]).current_dir(root()))?;
    let binary = target_directory()?.join("debug/groundcrew");
    println!("built in {:.0} s", start.elapsed().as_secs_f64());

    let port = free_port()?;
    // One that was interrupted is cleared away by the next.
    let project = setup::cache().join("demo");
    if project.exists() {
        fs::remove_dir_all(&project)?;
    }
    copy(&root().join("examples/support-desk"), &project)?;
    let config = project.join("server.toml");
    let text = fs::read_to_string(&config)?.replace("127.0.0.1:7070", &format!("127.0.0.1:{port}"));
    fs::write(&config, text)?;
    let url = format!("http://127.0.0.1:{port}");
    let mut stage = Stage { project, binary, python, url, step: 0 };
    let result = play(&mut stage, exit);
    fs::remove_dir_all(&stage.project)?;
    result
}

fn play(stage: &mut Stage, exit: bool) -> Result<()> {
    stage.tell("A project is a directory: prompts, models, guardrails, knowledge, apps");
    println!("{}", stage.project.display());
    stage.groundcrew(&["apply", "--check"])?;

    stage.tell("One binary serves it");
    let mut server = Background::start(
        Command::new(&stage.binary)
            .arg("up")
            .current_dir(&stage.project)
            .env("GROUNDCREW_LOG", "warn"),
    )?;
    let address = stage.project.join(".groundcrew/address");
    server.wait_until("groundcrew", || address.exists())?;

    stage.tell("Its files become artifact versions");
    stage.groundcrew(&["apply", "-m", "first version"])?;

    stage.tell("A directory of documents becomes a snapshot, and with it the first release");
    stage.groundcrew(&["knowledge", "refresh", "handbook"])?;
    stage.groundcrew(&["release", "promote", "support", "--env", "prod"])?;
    stage.groundcrew(&["release", "show", "support", "1"])?;

    stage.tell("The OpenAI SDK asks, with the base URL changed, and gets a cited answer");
    let (first, trace) = stage.ask()?;

    stage.tell("The trace names the release and every passage that the answer was made from");
    stage.groundcrew(&["trace", "show", &trace])?;

    for (what, from, to) in [
        ("a changed prompt", "variations/prompt/support.md", "prompts/support.md"),
        (
            "changed knowledge",
            "variations/knowledge/returns-update.md",
            "handbook/returns/return-policy.md",
        ),
        ("another model", "variations/model/support.toml", "apps/support.toml"),
    ] {
        stage.tell(&format!("A second release: {what}"));
        let (from, to) = (stage.project.join(from), stage.project.join(to));
        let before = fs::read(&to)?;
        fs::copy(&from, &to)?;
        stage.groundcrew(&["apply", "-m", what])?;
        stage.groundcrew(&["knowledge", "refresh", "handbook"])?;
        stage.groundcrew(&["release", "promote", "support", "--env", "prod"])?;
        let (second, _) = stage.ask()?;
        if second == first {
            bail!("{what} did not change the answer");
        }
        println!("\n-- and back, in one pointer move:");
        stage.groundcrew(&["release", "rollback", "support", "--env", "prod", "-m", "demo"])?;
        let (restored, _) = stage.ask()?;
        if restored != first {
            bail!("the rollback did not restore the answer");
        }
        println!("(the first answer, to the letter)");
        fs::write(&to, before)?;
        stage.groundcrew(&["apply", "-m", "as it was"])?;
        stage.groundcrew(&["knowledge", "refresh", "handbook"])?;
    }

    stage.tell("What was live when, and who moved it");
    stage.groundcrew(&["release", "history", "support", "--env", "prod"])?;
    stage.groundcrew(&["status"])?;
    if exit {
        return Ok(());
    }
    let key = stage.project.join(".groundcrew/admin.key");
    println!("\nIt stays up at {} until you interrupt it. Try:", stage.url);
    println!("  export OPENAI_BASE_URL={}/v1 OPENAI_API_KEY=$(cat {})", stage.url, key.display());
    println!(
        "  cd {} && {} ask support \"What does a pick-up cost?\"",
        stage.project.display(),
        stage.binary.display()
    );
    loop {
        // An interrupt ends the server, which is of our process group, and then us.
        if server.0.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

impl Stage {
    fn tell(&mut self, what: &str) {
        self.step += 1;
        println!("\n\n== {}. {what}", self.step);
    }

    /// Runs `groundcrew` in the project and shows what it says.
    fn groundcrew(&self, args: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(&self.project).env("GROUNDCREW_LOG", "warn");
        println!("\n$ {}", shown(&command));
        run(&mut command)
    }

    /// Asks through the OpenAI SDK; the answer and its trace.
    fn ask(&self) -> Result<(String, String)> {
        let key = fs::read_to_string(self.project.join(".groundcrew/admin.key"))?;
        let script = root().join("xtask/ask.py");
        let mut command = Command::new(&self.python);
        command.arg(&script).arg(QUESTION).stderr(Stdio::inherit());
        command
            .env("OPENAI_BASE_URL", format!("{}/v1", self.url))
            .env("OPENAI_API_KEY", key.trim());
        println!("\n$ {}", shown(&command));
        let said = output(&mut command)?;
        let (trace, answer) = said.split_once('\n').context("the SDK said nothing")?;
        println!("{}", answer.trim_end());
        Ok((answer.to_owned(), trace.to_owned()))
    }
}

/// Where cargo puts what it builds.
///
/// # Errors
/// If cargo does not say.
pub fn target_directory() -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    Ok(metadata.target_directory.into_std_path_buf())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == ".groundcrew" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
