//! The log: messages of OTLP in segments that are written at once and synced in groups.
//!
//! It holds what is not yet in columns. Whoever has put a frame where it is safe gives it back
//! ([`TelemetryLog::release`]), and segments that everybody has given back are deleted.

mod cursor;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use release::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::frame::{FrameError, MAGIC, Message, Reader, Signal};
use crate::otlp;
use crate::record::AnswerRecord;
pub use cursor::Cursor;
use writer::{Synced, Writer};

/// When an answer's last byte may leave.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Once its record is written: it survives `kill -9`, and a power loss after the next group
    /// commit (at most 20 ms).
    #[default]
    Group,
    /// Once its record is synced to disk.
    Sync,
}

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// A segment is closed once it has this many bytes.
    pub segment_bytes: u64,
    /// The log is full once its segments have this many bytes; nothing is deleted that is needed.
    pub max_bytes: u64,
    /// How long a written record may stay unsynced.
    pub sync_interval: Duration,
    /// When an append is answered.
    pub durability: Durability,
    /// With less room than this on the disk, texts of requests and answers are left out, so that
    /// there is room for what happened.
    pub low_bytes: u64,
    /// With less room than this on the disk, nothing is taken any more.
    pub least_bytes: u64,
    /// Sequence numbers up to this one were given out: its frames may be gone, or lost in a power
    /// failure after they were put into columns.
    pub used: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_bytes: 8 << 30,
            sync_interval: Duration::from_millis(20),
            durability: Durability::Group,
            low_bytes: 2 << 30,
            least_bytes: 256 << 20,
            used: 0,
        }
    }
}

/// Why something was not written. The request it belongs to must fail.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log has as many bytes as it may have.
    #[error("the telemetry log is full ({bytes} of {max_bytes} bytes)")]
    Full {
        /// What it has.
        bytes: u64,
        /// What it may have.
        max_bytes: u64,
    },
    /// The disk has no room.
    #[error("the disk of the telemetry log has only {bytes} bytes left")]
    NoRoom {
        /// What is left.
        bytes: u64,
    },
    /// A message is larger than the log takes.
    #[error("a message of {0} bytes is too large for the telemetry log")]
    TooLarge(usize),
    /// The disk failed.
    #[error("the telemetry log could not be written: {0}")]
    Io(String),
    /// Another process owns the log.
    #[error("the telemetry log in `{0}` is in use by another process")]
    Locked(PathBuf),
    /// The log was closed.
    #[error("the telemetry log is closed")]
    Closed,
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// Something that was written.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Its place in the log.
    pub sequence: u64,
    synced: watch::Receiver<Synced>,
}

impl Receipt {
    /// Waits until it is synced to disk.
    ///
    /// # Errors
    /// [`LogError::Closed`] if the log was closed first, [`LogError::Io`] if the sync failed.
    pub async fn synced(&mut self) -> Result<(), LogError> {
        let sequence = self.sequence;
        let reached = self.synced.wait_for(|at| at.failed || at.sequence >= sequence).await;
        let reached = *reached.map_err(|_| LogError::Closed)?;
        if reached.sequence < sequence {
            return Err(LogError::Io("the sync failed".to_owned()));
        }
        Ok(())
    }
}

/// What the log has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStats {
    /// Messages written.
    pub appended: u64,
    /// The last sequence number that is synced to disk.
    pub synced: u64,
    /// Bytes in all segments.
    pub bytes: u64,
    /// Messages refused because the log was full or the disk failed.
    pub refused: u64,
    /// Answers whose texts were left out because the disk had little room.
    pub shed: u64,
    /// How many bytes the disk has left, when it was last looked at.
    pub room: u64,
}

/// The log of everything that came.
#[derive(Debug, Clone)]
pub struct TelemetryLog {
    shared: Arc<Shared>,
    durability: Durability,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    writer: Writer,
    appended: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
    room: Room,
    last: Last,
    keeps: Mutex<Vec<Weak<AtomicU64>>>,
    /// Held as long as the log is open.
    _lock: File,
}

/// Keeps the log from a place on.
#[derive(Debug)]
pub struct Keep(Arc<AtomicU64>);

impl Keep {
    /// Nothing is needed any more up to sequence number `after`.
    pub fn advance(&self, after: u64) {
        self.0.store(after, Ordering::Release);
    }
}

/// How much room the disk has.
#[derive(Debug)]
struct Room {
    left: AtomicU64,
    low_bytes: u64,
    least_bytes: u64,
}

/// The last sequence number that was written, and whoever waits for more.
#[derive(Debug, Default)]
struct Last {
    sequence: AtomicU64,
    hurry: Mutex<bool>,
    wake: Condvar,
}

impl TelemetryLog {
    /// Opens or makes the log in `directory`, and cuts a torn end.
    ///
    /// # Errors
    /// If another process has it open or it cannot be read.
    pub fn open(directory: &Path, options: LogOptions) -> Result<Self, LogError> {
        std::fs::create_dir_all(directory)?;
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock().map_err(|_| LogError::Locked(directory.to_owned()))?;
        let all = segments(directory)?;
        let mut total = 0;
        for segment in &all {
            total += std::fs::metadata(segment)?.len();
        }
        let (last, cut) = recover(&all)?;
        let last = last.max(options.used);
        let newest = all.last().map(|path| writer::number(path));
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            writer: Writer::start(directory, options, newest, (last, total - cut))?,
            appended: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            room: Room {
                left: AtomicU64::new(u64::MAX),
                low_bytes: options.low_bytes,
                least_bytes: options.least_bytes,
            },
            last: Last { sequence: AtomicU64::new(last), ..Last::default() },
            keeps: Mutex::default(),
            _lock: lock,
        });
        let log = Self { shared, durability: options.durability };
        log.look_around()?;
        Ok(log)
    }

    /// Looks how much room the disk has.
    ///
    /// # Errors
    /// If it does not say.
    pub fn look_around(&self) -> Result<(), LogError> {
        let Room { left, low_bytes, .. } = &self.shared.room;
        let told = rustix::fs::statvfs(&self.shared.directory).map_err(io::Error::from)?;
        let bytes = told.f_bavail.saturating_mul(told.f_frsize);
        let before = left.swap(bytes, Ordering::Relaxed);
        if (before < *low_bytes) != (bytes < *low_bytes) {
            let directory = self.shared.directory.display();
            if bytes < *low_bytes {
                tracing::error!(%directory, bytes, "telemetry: little room, texts are left out");
            } else {
                tracing::info!(%directory, bytes, "telemetry: enough room, texts are kept again");
            }
        }
        Ok(())
    }

    /// Whether texts of requests and answers are to be left out, since the disk has little room.
    pub fn sheds(&self) -> bool {
        self.shared.room.left.load(Ordering::Relaxed) < self.shared.room.low_bytes
    }

    /// A number that tells this log from all others, drawn when its directory was made: sequence
    /// numbers mean nothing without it.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn identity(directory: &Path, draw: impl FnOnce() -> u64) -> Result<String, LogError> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join("id");
        match std::fs::read_to_string(&path) {
            Ok(id) if id.len() == 16 => return Ok(id),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let id = format!("{:016x}", draw());
        std::fs::write(&path, &id)?;
        File::open(&path)?.sync_all()?;
        Ok(id)
    }

    /// Writes an answer's record. When this returns it survives `kill -9`, and with
    /// [`Durability::Sync`] a power loss.
    ///
    /// # Errors
    /// If the record was not written; nobody may be told that it was.
    pub async fn append(&self, record: &AnswerRecord) -> Result<Receipt, LogError> {
        let otlp = if self.sheds() {
            self.shared.shed.fetch_add(1, Ordering::Relaxed);
            otlp::encode(&record.without_texts())
        } else {
            otlp::encode(record)
        };
        let (tenant, received_at) = (&record.tenant, record.started_at);
        let message = Message { tenant, signal: Signal::Traces, received_at, otlp: &otlp };
        let mut receipt = self.write(message)?;
        if self.durability == Durability::Sync {
            receipt.synced().await?;
        }
        Ok(receipt)
    }

    /// Writes what somebody sent. The sender may be told once the receipt is synced.
    ///
    /// # Errors
    /// If it was not written.
    pub fn append_otlp(
        &self,
        tenant: &TenantId,
        signal: Signal,
        received_at: Timestamp,
        otlp: &[u8],
    ) -> Result<Receipt, LogError> {
        self.write(Message { tenant, signal, received_at, otlp })
    }

    fn write(&self, message: Message<'_>) -> Result<Receipt, LogError> {
        let shared = &self.shared;
        let written = self.has_room().and_then(|()| {
            shared.writer.write(message, |sequence| {
                shared.last.sequence.store(sequence, Ordering::Release);
            })
        });
        let counted = if written.is_ok() { &shared.appended } else { &shared.refused };
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Receipt { sequence: written?, synced: shared.writer.synced() })
    }

    /// Whether something could be written now. Whoever asks before beginning an answer need not
    /// throw it away at its end.
    ///
    /// # Errors
    /// The one that [`TelemetryLog::append`] would end with.
    pub fn admits(&self) -> Result<(), LogError> {
        let admitted = self.has_room().and_then(|()| self.shared.writer.admits());
        admitted.inspect_err(|_| {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn has_room(&self) -> Result<(), LogError> {
        let bytes = self.shared.room.left.load(Ordering::Relaxed);
        if bytes < self.shared.room.least_bytes {
            return Err(LogError::NoRoom { bytes });
        }
        Ok(())
    }

    /// What the log has done.
    pub fn stats(&self) -> LogStats {
        LogStats {
            appended: self.shared.appended.load(Ordering::Relaxed),
            synced: self.shared.writer.synced().borrow().sequence,
            bytes: self.shared.writer.total(),
            refused: self.shared.refused.load(Ordering::Relaxed),
            shed: self.shared.shed.load(Ordering::Relaxed),
            room: self.shared.room.left.load(Ordering::Relaxed),
        }
    }

    /// The last sequence number that was written.
    pub fn last(&self) -> u64 {
        self.shared.last.sequence.load(Ordering::Acquire)
    }

    /// Reads what comes after sequence number `after`.
    pub fn cursor(&self, after: u64) -> Cursor {
        Cursor::new(self.shared.directory.clone(), after)
    }

    /// Waits for as long as `most`, or until somebody is in a hurry ([`Self::hurry`]).
    pub fn rest(&self, most: Duration) {
        let Last { hurry, wake, .. } = &self.shared.last;
        let hurried = hurry.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = wake.wait_timeout_while(hurried, most, |hurried| !*hurried);
        let (mut hurried, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *hurried = false;
    }

    /// Wakes whoever rests.
    pub fn hurry(&self) {
        let Last { hurry, wake, .. } = &self.shared.last;
        *hurry.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
    }

    /// Begins a new segment, so that all that was written can be released.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn rotate(&self) -> Result<(), LogError> {
        self.shared.writer.rotate()
    }

    /// Keeps what comes after sequence number `after` from being deleted, for as long as the keep
    /// lives.
    pub fn keep(&self, after: u64) -> Keep {
        let after = Arc::new(AtomicU64::new(after));
        let keeps = self.shared.keeps.lock();
        keeps.unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&after));
        Keep(after)
    }

    /// Deletes segments of which nothing is needed after sequence number `upto`, nor by any keep,
    /// but not the one that is written to.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn release(&self, upto: u64) -> Result<(), LogError> {
        let upto = {
            let keeps = self.shared.keeps.lock();
            let mut keeps = keeps.unwrap_or_else(PoisonError::into_inner);
            keeps.retain(|keep| keep.strong_count() > 0);
            let kept = keeps.iter().filter_map(Weak::upgrade);
            kept.map(|kept| kept.load(Ordering::Acquire)).fold(upto, u64::min)
        };
        let all = segments(&self.shared.directory)?;
        for pair in all.windows(2) {
            // A segment ends where the next one begins.
            if writer::number(&pair[1]) > upto + 1 {
                break;
            }
            let bytes = std::fs::metadata(&pair[0])?.len();
            std::fs::remove_file(&pair[0])?;
            self.shared.writer.freed(bytes);
        }
        Ok(())
    }
}

pub(crate) fn damaged(error: &FrameError) {
    tracing::error!(
        segment = %error.segment.display(), offset = error.offset, skipped = error.skipped,
        "telemetry log: bytes that are no record"
    );
}

/// The segment files in the order of their writing.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == writer::EXTENSION) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the newest segment that holds frames; gives the last sequence number, and how many bytes
/// of a write that a crash interrupted were cut.
fn recover(all: &[PathBuf]) -> Result<(u64, u64), LogError> {
    // A segment that holds no frame is named after the one that would have been its first.
    let mut last = all.last().map_or(0, |path| writer::number(path).saturating_sub(1));
    let mut bytes = 0;
    for (age, path) in all.iter().rev().enumerate() {
        let mut held = false;
        for item in Reader::open(path)? {
            match item {
                Ok((_, frame)) => {
                    held = true;
                    last = last.max(frame.sequence);
                }
                Err(error) if error.torn && age == 0 => {
                    cut(&error)?;
                    bytes += error.skipped;
                }
                Err(_) => {}
            }
        }
        if held {
            break;
        }
    }
    Ok((last, bytes))
}

/// Cuts the end of a write that a crash interrupted: it was never acknowledged.
fn cut(error: &FrameError) -> Result<(), LogError> {
    let file = File::options().write(true).open(&error.segment)?;
    let keep = if error.offset < MAGIC.len() as u64 { 0 } else { error.offset };
    file.set_len(keep)?;
    file.sync_all()?;
    tracing::warn!(
        segment = %error.segment.display(), offset = error.offset, bytes = error.skipped,
        "telemetry log: cut an unfinished write"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
