//! The log as a spool.

use std::sync::{Mutex, PoisonError};

use super::{Message, Spool};
use crate::log::{Cursor, Keep};
use crate::{LogError, TelemetryLog};

/// The log, as its messages wait in it.
#[derive(Debug)]
pub struct LogSpool {
    log: TelemetryLog,
    /// Keeps what was not sent yet.
    keep: Keep,
    cursor: Mutex<Cursor>,
}

impl LogSpool {
    /// The spool that `log` is, from sequence number `after` on.
    pub fn new(log: TelemetryLog, after: u64) -> Self {
        let (keep, cursor) = (log.keep(after), Mutex::new(log.cursor(after)));
        Self { log, keep, cursor }
    }
}

impl Spool for LogSpool {
    fn last(&self) -> u64 {
        self.log.stats().synced
    }

    fn after(&self, after: u64) -> Result<Vec<Message>, LogError> {
        self.keep.advance(after);
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.read() != after {
            *cursor = self.log.cursor(after);
        }
        let frames = cursor.next(self.last())?;
        let messages = frames.into_iter().map(|frame| Message {
            sequence: frame.sequence,
            tenant: frame.tenant,
            signal: frame.signal,
            otlp: frame.otlp,
        });
        Ok(messages.collect())
    }
}
