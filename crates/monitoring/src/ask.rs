//! Asking: a query in either language, over the tables of some time.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use jiff::SignedDuration;
use release::{TenantId, Timestamp};

use crate::insights::{Compared, DEFAULT_LIMIT, Query, Source};
use crate::language::Language;
use crate::query::{Queries, QueryError, read_only};
use crate::results::Results;
use crate::tables::{Span, Table};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The query.
    pub text: String,
    /// Its language; what it begins as if absent.
    pub language: Option<Language>,
    /// Of which time.
    pub span: Span,
    /// The present moment.
    pub now: Timestamp,
    /// The most rows; if absent, what the query says or [`DEFAULT_LIMIT`].
    pub limit: Option<usize>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The rows.
    pub results: Results,
    /// What else is to be known, in plain sentences: whether there are more rows, or some may be
    /// missing.
    pub notes: Vec<String>,
}

/// Runs a query. It ends when what is returned is dropped.
///
/// # Errors
///
/// If the query has a mistake, which is told with its place, or takes more than queries may.
pub async fn ask(queries: &Queries, tenant: &TenantId, asked: &Ask) -> Result<Asked, QueryError> {
    let language = asked.language.unwrap_or_else(|| Language::of(&asked.text));
    let query = match language {
        Language::Sql => None,
        Language::Insights => {
            let query = Query::parse(&asked.text);
            Some(query.map_err(|mistake| QueryError::Wrong(mistake.to_string()))?)
        }
    };
    let limit = match &query {
        Some(query) => query.limit(asked.limit),
        None => asked.limit.unwrap_or(DEFAULT_LIMIT),
    };
    let limit = limit.min(queries.limits().rows);
    let asking = Asking {
        queries: queries.clone(),
        tenant: tenant.clone(),
        asked: asked.clone(),
        query,
        limit,
        mistake: Arc::default(),
    };
    let mistake = Arc::clone(&asking.mistake);
    let asking = Arc::new(asking);
    let plan = move |session| {
        let asking = Arc::clone(&asking);
        async move { asking.plan(session).await }
    };
    let answer = queries.ask(tenant, asked.span, plan).await;
    let mistake = mistake.lock().unwrap_or_else(PoisonError::into_inner).take();
    let answer = match mistake {
        Some(mistake) => return Err(QueryError::Wrong(mistake)),
        None => answer?,
    };
    let results = Results::new(answer.schema, answer.batches);
    let mut notes = Vec::new();
    if answer.cut || results.rows() > limit {
        notes.push(format!(
            "there are more than these {limit} rows: ask for more with a limit, or about a shorter \
             time"
        ));
    }
    if answer.behind {
        notes.push("what came in the last seconds may be missing".to_owned());
    }
    if !answer.damaged.is_empty() {
        notes.push(format!("damaged files were passed over: {}", answer.damaged.join(", ")));
    }
    Ok(Asked { results: results.first(limit), notes })
}

/// A query that is being run, perhaps more than once.
struct Asking {
    queries: Queries,
    tenant: TenantId,
    asked: Ask,
    query: Option<Query>,
    limit: usize,
    /// What the language has against the query.
    mistake: Arc<Mutex<Option<String>>>,
}

impl Asking {
    /// The rows, with one more than is asked for, which tells whether there are more.
    async fn plan(&self, session: SessionContext) -> Result<DataFrame> {
        match &self.query {
            Some(query) => self.insights(query, session).await,
            None => self.sql(session).await,
        }
    }

    async fn sql(&self, session: SessionContext) -> Result<DataFrame> {
        let frame = read_only(&session, &self.asked.text).await?;
        match frame.logical_plan() {
            // What tells about plans and tables cannot be limited.
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_) => {
                Ok(frame)
            }
            _ => frame.limit(0, Some(self.limit + 1)),
        }
    }

    async fn insights(&self, query: &Query, session: SessionContext) -> Result<DataFrame> {
        let name = query.table();
        if Table::named(name).is_none() {
            let names: Vec<_> = Table::ALL.iter().map(|table| table.as_str()).collect();
            return Err(
                self.wrong(format!("there is no table `{name}`: there are {}", names.join(", ")))
            );
        }
        let rows = session.table(name).await?.into_parts().1;
        let before = match query.compared() {
            Some(compared) => {
                let session =
                    self.queries.session(&self.tenant, earlier(compared, self.asked.span))?;
                Some(session.table(name).await?.into_parts().1)
            }
            None => None,
        };
        let source = Source { rows, before, now: self.asked.now, limit: self.limit + 1 };
        match query.compile(source) {
            Ok(plan) => session.execute_logical_plan(plan).await,
            Err(mistake) => Err(self.wrong(mistake.to_string())),
        }
    }

    fn wrong(&self, mistake: String) -> DataFusionError {
        *self.mistake.lock().unwrap_or_else(PoisonError::into_inner) = Some(mistake);
        DataFusionError::Plan("the query has a mistake".to_owned())
    }
}

/// The time that a query compares with.
fn earlier(compared: Compared, span: Span) -> Span {
    let back = match compared {
        Compared::Previous => span.until.duration_since(span.from),
        Compared::DaysEarlier(days) => SignedDuration::from_hours(24 * days),
    };
    let earlier = |at: Timestamp| at.checked_sub(back).unwrap_or(Timestamp::MIN);
    Span { from: earlier(span.from), until: earlier(span.until) }
}

#[cfg(test)]
mod tests;
