//! Running git, with nothing of this machine's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use security::ProcessGroup;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr};

use crate::source::offered::Repository;

/// How long a command may take.
const TIME: Duration = Duration::from_secs(1_800);
/// The most bytes of a mirror, and of what a command says.
const MAX_MIRROR: u64 = 8 << 30;
const MAX_TOLD: u64 = 16 << 20;
/// How often the size of the mirror is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// All that git is configured with.
const CONFIG: &str = "\
[core]
	hooksPath = /dev/null
	fsmonitor = false
	askPass =
[safe]
	directory = *
[credential]
	helper =
[protocol]
	allow = never
[http]
	followRedirects = false
	lowSpeedLimit = 1000
	lowSpeedTime = 60
[fetch]
	recurseSubmodules = false
	fsckObjects = true
[gc]
	autoDetach = false
";

/// A command of git's.
#[derive(Debug)]
pub struct Command {
    inner: tokio::process::Command,
    mirror: PathBuf,
}

/// A running command, whose processes end with it.
#[derive(Debug)]
pub struct Running {
    pub child: Child,
    _group: ProcessGroup,
}

/// Makes the folder of a mirror, and the configuration beside it.
pub fn prepare(mirror: &Path) -> Result<(), String> {
    let config = config(mirror);
    let aside = mirror.with_extension("config");
    let write = || {
        fs::create_dir_all(mirror)?;
        if fs::read(&config).is_ok_and(|present| present == CONFIG.as_bytes()) {
            return Ok(());
        }
        fs::write(&aside, CONFIG)?;
        fs::rename(&aside, &config)
    };
    write().map_err(|error: std::io::Error| format!("the cache cannot be written: {error}"))
}

fn config(mirror: &Path) -> PathBuf {
    mirror.with_file_name("config")
}

impl Command {
    /// A command on a mirror, of a repository elsewhere or of this machine.
    pub fn new<'a>(
        mirror: &Path,
        repository: Option<&Repository>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut inner = tokio::process::Command::new("git");
        inner
            .args(arguments)
            .current_dir(mirror)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", mirror)
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_DIR", mirror)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", config(mirror))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        inner.env(
            "GIT_ALLOW_PROTOCOL",
            match repository {
                None => "file",
                Some(repository) => repository.url.scheme(),
            },
        );
        // What proves who asks is in the environment, where no list of processes shows it.
        let authorization = repository.and_then(|repository| repository.authorization.as_ref());
        if let (Some(repository), Some(authorization)) = (repository, authorization) {
            inner
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("http.{}.extraHeader", repository.url))
                .env("GIT_CONFIG_VALUE_0", format!("Authorization: {}", authorization.expose()));
        }
        if let Some(ssh) = repository.and_then(|repository| repository.ssh.as_ref()) {
            let quoted = |path: &Path| path.display().to_string().replace('\'', r"'\''");
            let command = format!(
                "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes \
                 -o StrictHostKeyChecking=yes -o UserKnownHostsFile='{}' -i '{}'",
                quoted(&ssh.known_hosts),
                quoted(&ssh.key),
            );
            inner.env("GIT_SSH_COMMAND", command);
        }
        Self { inner, mirror: mirror.to_owned() }
    }

    /// Starts it, with something to ask it by if `asked`.
    pub fn start(mut self, asked: bool) -> Result<Running, String> {
        if asked {
            self.inner.stdin(Stdio::piped());
        }
        let broken = |error| format!("`git` cannot be run, is it installed? {error}");
        let child = self.inner.spawn().map_err(broken)?;
        let _group = ProcessGroup::of(&child);
        Ok(Running { child, _group })
    }

    /// Runs it, and gives what it says.
    pub async fn text(self) -> Result<String, String> {
        let mirror = self.mirror.clone();
        let mut running = self.start(false)?;
        let pipes = (running.child.stdout.take(), running.child.stderr.take());
        let (Some(output), Some(errors)) = pipes else { return Err("it has no output".to_owned()) };
        let told = async {
            let mut text = Vec::new();
            let mut output = output.take(MAX_TOLD);
            let reading = output.read_to_end(&mut text);
            let (read, errors) = tokio::join!(reading, said(errors));
            read.map_err(|error| error.to_string())?;
            match running.child.wait().await {
                Ok(status) if status.success() => Ok(String::from_utf8_lossy(&text).into_owned()),
                Ok(_) => Err(errors),
                Err(error) => Err(error.to_string()),
            }
        };
        let told = tokio::select! {
            told = tokio::time::timeout(TIME, told) => {
                let late = || Err(format!("git took longer than {} seconds", TIME.as_secs()));
                Some(told.unwrap_or_else(|_| late()))
            }
            () = grown(&mirror) => None,
        };
        drop(running);
        told.unwrap_or_else(|| {
            let why = format!("its mirror has more than {MAX_MIRROR} bytes");
            match fs::remove_dir_all(&mirror) {
                Ok(()) => Err(why),
                Err(error) => Err(format!("{why}, and cannot be removed: {error}")),
            }
        })
    }

    /// Runs it.
    pub async fn done(self) -> Result<(), String> {
        self.text().await.map(|_| ())
    }
}

/// Waits until a mirror is too large.
async fn grown(mirror: &Path) {
    let packs = mirror.join("objects/pack");
    loop {
        tokio::time::sleep(LOOK).await;
        let files = fs::read_dir(&packs).into_iter().flatten().flatten();
        let sizes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
        if sizes.sum::<u64>() > MAX_MIRROR {
            return;
        }
    }
}

/// The last of what a command says of its failure.
pub async fn said(errors: ChildStderr) -> String {
    let mut text = Vec::new();
    // If it cannot be read, what came before is all there is.
    let _read = errors.take(64 << 10).read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text);
    let lines = text.trim().lines().rev().take(3).map(str::trim).collect::<Vec<_>>();
    let said = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
    if said.is_empty() { "git failed without a word".to_owned() } else { said }
}
