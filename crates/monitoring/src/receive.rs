//! Telemetry from outside: OpenTelemetry's protocol in, rows out.
//!
//! ```text
//!  body ─► plain ─► measured ─► parsed ─► checked ─► Received ─► log ─► decode ─► Batch
//!         (gzip)    (bounded)  (protobuf,  (items    (what is        (pure: names of all
//!                               JSON)     refused)   logged)          conventions, texts, times)
//! ```
//!
//! [`admit`] decides before anything is acknowledged; [`decode`] reads what was logged, and gives
//! the same rows whenever it is asked.

mod aliases;
mod answer;
mod body;
mod check;
mod collect;
mod custom;
mod families;
pub mod grpc;
mod limits;
mod logs;
mod messages;
mod metrics;
mod receiver;
mod retrieval;
mod scores;
mod shape;
mod spans;
mod times;
mod values;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use release::Timestamp;

use crate::frame::Signal;
use crate::rows::Batch;

pub use aliases::VERSION as ALIASES_VERSION;
pub use answer::{Accepted, NotTaken, Status};
pub use body::Format;
pub use custom::{Judgement, Measure, judgements, measures};
pub use limits::{MAX_BODY, MAX_PLAIN};
pub use receiver::{Counts, Posted, Receiver};

/// A message that may be logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// What it holds.
    pub signal: Signal,
    /// The message in protobuf, without the items that were refused: what is logged.
    pub otlp: Bytes,
    /// How many items it holds.
    pub items: u64,
    /// How many items were refused.
    pub rejected: u64,
    /// Why the first of them was refused; empty if none was.
    pub why: String,
}

/// Why a whole message is refused. Sending it again would not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("the message cannot be read: {0}")]
    Malformed(String),
    /// Its media type or encoding is none of ours.
    #[error(
        "`{0}` is not understood: send `application/x-protobuf` or `application/json`, plain or `gzip`"
    )]
    Unsupported(String),
    /// It is too large.
    #[error("the message has more than {limit} {unit}: send less at once")]
    TooLarge {
        /// How much there may be.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
}

/// A message as its sender means it.
#[derive(Debug, Clone, PartialEq)]
pub enum Export {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Data points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

impl Export {
    /// Reads protobuf.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if it is none, [`Refused::TooLarge`] if it holds too much.
    pub fn from_protobuf(signal: Signal, bytes: &[u8]) -> Result<Self, Refused> {
        shape::measure(signal, bytes)?;
        let export = match signal {
            Signal::Traces => ExportTraceServiceRequest::decode(bytes).map(Self::Traces),
            Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).map(Self::Metrics),
            Signal::Logs => ExportLogsServiceRequest::decode(bytes).map(Self::Logs),
        };
        export.map_err(|error| Refused::Malformed(error.to_string()))
    }

    /// What it holds.
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Traces(_) => Signal::Traces,
            Self::Metrics(_) => Signal::Metrics,
            Self::Logs(_) => Signal::Logs,
        }
    }

    /// Takes out the items that are invalid. `logged` is the message in protobuf, where there is
    /// one: it is logged as it is if nothing was taken out.
    pub fn check(mut self, logged: Option<Bytes>) -> Received {
        let checked = match &mut self {
            Self::Traces(request) => check::traces(request),
            Self::Metrics(request) => check::metrics(request),
            Self::Logs(request) => check::logs(request),
        };
        let unchanged = logged.filter(|_| checked.rejected == 0);
        let otlp = unchanged.unwrap_or_else(|| self.encode().into());
        let check::Checked { items, rejected, why } = checked;
        Received { signal: self.signal(), otlp, items, rejected, why }
    }

    /// The message in protobuf.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Traces(request) => request.encode_to_vec(),
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Logs(request) => request.encode_to_vec(),
        }
    }

    /// The rows it amounts to.
    pub fn rows(&self, received_at: Timestamp) -> Batch {
        let mut batch = Batch::default();
        match self {
            Self::Traces(request) => spans::rows(request, received_at, &mut batch),
            Self::Metrics(request) => metrics::rows(request, received_at, &mut batch),
            Self::Logs(request) => logs::rows(request, received_at, &mut batch),
        }
        batch
    }
}

/// Whether a body may be logged, and as what.
///
/// # Errors
/// Why the whole of it is refused. Items that are invalid by themselves are taken out and counted.
pub fn admit(
    signal: Signal,
    format: Format,
    encoding: Option<&str>,
    body: Bytes,
) -> Result<Received, Refused> {
    let plain = body::plain(encoding, body)?;
    match format {
        Format::Protobuf => Ok(Export::from_protobuf(signal, &plain)?.check(Some(plain))),
        Format::Json => Ok(body::from_json(signal, &plain)?.check(None)),
    }
}

/// The rows of a logged message. The same bytes and moment give the same rows.
pub fn decode(signal: Signal, otlp: &[u8], received_at: Timestamp) -> Batch {
    match Export::from_protobuf(signal, otlp) {
        Ok(export) => export.rows(received_at),
        // Nothing that cannot be read is logged.
        Err(error) => {
            tracing::error!(%signal, %error, "telemetry: a message of the log has no rows");
            Batch::default()
        }
    }
}

#[cfg(test)]
mod tests;
