//! From the log into memory, and from memory into files.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt;
use release::{Digest, TenantId};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::columns::{self, Encoded};
use super::manifest::{Edit, File, Level};
use super::memory::Columns;
use super::read::Checksums;
use super::schema::Table;
use super::{Shared, TablesError, View, back};
use crate::frame::Frame;
use crate::log::{Cursor, LogError};
use crate::query;
use crate::receive;
use crate::rows::Batch;

/// While flushes fail, memory grows to this many times its usual size; then the log has to wait.
const MOST: usize = 4;
/// How often the disk's room is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// For how many seconds back followers are given what they drained: fifteen days.
const REMEMBERED: i64 = 15 * 86_400;
/// How long a failed flush rests.
const AGAIN: Duration = Duration::from_secs(5);

/// The flushing thread: reads the log from sequence number `begin` on until it is told to stop.
pub fn follow(shared: &Shared, runtime: &Handle, (begin, stop): (u64, &watch::Receiver<bool>)) {
    let options = shared.parts.options;
    let mut cursor = shared.parts.log.cursor(begin);
    let (mut begun, mut failed): (Option<Instant>, Option<Instant>) = (None, None);
    let mut looked = Instant::now();
    loop {
        if *stop.borrow() {
            return;
        }
        let bytes = shared.state().memory.bytes();
        let waiting = bytes > options.flush_bytes * MOST;
        let frames = match cursor.next(shared.parts.log.last()) {
            _ if waiting => Vec::new(),
            Ok(frames) => frames,
            Err(error) => {
                tracing::error!(%error, "telemetry: the log could not be read");
                Vec::new()
            }
        };
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            if let Err(error) = shared.parts.log.look_around() {
                tracing::error!(%error, "telemetry: the disk's room is not known");
            }
        }
        let idle = frames.is_empty();
        shared.take_in(frames, &cursor);
        begun = begun.or((!shared.state().memory.is_empty()).then(Instant::now));
        let due = bytes > options.flush_bytes
            || begun.is_some_and(|begun| begun.elapsed() > options.flush_after);
        if due && failed.is_none_or(|at| at.elapsed() > AGAIN) {
            begun = None;
            failed = match runtime.block_on(shared.flush()) {
                Ok(()) => None,
                Err(error) => {
                    shared.state().stats.failed_flushes += 1;
                    tracing::error!(%error, "telemetry: a flush failed and will be tried again");
                    Some(Instant::now())
                }
            };
        }
        if idle {
            shared.parts.log.rest(options.look);
        }
    }
}

impl Shared {
    /// Makes rows of what the log told.
    fn take_in(&self, frames: Vec<Frame>, cursor: &Cursor) {
        for frame in frames {
            let mut batch = receive::decode(frame.signal, &frame.otlp, frame.received_at);
            let mut state = self.state();
            for follower in &self.parts.followers {
                follower.observe(&frame.tenant, &batch, frame.received_at);
            }
            state.remembered.dedup(&frame.tenant, frame.received_at, &mut batch);
            state.memory.push(&frame.tenant, batch);
            state.applied = frame.sequence;
            state.stats.decoded += 1;
        }
        self.state().stats.corrupt = cursor.corrupt();
        self.seen.send_if_modified(|seen| std::mem::replace(seen, cursor.read()) != cursor.read());
    }

    /// Puts what is in memory into files, and lets the log go up to there.
    pub(super) async fn flush(&self) -> Result<(), TablesError> {
        let _alone = self.flushes.lock().await;
        let (columns, upto) = self.take_out();
        let mut edit =
            Edit { watermark: Some((self.parts.log_id.clone(), upto)), ..Edit::default() };
        for (tenant, columns) in columns {
            for (table, rows) in columns {
                let encoded = tokio::task::spawn_blocking(move || columns::encode(table, &rows));
                let encoded = encoded.await.map_err(|error| LogError::Io(error.to_string()))??;
                edit.added.push(self.put((&tenant, table), encoded, Level::Flushed).await?);
            }
        }
        self.manifest.commit(&edit, self.parts.clock.now()).await?;
        {
            let mut state = self.state();
            state.flushing.clear();
            Self::edited(&mut state, &edit);
        }
        Ok(self.parts.log.release(upto)?)
    }

    /// Gives back to the followers what they drained into files.
    pub(super) async fn restore(&self) -> Result<(), TablesError> {
        let now = self.parts.clock.now();
        let since = now.as_second() - REMEMBERED;
        let metrics: Vec<_> = {
            let state = self.state();
            let metrics = state.files.iter().filter(|((_, table), _)| *table == Table::Metrics);
            metrics.map(|((tenant, _), files)| (tenant.clone(), files.clone())).collect()
        };
        for (tenant, mut files) in metrics {
            files.retain(|file| file.until.as_second() >= since);
            let (table, live, readers) = (Table::Metrics, Vec::new(), self.readers.clone());
            let mut rows = query::rollups(View { table, files, live, readers }).await?;
            while let Some(batch) = rows.next().await {
                let points = back::metrics(&batch?);
                for follower in &self.parts.followers {
                    follower.restore(&tenant, &points, now);
                }
            }
        }
        Ok(())
    }

    /// What is to be written: all of memory, and what an earlier flush could not write.
    fn take_out(&self) -> (BTreeMap<TenantId, Columns>, u64) {
        let mut state = self.state();
        for follower in &self.parts.followers {
            for (tenant, metrics) in follower.drain() {
                state.memory.push(&tenant, Batch { metrics, ..Batch::default() });
            }
        }
        for (tenant, columns) in state.memory.take() {
            let waiting = state.flushing.entry(tenant).or_default();
            for (table, mut rows) in columns {
                waiting.entry(table).or_default().append(&mut rows);
            }
        }
        (state.flushing.clone(), state.applied)
    }

    /// Writes a file; no table consists of it yet.
    pub(super) async fn put(
        &self,
        (tenant, table): (&TenantId, Table),
        encoded: Encoded,
        level: Level,
    ) -> Result<File, TablesError> {
        let Encoded { bytes, rows, from, until } = encoded;
        let checksums = Checksums::of(&bytes);
        // Its content, so that folders fill evenly, and what tells it from an equal one.
        let content = Digest::of(String::from(checksums.clone()).as_bytes()).to_string();
        let content: String = content.chars().rev().take(16).collect();
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let (now, upto) = (self.parts.clock.now().as_nanosecond(), self.state().applied);
        let name = format!("{content}-{}-{upto}-{now}-{number}.parquet", self.parts.log_id);
        let file = File {
            tenant: tenant.clone(),
            table: table.as_str().to_owned(),
            name,
            rows,
            bytes: bytes.len() as u64,
            from,
            until,
            level,
            checksums,
        };
        self.parts.files.tenant(tenant).put(&file.table, &file.name, bytes).await?;
        Ok(file)
    }
}
