//! What telemetry is kept as: rows of six tables.
//!
//! A [`Batch`] is what one message of OTLP amounts to. Rows carry no tenant: the tables they are
//! put in are one tenant's.

use std::collections::HashSet;

use release::{Digest, Timestamp};

use crate::attributes::{COPY_OF, EVALUATION_RUN};

/// The rows of one message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Work that was done.
    pub spans: Vec<Span>,
    /// Texts that spans refer to.
    pub payloads: Vec<Payload>,
    /// Which passages grounded which answers.
    pub retrieval_edges: Vec<RetrievalEdge>,
    /// What evaluators and people thought.
    pub scores: Vec<Score>,
    /// What was logged.
    pub logs: Vec<LogEntry>,
    /// What was measured.
    pub metrics: Vec<MetricPoint>,
}

impl Batch {
    /// The traces of answers that nobody waited for, since an evaluation asked or the request was a
    /// copy: they are no traffic.
    pub fn aside(&self) -> HashSet<&str> {
        let marks = [EVALUATION_RUN, COPY_OF];
        let aside =
            |span: &&Span| span.attributes.iter().any(|(name, _)| marks.contains(&name.as_str()));
        self.spans.iter().filter(aside).map(|span| span.trace_id.as_str()).collect()
    }
}

/// A name and a value; values that are no text are written as JSON.
pub type Attribute = (String, String);

/// Where a row comes from. Whatever is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `service.name`.
    pub service: String,
    /// The app: `service.name` of our own spans, `groundcrew.app` of others'.
    pub app: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// The release's digest, or whatever `service.version` says.
    pub release: String,
}

/// One span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits, or empty.
    pub parent_span_id: String,
    /// What was done.
    pub name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer`, or empty.
    pub kind: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in nanoseconds.
    pub duration_ns: i64,
    /// `ok`, `error`, or empty.
    pub status: String,
    /// What the status says.
    pub status_message: String,
    /// Where it comes from.
    pub origin: Origin,
    /// `gen_ai.operation.name`.
    pub operation: String,
    /// `gen_ai.provider.name`.
    pub provider: String,
    /// `gen_ai.request.model`.
    pub request_model: String,
    /// `gen_ai.response.model`.
    pub response_model: String,
    /// `gen_ai.response.id`.
    pub response_id: String,
    /// The first of `gen_ai.response.finish_reasons`.
    pub finish_reason: String,
    /// `gen_ai.conversation.id`.
    pub conversation: String,
    /// `enduser.id`, or what others call it.
    pub user: String,
    /// `gen_ai.prompt.name`.
    pub prompt: String,
    /// `gen_ai.data_source.id`: the knowledge snapshot.
    pub snapshot: String,
    /// The traffic plan's arm.
    pub arm: String,
    /// How a request ended, as one word.
    pub outcome: String,
    /// `error.type`.
    pub error_type: String,
    /// Tokens read, cached ones included.
    pub input_tokens: Option<i64>,
    /// Tokens written, reasoning included.
    pub output_tokens: Option<i64>,
    /// Of the input, read from the provider's cache.
    pub cache_read_tokens: Option<i64>,
    /// Of the input, written to the provider's cache.
    pub cache_creation_tokens: Option<i64>,
    /// Of the output, reasoning.
    pub reasoning_tokens: Option<i64>,
    /// What it cost, in whole units of the currency.
    pub cost: Option<f64>,
    /// The cost's currency, as `USD`.
    pub currency: String,
    /// Seconds to the first piece of the answer.
    pub time_to_first_chunk: Option<f64>,
    /// The first 200 characters of what was asked.
    pub input_preview: String,
    /// The first 200 characters of what was answered.
    pub output_preview: String,
    /// The payloads of the messages that were asked, in order.
    pub input: Vec<Digest>,
    /// The payloads of what was answered, in order.
    pub output: Vec<Digest>,
    /// Events on the span, as a JSON list; empty if there are none.
    pub events: String,
    /// Links to other spans, as a JSON list; empty if there are none.
    pub links: String,
    /// All attributes that no column holds, the resource's and the scope's too, by name.
    pub attributes: Vec<Attribute>,
}

impl Span {
    /// An attribute that no column holds.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A text, named by its content and by whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// [`Payload::digest`] of subject and text.
    pub digest: Digest,
    /// Whose it is: the user, else the conversation, else empty.
    pub subject: String,
    /// When it was first seen.
    pub at: Timestamp,
    /// `message`, `text`, `arguments`, `result` or `documents`.
    pub kind: String,
    /// The text; JSON where the kind is `message`.
    pub text: String,
}

impl Payload {
    /// What a text is named by. Equal texts of two subjects have two names, so that one can be
    /// erased without the other.
    pub fn digest(subject: &str, text: &str) -> Digest {
        Digest::of_fields([subject.as_bytes(), text.as_bytes()])
    }
}

/// A passage that grounded an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetrievalEdge {
    /// The chunk's id.
    pub chunk: String,
    /// The document's path.
    pub document: String,
    /// The snapshot it was found in.
    pub snapshot: String,
    /// The answer's trace.
    pub trace_id: String,
    /// The span that retrieved it.
    pub span_id: String,
    /// When that began.
    pub at: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
    /// `gen_ai.conversation.id`.
    pub conversation: String,
    /// Who asked.
    pub user: String,
    /// Where it stood, from 1.
    pub rank: i64,
    /// Its score.
    pub score: Option<f64>,
    /// Where the passage stands in its document's text, in bytes, if that is known.
    pub start: Option<i64>,
    /// Where it ends.
    pub end: Option<i64>,
}

/// What an evaluator or a person thought of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// The trace, or empty if only the response is known.
    pub trace_id: String,
    /// The span, or empty.
    pub span_id: String,
    /// `gen_ai.response.id`, or empty.
    pub response_id: String,
    /// When.
    pub at: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
    /// `gen_ai.evaluation.name`.
    pub name: String,
    /// `gen_ai.evaluation.score.value`; none if the evaluation failed.
    pub value: Option<f64>,
    /// `gen_ai.evaluation.score.label`.
    pub label: String,
    /// `gen_ai.evaluation.explanation`.
    pub explanation: String,
    /// `error.type`: why there is no value.
    pub error_type: String,
    /// All other attributes.
    pub attributes: Vec<Attribute>,
}

/// One log record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogEntry {
    /// When it happened.
    pub at: Timestamp,
    /// When it was seen by a collector.
    pub observed_at: Timestamp,
    /// As the sender writes it: `INFO`, `error`.
    pub severity: String,
    /// OpenTelemetry's number, 1 to 24; 0 if not known.
    pub severity_number: i32,
    /// The text; JSON if the body is no text.
    pub body: String,
    /// The event's name, or empty.
    pub event: String,
    /// The trace, or empty.
    pub trace_id: String,
    /// The span, or empty.
    pub span_id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// All attributes, the resource's and the scope's too, by name.
    pub attributes: Vec<Attribute>,
}

/// One data point of a metric, or what was counted of one in a minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricPoint {
    /// The metric's name.
    pub name: String,
    /// `gauge`, `counter` (monotonic), `sum`, `histogram`, `summary` or `rollup`.
    pub kind: String,
    /// UCUM unit, as `s`, `{token}`.
    pub unit: String,
    /// When it was measured; of a rollup, when its minute began.
    pub at: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
    /// A gauge's or a sum's value; of others, none.
    pub value: Option<f64>,
    /// How many samples.
    pub count: Option<i64>,
    /// Their sum.
    pub sum: Option<f64>,
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// A mergeable sketch of the samples, or an OTLP histogram's buckets, in the form that
    /// `metrics::Sketch` reads; empty if there is none.
    pub sketch: Vec<u8>,
    /// The point's attributes, the resource's and the scope's too, by name.
    pub attributes: Vec<Attribute>,
}
