//! Columns as rows again.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use release::{Digest, Timestamp};

use super::schema::TIMESTAMP;
use crate::rows::{Attribute, LogEntry, MetricPoint, Origin, Payload, RetrievalEdge, Score, Span};

/// One row of columns. What is not there is empty.
struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name).filter(|column| column.is_valid(self.row))
    }

    fn text(&self, name: &str) -> String {
        let column = self.column(name).and_then(|column| column.as_string_opt::<i32>());
        column.map(|column| column.value(self.row).to_owned()).unwrap_or_default()
    }

    fn int(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    fn float(&self, name: &str) -> Option<f64> {
        Some(self.column(name)?.as_primitive_opt::<Float64Type>()?.value(self.row))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let column = self.column(name).and_then(|column| column.as_binary_opt::<i32>());
        column.map(|column| column.value(self.row).to_vec()).unwrap_or_default()
    }

    fn number(&self, name: &str) -> i32 {
        let column = self.column(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
        column.map_or(0, |column| column.value(self.row))
    }

    fn moment(&self) -> Timestamp {
        self.moment_of(TIMESTAMP)
    }

    fn moment_of(&self, name: &str) -> Timestamp {
        let column = self.column(name);
        let column = column.and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let nanos = column.map_or(0, |column| column.value(self.row));
        Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default()
    }

    fn origin(&self) -> Origin {
        Origin {
            service: self.text("service"),
            app: self.text("app"),
            environment: self.text("environment"),
            release: self.text("release"),
        }
    }

    fn digests(&self, name: &str) -> Vec<Digest> {
        let list = self.column(name).and_then(|column| column.as_list_opt::<i32>());
        let Some(values) = list.map(|list| list.value(self.row)) else { return Vec::new() };
        let texts = values.as_string_opt::<i32>();
        let texts = texts.into_iter().flat_map(|texts| texts.iter().flatten());
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    fn attributes(&self) -> Vec<Attribute> {
        let map = self.column("attributes").and_then(|column| column.as_map_opt());
        let Some(entries) = map.map(|map| map.value(self.row)) else { return Vec::new() };
        let (keys, values) = (entries.column(0), entries.column(1));
        let both = keys.as_string_opt::<i32>().zip(values.as_string_opt::<i32>());
        let pairs = both.into_iter().flat_map(|(keys, values)| keys.iter().zip(values));
        let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
        pairs.map(|(key, value)| (owned(key), owned(value))).collect()
    }
}

/// The spans that a batch of the table `spans` holds, or of some of its columns.
pub fn spans(batch: &RecordBatch) -> Vec<Span> {
    let rows = (0..batch.num_rows()).map(|row| Row { batch, row });
    rows.map(|row| Span {
        trace_id: row.text("trace_id"),
        span_id: row.text("span_id"),
        parent_span_id: row.text("parent_span_id"),
        name: row.text("name"),
        kind: row.text("kind"),
        started_at: row.moment(),
        duration_ns: row.int("duration_ns").unwrap_or(0),
        status: row.text("status"),
        status_message: row.text("status_message"),
        origin: row.origin(),
        operation: row.text("operation"),
        provider: row.text("provider"),
        request_model: row.text("request_model"),
        response_model: row.text("response_model"),
        response_id: row.text("response_id"),
        finish_reason: row.text("finish_reason"),
        conversation: row.text("conversation"),
        user: row.text("user"),
        prompt: row.text("prompt"),
        snapshot: row.text("snapshot"),
        arm: row.text("arm"),
        outcome: row.text("outcome"),
        error_type: row.text("error_type"),
        input_tokens: row.int("input_tokens"),
        output_tokens: row.int("output_tokens"),
        cache_read_tokens: row.int("cache_read_tokens"),
        cache_creation_tokens: row.int("cache_creation_tokens"),
        reasoning_tokens: row.int("reasoning_tokens"),
        cost: row.float("cost"),
        currency: row.text("currency"),
        time_to_first_chunk: row.float("time_to_first_chunk"),
        input_preview: row.text("input_preview"),
        output_preview: row.text("output_preview"),
        input: row.digests("input_payloads"),
        output: row.digests("output_payloads"),
        events: row.text("events"),
        links: row.text("links"),
        attributes: row.attributes(),
    })
    .collect()
}

/// The edges that a batch of the table `retrieval_edges` holds.
pub fn retrieval_edges(batch: &RecordBatch) -> Vec<RetrievalEdge> {
    let rows = (0..batch.num_rows()).map(|row| Row { batch, row });
    rows.map(|row| RetrievalEdge {
        chunk: row.text("chunk"),
        document: row.text("document"),
        snapshot: row.text("snapshot"),
        trace_id: row.text("trace_id"),
        span_id: row.text("span_id"),
        at: row.moment(),
        origin: row.origin(),
        conversation: row.text("conversation"),
        user: row.text("user"),
        rank: row.int("rank").unwrap_or(0),
        score: row.float("score"),
        start: row.int("start"),
        end: row.int("end"),
    })
    .collect()
}

/// The points that a batch of the table `metrics` holds.
pub fn metrics(batch: &RecordBatch) -> Vec<MetricPoint> {
    let rows = (0..batch.num_rows()).map(|row| Row { batch, row });
    rows.map(|row| MetricPoint {
        name: row.text("name"),
        kind: row.text("kind"),
        unit: row.text("unit"),
        at: row.moment(),
        origin: row.origin(),
        value: row.float("value"),
        count: row.int("count"),
        sum: row.float("sum"),
        min: row.float("min"),
        max: row.float("max"),
        sketch: row.bytes("sketch"),
        attributes: row.attributes(),
    })
    .collect()
}

/// The texts that a batch of the table `payloads` holds.
pub fn payloads(batch: &RecordBatch) -> Vec<Payload> {
    let rows = (0..batch.num_rows()).map(|row| Row { batch, row });
    rows.filter_map(|row| {
        Some(Payload {
            digest: row.text("digest").parse().ok()?,
            subject: row.text("subject"),
            at: row.moment(),
            kind: row.text("kind"),
            text: row.text("text"),
        })
    })
    .collect()
}

/// The scores that a batch of the table `scores` holds.
pub fn scores(batch: &RecordBatch) -> Vec<Score> {
    let rows = (0..batch.num_rows()).map(|row| Row { batch, row });
    rows.map(|row| Score {
        trace_id: row.text("trace_id"),
        span_id: row.text("span_id"),
        response_id: row.text("response_id"),
        at: row.moment(),
        origin: row.origin(),
        name: row.text("name"),
        value: row.float("value"),
        label: row.text("label"),
        explanation: row.text("explanation"),
        error_type: row.text("error_type"),
        attributes: row.attributes(),
    })
    .collect()
}

/// The records that a batch of the table `logs` holds.
pub fn logs(batch: &RecordBatch) -> Vec<LogEntry> {
    let rows = (0..batch.num_rows()).map(|row| Row { batch, row });
    rows.map(|row| LogEntry {
        at: row.moment(),
        observed_at: row.moment_of("observed_at"),
        severity: row.text("severity"),
        severity_number: row.number("severity_number"),
        body: row.text("body"),
        event: row.text("event"),
        trace_id: row.text("trace_id"),
        span_id: row.text("span_id"),
        origin: row.origin(),
        attributes: row.attributes(),
    })
    .collect()
}
