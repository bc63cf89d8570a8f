//! Writing: a record goes into the newest segment in one call, under a lock that is held only for
//! that. The page cache takes it, which costs microseconds; a thread of its own syncs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Durability, LogError, LogOptions};
use crate::frame::{self, MAGIC, MAX_RECORD, Message};

/// What segment files' names end with.
pub const EXTENSION: &str = "log";

/// The path of segment `number`.
pub fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.{EXTENSION}"))
}

/// The number of the segment at `path`.
pub fn number(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

/// How far the disk has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// The last sequence number that is synced.
    pub sequence: u64,
    /// Whether a sync failed: what the disk then holds is unknown, so nothing more is written.
    pub failed: bool,
}

#[derive(Debug)]
pub struct Writer {
    directory: PathBuf,
    options: LogOptions,
    newest: Mutex<Segment>,
    synced: watch::Receiver<Synced>,
    syncing: Option<JoinHandle<()>>,
}

/// The segment that is written to.
#[derive(Debug)]
struct Segment {
    number: u64,
    file: Arc<File>,
    length: u64,
    /// Bytes of all segments.
    total: u64,
    /// The last sequence number.
    sequence: u64,
    /// Whether half a record stands at the end and could not be taken back.
    broken: bool,
    /// The sync thread's; gone when the log is closed.
    unsynced: Option<blocking::Sender<Unsynced>>,
}

/// A file with records up to `sequence` that is to be synced.
#[derive(Debug)]
struct Unsynced {
    file: Arc<File>,
    sequence: u64,
    written: Instant,
}

impl Writer {
    /// Opens the newest segment, or the first, to write after sequence number `last`, and starts
    /// the sync thread. `total` is how many bytes all segments have.
    pub fn start(
        directory: &Path,
        options: LogOptions,
        newest: Option<u64>,
        (last, total): (u64, u64),
    ) -> Result<Self, LogError> {
        let number = newest.unwrap_or(last + 1);
        let (file, length) = open(directory, number)?;
        // What an earlier run wrote and did not sync; little work where it did.
        for segment in super::segments(directory)? {
            File::open(segment)?.sync_all()?;
        }
        File::open(directory)?.sync_all()?;
        let total = total.max(length);
        let (unsynced, to_sync) = blocking::channel();
        let begun = Synced { sequence: last, failed: false };
        let (announce, synced) = watch::channel(begun);
        let gather = match options.durability {
            Durability::Sync => Duration::ZERO,
            // The other half is for the sync itself.
            Durability::Group => options.sync_interval / 2,
        };
        let folder = File::open(directory)?;
        let syncing = thread::Builder::new()
            .name("telemetry-sync".to_owned())
            .spawn(move || sync_all(&to_sync, gather, &folder, &announce))?;
        let (sequence, broken, unsynced) = (last, false, Some(unsynced));
        let segment = Segment { number, file, length, total, sequence, broken, unsynced };
        let (directory, newest, syncing) =
            (directory.to_owned(), Mutex::new(segment), Some(syncing));
        Ok(Self { directory, options, newest, synced, syncing })
    }

    pub fn synced(&self) -> watch::Receiver<Synced> {
        self.synced.clone()
    }

    /// Bytes of all segments.
    pub fn total(&self) -> u64 {
        self.newest().total
    }

    /// Whether a record may be written now.
    pub fn admits(&self) -> Result<(), LogError> {
        self.admitted(&self.newest())
    }

    fn admitted(&self, segment: &Segment) -> Result<(), LogError> {
        if self.synced.borrow().failed {
            return Err(LogError::Io("an earlier sync failed".to_owned()));
        }
        if segment.broken {
            return Err(LogError::Io("an earlier write could not be taken back".to_owned()));
        }
        let (bytes, max_bytes) = (segment.total, self.options.max_bytes);
        if bytes >= max_bytes {
            return Err(LogError::Full { bytes, max_bytes });
        }
        Ok(())
    }

    /// Writes one message; when this returns it survives `kill -9`. `written` is told of its
    /// sequence number before the next one can be written.
    pub fn write(&self, message: Message<'_>, written: impl FnOnce(u64)) -> Result<u64, LogError> {
        if message.otlp.len() > MAX_RECORD {
            return Err(LogError::TooLarge(message.otlp.len()));
        }
        let mut segment = self.newest();
        self.admitted(&segment)?;
        if segment.length >= self.options.segment_bytes {
            segment.rotate(&self.directory)?;
        }
        let sequence = segment.sequence + 1;
        let mut frame = Vec::with_capacity(message.otlp.len() + 128);
        frame::write(&mut frame, sequence, message);
        segment.append(&frame)?;
        segment.sequence = sequence;
        segment.length += frame.len() as u64;
        segment.total += frame.len() as u64;
        written(sequence);
        let (file, written) = (Arc::clone(&segment.file), Instant::now());
        let unsynced = segment.unsynced.as_ref().ok_or(LogError::Closed)?;
        unsynced.send(Unsynced { file, sequence, written }).map_err(|_| LogError::Closed)?;
        Ok(sequence)
    }

    /// Goes on in a new segment, if the newest one holds anything.
    pub fn rotate(&self) -> Result<(), LogError> {
        let mut segment = self.newest();
        if segment.length > MAGIC.len() as u64 {
            segment.rotate(&self.directory)?;
        }
        Ok(())
    }

    /// Notes that so many bytes of segments are gone.
    pub fn freed(&self, bytes: u64) {
        let mut segment = self.newest();
        segment.total = segment.total.saturating_sub(bytes);
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Segment> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writer {
    /// Whoever stops orderly leaves nothing unsynced.
    fn drop(&mut self) {
        drop(self.newest().unsynced.take());
        if self.syncing.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("telemetry log: the sync thread had stopped");
        }
    }
}

impl Segment {
    fn append(&mut self, frame: &[u8]) -> Result<(), LogError> {
        if let Err(error) = (&*self.file).write_all(frame) {
            // What was half written must not stand before the next record.
            if let Err(again) = self.file.set_len(self.length) {
                self.broken = true;
                tracing::error!(error = %again, "telemetry log: a failed write could not be taken back");
            }
            tracing::error!(%error, "telemetry log: write failed");
            return Err(error.into());
        }
        Ok(())
    }

    /// Goes on in a new segment. The sync thread closes the old one.
    fn rotate(&mut self, directory: &Path) -> Result<(), LogError> {
        let number = self.sequence + 1;
        let (file, length) = open(directory, number)?;
        (self.number, self.file, self.length) = (number, file, length);
        self.total += length;
        Ok(())
    }
}

/// Opens segment `number` for appending; a new one gets its first bytes.
fn open(directory: &Path, number: u64) -> Result<(Arc<File>, u64), LogError> {
    let file = File::options().create(true).append(true).open(path(directory, number))?;
    let mut length = file.metadata()?.len();
    if length == 0 {
        (&file).write_all(MAGIC)?;
        length = MAGIC.len() as u64;
    }
    Ok((Arc::new(file), length))
}

/// The sync thread: waits for an unsynced record, gathers more until that one is `gather` old, syncs
/// once.
fn sync_all(
    unsynced: &blocking::Receiver<Unsynced>,
    gather: Duration,
    directory: &File,
    announce: &watch::Sender<Synced>,
) {
    let mut known: Option<Arc<File>> = None;
    while let Ok(mut newest) = unsynced.recv() {
        thread::sleep(gather.saturating_sub(newest.written.elapsed()));
        let mut closed = Vec::new();
        while let Ok(newer) = unsynced.try_recv() {
            if !Arc::ptr_eq(&newer.file, &newest.file) {
                closed.push(newest.file);
            }
            newest = newer;
        }
        // A segment that was begun needs its name on disk too.
        let begun = known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &newest.file));
        closed.extend(known.take().filter(|_| begun));
        let mut synced = closed.iter().try_for_each(|file| file.sync_data());
        synced = synced.and_then(|()| newest.file.sync_data());
        if begun {
            synced = synced.and_then(|()| directory.sync_all());
        }
        if let Err(error) = synced {
            tracing::error!(%error, "telemetry log: sync failed, nothing more is recorded or answered");
            announce.send_modify(|synced| synced.failed = true);
            return;
        }
        announce.send_replace(Synced { sequence: newest.sequence, failed: false });
        known = Some(newest.file);
    }
}
