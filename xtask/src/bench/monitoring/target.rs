//! What takes spans: our server, and Arize Phoenix.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::super::{Groundcrew, cpu};
use crate::load::Connection;
use crate::process::{Background, free_port, listens, output};

/// The longest that acknowledged spans may take to be found.
const PATIENCE: Duration = Duration::from_secs(600);

/// Something that takes spans.
pub struct Target {
    /// What it is called in the tables.
    pub name: &'static str,
    /// Where it listens.
    pub port: u16,
    /// The key it wants to see.
    pub key: Option<String>,
    kind: Kind,
    home: PathBuf,
    process: Background,
}

enum Kind {
    Groundcrew { binaries: PathBuf, upstream: u16 },
    Phoenix { python: PathBuf },
}

impl Target {
    /// Our server.
    ///
    /// # Errors
    /// If it does not start.
    pub fn groundcrew(binaries: &Path, home: &Path, upstream: u16) -> Result<Self> {
        let Groundcrew { process, port, key } = Groundcrew::start(binaries, home, upstream)?;
        let kind = Kind::Groundcrew { binaries: binaries.to_owned(), upstream };
        Ok(Self { name: "groundcrew", port, key: Some(key), kind, home: home.to_owned(), process })
    }

    /// Phoenix on its default SQLite.
    ///
    /// # Errors
    /// If it does not start.
    pub fn phoenix(python: &Path, home: &Path) -> Result<Self> {
        let (process, port) = start_phoenix(python, home)?;
        let kind = Kind::Phoenix { python: python.to_owned() };
        Ok(Self { name: "phoenix", port, key: None, kind, home: home.to_owned(), process })
    }

    /// Kills it as an operating system would, and starts it on what it left.
    ///
    /// # Errors
    /// If it does not start again.
    pub fn kill_and_start(&mut self) -> Result<()> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        match &self.kind {
            Kind::Groundcrew { binaries, upstream } => {
                let started = Groundcrew::start(binaries, &self.home, *upstream)?;
                (self.process, self.port) = (started.process, started.port);
            }
            Kind::Phoenix { python } => {
                (self.process, self.port) = start_phoenix(python, &self.home)?;
            }
        }
        Ok(())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// CPU seconds it has used.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn cpu(&self) -> Result<f64> {
        cpu(Some(self.pid()))
    }

    /// The head of a request with a message of `bytes` bytes.
    pub fn head(&self, bytes: usize) -> String {
        self.post("/v1/traces", "application/x-protobuf", bytes)
    }

    /// How many spans are there.
    ///
    /// # Errors
    /// If it does not tell.
    pub fn landed(&self) -> Result<u64> {
        match &self.kind {
            Kind::Groundcrew { .. } => {
                let rows = self.ask("SELECT count(*) AS n FROM spans WHERE service = 'shop'")?;
                rows[0]["n"].as_u64().with_context(|| format!("no count in {rows}"))
            }
            Kind::Phoenix { python } => {
                let script = "import sqlite3, sys\n\
                    uri = f'file:{sys.argv[1]}?mode=ro'\n\
                    print(sqlite3.connect(uri, uri=True).execute('select count(*) from spans').fetchone()[0])";
                let mut command = Command::new(python);
                command.args(["-c", script]).arg(self.home.join("phoenix.db"));
                Ok(output(&mut command)?.trim().parse()?)
            }
        }
    }

    /// Waits until so many spans are there.
    ///
    /// # Errors
    /// If they are not within ten minutes.
    pub fn wait_for(&self, spans: u64) -> Result<()> {
        let start = Instant::now();
        while self.landed()? < spans {
            if start.elapsed() > PATIENCE {
                bail!("{} has {} of {spans} spans after ten minutes", self.name, self.landed()?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Bytes on disk, once everything rests there.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn bytes(&self) -> Result<u64> {
        let directory = match self.kind {
            Kind::Groundcrew { .. } => self.home.join("project/.groundcrew/telemetry/tables"),
            Kind::Phoenix { .. } => self.home.clone(),
        };
        size(&directory)
    }

    /// The rows of a query over the last two days, of our server.
    ///
    /// # Errors
    /// If there are none to be had.
    pub fn ask(&self, sql: &str) -> Result<Value> {
        let body = json!({"query": sql, "since": "2d"}).to_string();
        let head = self.post("/api/v1/query", "application/json", body.len());
        let answer = Connection::open(self.port)?.send(&[head.as_bytes(), body.as_bytes()])?;
        let mut answer: Value = serde_json::from_slice(&answer.body)?;
        Ok(answer["rows"].take())
    }

    fn post(&self, path: &str, media_type: &str, bytes: usize) -> String {
        let (port, key) = (self.port, self.key.as_deref().unwrap_or_default());
        format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n\
             content-type: {media_type}\r\ncontent-length: {bytes}\r\n\r\n"
        )
    }
}

fn start_phoenix(python: &Path, home: &Path) -> Result<(Background, u16)> {
    fs::create_dir_all(home)?;
    let (port, grpc) = (free_port()?, free_port()?);
    let log = fs::File::create(home.join("phoenix.log"))?;
    let mut command = Command::new(python.with_file_name("phoenix"));
    command
        .arg("serve")
        .env("PHOENIX_WORKING_DIR", home)
        .env("PHOENIX_HOST", "127.0.0.1")
        .env("PHOENIX_PORT", port.to_string())
        .env("PHOENIX_GRPC_PORT", grpc.to_string())
        .env("PHOENIX_TELEMETRY_ENABLED", "false")
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut process = Background::start(&mut command)?;
    process.wait_until("phoenix", || listens(port))?;
    Ok((process, port))
}

fn size(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    let mut total = 0;
    for entry in fs::read_dir(path)? {
        total += size(&entry?.path())?;
    }
    Ok(total)
}
