//! The trace log: segments that are written at once and synced in groups, and an index of bounded
//! size.

mod index;
mod writer;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use release::{AppName, EnvironmentName, ReleaseDigest, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::frame::Signal;
use crate::frame::{self, Frame, FrameError, MAGIC, Reader};
use crate::otlp;
use crate::record::{AnswerRecord, TraceId};
use index::{Index, Location};
use writer::{Synced, Writer, Written};

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
    /// Distinguishes nodes that write to one place.
    pub node: u64,
    /// A segment is closed once it has this many bytes.
    pub segment_bytes: u64,
    /// The log is full once its segments have this many bytes; nothing is deleted silently.
    pub max_bytes: u64,
    /// How long a written record may stay unsynced.
    pub sync_interval: Duration,
    /// When an append is answered.
    pub durability: Durability,
    /// How many records are found without reading segments.
    pub index_capacity: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            node: 1,
            segment_bytes: 64 << 20,
            max_bytes: 8 << 30,
            sync_interval: Duration::from_millis(20),
            durability: Durability::Group,
            index_capacity: 100_000,
        }
    }
}

/// Why a record was not written. The request it belongs to must fail.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log has as many bytes as it may have.
    #[error("the trace log is full ({bytes} of {max_bytes} bytes)")]
    Full {
        /// What it has.
        bytes: u64,
        /// What it may have.
        max_bytes: u64,
    },
    /// The disk failed.
    #[error("the trace log could not be written: {0}")]
    Io(String),
    /// Another process owns the log.
    #[error("the trace log in `{0}` is in use by another process")]
    Locked(PathBuf),
    /// A record is no longer what was written.
    #[error("the trace log is damaged: {} at byte {}", .0.segment.display(), .0.offset)]
    Corrupt(FrameError),
    /// The log was closed.
    #[error("the trace log is closed")]
    Closed,
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// A record that was written.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Its place in the node's log.
    pub sequence: u64,
    synced: watch::Receiver<Synced>,
}

impl Receipt {
    /// Waits until the record is synced to disk.
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
    /// Records written.
    pub appended: u64,
    /// The last sequence number that is synced to disk.
    pub synced: u64,
    /// Bytes in all segments.
    pub bytes: u64,
    /// Records refused because the log was full or the disk failed.
    pub refused: u64,
    /// Places that hold no whole frame, found when the log was opened.
    pub corrupt: u64,
    /// Records that are found without reading segments.
    pub indexed: u64,
}

/// A record in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its trace.
    pub trace: TraceId,
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// The release that answered.
    pub release: ReleaseDigest,
    /// When it arrived.
    pub started_at: Timestamp,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How it ended, as one word.
    pub outcome: String,
    /// The model that answered.
    pub model: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}

impl Summary {
    fn of(record: &AnswerRecord) -> Self {
        let generation = record.generation.as_ref();
        Self {
            trace: record.trace,
            app: record.app.clone(),
            environment: record.environment.clone(),
            release: record.release,
            started_at: record.started_at,
            duration_ns: record.steps.iter().map(|step| step.end_ns).max().unwrap_or(0),
            outcome: record.outcome.as_str().to_owned(),
            model: generation.map(|generation| generation.response_model.clone()),
            input_tokens: generation.map_or(0, |generation| generation.input_tokens),
            output_tokens: generation.map_or(0, |generation| generation.output_tokens),
        }
    }
}

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only of this app.
    pub app: Option<AppName>,
    /// Only of this environment.
    pub environment: Option<EnvironmentName>,
    /// Only of this release.
    pub release: Option<ReleaseDigest>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only since this moment.
    pub since: Option<Timestamp>,
    /// Only those that were grounded on this document.
    pub document: Option<String>,
}

impl Filter {
    fn admits(&self, summary: &Summary) -> bool {
        self.app.as_ref().is_none_or(|app| *app == summary.app)
            && self.environment.as_ref().is_none_or(|name| *name == summary.environment)
            && self.release.is_none_or(|release| release == summary.release)
            && self.outcome.as_ref().is_none_or(|outcome| *outcome == summary.outcome)
            && self.since.is_none_or(|since| since <= summary.started_at)
    }

    /// Whether a record was grounded on the document that is wanted, if one is.
    fn grounded(&self, record: &AnswerRecord) -> bool {
        let Some(document) = &self.document else { return true };
        let chunks = record.retrieval.iter().flat_map(|retrieval| &retrieval.chunks);
        chunks.into_iter().any(|chunk| chunk.document == *document)
    }
}

/// The log of every answer.
#[derive(Debug, Clone)]
pub struct TraceLog {
    shared: Arc<Shared>,
    durability: Durability,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    writer: Writer,
    state: Mutex<State>,
    /// Held as long as the log is open.
    _lock: File,
}

#[derive(Debug)]
struct State {
    index: Index,
    stats: LogStats,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceLog {
    /// Opens or makes the log in `directory`: cuts a torn end, names what is corrupt, rebuilds the
    /// index.
    ///
    /// # Errors
    /// If another process has it open or it cannot be read.
    pub fn open(directory: &Path, options: LogOptions) -> Result<Self, LogError> {
        std::fs::create_dir_all(directory)?;
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock().map_err(|_| LogError::Locked(directory.to_owned()))?;
        let mut state =
            State { index: Index::new(options.index_capacity), stats: LogStats::default() };
        let newest = segments(directory)?.last().map(|path| writer::number(path));
        let last = recover(directory, &mut state)?;
        let total = state.stats.bytes;
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            writer: Writer::start(directory, options, newest, (last, total))?,
            state: Mutex::new(state),
            _lock: lock,
        });
        Ok(Self { shared, durability: options.durability })
    }

    /// Writes a record. When this returns it survives `kill -9`, and with [`Durability::Sync`] a
    /// power loss.
    ///
    /// # Errors
    /// If the record was not written; nobody may be told that it was.
    pub async fn append(&self, record: &AnswerRecord) -> Result<Receipt, LogError> {
        let sequence = self.write(record)?;
        let mut receipt = Receipt { sequence, synced: self.shared.writer.synced() };
        if self.durability == Durability::Sync {
            receipt.synced().await?;
        }
        Ok(receipt)
    }

    /// Writes a message of OTLP, in protobuf. When this returns it survives `kill -9`; its receipt
    /// tells when it survives a power loss.
    ///
    /// # Errors
    /// If it was not written; nobody may be told that it was.
    pub fn append_otlp(
        &self,
        tenant: &TenantId,
        signal: Signal,
        _received_at: Timestamp,
        otlp: &[u8],
    ) -> Result<Receipt, LogError> {
        let marked = [&marker(signal)[..], otlp].concat();
        let written = self.shared.writer.write(tenant, &marked);
        let mut state = self.shared.state();
        let Written { sequence, .. } = written.inspect_err(|_| state.stats.refused += 1)?;
        state.stats.appended += 1;
        Ok(Receipt { sequence, synced: self.shared.writer.synced() })
    }

    /// Whether a record could be written now. Whoever asks before beginning an answer need not
    /// throw it away at its end.
    ///
    /// # Errors
    /// The one that [`TraceLog::append`] would end with.
    pub fn admits(&self) -> Result<(), LogError> {
        let admitted = self.shared.writer.admits();
        admitted.inspect_err(|_| self.shared.state().stats.refused += 1)
    }

    fn write(&self, record: &AnswerRecord) -> Result<u64, LogError> {
        let (tenant, otlp) = (&record.tenant, otlp::encode(record));
        let written = self.shared.writer.write(tenant, &otlp);
        let mut state = self.shared.state();
        let Written { sequence, location } = written.inspect_err(|_| state.stats.refused += 1)?;
        state.stats.appended += 1;
        state.index.insert(tenant.clone(), Summary::of(record), location);
        Ok(sequence)
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> PathBuf {
        self.shared.directory.clone()
    }

    /// What the log has done.
    pub fn stats(&self) -> LogStats {
        let synced = self.shared.writer.synced().borrow().sequence;
        let bytes = self.shared.writer.total();
        let state = self.shared.state();
        LogStats { synced, bytes, indexed: state.index.len() as u64, ..state.stats }
    }

    /// The tenant's newest records that fit, newest first. Reads segments if the index does not
    /// reach far enough, so call it where blocking is allowed.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Summary>, LogError> {
        let (mut found, complete) = {
            let state = self.shared.state();
            let newest = state.index.newest(tenant).filter(|summary| filter.admits(summary));
            (newest.take(limit).cloned().collect::<Vec<_>>(), state.index.complete())
        };
        // The index does not know documents.
        if filter.document.is_none() && (complete || found.len() >= limit) {
            return Ok(found);
        }
        found.clear();
        for segment in segments(&self.shared.directory)?.into_iter().rev() {
            let grounded = records(&segment, tenant)?.filter(|record| filter.grounded(record));
            let summaries = grounded.map(|record| Summary::of(&record));
            let older: Vec<_> = summaries.filter(|summary| filter.admits(summary)).collect();
            found.extend(older.into_iter().rev());
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// One record. Reads segments if the index does not know it, so call it where blocking is
    /// allowed.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn show(
        &self,
        tenant: &TenantId,
        trace: TraceId,
    ) -> Result<Option<AnswerRecord>, LogError> {
        let (location, complete) = {
            let state = self.shared.state();
            (state.index.find(tenant, trace), state.index.complete())
        };
        if let Some(Location { segment, offset }) = location {
            let segment = writer::path(&self.shared.directory, segment);
            let frame = frame::read_at(&File::open(&segment)?, offset)?;
            let record = frame.and_then(|frame| otlp::decode(tenant, &frame.otlp));
            let damaged = || FrameError { segment, offset, skipped: 0, torn: false };
            return record.map(Some).ok_or_else(|| LogError::Corrupt(damaged()));
        }
        if complete {
            return Ok(None);
        }
        for segment in segments(&self.shared.directory)?.into_iter().rev() {
            let found = records(&segment, tenant)?.find(|record| record.trace == trace);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The tenant's records in a segment, in the order of their writing. What is damaged is named and
/// passed over.
fn records<'a>(
    segment: &Path,
    tenant: &'a TenantId,
) -> io::Result<impl Iterator<Item = AnswerRecord> + use<'a>> {
    let whole = Reader::open(segment)?.filter_map(|item| item.inspect_err(damaged).ok());
    let frames = whole.filter(move |(_, frame)| frame.tenant == *tenant);
    Ok(frames.filter_map(|(_, frame)| otlp::decode(&frame.tenant, &frame.otlp)))
}

/// What a message's signal is told by: a field that OTLP does not have.
const fn marker(signal: Signal) -> [u8; 2] {
    // Field 15, a number.
    [0x78, signal as u8]
}

/// The signal and the message of a frame.
pub(crate) fn otlp_of(frame: &Frame) -> (Signal, Bytes) {
    let marked = |signal: &Signal| frame.otlp.starts_with(&marker(*signal));
    match Signal::ALL.into_iter().find(marked) {
        Some(signal) => (signal, frame.otlp.slice(2..)),
        None => (Signal::Traces, frame.otlp.clone()),
    }
}

fn damaged(error: &FrameError) {
    tracing::error!(
        segment = %error.segment.display(), offset = error.offset, skipped = error.skipped,
        "trace log: bytes that are no record"
    );
}

/// The segment files in the order of their writing.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "trace") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the newest segments until the index is full; returns the last sequence number. One segment
/// is in memory at a time, and of each record only what the index keeps.
fn recover(directory: &Path, state: &mut State) -> Result<u64, LogError> {
    let all = segments(directory)?;
    let mut found = VecDeque::new();
    let mut last = None;
    for (position, path) in all.iter().enumerate().rev() {
        if found.len() >= state.index.capacity() {
            state.stats.bytes += std::fs::metadata(path)?.len();
            state.index.incomplete();
            continue;
        }
        let newest = position + 1 == all.len();
        let reader = Reader::open(path)?;
        state.stats.bytes += reader.len();
        let segment = writer::number(path);
        let mut records = Vec::new();
        let mut highest = None;
        for item in reader {
            match item {
                Ok((offset, Frame { sequence, tenant, otlp, .. })) => {
                    highest = highest.max(Some(sequence));
                    if let Some(record) = otlp::decode(&tenant, &otlp) {
                        let location = Location { segment, offset };
                        records.push((tenant, Summary::of(&record), location));
                    }
                }
                Err(error) if error.torn && newest => cut(&error, state)?,
                Err(error) => {
                    state.stats.corrupt += 1;
                    damaged(&error);
                }
            }
        }
        last = last.or(highest);
        records.into_iter().rev().for_each(|record| found.push_front(record));
    }
    for (tenant, summary, location) in found {
        state.index.insert(tenant, summary, location);
    }
    // A segment that holds no record is named after the one that would have been its first.
    let named = all.last().map_or(0, |path| writer::number(path).saturating_sub(1));
    Ok(last.unwrap_or(0).max(named))
}

/// Cuts the end of a write that a crash interrupted: it was never acknowledged.
fn cut(error: &FrameError, state: &mut State) -> Result<(), LogError> {
    let file = File::options().write(true).open(&error.segment)?;
    let keep = if error.offset < MAGIC.len() as u64 { 0 } else { error.offset };
    file.set_len(keep)?;
    file.sync_all()?;
    state.stats.bytes -= error.skipped;
    tracing::warn!(
        segment = %error.segment.display(), offset = error.offset, bytes = error.skipped,
        "trace log: cut an unfinished write"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
