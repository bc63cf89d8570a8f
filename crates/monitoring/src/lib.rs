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

pub mod ask;
pub mod attributes;
mod frame;
pub mod insights;
mod language;
mod log;
pub mod metrics;
mod otlp;
mod record;
pub mod results;
pub mod rows;

pub use frame::{Frame, FrameError, Reader};
pub use language::{Language, Misspelt};
pub use log::{Durability, Filter, LogError, LogOptions, LogStats, Receipt, Summary, TraceLog};
pub use record::{
    AnswerRecord, Captured, Finding, Generation, Outcome, Retrieval, RetrievedChunk, Step, TraceId,
};
