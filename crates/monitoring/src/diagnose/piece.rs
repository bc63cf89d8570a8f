//! What a diagnosis needs of a span.

use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{JoinType, col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use release::TenantId;

use crate::query::{Queries, QueryError};
use crate::rows::Span;
use crate::tables::{self, TIMESTAMP, Table, back};

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

/// The columns that a piece is made of.
const COLUMNS: [&str; 18] = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "status",
    "status_message",
    "service",
    "app",
    "environment",
    "release",
    "provider",
    "request_model",
    "outcome",
    "error_type",
    "timestamp",
    "duration_ns",
    "attributes",
];

/// All spans of the newest traces, `traces` at most, that an app had a part in.
pub(super) fn of_newest(
    spans: DataFrame,
    (app, environment): (&str, Option<&str>),
    traces: usize,
) -> Result<DataFrame, DataFusionError> {
    let mut part = col("app").eq(lit(app)).or(col("service").eq(lit(app)));
    if let Some(environment) = environment {
        part = part.and(col("environment").eq(lit(environment)));
    }
    let newest = spans.clone().filter(part)?;
    let newest =
        newest.aggregate(vec![col("trace_id")], vec![max(col(TIMESTAMP)).alias("newest")])?;
    let newest = newest.sort(vec![col("newest").sort(false, false)])?.limit(0, Some(traces))?;
    let newest = newest.select(vec![col("trace_id").alias("wanted")])?;
    let spans = spans.select_columns(&COLUMNS)?;
    spans.join(newest, JoinType::LeftSemi, &["trace_id"], &["wanted"], None)
}

/// The spans of the newest traces, `traces` at most, that an app had a part in; and whether there
/// are more than a query may give.
///
/// # Errors
/// If the query fails.
pub async fn newest(
    queries: &Queries,
    tenant: &TenantId,
    (app, environment): (&str, Option<&str>),
    span: tables::Span,
    traces: usize,
) -> Result<(Vec<Piece>, bool), QueryError> {
    let (app, environment) = (app.to_owned(), environment.map(str::to_owned));
    let plan = move |session: SessionContext| {
        let (app, environment) = (app.clone(), environment.clone());
        async move {
            let spans = session.table(Table::Spans.as_str()).await?;
            of_newest(spans, (&app, environment.as_deref()), traces)
        }
    };
    let answer = queries.ask(tenant, span, plan).await?;
    let pieces = answer.batches.iter().flat_map(back::spans);
    Ok((pieces.map(|span| Piece::from(&span)).collect(), answer.cut))
}
