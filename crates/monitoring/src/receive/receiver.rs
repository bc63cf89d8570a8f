//! From a sender's bytes to bytes on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use release::{Clock, TenantId};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::{Accepted, NotTaken};
use super::body::Format;
use super::{Export, Received, Refused, admit};
use crate::TelemetryLog;
use crate::frame::Signal;

/// How many messages are read at once. Reading may take several times a message's size.
const AT_ONCE: usize = 4;
/// How many KiB of bodies there may be at once.
const ROOM: u32 = 256 << 10;
/// How much room a body takes that does not tell its length.
const UNTOLD: u64 = 4 << 20;
/// How long a message waits for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// From so many bytes on a message is read where it delays nothing else.
const LARGE: usize = 64 << 10;

/// What became of a tenant's messages of one signal since the server was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Items that are on disk.
    pub accepted: u64,
    /// Items that were taken out of messages.
    pub rejected: u64,
    /// Messages that were refused as a whole.
    pub refused: u64,
    /// Messages that were not kept and may be sent again.
    pub postponed: u64,
}

/// Takes telemetry, and answers once it is on disk.
#[derive(Debug)]
pub struct Receiver {
    log: TelemetryLog,
    clock: Arc<dyn Clock>,
    at_once: Semaphore,
    room: Arc<Semaphore>,
    counts: Mutex<BTreeMap<(TenantId, Signal), Counts>>,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Posted {
    /// What it holds.
    pub signal: Signal,
    /// How it is written.
    pub format: Format,
    /// How it is packed: nothing, or `gzip`.
    pub encoding: Option<String>,
    /// Its bytes.
    pub body: Bytes,
}

impl Receiver {
    /// A receiver that writes to `log`.
    pub fn new(log: TelemetryLog, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (at_once, room) = (Semaphore::new(AT_ONCE), Semaphore::new(ROOM as usize));
        let room = Arc::new(room);
        Arc::new(Self { log, clock, at_once, room, counts: Mutex::default() })
    }

    /// Room for a body of so many bytes, to be held until it is taken.
    ///
    /// # Errors
    /// [`NotTaken::Busy`] if too much arrives at once.
    pub async fn room(&self, bytes: Option<u64>) -> Result<OwnedSemaphorePermit, NotTaken> {
        let kilobytes = bytes.unwrap_or(UNTOLD).div_ceil(1_024);
        let kilobytes = u32::try_from(kilobytes).unwrap_or(ROOM).clamp(1, ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(kilobytes);
        match timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(NotTaken::Busy),
        }
    }

    /// Takes a message. When this returns it is on disk.
    ///
    /// # Errors
    /// Why nothing of it was kept.
    pub async fn take(&self, tenant: &TenantId, posted: Posted) -> Result<Accepted, NotTaken> {
        let signal = posted.signal;
        let taken = self.read_and_log(tenant, posted).await;
        self.count(tenant, signal, &taken);
        taken
    }

    /// Takes a message that was made here.
    ///
    /// # Errors
    /// Why nothing of it was kept.
    pub async fn take_export(
        &self,
        tenant: &TenantId,
        export: Export,
    ) -> Result<Accepted, NotTaken> {
        let signal = export.signal();
        let taken = self.log(tenant, export.check(None)).await;
        self.count(tenant, signal, &taken);
        taken
    }

    async fn read_and_log(&self, tenant: &TenantId, posted: Posted) -> Result<Accepted, NotTaken> {
        let received = {
            // The semaphore is never closed.
            let _turn = self.at_once.acquire().await.map_err(|_| NotTaken::Busy)?;
            read(posted).await?
        };
        self.log(tenant, received).await
    }

    async fn log(&self, tenant: &TenantId, received: Received) -> Result<Accepted, NotTaken> {
        let Received { signal, otlp, items, rejected, why } = received;
        if items > 0 {
            let mut receipt = self.log.append_otlp(tenant, signal, self.clock.now(), &otlp)?;
            receipt.synced().await?;
        }
        Ok(Accepted { signal, items, rejected, why })
    }

    fn count(&self, tenant: &TenantId, signal: Signal, taken: &Result<Accepted, NotTaken>) {
        let mut counts = self.counts();
        let counts = counts.entry((tenant.clone(), signal)).or_default();
        match taken {
            Ok(Accepted { items, rejected, .. }) => {
                counts.accepted += items;
                counts.rejected += rejected;
            }
            Err(NotTaken::Refused(_)) => counts.refused += 1,
            Err(NotTaken::Log(_) | NotTaken::Busy) => counts.postponed += 1,
        }
    }

    /// What became of a tenant's messages.
    pub fn tenant_counts(&self, tenant: &TenantId) -> BTreeMap<Signal, Counts> {
        let counts = self.counts();
        let own = counts.iter().filter(|((of, _), _)| of == tenant);
        own.map(|((_, signal), counts)| (*signal, *counts)).collect()
    }

    /// What became of all messages, by tenant and signal.
    pub fn all_counts(&self) -> BTreeMap<(TenantId, Signal), Counts> {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<(TenantId, Signal), Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(posted: Posted) -> Result<Received, Refused> {
    let large = posted.body.len() >= LARGE || posted.encoding.is_some();
    let Posted { signal, format, encoding, body } = posted;
    let read = move || admit(signal, format, encoding.as_deref(), body);
    if !large {
        return read();
    }
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|_| Err(Refused::Malformed("reading it failed".to_owned())))
}
