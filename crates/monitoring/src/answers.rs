//! Answers as they are listed and shown: records put together again from the tables.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::logical_expr::{Expr, JoinType, col, in_list, lit};
use datafusion::prelude::SessionContext;
use release::{
    AppName, Digest, EnvironmentName, Money, PlanId, ReleaseDigest, TenantId, Timestamp, Unit,
};
use serde::{Deserialize, Serialize};

use crate::attributes as name;
use crate::query::{Queries, QueryError};
use crate::record::{
    AnswerRecord, Aside, Captured, Generation, Outcome, Retrieval, RetrievedChunk, Step, TraceId,
};
use crate::rows::{RetrievalEdge, Score, Span};
use crate::tables::{self, TIMESTAMP, Table, back};

/// The name of the span that is a request as a whole.
pub(crate) const ROOT: &str = "answer";

/// How many answers are read at once.
const TOGETHER: usize = 100;

/// A record in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its trace.
    pub trace: TraceId,
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// The release that answered.
    pub release: ReleaseDigest,
    /// When it arrived.
    pub started_at: Timestamp,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How it ended, as one word.
    pub outcome: String,
    /// The model that answered.
    pub model: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only of this app.
    pub app: Option<AppName>,
    /// Only of this environment.
    pub environment: Option<EnvironmentName>,
    /// Only of this release.
    pub release: Option<ReleaseDigest>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only since this moment.
    pub since: Option<Timestamp>,
    /// Only those that were grounded on this document.
    pub document: Option<String>,
}

impl Filter {
    fn condition(&self) -> Expr {
        let mut all = col("name").eq(lit(ROOT)).and(col("outcome").is_not_null());
        let wanted = [
            ("app", self.app.as_ref().map(ToString::to_string)),
            ("environment", self.environment.as_ref().map(ToString::to_string)),
            ("release", self.release.map(|release| release.to_string())),
            ("outcome", self.outcome.clone()),
        ];
        for (column, value) in wanted {
            if let Some(value) = value {
                all = all.and(col(column).eq(lit(value)));
            }
        }
        all
    }
}

/// The tenant's newest answers that fit, newest first.
///
/// # Errors
/// If the query fails.
pub async fn list(
    queries: &Queries,
    tenant: &TenantId,
    (filter, limit): (&Filter, usize),
) -> Result<Vec<Summary>, QueryError> {
    let span = tables::Span { from: filter.since.unwrap_or(Timestamp::MIN), ..tables::Span::ALL };
    let filter = filter.clone();
    let plan = move |session: SessionContext| {
        let filter = filter.clone();
        async move {
            let mut spans =
                session.table(Table::Spans.as_str()).await?.filter(filter.condition())?;
            if let Some(document) = &filter.document {
                let edges = session.table(Table::RetrievalEdges.as_str()).await?;
                let edges = edges.filter(col("document").eq(lit(document)))?;
                let edges = edges.select(vec![col("trace_id").alias("grounded")])?;
                spans =
                    spans.join(edges, JoinType::LeftSemi, &["trace_id"], &["grounded"], None)?;
            }
            spans.sort(vec![col(TIMESTAMP).sort(false, false)])?.limit(0, Some(limit))
        }
    };
    let answer = queries.ask(tenant, span, plan).await?;
    let spans = answer.batches.iter().flat_map(back::spans);
    Ok(spans.filter_map(|span| summary(&span)).collect())
}

fn summary(span: &Span) -> Option<Summary> {
    Some(Summary {
        trace: span.trace_id.parse().ok()?,
        app: span.origin.app.parse().ok()?,
        environment: span.origin.environment.parse().ok()?,
        release: span.origin.release.parse().ok()?,
        started_at: span.started_at,
        duration_ns: span.duration_ns.unsigned_abs(),
        outcome: span.outcome.clone(),
        model: Some(span.response_model.clone()).filter(|_| !span.provider.is_empty()),
        input_tokens: span.input_tokens.unwrap_or(0).unsigned_abs(),
        output_tokens: span.output_tokens.unwrap_or(0).unsigned_abs(),
    })
}

/// All spans of a trace, oldest first, whoever sent them.
///
/// # Errors
/// If the query fails.
pub async fn spans(
    queries: &Queries,
    tenant: &TenantId,
    trace: TraceId,
) -> Result<Vec<Span>, QueryError> {
    let plan = of_traces(Table::Spans, &[trace]);
    let answer = queries.ask(tenant, tables::Span::ALL, plan).await?;
    Ok(answer.batches.iter().flat_map(back::spans).collect())
}

/// What was thought of a trace's answers, oldest first, whoever thought it.
///
/// # Errors
/// If the query fails.
pub async fn scores(
    queries: &Queries,
    tenant: &TenantId,
    trace: TraceId,
) -> Result<Vec<Score>, QueryError> {
    let plan = of_traces(Table::Scores, &[trace]);
    let answer = queries.ask(tenant, tables::Span::ALL, plan).await?;
    Ok(answer.batches.iter().flat_map(back::scores).collect())
}

/// The spans of some answers as a whole, of those that there are.
///
/// # Errors
/// If the query fails.
pub async fn roots(
    queries: &Queries,
    tenant: &TenantId,
    traces: &[TraceId],
) -> Result<Vec<Span>, QueryError> {
    if traces.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<Expr> = traces.iter().map(|trace| lit(trace.to_string())).collect();
    let plan = move |session: SessionContext| {
        let condition = Filter::default().condition();
        let condition = condition.and(in_list(col("trace_id"), wanted.clone(), false));
        async move { session.table(Table::Spans.as_str()).await?.filter(condition) }
    };
    let answer = queries.ask(tenant, tables::Span::ALL, plan).await?;
    Ok(answer.batches.iter().flat_map(back::spans).collect())
}

/// The record of the answer that a trace's spans are of, if they are one's.
///
/// # Errors
/// If a query fails.
pub async fn answer(
    queries: &Queries,
    tenant: &TenantId,
    spans: &[Span],
) -> Result<Option<AnswerRecord>, QueryError> {
    let root = spans.iter().find(|span| is_answer(span));
    let Some((root, trace)) = root.and_then(|root| Some((root, root.trace_id.parse().ok()?)))
    else {
        return Ok(None);
    };
    let plan = of_traces(Table::RetrievalEdges, &[trace]);
    let edges = queries.ask(tenant, tables::Span::ALL, plan).await?;
    let edges: Vec<_> = edges.batches.iter().flat_map(back::retrieval_edges).collect();
    let texts = texts(queries, tenant, kept(root).iter()).await?;
    Ok(record(tenant, (spans, &edges), &texts))
}

/// The records of several answers, of those that there are, by their traces: for each what
/// [`answer`] gives.
///
/// # Errors
/// If a query fails.
pub async fn records(
    queries: &Queries,
    tenant: &TenantId,
    traces: &[TraceId],
) -> Result<BTreeMap<TraceId, AnswerRecord>, QueryError> {
    let mut records = BTreeMap::new();
    for traces in traces.chunks(TOGETHER) {
        let spans = queries.ask(tenant, tables::Span::ALL, of_traces(Table::Spans, traces)).await?;
        let edges = of_traces(Table::RetrievalEdges, traces);
        let edges = queries.ask(tenant, tables::Span::ALL, edges).await?;
        let mut of: BTreeMap<String, (Vec<Span>, Vec<RetrievalEdge>)> = BTreeMap::new();
        for span in spans.batches.iter().flat_map(back::spans) {
            of.entry(span.trace_id.clone()).or_default().0.push(span);
        }
        for edge in edges.batches.iter().flat_map(back::retrieval_edges) {
            of.entry(edge.trace_id.clone()).or_default().1.push(edge);
        }
        let roots = of.values().filter_map(|(spans, _)| spans.iter().find(|span| is_answer(span)));
        let wanted: Vec<Digest> = roots.flat_map(kept).collect();
        let texts = texts(queries, tenant, wanted.iter()).await?;
        for (spans, edges) in of.values() {
            let found = record(tenant, (spans, edges), &texts);
            records.extend(found.map(|record| (record.trace, record)));
        }
    }
    Ok(records)
}

/// The payloads that the record of a request as a whole rests on.
fn kept(root: &Span) -> Vec<Digest> {
    let found = Found(root);
    let named = [name::RETRIEVAL_VECTOR, name::SETTINGS].map(|name| found.parse(name));
    let named = named.into_iter().flatten();
    root.input.iter().chain(&root.output).copied().chain(named).collect()
}

fn of_traces(
    table: Table,
    traces: &[TraceId],
) -> impl Fn(
    SessionContext,
) -> futures::future::BoxFuture<
    'static,
    datafusion::error::Result<datafusion::prelude::DataFrame>,
> + Send
+ Sync
+ 'static {
    let wanted: Vec<Expr> = traces.iter().map(|trace| lit(trace.to_string())).collect();
    move |session| {
        let wanted = wanted.clone();
        Box::pin(async move {
            let rows = session.table(table.as_str()).await?;
            rows.filter(in_list(col("trace_id"), wanted, false))?
                .sort(vec![col(TIMESTAMP).sort(true, false)])
        })
    }
}

/// The texts of payloads that are still kept.
async fn texts(
    queries: &Queries,
    tenant: &TenantId,
    digests: impl Iterator<Item = &Digest>,
) -> Result<BTreeMap<Digest, String>, QueryError> {
    let wanted: Vec<Expr> = digests.map(|digest| lit(digest.to_string())).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let plan = move |session: SessionContext| {
        let wanted = wanted.clone();
        async move {
            let rows = session.table(Table::Payloads.as_str()).await?;
            let rows = rows.filter(in_list(col("digest"), wanted, false))?;
            rows.select(vec![col("digest"), col("text")])
        }
    };
    let answer = queries.ask(tenant, tables::Span::ALL, plan).await?;
    let mut texts = BTreeMap::new();
    for batch in &answer.batches {
        let column = |at: usize| batch.column(at).as_string_opt::<i32>();
        let Some((digests, found)) = column(0).zip(column(1)) else { continue };
        for row in 0..batch.num_rows() {
            let text = if found.is_valid(row) { found.value(row) } else { "" };
            if let Ok(digest) = digests.value(row).parse() {
                texts.insert(digest, text.to_owned());
            }
        }
    }
    Ok(texts)
}

fn is_answer(span: &Span) -> bool {
    span.name == ROOT && !span.outcome.is_empty() && Found(span).text(name::DIALECT).is_some()
}

/// What a span says besides its columns.
struct Found<'a>(&'a Span);

impl Found<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.0.attribute(key).map(str::to_owned)
    }

    fn parse<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    fn json<T: serde::de::DeserializeOwned + Default>(&self, key: &str) -> T {
        let json = self.text(key).and_then(|json| serde_json::from_str(&json).ok());
        json.unwrap_or_default()
    }

    fn captured(
        &self,
        [digest, bytes]: [&str; 2],
        full: impl FnOnce() -> Option<String>,
    ) -> Captured {
        match (self.parse(digest), self.parse(bytes)) {
            (Some(digest), bytes) => Captured::Hashed { digest, bytes: bytes.unwrap_or(0) },
            (None, Some(bytes)) => Captured::Length { bytes },
            (None, None) => full().map_or(Captured::Gone, |json| Captured::Full { json }),
        }
    }
}

/// The record that a trace's rows tell of, if they are an answer's.
pub fn record(
    tenant: &TenantId,
    (spans, edges): (&[Span], &[RetrievalEdge]),
    texts: &BTreeMap<Digest, String>,
) -> Option<AnswerRecord> {
    let root = spans.iter().find(|span| is_answer(span))?;
    let found = Found(root);
    let begin = root.started_at.as_nanosecond();
    let mut steps: Vec<Step> = spans
        .iter()
        .filter(|step| step.parent_span_id == root.span_id)
        .map(|step| {
            let begin_ns = u64::try_from(step.started_at.as_nanosecond() - begin).unwrap_or(0);
            let end_ns = begin_ns.saturating_add(step.duration_ns.unsigned_abs());
            Step { name: step.name.clone(), begin_ns, end_ns }
        })
        .collect();
    steps.sort_by_key(|step| (step.begin_ns, step.end_ns));
    let outcome = match root.outcome.as_str() {
        "answered" => Outcome::Answered,
        "cancelled" => Outcome::Cancelled,
        "blocked" => Outcome::Blocked { rule: found.text(name::OUTCOME_RULE)? },
        _ => Outcome::Failed {
            kind: root.error_type.clone(),
            message: found.text(name::OUTCOME_MESSAGE).unwrap_or_default(),
        },
    };
    let unit = found.text(name::UNIT)?;
    let stuck = found.text(name::UNIT_STUCK).is_some_and(|stuck| stuck == "true");
    let all = |digests: &[Digest]| -> Option<Vec<&str>> {
        digests.iter().map(|digest| texts.get(digest).map(String::as_str)).collect()
    };
    Some(AnswerRecord {
        trace: root.trace_id.parse().ok()?,
        tenant: tenant.clone(),
        app: root.origin.app.parse().ok()?,
        environment: root.origin.environment.parse().ok()?,
        release: root.origin.release.parse().ok()?,
        plan: found.text(name::PLAN).map(PlanId),
        step: found.text(name::STEP).and_then(|step| step.parse().ok()),
        arm: Some(root.arm.clone()).filter(|arm| !arm.is_empty()),
        unit: if stuck { Unit::Stuck(unit) } else { Unit::Unstuck(unit) },
        principal: root.user.parse().ok()?,
        dialect: found.text(name::DIALECT)?,
        stream: found.text(name::STREAM).is_some_and(|stream| stream == "true"),
        aside: match found.text(name::COPY_OF) {
            Some(original) => Some(Aside::CopyOf(original.parse().ok()?)),
            None => found.text(name::EVALUATION_RUN).map(Aside::Evaluation),
        },
        copy_dropped: found.text(name::COPY_DROPPED),
        started_at: root.started_at,
        steps,
        retrieval: retrieval(root, (edges, texts)),
        generation: generation(root),
        findings: found.json(name::FINDINGS),
        overrides: found.json(name::OVERRIDES),
        settings: found.parse(name::SETTINGS).and_then(|text| texts.get(&text)).cloned(),
        outcome,
        input: found.captured([name::INPUT_DIGEST, name::INPUT_BYTES], || {
            all(&root.input).map(|messages| format!("[{}]", messages.join(",")))
        }),
        output: found.captured([name::OUTPUT_DIGEST, name::OUTPUT_BYTES], || {
            all(&root.output).map(|parts| parts.concat())
        }),
    })
}

fn retrieval(
    root: &Span,
    (edges, texts): (&[RetrievalEdge], &BTreeMap<Digest, String>),
) -> Option<Retrieval> {
    let found = Found(root);
    let mut edges: Vec<_> = edges.iter().filter(|edge| edge.span_id == root.span_id).collect();
    edges.sort_by_key(|edge| edge.rank);
    let chunks = edges.into_iter().map(|edge| RetrievedChunk {
        id: edge.chunk.clone(),
        document: edge.document.clone(),
        score: edge.score.unwrap_or(0.0),
        start: edge.start.and_then(|at| at.try_into().ok()).unwrap_or(0),
        end: edge.end.and_then(|at| at.try_into().ok()).unwrap_or(0),
    });
    Some(Retrieval {
        snapshot: root.snapshot.parse().ok()?,
        chunks: chunks.collect(),
        vector: found.parse(name::RETRIEVAL_VECTOR).and_then(|text| texts.get(&text)).cloned(),
        rerank_failure: found.text(name::RERANK_FAILURE),
    })
}

fn generation(root: &Span) -> Option<Generation> {
    if root.provider.is_empty() {
        return None;
    }
    let found = Found(root);
    let count = |tokens: Option<i64>| tokens.unwrap_or(0).unsigned_abs();
    let currency = root.currency.parse().ok();
    Some(Generation {
        provider: root.provider.clone(),
        binding: found.parse(name::BINDING),
        request_model: root.request_model.clone(),
        response_model: root.response_model.clone(),
        response_id: root.response_id.clone(),
        fingerprint: found.text(name::FINGERPRINT),
        finish: Some(root.finish_reason.clone()).filter(|finish| !finish.is_empty()),
        time_to_first_chunk: root.time_to_first_chunk,
        input_tokens: count(root.input_tokens),
        output_tokens: count(root.output_tokens),
        cache_read_tokens: count(root.cache_read_tokens),
        cache_creation_tokens: count(root.cache_creation_tokens),
        reasoning_tokens: count(root.reasoning_tokens),
        usage_estimated: found.text(name::USAGE_ESTIMATED).is_some_and(|it| it == "true"),
        unreadable_events: found.parse(name::UNREADABLE_EVENTS).unwrap_or(0),
        // Costs are kept as numbers; a billionth is far above what they lose.
        cost: root
            .cost
            .zip(currency)
            .map(|(cost, currency)| Money { currency, nanos: (cost * 1e9).round() as i64 }),
        unpriced: found.text(name::UNPRICED),
    })
}
