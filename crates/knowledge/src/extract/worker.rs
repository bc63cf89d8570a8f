//! Child processes that read documents, as many at once as there are processors.

use std::io;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use security::ProcessGroup;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::child::{MAX_ANSWER, Request};
use super::{Kind, Refusal, extract};
use crate::document::{Extracted, RawDocument};

/// How many of the last bytes that a child says aside are kept.
const ASIDE: usize = 4 << 10;
/// How long a child that has broken off its output may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// What reading one document may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the document.
    pub document: usize,
    /// The most bytes of address space that the child may add to what it starts with.
    pub memory: u64,
    /// The most seconds of processor time.
    pub seconds: u64,
    /// The longest it may take by the clock.
    pub wall: Duration,
    /// How many documents a child reads before another one takes over.
    pub documents: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: 64 << 20,
            memory: 2 << 30,
            seconds: 30,
            wall: Duration::from_secs(60),
            documents: 500,
        }
    }
}

/// Reads documents. Plain text and Markdown are read here, everything else in child processes under
/// limits, each of which calls [`crate::serve_documents`].
#[derive(Debug)]
pub struct Extractor {
    program: PathBuf,
    limits: Limits,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

/// A child. Whatever it has started ends with it.
#[derive(Debug)]
struct Worker {
    /// Dropped before the child, while its number is still its own.
    group: ProcessGroup,
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    aside: JoinHandle<String>,
    /// How many documents it has read.
    documents: u32,
}

impl Extractor {
    /// Reads documents with children that are `program`, called with `extract-document`, the bytes of
    /// memory and the seconds of processor time that it gives itself.
    pub fn new(program: PathBuf, limits: Limits) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { program, limits, slots: Semaphore::new(cores), idle: Mutex::default() }
    }

    /// Extracts a document.
    ///
    /// # Errors
    /// Why there is no text of it. The next one is read all the same.
    pub async fn extract(&self, document: &RawDocument) -> Result<Extracted, Refusal> {
        let most = self.limits.document;
        if document.bytes.len() > most {
            let large = format!("{} bytes are more than the {most} allowed", document.bytes.len());
            return Err(Refusal::TooLarge(large));
        }
        if Kind::of(document)?.is_plain() {
            let document = document.clone();
            let extracted = tokio::task::spawn_blocking(move || extract(&document));
            return extracted.await.unwrap_or_else(|error| Err(Refusal::Crash(error.to_string())));
        }
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(Refusal::Crash("the server is stopping".to_owned()));
        };
        let idle = self.idle().pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.program, self.limits).map_err(|error| {
                let program = self.program.display();
                Refusal::Crash(format!("`{program}` cannot be run: {error}"))
            })?,
        };
        match tokio::time::timeout(self.limits.wall, worker.ask(document)).await {
            Ok(Ok(answer)) => {
                worker.documents += 1;
                let broken = matches!(
                    answer,
                    Err(Refusal::Time(_) | Refusal::Memory(_) | Refusal::Crash(_))
                );
                if !broken && worker.documents < self.limits.documents {
                    self.idle().push(worker);
                }
                answer
            }
            Ok(Err(broken)) => Err(worker.end(broken, self.limits).await),
            Err(_) => {
                let seconds = self.limits.wall.as_secs_f32();
                Err(Refusal::Time(format!("it was not read within {seconds} seconds")))
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn start(program: &PathBuf, limits: Limits) -> io::Result<Self> {
        let passed = ["PATH", "TESSDATA_PREFIX"];
        let passed = passed.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(program)
            .arg("extract-document")
            .args([limits.memory.to_string(), limits.seconds.to_string()])
            .current_dir("/")
            .env_clear()
            .envs(passed)
            .env("LANG", "C.UTF-8")
            // A child has one processor; more threads of it would only wait for each other.
            .env("OMP_THREAD_LIMIT", "1")
            // The allocator keeps little ready, so that the limit of memory is for the document.
            .env("MIMALLOC_ARENA_RESERVE", "65536K")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = ProcessGroup::of(&child);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(aside)) = pipes else {
            return Err(io::Error::other("it has no input and output"));
        };
        let aside = tokio::spawn(tail(aside));
        Ok(Self { group, child, input, output, aside, documents: 0 })
    }

    /// Has a document read.
    async fn ask(&mut self, document: &RawDocument) -> io::Result<Result<Extracted, Refusal>> {
        let request = Request {
            path: document.path.clone(),
            media_type: document.media_type.clone(),
            length: document.bytes.len(),
        };
        let request = serde_json::to_vec(&request)?;
        let length = u32::try_from(request.len()).map_err(io::Error::other)?;
        self.input.write_all(&length.to_le_bytes()).await?;
        self.input.write_all(&request).await?;
        self.input.write_all(&document.bytes).await?;
        self.input.flush().await?;
        let length = self.output.read_u32_le().await? as usize;
        if length > MAX_ANSWER {
            return Err(io::Error::other("its answer is too long"));
        }
        let mut answer = vec![0; length];
        self.output.read_exact(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Why a child that has broken off ended.
    async fn end(mut self, broken: io::Error, limits: Limits) -> Refusal {
        let ended = tokio::time::timeout(GRACE, self.group.ended()).await;
        // What it left running is not wanted either.
        drop(self.group);
        let status = self.child.wait().await;
        let aside = self.aside.await.unwrap_or_default();
        match (ended, status) {
            (Ok(Ok(())), Ok(status)) => refusal(status, &aside, limits),
            _ => Refusal::Crash(format!("its reader broke off: {broken}")),
        }
    }
}

/// Why a child ended that should not have.
fn refusal(status: ExitStatus, aside: &str, limits: Limits) -> Refusal {
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        let seconds = limits.seconds;
        return Refusal::Time(format!("it takes more than {seconds} seconds of processor time"));
    }
    // The words of Rust's standard library when there is no more to be had.
    if aside.contains("memory allocation of") {
        let memory = limits.memory >> 20;
        return Refusal::Memory(format!("it takes more than {memory} MiB of memory"));
    }
    let mut said = aside.lines().map(str::trim).filter(|line| {
        !line.is_empty() && !line.starts_with("note:") && !line.starts_with("thread '")
    });
    let overflow = aside.contains("has overflowed its stack").then_some("its stack overflowed");
    let said = overflow.or(said.next_back()).unwrap_or("it says nothing");
    Refusal::Crash(format!("its reader ended with {status}: {said}"))
}

/// Reads what a child says aside, and keeps the end of it.
async fn tail(mut aside: ChildStderr) -> String {
    let (mut kept, mut piece) = (Vec::new(), vec![0; ASIDE]);
    // If it cannot be read, what came before is all there is.
    while let Ok(count @ 1..) = aside.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        kept.drain(..kept.len().saturating_sub(ASIDE));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
