//! Telemetry out: everything in the log goes on to a collector, in order.
//!
//! ```text
//!  log ─► Spool ─► batches (one tenant, one signal) ─► Collector
//!                     │ sent ─► cursor in the store, one commit for each batch
//!                     │ later ─► the same batch again, after a pause
//!                     └ refused ─► message by message; what is refused alone is counted and passed over
//! ```
//!
//! The log itself is the spool: what waits stands in no second place. A cut between sending and the
//! commit sends a batch twice, never not at all.

mod http;
mod spool;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use release::{Clock, PrincipalId, TenantId};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, StoreError, SystemStore, Transaction};

use crate::LogError;
use crate::frame::Signal;

pub use http::{HttpCollector, HttpOptions};
pub use spool::LogSpool;

/// How far collectors have been told.
const CURSORS: Collection = Collection("telemetry_exports");
/// The most bytes of a batch of several messages.
const BATCH: usize = 1 << 20;
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The pause after a first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the log.
    pub sequence: u64,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it tells of.
    pub signal: Signal,
    /// The message, in protobuf.
    pub otlp: Bytes,
}

/// Where messages wait.
pub trait Spool: fmt::Debug + Send + Sync {
    /// The last sequence number that is on disk.
    fn last(&self) -> u64;

    /// Some messages after sequence number `after`, in order, up to [`Spool::last`]; none if there
    /// are no more. Blocks.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn after(&self, after: u64) -> Result<Vec<Message>, LogError>;
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The collector has it, but for so many items.
    Done {
        /// Items that it refused.
        rejected: u64,
    },
    /// It may have it later.
    Later {
        /// How long to wait, if it says.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// It does not want it, and never will.
    Refused {
        /// Why.
        why: String,
    },
}

/// Where telemetry goes.
#[async_trait]
pub trait Collector: fmt::Debug + Send + Sync {
    /// Sends a message in protobuf.
    async fn send(&self, signal: Signal, otlp: &[u8]) -> Delivery;
}

/// What goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// These signals; all if empty.
    pub signals: Vec<Signal>,
    /// Of these tenants; of all if empty.
    pub tenants: Vec<TenantId>,
}

impl Selection {
    fn has(&self, message: &Message) -> bool {
        (self.signals.is_empty() || self.signals.contains(&message.signal))
            && (self.tenants.is_empty() || self.tenants.contains(&message.tenant))
    }
}

/// How far the collector is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportStatus {
    /// The last message of the log that needs not be sent any more.
    pub sequence: u64,
    /// How many messages of the log are still to be looked at.
    pub behind: u64,
    /// Messages sent since the start.
    pub sent: u64,
    /// Messages that the collector refused for good; they are not there.
    pub refused: u64,
    /// Items of sent messages that it refused.
    pub rejected: u64,
    /// Why nothing is sent at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Sends what is in the log.
#[derive(Debug)]
pub struct Exporter {
    spool: Arc<dyn Spool>,
    collector: Arc<dyn Collector>,
    selection: Selection,
    cursor: Cursor,
    status: Mutex<ExportStatus>,
}

/// Where an exporter's place in the log is kept.
#[derive(Debug)]
pub struct Cursor {
    /// The store.
    pub store: SystemStore,
    /// The log's name: sequence numbers mean nothing in another.
    pub log: String,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    sequence: u64,
}

impl Cursor {
    /// How far an exporter was.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn read(&self) -> Result<u64, StoreError> {
        let record = self.store.get(CURSORS, &self.log).await?;
        let place = record.map(|record| record.read::<Place>()).transpose()?;
        Ok(place.map_or(0, |place| place.sequence))
    }

    async fn write(&self, sequence: u64) -> Result<(), StoreError> {
        let transaction = Transaction::new(PrincipalId::system("export"), self.clock.now());
        let place = Place { sequence };
        let transaction = transaction.put(CURSORS, &self.log, &place, Expect::Any)?;
        self.store.commit(transaction).await.map(|_| ())
    }
}

impl Exporter {
    /// An exporter that goes on where the one before it was.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn open(
        spool: Arc<dyn Spool>,
        collector: Arc<dyn Collector>,
        selection: Selection,
        cursor: Cursor,
    ) -> Result<Arc<Self>, StoreError> {
        let status = ExportStatus { sequence: cursor.read().await?, ..ExportStatus::default() };
        Ok(Arc::new(Self { spool, collector, selection, cursor, status: Mutex::new(status) }))
    }

    /// How far it is. What comes after its sequence must stay in the log.
    pub fn status(&self) -> ExportStatus {
        let status = self.state().clone();
        ExportStatus { behind: self.spool.last().saturating_sub(status.sequence), ..status }
    }

    fn state(&self) -> MutexGuard<'_, ExportStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends for as long as the process lives.
    pub async fn run(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.turn().await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(why) => {
                    tracing::warn!(why, "telemetry is not exported; trying again");
                    self.state().failure = Some(why);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Sends what the spool has next; whether there was anything.
    ///
    /// # Errors
    /// Why the log or the store fails.
    async fn turn(&self) -> Result<bool, String> {
        let after = self.state().sequence;
        let spool = Arc::clone(&self.spool);
        let read = tokio::task::spawn_blocking(move || spool.after(after));
        let messages = read.await.map_err(|error| error.to_string())?;
        let messages = messages.map_err(|error| error.to_string())?;
        let Some(last) = messages.last().map(|message| message.sequence) else {
            return Ok(false);
        };
        let wanted: Vec<_> = messages.into_iter().filter(|it| self.selection.has(it)).collect();
        for batch in batches(&wanted) {
            self.deliver(batch).await;
            self.reached(batch[batch.len() - 1].sequence).await?;
        }
        self.reached(last).await?;
        Ok(true)
    }

    async fn reached(&self, sequence: u64) -> Result<(), String> {
        if self.state().sequence < sequence {
            self.cursor.write(sequence).await.map_err(|error| error.to_string())?;
            let mut state = self.state();
            (state.sequence, state.failure) = (sequence, None);
        }
        Ok(())
    }

    /// Sends a batch until the collector has it, or each of its messages was refused by itself.
    async fn deliver(&self, batch: &[Message]) {
        if let Err(why) = self.insist(batch).await {
            if let [message] = batch {
                let (sequence, tenant) = (message.sequence, &message.tenant);
                tracing::error!(sequence, %tenant, why, "the collector refuses a message for good");
                self.state().refused += 1;
                return;
            }
            for message in batch {
                Box::pin(self.deliver(std::slice::from_ref(message))).await;
            }
        }
    }

    /// Sends a batch until it is taken; why it is refused.
    async fn insist(&self, batch: &[Message]) -> Result<(), String> {
        // Messages of protobuf that follow one another are one message with the items of all.
        let otlp: Vec<u8> = batch.iter().flat_map(|message| message.otlp.iter()).copied().collect();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.collector.send(batch[0].signal, &otlp).await {
                Delivery::Done { rejected } => {
                    let mut state = self.state();
                    state.sent += batch.len() as u64;
                    state.rejected += rejected;
                    state.failure = None;
                    return Ok(());
                }
                Delivery::Refused { why } => return Err(why),
                Delivery::Later { after, why } => {
                    tracing::warn!(why, "the collector takes nothing; trying again");
                    self.state().failure = Some(why);
                    tokio::time::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Messages that may go together: neighbours of one tenant and signal.
fn batches(messages: &[Message]) -> impl Iterator<Item = &[Message]> {
    let mut bytes = 0;
    messages.chunk_by(move |one, next| {
        bytes += one.otlp.len();
        let together = one.tenant == next.tenant
            && one.signal == next.signal
            && bytes + next.otlp.len() <= BATCH;
        if !together {
            bytes = 0;
        }
        together
    })
}

#[cfg(test)]
mod tests;
