//! The tables: what the log holds, as columns in memory and in files.
//!
//! ```text
//!  log ─► cursor ─► decode ─► memory ──(64 MB or 30 s)──► sorted Parquet ─► files
//!                               │                                            │
//!                               └──────────────► View ◄──────────────────────┘
//! ```
//!
//! A flush writes the files and then, in one transaction, their names and the place in the log up
//! to which they hold it. A view takes memory and files under one lock, so that rows neither vanish
//! nor appear twice while they move from one to the other.

pub(crate) mod back;
mod columns;
mod compact;
mod erase;
mod flush;
mod manifest;
mod memory;
mod provider;
mod read;
mod schema;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
use release::{Clock, TenantId, Timestamp};
use serde::Serialize;
use store::{BlobError, Files, StoreError, SystemStore};
use tokio::sync::watch;

use crate::contributors::Contributors;
use crate::log::{LogError, TelemetryLog};
use crate::metrics::Rollups;
use crate::rows::{Batch, MetricPoint};
pub use columns::Encoded;
pub use compact::Retention;
pub(crate) use erase::ERASED;
pub use erase::{Erased, Subject};
use manifest::{Edit, Manifest};
pub use manifest::{File, Level};
use memory::{Columns, Memory, Remembered};
pub use provider::View;
use read::Readers;
pub use schema::{TIMESTAMP, Table};

/// Why the tables could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The database failed.
    #[error("the telemetry's manifest: {0}")]
    Store(#[from] StoreError),
    /// The place of the files failed.
    #[error("the telemetry's files: {0}")]
    Files(#[from] BlobError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Rows could not be made a file.
    #[error("the telemetry's columns: {0}")]
    Columns(#[from] ParquetError),
    /// The query engine failed.
    #[error("the telemetry's queries: {0}")]
    Engine(#[from] DataFusionError),
}

/// From when to when, its end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

impl Span {
    /// All there is.
    pub const ALL: Self = Self { from: Timestamp::MIN, until: Timestamp::MAX };
}

/// Follows what becomes rows. It is told of each batch once, and asked at each flush for rows of its
/// own, which go into the same files as what they were made of; so what it told before a restart,
/// with what it is told of then, is all.
pub trait Follower: std::fmt::Debug + Send + Sync {
    /// Rows came.
    fn observe(&self, tenant: &TenantId, batch: &Batch, received_at: Timestamp);
    /// What was made of all that came since the last time.
    fn drain(&self) -> Vec<(TenantId, Vec<MetricPoint>)> {
        Vec::new()
    }
    /// Takes back what was drained before a restart.
    fn restore(&self, _tenant: &TenantId, _rows: &[MetricPoint], _now: Timestamp) {}
}

impl Follower for Rollups {
    fn observe(&self, tenant: &TenantId, batch: &Batch, received_at: Timestamp) {
        Self::observe(self, tenant, batch, received_at);
    }

    fn drain(&self) -> Vec<(TenantId, Vec<MetricPoint>)> {
        let tenants = self.tenants().into_iter();
        tenants.map(|tenant| (tenant.clone(), Self::drain(self, &tenant))).collect()
    }

    fn restore(&self, tenant: &TenantId, rows: &[MetricPoint], now: Timestamp) {
        Self::restore(self, tenant, rows, now);
    }
}

impl Follower for Contributors {
    fn observe(&self, tenant: &TenantId, batch: &Batch, received_at: Timestamp) {
        Self::observe(self, tenant, batch, received_at);
    }

    fn drain(&self) -> Vec<(TenantId, Vec<MetricPoint>)> {
        Self::drain(self)
    }

    fn restore(&self, tenant: &TenantId, rows: &[MetricPoint], now: Timestamp) {
        Self::restore(self, tenant, rows, now);
    }
}

/// How the tables are kept.
#[derive(Debug, Clone, Copy)]
pub struct TablesOptions {
    /// Memory is flushed once it has this many bytes.
    pub flush_bytes: usize,
    /// Memory is flushed once it is this old.
    pub flush_after: Duration,
    /// How long rows may wait to be seen while nobody asks for them.
    pub look: Duration,
}

impl Default for TablesOptions {
    fn default() -> Self {
        Self {
            flush_bytes: 64 << 20,
            flush_after: Duration::from_secs(30),
            look: Duration::from_millis(50),
        }
    }
}

/// What the tables consist of.
#[derive(Debug)]
pub struct Parts {
    /// The log they are made of.
    pub log: TelemetryLog,
    /// Its name.
    pub log_id: String,
    /// Where the manifest is.
    pub store: SystemStore,
    /// Where the files are.
    pub files: Files,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who follows what comes.
    pub followers: Vec<Arc<dyn Follower>>,
    /// How they are kept.
    pub options: TablesOptions,
}

/// The tables of all tenants.
#[derive(Debug, Clone)]
pub struct Tables {
    shared: Arc<Shared>,
    /// Ends the flushing thread with the last handle.
    flushing: Arc<Flushing>,
}

#[derive(Debug)]
struct Shared {
    parts: Parts,
    manifest: Manifest,
    readers: Readers,
    state: Mutex<State>,
    seen: watch::Sender<u64>,
    /// Numbers files.
    names: AtomicU64,
    /// Held by whoever flushes.
    flushes: tokio::sync::Mutex<()>,
}

/// What a view is taken of, under one lock.
#[derive(Debug, Default)]
struct State {
    /// The last message of the log that is rows.
    applied: u64,
    memory: Memory,
    /// Taken out of memory to be written; still seen.
    flushing: BTreeMap<TenantId, Columns>,
    files: BTreeMap<(TenantId, Table), Vec<Arc<File>>>,
    remembered: Remembered,
    stats: TablesStats,
}

/// What the tables have done since they were opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TablesStats {
    /// Messages of the log that became rows.
    pub decoded: u64,
    /// Places in the log that held no whole frame.
    pub corrupt: u64,
    /// Flushes that failed; they are tried again.
    pub failed_flushes: u64,
    /// Files by table, with rows and bytes.
    pub files: BTreeMap<&'static str, FileStats>,
    /// Files that are damaged, by name; queries pass over them.
    pub damaged: Vec<String>,
    /// Messages in the log that are not rows yet.
    pub behind: u64,
}

/// What a table's files amount to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FileStats {
    /// How many.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug)]
struct Flushing {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Flushing {
    /// What is in memory stays in the log, and is read again from there.
    fn stop(&self) -> Option<JoinHandle<()>> {
        self.stop.send_replace(true);
        self.shared.parts.log.hurry();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        // The thread ends by itself: it may need the very runtime that would wait for it here.
        drop(self.stop());
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what an edit changed.
    fn edited(state: &mut State, edit: &Edit) {
        for file in &edit.dropped {
            if let Some(table) = file.of()
                && let Some(files) = state.files.get_mut(&(file.tenant.clone(), table))
            {
                files.retain(|known| known.name != file.name);
            }
        }
        for file in &edit.added {
            if let Some(table) = file.of() {
                let files = state.files.entry((file.tenant.clone(), table)).or_default();
                files.push(Arc::new(file.clone()));
            }
        }
    }
}

impl Tables {
    /// How far a log is in files: with it the log is opened.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn watermark(store: &SystemStore, log_id: &str) -> Result<u64, TablesError> {
        Ok(Manifest::new(store.clone()).watermark(log_id).await?)
    }

    /// Opens the tables and goes on where the manifest ends.
    ///
    /// # Errors
    /// If the manifest cannot be read, or no thread can be started.
    pub async fn open(parts: Parts) -> Result<Self, TablesError> {
        let manifest = Manifest::new(parts.store.clone());
        let watermark = manifest.watermark(&parts.log_id).await?;
        let mut state = State { applied: watermark, ..State::default() };
        let added = manifest.files().await?;
        Shared::edited(&mut state, &Edit { added, ..Edit::default() });
        let readers = Readers::new(parts.files.clone());
        let (state, seen) = (Mutex::new(state), watch::Sender::new(watermark));
        let (names, flushes) = (AtomicU64::new(0), tokio::sync::Mutex::default());
        let shared = Arc::new(Shared { parts, manifest, readers, state, seen, names, flushes });
        shared.restore().await?;
        let stop = watch::Sender::new(false);
        let (working, runtime) = (Arc::clone(&shared), tokio::runtime::Handle::current());
        let stopped = stop.subscribe();
        let thread = std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || flush::follow(&working, &runtime, (watermark, &stopped)))
            .map_err(LogError::from)?;
        let flushing =
            Flushing { shared: Arc::clone(&shared), stop, thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, flushing: Arc::new(flushing) })
    }

    /// Stops reading the log, and waits until that is done.
    pub async fn close(&self) {
        let Some(thread) = self.flushing.stop() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
        if !joined.unwrap_or(false) {
            tracing::error!("telemetry: the flushing thread had stopped");
        }
    }

    /// Waits until everything that was written to the log before is rows; `false` if that takes
    /// longer than `most`.
    pub async fn catch_up(&self, most: Duration) -> bool {
        let upto = self.shared.parts.log.last();
        let mut seen = self.shared.seen.subscribe();
        if *seen.borrow() >= upto {
            return true;
        }
        self.shared.parts.log.hurry();
        let reached = tokio::time::timeout(most, seen.wait_for(|seen| *seen >= upto)).await;
        reached.is_ok_and(|reached| reached.is_ok())
    }

    /// One tenant's table at this moment, as far as it may have rows of `span`.
    pub fn view(&self, tenant: &TenantId, table: Table, span: Span) -> View {
        let damaged = self.shared.readers.damaged();
        let mut state = self.shared.state();
        let flushing = state.flushing.get(tenant).and_then(|columns| columns.get(&table));
        let mut live: Vec<RecordBatch> = flushing.cloned().unwrap_or_default();
        live.extend(state.memory.of(tenant, table));
        let files = state.files.get(&(tenant.clone(), table));
        let wanted = |file: &&Arc<File>| {
            file.from < span.until && file.until >= span.from && !damaged.contains(&file.name)
        };
        let files = files.into_iter().flatten().filter(wanted).map(Arc::clone).collect();
        View { table, files, live, readers: self.shared.readers.clone() }
    }

    /// The names of files that are damaged.
    pub fn damaged(&self) -> std::collections::BTreeSet<String> {
        self.shared.readers.damaged()
    }

    /// What the tables have done.
    pub fn stats(&self) -> TablesStats {
        let damaged = self.shared.readers.damaged().into_iter().collect();
        let behind = self.shared.parts.log.last().saturating_sub(*self.shared.seen.borrow());
        let state = self.shared.state();
        let mut files: BTreeMap<&'static str, FileStats> = BTreeMap::new();
        for ((_, table), some) in &state.files {
            let stats = files.entry(table.as_str()).or_default();
            for file in some {
                stats.files += 1;
                stats.rows += file.rows;
                stats.bytes += file.bytes;
            }
        }
        TablesStats { files, damaged, behind, ..state.stats.clone() }
    }

    /// Puts what is in memory into files now, and lets the log go.
    ///
    /// # Errors
    /// If the files or the manifest cannot be written.
    pub async fn flush(&self) -> Result<(), TablesError> {
        self.shared.flush().await
    }
}

#[cfg(test)]
pub(crate) mod tests;
