//! The tables' columns, and rows as columns.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, ListBuilder, MapBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use release::{Digest, Timestamp};

use crate::frame::nanoseconds;
use crate::rows::{
    Attribute, Batch, LogEntry, MetricPoint, Origin, Payload, RetrievalEdge, Score, Span,
};

/// The column that every table has: when something happened or began.
pub const TIMESTAMP: &str = "timestamp";

/// A table of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Work that was done.
    Spans,
    /// Texts that spans refer to.
    Payloads,
    /// Which passages grounded which answers.
    RetrievalEdges,
    /// What evaluators and people thought.
    Scores,
    /// What was logged.
    Logs,
    /// What was measured.
    Metrics,
}

static SCHEMAS: LazyLock<Vec<SchemaRef>> = LazyLock::new(|| {
    let empty = Batch::default();
    Table::ALL.iter().map(|table| table.columns(&empty).schema()).collect()
});

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] = [
        Self::Spans,
        Self::Payloads,
        Self::RetrievalEdges,
        Self::Scores,
        Self::Logs,
        Self::Metrics,
    ];

    /// Its name in queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Payloads => "payloads",
            Self::RetrievalEdges => "retrieval_edges",
            Self::Scores => "scores",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The table of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }

    /// Its columns.
    pub fn schema(self) -> SchemaRef {
        Arc::clone(&SCHEMAS[self as usize])
    }

    /// What its files are sorted by.
    pub const fn sort_key(self) -> &'static [&'static str] {
        match self {
            Self::Spans | Self::Logs => &[TIMESTAMP],
            Self::Payloads => &["digest"],
            Self::RetrievalEdges => &["document", "chunk", TIMESTAMP],
            Self::Scores | Self::Metrics => &["name", TIMESTAMP],
        }
    }

    /// The columns that files have Bloom filters for: ids that are looked for one at a time.
    pub const fn looked_up(self) -> &'static [&'static str] {
        match self {
            Self::Spans => &["trace_id", "response_id"],
            Self::Payloads => &["digest"],
            Self::RetrievalEdges => &["trace_id"],
            Self::Scores => &["trace_id", "response_id"],
            Self::Logs => &["trace_id"],
            Self::Metrics => &[],
        }
    }

    /// The batch's rows of this table.
    pub fn columns(self, batch: &Batch) -> RecordBatch {
        match self {
            Self::Spans => spans(&batch.spans),
            Self::Payloads => payloads(&batch.payloads),
            Self::RetrievalEdges => retrieval_edges(&batch.retrieval_edges),
            Self::Scores => scores(&batch.scores),
            Self::Logs => logs(&batch.logs),
            Self::Metrics => metrics(&batch.metrics),
        }
    }
}

/// Columns of rows, in the making.
struct Columns<'a, R> {
    rows: &'a [R],
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl<'a, R> Columns<'a, R> {
    fn of(rows: &'a [R]) -> Self {
        Self { rows, fields: Vec::new(), arrays: Vec::new() }
    }

    fn add(mut self, name: &str, array: ArrayRef) -> Self {
        let nullable = name != TIMESTAMP;
        self.fields.push(Field::new(name, array.data_type().clone(), nullable));
        self.arrays.push(array);
        self
    }

    fn timestamp(self, name: &str, of: impl Fn(&R) -> Timestamp) -> Self {
        let values = self.rows.iter().map(|row| nanoseconds(of(row)));
        let array = TimestampNanosecondArray::from_iter_values(values).with_timezone("UTC");
        self.add(name, Arc::new(array))
    }

    /// Texts; an empty one is none.
    fn text(self, name: &str, of: impl Fn(&'a R) -> &'a str) -> Self {
        let values = self.rows.iter().map(|row| Some(of(row)).filter(|text| !text.is_empty()));
        let array: StringArray = values.collect();
        self.add(name, Arc::new(array))
    }

    fn int(self, name: &str, of: impl Fn(&R) -> Option<i64>) -> Self {
        let array: Int64Array = self.rows.iter().map(of).collect();
        self.add(name, Arc::new(array))
    }

    fn float(self, name: &str, of: impl Fn(&R) -> Option<f64>) -> Self {
        let array: Float64Array = self.rows.iter().map(of).collect();
        self.add(name, Arc::new(array))
    }

    fn digests(self, name: &str, of: impl Fn(&R) -> &[Digest]) -> Self {
        let mut list = ListBuilder::new(StringBuilder::new());
        for row in self.rows {
            for digest in of(row) {
                list.values().append_value(digest.to_string());
            }
            list.append(!of(row).is_empty());
        }
        self.add(name, Arc::new(list.finish()))
    }

    fn attributes(self, of: impl Fn(&R) -> &[Attribute]) -> Self {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in self.rows {
            for (name, value) in of(row) {
                map.keys().append_value(name);
                map.values().append_value(value);
            }
            // As many keys as values: nothing that could fail.
            let _appended = map.append(true);
        }
        self.add("attributes", Arc::new(map.finish()))
    }

    fn origin(self, of: impl Fn(&'a R) -> &'a Origin) -> Self {
        self.text("service", |row| &of(row).service)
            .text("app", |row| &of(row).app)
            .text("environment", |row| &of(row).environment)
            .text("release", |row| &of(row).release)
    }

    fn finish(self) -> RecordBatch {
        let schema = Arc::new(Schema::new(self.fields));
        RecordBatch::try_new(Arc::clone(&schema), self.arrays)
            .unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }
}

fn spans(rows: &[Span]) -> RecordBatch {
    Columns::of(rows)
        .timestamp(TIMESTAMP, |row| row.started_at)
        .text("trace_id", |row| &row.trace_id)
        .text("span_id", |row| &row.span_id)
        .text("parent_span_id", |row| &row.parent_span_id)
        .text("name", |row| &row.name)
        .text("kind", |row| &row.kind)
        .int("duration_ns", |row| Some(row.duration_ns))
        .text("status", |row| &row.status)
        .text("status_message", |row| &row.status_message)
        .origin(|row| &row.origin)
        .text("operation", |row| &row.operation)
        .text("provider", |row| &row.provider)
        .text("request_model", |row| &row.request_model)
        .text("response_model", |row| &row.response_model)
        .text("response_id", |row| &row.response_id)
        .text("finish_reason", |row| &row.finish_reason)
        .text("conversation", |row| &row.conversation)
        .text("user", |row| &row.user)
        .text("prompt", |row| &row.prompt)
        .text("snapshot", |row| &row.snapshot)
        .text("arm", |row| &row.arm)
        .text("outcome", |row| &row.outcome)
        .text("error_type", |row| &row.error_type)
        .int("input_tokens", |row| row.input_tokens)
        .int("output_tokens", |row| row.output_tokens)
        .int("cache_read_tokens", |row| row.cache_read_tokens)
        .int("cache_creation_tokens", |row| row.cache_creation_tokens)
        .int("reasoning_tokens", |row| row.reasoning_tokens)
        .float("cost", |row| row.cost)
        .text("currency", |row| &row.currency)
        .float("time_to_first_chunk", |row| row.time_to_first_chunk)
        .text("input_preview", |row| &row.input_preview)
        .text("output_preview", |row| &row.output_preview)
        .digests("input_payloads", |row| &row.input)
        .digests("output_payloads", |row| &row.output)
        .text("events", |row| &row.events)
        .text("links", |row| &row.links)
        .attributes(|row| &row.attributes)
        .finish()
}

fn payloads(rows: &[Payload]) -> RecordBatch {
    let digests: StringArray = rows.iter().map(|row| Some(row.digest.to_string())).collect();
    Columns::of(rows)
        .timestamp(TIMESTAMP, |row| row.at)
        .add("digest", Arc::new(digests))
        .text("subject", |row| &row.subject)
        .text("kind", |row| &row.kind)
        .text("text", |row| &row.text)
        .finish()
}

fn retrieval_edges(rows: &[RetrievalEdge]) -> RecordBatch {
    Columns::of(rows)
        .timestamp(TIMESTAMP, |row| row.at)
        .text("chunk", |row| &row.chunk)
        .text("document", |row| &row.document)
        .text("snapshot", |row| &row.snapshot)
        .text("trace_id", |row| &row.trace_id)
        .text("span_id", |row| &row.span_id)
        .origin(|row| &row.origin)
        .text("conversation", |row| &row.conversation)
        .text("user", |row| &row.user)
        .int("rank", |row| Some(row.rank))
        .float("score", |row| row.score)
        .int("start", |row| row.start)
        .int("end", |row| row.end)
        .finish()
}

fn scores(rows: &[Score]) -> RecordBatch {
    Columns::of(rows)
        .timestamp(TIMESTAMP, |row| row.at)
        .text("name", |row| &row.name)
        .float("value", |row| row.value)
        .text("label", |row| &row.label)
        .text("explanation", |row| &row.explanation)
        .text("error_type", |row| &row.error_type)
        .text("trace_id", |row| &row.trace_id)
        .text("span_id", |row| &row.span_id)
        .text("response_id", |row| &row.response_id)
        .origin(|row| &row.origin)
        .attributes(|row| &row.attributes)
        .finish()
}

fn logs(rows: &[LogEntry]) -> RecordBatch {
    let severities: Int32Array = rows.iter().map(|row| Some(row.severity_number)).collect();
    Columns::of(rows)
        .timestamp(TIMESTAMP, |row| row.at)
        .timestamp("observed_at", |row| row.observed_at)
        .text("severity", |row| &row.severity)
        .add("severity_number", Arc::new(severities))
        .text("body", |row| &row.body)
        .text("event", |row| &row.event)
        .text("trace_id", |row| &row.trace_id)
        .text("span_id", |row| &row.span_id)
        .origin(|row| &row.origin)
        .attributes(|row| &row.attributes)
        .finish()
}

fn metrics(rows: &[MetricPoint]) -> RecordBatch {
    let sketches: BinaryArray =
        rows.iter().map(|row| Some(row.sketch.as_slice()).filter(|it| !it.is_empty())).collect();
    Columns::of(rows)
        .timestamp(TIMESTAMP, |row| row.at)
        .text("name", |row| &row.name)
        .text("kind", |row| &row.kind)
        .text("unit", |row| &row.unit)
        .origin(|row| &row.origin)
        .float("value", |row| row.value)
        .int("count", |row| row.count)
        .float("sum", |row| row.sum)
        .float("min", |row| row.min)
        .float("max", |row| row.max)
        .add("sketch", Arc::new(sketches))
        .attributes(|row| &row.attributes)
        .finish()
}
