//! What a diagnosis needs of a span.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use release::Timestamp;

use crate::rows::Span;

/// What is known of a client's call, by what it is of: the first that is there names whom it calls.
const PEERS: [&str; 6] = [
    "peer.service",
    "db.system.name",
    "db.system",
    "messaging.system",
    "rpc.service",
    "server.address",
];

/// What a diagnosis needs of a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Piece {
    /// The trace.
    pub trace_id: String,
    /// The span.
    pub span_id: String,
    /// The span that caused it, or empty.
    pub parent_span_id: String,
    /// What was done.
    pub name: String,
    /// Who did it: the app, else the service.
    pub service: String,
    /// Whom it asked, where that is another service that sends no spans of its own; or empty.
    pub dependency: String,
    /// Whether it waited for somebody else.
    pub is_client: bool,
    /// When it began, in nanoseconds since 1970.
    pub start: i64,
    /// How long it took, in nanoseconds.
    pub duration: i64,
    /// Whether it failed.
    pub failed: bool,
    /// `error.type`, or what the status says.
    pub error: String,
}

impl Piece {
    /// When it ended.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration.max(0))
    }
}

impl From<&Span> for Piece {
    fn from(span: &Span) -> Self {
        let model = [&span.provider, &span.request_model].map(String::as_str);
        let peer = |name: &&str| {
            let found = span.attributes.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let is_client = matches!(span.kind.as_str(), "client" | "producer");
        let dependency = match is_client {
            true if !span.provider.is_empty() => model.join(" ").trim_end().to_owned(),
            true => PEERS.iter().find_map(peer).unwrap_or_default(),
            false => String::new(),
        };
        let origin = &span.origin;
        let failed = span.status == "error" || span.outcome == "failed";
        let said = [&span.error_type, &span.status_message].into_iter().find(|it| !it.is_empty());
        Self {
            trace_id: span.trace_id.clone(),
            span_id: span.span_id.clone(),
            parent_span_id: span.parent_span_id.clone(),
            name: span.name.clone(),
            service: if origin.app.is_empty() { &origin.service } else { &origin.app }.clone(),
            dependency,
            is_client,
            start: i64::try_from(span.started_at.as_nanosecond()).unwrap_or_default(),
            duration: span.duration_ns.max(0),
            failed,
            error: said.filter(|_| failed).cloned().unwrap_or_default(),
        }
    }
}

/// The query that [`pieces`] reads the answer of: all spans of the newest traces, `traces` at most,
/// that an app had a part in between two moments. The name is quoted here; the moments are ours.
pub fn select(
    app: &str,
    environment: Option<&str>,
    from: Timestamp,
    to: Timestamp,
    traces: usize,
) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let app = quoted(app);
    let environment =
        environment.map(|name| format!(" AND environment = {}", quoted(name))).unwrap_or_default();
    let within = format!("timestamp >= TIMESTAMP '{from}' AND timestamp < TIMESTAMP '{to}'");
    let peers = PEERS.map(|name| format!("attributes['{name}']")).join(", ");
    format!(
        "SELECT trace_id, span_id, parent_span_id, name, kind, status, status_message, \
         coalesce(app, service) AS service, provider, request_model, outcome, error_type, \
         coalesce({peers}) AS peer, CAST(timestamp AS BIGINT) AS start, duration_ns \
         FROM spans WHERE {within} AND trace_id IN (\
         SELECT trace_id FROM spans WHERE {within} AND (app = {app} OR service = {app}){environment} \
         GROUP BY trace_id ORDER BY max(timestamp) DESC LIMIT {traces})"
    )
}

/// The spans of an answer to [`select`]. A column that is missing is empty.
pub fn pieces(batches: &[RecordBatch]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for batch in batches {
        let texts: HashMap<&str, _> = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .filter_map(|(field, column)| {
                Some((field.name().as_str(), cast(column, &DataType::Utf8).ok()?))
            })
            .collect();
        let text = |name: &str, row: usize| {
            let column = texts.get(name).filter(|column| column.is_valid(row));
            column.map(|column| column.as_string::<i32>().value(row)).unwrap_or_default()
        };
        let numbers = |name: &str| {
            batch.column_by_name(name).and_then(|column| cast(column, &DataType::Int64).ok())
        };
        let (starts, durations) = (numbers("start"), numbers("duration_ns"));
        let number = |column: &Option<std::sync::Arc<dyn Array>>, row: usize| {
            let column = column.as_ref().filter(|column| column.is_valid(row));
            column.map(|column| column.as_primitive::<Int64Type>().value(row)).unwrap_or_default()
        };
        for row in 0..batch.num_rows() {
            let is_client = matches!(text("kind", row), "client" | "producer");
            let (provider, peer) = (text("provider", row), text("peer", row));
            let dependency = match (is_client, provider) {
                (false, _) => String::new(),
                (true, "") => peer.to_owned(),
                (true, provider) => {
                    format!("{provider} {}", text("request_model", row)).trim_end().to_owned()
                }
            };
            let failed = text("status", row) == "error" || text("outcome", row) == "failed";
            let said = [text("error_type", row), text("status_message", row)];
            let said = said.into_iter().find(|said| !said.is_empty() && failed);
            pieces.push(Piece {
                trace_id: text("trace_id", row).to_owned(),
                span_id: text("span_id", row).to_owned(),
                parent_span_id: text("parent_span_id", row).to_owned(),
                name: text("name", row).to_owned(),
                service: text("service", row).to_owned(),
                dependency,
                is_client,
                start: number(&starts, row),
                duration: number(&durations, row).max(0),
                failed,
                error: said.unwrap_or_default().to_owned(),
            });
        }
    }
    pieces
}
