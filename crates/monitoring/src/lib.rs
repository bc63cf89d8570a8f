//! Every answer kept, and what other services tell beside it: queried in seconds, alarmed on.
//!
//! The gateway writes one record per request, as OpenTelemetry spans in the GenAI conventions,
//! before the answer's last byte leaves; other services send OTLP and are answered once it is on
//! disk. Both go into one log, become rows of six tables, and rows become columns.
//!
//! The nouns: [`TelemetryLog`], [`rows::Batch`], [`tables::Tables`], [`query::Queries`].
//!
//! ```text
//!  AnswerRecord ─► OTLP ─┐
//!  OTLP in ─► receive ───┴► log (fsync) ─► decode ─► rows ─┬► tables: memory ─► Parquet ◄── SQL
//!                             │                            └► metrics ─► alarms, /metrics
//!                             └► export (OTLP out)
//! ```
//!
//! Start reading at `record.rs`, then `log.rs`, `receive.rs` and `tables.rs`.
//!
//! ```
//! let id = monitoring::TraceId::from_bytes([7; 16]);
//! assert_eq!(id.to_string().parse(), Ok(id));
//! ```

pub mod alarm;
pub mod answers;
pub mod arms;
pub mod ask;
pub mod attributes;
pub mod blast;
pub mod contributors;
pub mod diagnose;
pub mod draw;
pub mod export;
mod frame;
pub mod insights;
mod language;
mod log;
pub mod metrics;
mod otlp;
pub mod query;
pub mod receive;
mod record;
pub mod results;
mod robust;
pub mod rows;
pub mod spent;
pub mod tables;
mod telemetry;

pub use answers::{Filter, Summary};
pub use frame::{Frame, FrameError, Reader, Signal};
pub use language::{Language, Misspelt};
pub use log::{Cursor, Durability, Keep, LogError, LogOptions, LogStats, Receipt, TelemetryLog};
pub use record::{
    AnswerRecord, Aside, Captured, Finding, Generation, Outcome, Retrieval, RetrievedChunk, Step,
    TraceId,
};
pub use telemetry::{Telemetry, TelemetryParts};
