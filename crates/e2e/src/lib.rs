//! Tests of the whole product: the real binary, driven as its users drive it.
//!
//! A [`Stage`] is a project of its own with a server on it; what the tests need besides (Python and
//! Node environments) is named by variables that `cargo xtask test` sets.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

/// A project with a server on it, both gone at the end.
pub struct Stage {
    home: TempDir,
    server: Option<Child>,
    /// The server's address.
    pub url: String,
    /// The administrator's key.
    pub key: String,
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A variable that `cargo xtask test` sets.
///
/// # Errors
/// If it is not set.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"))
}

/// A binary of the workspace, beside the tests'.
fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("tests stand in a folder")?;
    let binary = folder.join(name);
    if !binary.exists() {
        bail!("`{name}` is not built: run `cargo xtask test`");
    }
    Ok(binary)
}

impl Stage {
    /// The example project, released in `prod`.
    ///
    /// # Errors
    /// If a step fails.
    pub fn support_desk() -> Result<Self> {
        Self::support_desk_with("")
    }

    /// The example project with more in its `server.toml`, released in `prod`.
    ///
    /// # Errors
    /// If a step fails.
    pub fn support_desk_with(more: &str) -> Result<Self> {
        let mut stage = Self::empty()?;
        copy(&repository().join("examples/support-desk"), stage.home.path())?;
        let base = "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n";
        stage.write("server.toml", &format!("{base}{more}"))?;
        stage.start()?;
        stage.groundcrew(&["apply"])?;
        stage.groundcrew(&["knowledge", "refresh", "handbook"])?;
        stage.groundcrew(&["release", "promote", "support", "--env", "prod"])?;
        Ok(stage)
    }

    /// One app for each of `models` on a provider at `endpoint` that speaks `kind`, all live in
    /// `prod`. An app is called as its model.
    ///
    /// # Errors
    /// If a step fails.
    pub fn scripted(kind: &str, endpoint: &str, models: &[&str]) -> Result<Self> {
        let mut stage = Self::empty()?;
        stage.write("groundcrew.toml", "name = \"scripted\"\nenvironments = [\"prod\"]\n")?;
        stage.write("prompts/plain.md", "You are helpful.\n")?;
        for model in models {
            let app = format!("[slots]\nmodel = \"{model}\"\nprompt = \"plain\"\n");
            stage.write(&format!("apps/{model}.toml"), &app)?;
            let file = format!("provider = \"scripted\"\nmodel = \"{model}\"\n");
            stage.write(&format!("models/{model}.toml"), &file)?;
        }
        stage.write("credential", "upstream-secret")?;
        let credential = stage.home.path().join("credential");
        let server = format!(
            "listen = \"127.0.0.1:0\"\n[providers.scripted]\nkind = \"{kind}\"\n\
             endpoint = \"{endpoint}\"\ncredential = \"file:{}\"\n",
            credential.display()
        );
        stage.write("server.toml", &server)?;
        stage.start()?;
        stage.groundcrew(&["apply"])?;
        Ok(stage)
    }

    /// No project and no server yet.
    ///
    /// # Errors
    /// If there is no place for it.
    pub fn empty() -> Result<Self> {
        // Another test of this process may have installed it already.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let home = tempfile::tempdir()?;
        Ok(Self { home, server: None, url: String::new(), key: String::new() })
    }

    /// The project's directory.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file of the project.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.home.path().join(path);
        path.parent().map(std::fs::create_dir_all).transpose()?;
        Ok(std::fs::write(path, text)?)
    }

    /// Starts the server and waits until it says where it is.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(&mut self) -> Result<()> {
        let mut server = self.command(&["up"])?.stdout(Stdio::piped()).spawn()?;
        let out = server.stdout.take().context("the server has an output")?;
        let line = BufReader::new(out).lines().next();
        let Some(Ok(line)) = line else { bail!("the server did not come up") };
        let url = line.rsplit(' ').next().unwrap_or_default();
        url.clone_into(&mut self.url);
        let key = std::fs::read_to_string(self.home.path().join(".groundcrew/admin.key"))?;
        key.trim().clone_into(&mut self.key);
        self.server = Some(server);
        Ok(())
    }

    /// Kills the server as a power cut would: no signal it could handle.
    ///
    /// # Errors
    /// If there is none.
    pub fn kill(&mut self) -> Result<()> {
        let mut server = self.server.take().context("no server runs")?;
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// Stops the server in the middle of whatever it does, as a machine that sleeps would.
    ///
    /// # Errors
    /// If there is none.
    pub fn pause(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// If there is none.
    pub fn resume(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let server = self.server.as_ref().context("no server runs")?;
        Command::new("kill").args([signal, &server.id().to_string()]).status()?;
        Ok(())
    }

    /// Asks the server to stop and waits for it; its exit code.
    ///
    /// # Errors
    /// If there is none.
    pub fn stop(&mut self) -> Result<Option<i32>> {
        let mut server = self.server.take().context("no server runs")?;
        Command::new("kill").arg(server.id().to_string()).status()?;
        Ok(server.wait()?.code())
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("groundcrew")?);
        command.args(args).current_dir(self.home.path());
        for name in ["GROUNDCREW_URL", "GROUNDCREW_KEY", "GROUNDCREW_TENANT"] {
            command.env_remove(name);
        }
        command.env("GROUNDCREW_LOG", "warn");
        Ok(command)
    }

    /// Begins a command and does not wait for it.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn spawn(&self, args: &[&str]) -> Result<Child> {
        Ok(self.command(args)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Runs the command line in the project; what it prints.
    ///
    /// # Errors
    /// What it says on failure.
    pub fn groundcrew(&self, args: &[&str]) -> Result<String> {
        said(&self.command(args)?.output()?)
    }

    /// What a command prints, whether it succeeds or not.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn printed(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args)?.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The code that a command ends with.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn code(&self, args: &[&str]) -> Result<Option<i32>> {
        Ok(self.command(args)?.output()?.status.code())
    }

    /// As [`Stage::groundcrew`], with another's key.
    ///
    /// # Errors
    /// What it says on failure.
    pub fn groundcrew_as(&self, key: &str, args: &[&str]) -> Result<String> {
        said(&self.command(args)?.env("GROUNDCREW_KEY", key).output()?)
    }

    /// Runs the command line with `--json`.
    ///
    /// # Errors
    /// As [`Stage::groundcrew`].
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        Ok(serde_json::from_str(&self.groundcrew(&args)?)?)
    }

    /// Runs a script of `crates/e2e/scripts` against the server through an official SDK.
    ///
    /// # Errors
    /// What it says on failure.
    pub fn script(&self, name: &str, args: &[&str]) -> Result<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
        let mut command = if name.ends_with(".py") {
            let mut command = Command::new(variable("GROUNDCREW_TEST_PYTHON")?);
            command.arg(path);
            command
        } else {
            // Modules are looked for beside the script, so it runs from where they are.
            let folder = PathBuf::from(variable("GROUNDCREW_TEST_NODE")?);
            let copy = folder.join(format!("{}-{name}", std::process::id()));
            std::fs::copy(path, &copy)?;
            let mut command = Command::new("node");
            command.arg(copy).current_dir(folder);
            command
        };
        let output = command.args(args).args([&self.url, &self.key]).output()?;
        if !output.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Gets something from the server with the key.
    ///
    /// # Errors
    /// If no answer comes.
    pub async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(client.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await?)
    }

    /// Posts a body to the server with the key.
    ///
    /// # Errors
    /// If no answer comes.
    pub async fn post(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<reqwest::Response> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        Ok(request.header("content-type", "application/json").body(body).send().await?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // It may have ended already.
            let _killed = server.kill();
            let _reaped = server.wait();
        }
    }
}

/// What a command printed, or what it said on failure.
fn said(output: &std::process::Output) -> Result<String> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == ".groundcrew" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
