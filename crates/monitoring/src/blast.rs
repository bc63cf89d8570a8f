//! Who was told something: every answer that a passage, a document, a snapshot or a release
//! touched. Nobody was told the answer to a copy of a request.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampNanosecondType;
use datafusion::common::JoinType;
use datafusion::functions::expr_fn::get_field;
use datafusion::functions_aggregate::expr_fn::{first_value, min};
use datafusion::logical_expr::{Expr, SortExpr, col, in_list, lit};
use datafusion::prelude::SessionContext;
use release::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::attributes::COPY_OF;
use crate::query::{Answer, Queries, QueryError};
use crate::tables::{Span, TIMESTAMP, Table};

/// What may have touched answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "is")]
pub enum Cause {
    /// A document, by its path.
    Document(String),
    /// A passage, by its id.
    Chunk(String),
    /// A snapshot of knowledge, by its digest.
    Snapshot(String),
    /// Releases, by their digests: one, or all that pin an artifact.
    Releases(Vec<String>),
}

/// An answer that was touched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Touched {
    /// When it was asked for.
    pub at: Timestamp,
    /// Its trace.
    pub trace: String,
    /// The app.
    pub app: Option<String>,
    /// Where.
    pub environment: Option<String>,
    /// The release that answered.
    pub release: Option<String>,
    /// Who asked.
    pub user: Option<String>,
    /// The conversation.
    pub conversation: Option<String>,
}

/// Everything that was touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlastRadius {
    /// The answers, oldest first.
    pub answers: Vec<Touched>,
    /// Everybody who asked.
    pub users: BTreeSet<String>,
    /// Every conversation.
    pub conversations: BTreeSet<String>,
    /// Whether there are more answers than a query gives.
    pub cut: bool,
    /// Files that could not be looked at because they are damaged.
    pub damaged: Vec<String>,
}

impl Cause {
    fn table(&self) -> Table {
        match self {
            Self::Document(_) | Self::Chunk(_) | Self::Snapshot(_) => Table::RetrievalEdges,
            Self::Releases(_) => Table::Spans,
        }
    }

    fn condition(&self) -> Expr {
        match self {
            Self::Document(path) => col("document").eq(lit(path)),
            Self::Chunk(id) => col("chunk").eq(lit(id)),
            Self::Snapshot(digest) => col("snapshot").eq(lit(digest)),
            // Only a request's own span says how it ended.
            Self::Releases(digests) => {
                let digests = digests.iter().map(lit).collect();
                in_list(col("release"), digests, false).and(col("outcome").is_not_null())
            }
        }
    }
}

/// Every answer that `cause` touched in a span of time.
///
/// # Errors
/// If the query fails.
pub async fn radius(
    queries: &Queries,
    tenant: &TenantId,
    (cause, span): (&Cause, Span),
) -> Result<BlastRadius, QueryError> {
    let cause = cause.clone();
    let plan = move |session: SessionContext| {
        let (table, condition) = (cause.table(), cause.condition());
        async move {
            let facts = ["app", "environment", "release", "user", "conversation"];
            let by_moment: Vec<SortExpr> = vec![col(TIMESTAMP).sort(true, false)];
            let facts = facts.map(|name| first_value(col(name), by_moment.clone()).alias(name));
            let mut computed = vec![min(col(TIMESTAMP)).alias(TIMESTAMP)];
            computed.extend(facts);
            let touched = session.table(table.as_str()).await?.filter(condition)?;
            let touched = touched.aggregate(vec![col("trace_id")], computed)?;
            let copies = session.table(Table::Spans.as_str()).await?;
            let copies = copies.filter(get_field(col("attributes"), COPY_OF).is_not_null())?;
            let copies = copies.select(vec![col("trace_id").alias("copy")])?;
            let touched =
                touched.join(copies, JoinType::LeftAnti, &["trace_id"], &["copy"], None)?;
            touched.sort(vec![col(TIMESTAMP).sort(true, false), col("trace_id").sort(true, false)])
        }
    };
    let Answer { batches, cut, damaged, .. } = queries.ask(tenant, span, plan).await?;
    let answers: Vec<Touched> = batches.iter().flat_map(touched).collect();
    let users = answers.iter().filter_map(|answer| answer.user.clone()).collect();
    let conversations = answers.iter().filter_map(|answer| answer.conversation.clone()).collect();
    Ok(BlastRadius { answers, users, conversations, cut, damaged })
}

fn touched(batch: &RecordBatch) -> Vec<Touched> {
    let text = |name: &str, row: usize| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let moment = |row: usize| {
        let column = batch.column_by_name(TIMESTAMP)?;
        let nanos = column.as_primitive_opt::<TimestampNanosecondType>()?.value(row);
        Timestamp::from_nanosecond(i128::from(nanos)).ok()
    };
    let answers = (0..batch.num_rows()).map(|row| Touched {
        at: moment(row).unwrap_or_default(),
        trace: text("trace_id", row).unwrap_or_default(),
        app: text("app", row),
        environment: text("environment", row),
        release: text("release", row),
        user: text("user", row),
        conversation: text("conversation", row),
    });
    answers.collect()
}

#[cfg(test)]
mod tests;
