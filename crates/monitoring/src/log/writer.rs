//! The writer thread: takes what is queued, writes it in one call, answers, and leaves syncing to
//! a thread of its own so that a slow disk does not hold up the next write.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use release::TenantId;
use tokio::sync::{mpsc, oneshot, watch};

use super::index::Location;
use super::{LogError, LogOptions, Shared, Summary};
use crate::frame::{self, MAGIC};

/// How many records share one write at most.
const BATCH: usize = 256;

/// A record waiting to be written.
#[derive(Debug)]
pub struct Append {
    pub tenant: TenantId,
    pub otlp: Vec<u8>,
    pub summary: Summary,
    pub reply: oneshot::Sender<Result<u64, LogError>>,
}

/// The path of segment `number`.
pub fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.trace"))
}

/// The number of the segment at `path`.
pub fn number(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

/// A file with records up to `sequence` that is to be synced.
struct Unsynced {
    file: Arc<File>,
    sequence: u64,
}

pub struct Writer {
    shared: Arc<Shared>,
    options: LogOptions,
    segment: u64,
    file: Arc<File>,
    length: u64,
    sequence: u64,
    unsynced: blocking::Sender<Unsynced>,
}

impl Writer {
    /// Starts the writer and sync threads, writing after sequence number `last`.
    pub fn start(
        shared: Arc<Shared>,
        options: LogOptions,
        last: u64,
        (queue, announce): (mpsc::Receiver<Append>, watch::Sender<u64>),
    ) -> Result<(), LogError> {
        let newest = super::segments(&shared.directory)?.last().map(|path| number(path));
        let segment = newest.unwrap_or(last + 1);
        let (file, length, fresh) = open(&shared.directory, segment)?;
        if fresh {
            shared.state().stats.bytes += length;
        }
        let (unsynced, to_sync) = blocking::channel();
        let writer = Self { shared, options, segment, file, length, sequence: last, unsynced };
        let interval = options.sync_interval;
        thread::Builder::new()
            .name("trace-sync".to_owned())
            .spawn(move || sync_all(&to_sync, interval, &announce))?;
        thread::Builder::new().name("trace-writer".to_owned()).spawn(move || writer.run(queue))?;
        Ok(())
    }

    fn run(mut self, mut queue: mpsc::Receiver<Append>) {
        let mut batch = Vec::new();
        while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
            self.write(std::mem::take(&mut batch));
        }
    }

    fn write(&mut self, batch: Vec<Append>) {
        let bytes = self.shared.state().stats.bytes;
        if bytes >= self.options.max_bytes {
            let max_bytes = self.options.max_bytes;
            return self.refuse(batch, || LogError::Full { bytes, max_bytes });
        }
        if let Err(error) = self.rotate_if_full() {
            return self.refuse(batch, || LogError::Io(error.to_string()));
        }
        let mut out = Vec::new();
        let mut offsets = Vec::with_capacity(batch.len());
        for (append, sequence) in batch.iter().zip(self.sequence + 1..) {
            offsets.push(self.length + out.len() as u64);
            frame::write(&mut out, self.options.node, sequence, &append.tenant, &append.otlp);
        }
        if let Err(error) = (&*self.file).write_all(&out) {
            // What was half written must not stand before the next record.
            if let Err(again) = self.file.set_len(self.length) {
                tracing::error!(error = %again, "trace log: a failed write could not be taken back");
            }
            tracing::error!(%error, "trace log: write failed");
            return self.refuse(batch, || LogError::Io(error.to_string()));
        }
        self.length += out.len() as u64;
        let first = self.sequence + 1;
        self.sequence += batch.len() as u64;
        let mut replies = Vec::with_capacity(batch.len());
        {
            let mut state = self.shared.state();
            state.stats.appended += batch.len() as u64;
            state.stats.bytes += out.len() as u64;
            for (append, offset) in batch.into_iter().zip(offsets) {
                let location = Location { segment: self.segment, offset };
                let evicted = state.index.insert(append.tenant, append.summary, location);
                state.stats.evicted += u64::from(evicted);
                replies.push(append.reply);
            }
        }
        let unsynced = Unsynced { file: Arc::clone(&self.file), sequence: self.sequence };
        let stopped = self.unsynced.send(unsynced).is_err();
        for (reply, sequence) in replies.into_iter().zip(first..) {
            // Whoever asked may have gone; the record is written all the same.
            let _gone = reply.send(if stopped { Err(LogError::Closed) } else { Ok(sequence) });
        }
    }

    fn refuse(&self, batch: Vec<Append>, error: impl Fn() -> LogError) {
        self.shared.state().stats.refused += batch.len() as u64;
        for append in batch {
            let _gone = append.reply.send(Err(error()));
        }
    }

    fn rotate_if_full(&mut self) -> Result<(), LogError> {
        if self.length < self.options.segment_bytes {
            return Ok(());
        }
        self.file.sync_data()?;
        let segment = self.sequence + 1;
        let (file, length, _) = open(&self.shared.directory, segment)?;
        self.shared.state().stats.bytes += length;
        (self.segment, self.file, self.length) = (segment, file, length);
        Ok(())
    }
}

/// Opens segment `number` for appending; a new one gets its first bytes and is made durable.
fn open(directory: &Path, number: u64) -> Result<(Arc<File>, u64, bool), LogError> {
    let file = File::options().create(true).append(true).open(path(directory, number))?;
    let mut length = file.metadata()?.len();
    let fresh = length == 0;
    if fresh {
        (&file).write_all(MAGIC)?;
        file.sync_all()?;
        File::open(directory)?.sync_all()?;
        length = MAGIC.len() as u64;
    }
    Ok((Arc::new(file), length, fresh))
}

/// The sync thread: waits for the first unsynced record, gathers more for `interval`, syncs once.
fn sync_all(
    unsynced: &blocking::Receiver<Unsynced>,
    interval: Duration,
    announce: &watch::Sender<u64>,
) {
    while let Ok(mut newest) = unsynced.recv() {
        thread::sleep(interval);
        // A segment that was closed meanwhile was synced when it was closed.
        while let Ok(newer) = unsynced.try_recv() {
            newest = newer;
        }
        match newest.file.sync_data() {
            Ok(()) => {
                announce.send_replace(newest.sequence);
            }
            Err(error) => tracing::error!(%error, "trace log: sync failed"),
        }
    }
}
