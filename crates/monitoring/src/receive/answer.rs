//! What senders are told: OTLP's answers, and `google.rpc.Status` where a message is not taken.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;
use tonic::Code;

use super::Refused;
use super::body::Format;
use crate::LogError;
use crate::frame::Signal;

/// How long a sender waits while the log is full.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A message that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What it holds.
    pub signal: Signal,
    /// How many items were taken.
    pub items: u64,
    /// How many were not.
    pub rejected: u64,
    /// Why the first of them was not.
    pub why: String,
}

impl Accepted {
    /// OTLP's answer in protobuf. All signals' answers have the same form there.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let partial_success = (self.rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(self.rejected).unwrap_or(i64::MAX),
            error_message: self.why.clone(),
        });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }

    /// OTLP's answer as a body.
    pub fn body(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Protobuf => self.to_protobuf(),
            Format::Json if self.rejected == 0 => b"{}".to_vec(),
            Format::Json => {
                let field = match self.signal {
                    Signal::Traces => "rejectedSpans",
                    Signal::Metrics => "rejectedDataPoints",
                    Signal::Logs => "rejectedLogRecords",
                };
                let partial = json!({field: self.rejected.to_string(), "errorMessage": self.why});
                json!({"partialSuccess": partial}).to_string().into_bytes()
            }
        }
    }
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is wrong: sending it again would not help.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be logged: it may be sent again.
    #[error("the message was not kept: {0}")]
    Log(#[from] LogError),
    /// Too much is being read at the moment: it may be sent again.
    #[error("too many messages arrive at once: send it again")]
    Busy,
}

impl NotTaken {
    /// The status in gRPC's numbers, which `google.rpc.Status` has too.
    pub const fn code(&self) -> i32 {
        let code = match self {
            Self::Refused(Refused::TooLarge { .. }) => Code::OutOfRange,
            Self::Refused(_) => Code::InvalidArgument,
            Self::Log(LogError::Full { .. }) | Self::Busy => Code::ResourceExhausted,
            Self::Log(_) => Code::Unavailable,
        };
        code as i32
    }

    /// The status in HTTP's numbers.
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Refused(Refused::TooLarge { .. }) => 413,
            Self::Refused(Refused::Unsupported(_)) => 415,
            Self::Refused(Refused::Malformed(_)) => 400,
            Self::Log(LogError::Full { .. }) | Self::Busy => 429,
            Self::Log(_) => 503,
        }
    }

    /// How long to wait before it is sent again; none if that would not help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(_) => None,
            Self::Busy => Some(Duration::from_secs(1)),
            Self::Log(_) => Some(RETRY_AFTER),
        }
    }
}

/// `google.rpc.Status` (googleapis, `google/rpc/status.proto`).
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// What went wrong, in gRPC's numbers.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// What went wrong.
    #[prost(string, tag = "2")]
    pub message: String,
    /// What to do about it.
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`: how long to wait.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl Status {
    /// A status, with a delay if the sender should try again.
    pub fn new(code: i32, message: String, retry_after: Option<Duration>) -> Self {
        let detail = |delay: Duration| {
            let delay = Some(Delay { seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX) });
            let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
            Any { type_url, value: RetryInfo { delay }.encode_to_vec() }
        };
        Self { code, message, details: retry_after.map(detail).into_iter().collect() }
    }

    /// The status as a body.
    pub fn body(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Protobuf => self.encode_to_vec(),
            Format::Json => {
                json!({"code": self.code, "message": self.message}).to_string().into_bytes()
            }
        }
    }
}
