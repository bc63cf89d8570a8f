//! The log as a spool.

use std::path::PathBuf;

use super::{Message, Spool};
use crate::frame::Reader;
use crate::log::{otlp_of, segments};
use crate::{LogError, TraceLog};

/// The most bytes that are read at once.
const CHUNK: usize = 4 << 20;

/// The log, as its messages wait in it.
#[derive(Debug)]
pub struct LogSpool {
    log: TraceLog,
    directory: PathBuf,
}

impl LogSpool {
    /// The spool that `log` is.
    pub fn new(log: TraceLog) -> Self {
        let directory = log.directory();
        Self { log, directory }
    }
}

impl Spool for LogSpool {
    fn last(&self) -> u64 {
        self.log.stats().synced
    }

    fn after(&self, after: u64) -> Result<Vec<Message>, LogError> {
        let last = self.last();
        let (mut found, mut bytes) = (Vec::new(), 0);
        if last <= after {
            return Ok(found);
        }
        for segment in segments(&self.directory)? {
            for (_, frame) in Reader::open(&segment)?.flatten() {
                if frame.sequence <= after || frame.sequence > last {
                    continue;
                }
                let (signal, otlp) = otlp_of(&frame);
                bytes += otlp.len();
                found.push(Message {
                    sequence: frame.sequence,
                    tenant: frame.tenant,
                    signal,
                    otlp,
                });
                if bytes >= CHUNK {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}
