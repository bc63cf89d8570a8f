//! Every answer kept: the trace log.
//!
//! The gateway writes one record per request, as OpenTelemetry spans in the GenAI conventions,
//! before the answer's last byte leaves. The log survives `kill -9` at once and a power loss after
//! the next group commit, and is readable immediately.
//!
//! The nouns: [`AnswerRecord`], [`TraceLog`], [`Receipt`], [`Summary`].
//!
//! ```text
//!  AnswerRecord ─► OTLP bytes ─► frame (length, CRC32C, node, sequence, tenant) ─► segment file
//!                                                          │ write: survives kill -9
//!                                                          │ sync within 20 ms: survives power loss
//!                                                          └► index ─► list, show
//! ```
//!
//! Start reading at `record.rs`, then `log.rs`.
//!
//! ```
//! let id = monitoring::TraceId::from_bytes([7; 16]);
//! assert_eq!(id.to_string().parse(), Ok(id));
//! ```

pub mod answers;
pub mod attributes;
pub mod blast;
mod frame;
mod log;
pub mod metrics;
mod otlp;
pub mod query;
mod receive;
mod record;
pub mod rows;
pub mod tables;
mod telemetry;

pub use frame::{Frame, FrameError, Reader, Signal};
pub use log::{Cursor, Durability, LogError, LogOptions, LogStats, Receipt, TelemetryLog};
pub use telemetry::{Telemetry, TelemetryParts};
pub use record::{
    AnswerRecord, Captured, Finding, Generation, Outcome, Retrieval, RetrievedChunk, Step, TraceId,
};
