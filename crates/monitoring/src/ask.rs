//! Asking: a query in either language, over the tables of some time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use release::Timestamp;

use crate::insights::{Compared, DEFAULT_LIMIT, InsightsError, MAX_LIMIT, Query, Source};
use crate::language::Language;
use crate::results::Results;

/// How long a query may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the tables of a time come from: one tenant's.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A session in which `spans`, `logs` and all other tables have the rows from `from` to before
    /// `to`, and which is limited in memory.
    async fn session(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<SessionContext, DataFusionError>;
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The query.
    pub text: String,
    /// Its language; what it begins as if absent.
    pub language: Option<Language>,
    /// From when.
    pub from: Timestamp,
    /// To before when.
    pub to: Timestamp,
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
    /// Whether there may be more than were asked for.
    pub more: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The query has a mistake.
    #[error("the query has a mistake\n{0}")]
    Mistake(InsightsError),
    /// SQL does not read it, or it names what is not there.
    #[error("the query cannot be run: {0}")]
    Sql(String),
    /// There is no such table.
    #[error("there is no table `{0}`: there are {1}")]
    Table(String, String),
    /// It needs more memory than a query may have.
    #[error(
        "the query needs more memory than it may have; ask about a shorter time, group by fewer \
         values, or sort with a limit"
    )]
    Memory,
    /// It takes too long.
    #[error("the query took longer than {} seconds; ask about a shorter time", .0.as_secs())]
    Time(Duration),
    /// It was begun, and failed.
    #[error("the query failed")]
    Failed(#[source] DataFusionError),
}

/// Runs a query. It ends when what is returned is dropped.
///
/// # Errors
///
/// See [`AskError`].
pub async fn ask(sessions: &dyn Sessions, asked: &Ask) -> Result<Asked, AskError> {
    let answer = tokio::time::timeout(PATIENCE, run(sessions, asked)).await;
    answer.unwrap_or(Err(AskError::Time(PATIENCE)))
}

async fn run(sessions: &dyn Sessions, asked: &Ask) -> Result<Asked, AskError> {
    let session = sessions.session(asked.from, asked.to).await.map_err(failed)?;
    let language = asked.language.unwrap_or_else(|| Language::of(&asked.text));
    let (frame, limit) = match language {
        Language::Sql => sql(&session, asked).await?,
        Language::Insights => insights(&session, sessions, asked).await?,
    };
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await.map_err(failed)?;
    let results = Results::new(schema, batches);
    let more = results.rows() > limit;
    Ok(Asked { results: results.first(limit), more })
}

/// The rows of a statement in SQL, with one more than is asked for, and how many that is.
async fn sql(session: &SessionContext, asked: &Ask) -> Result<(DataFrame, usize), AskError> {
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let reads =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = session.sql_with_options(&asked.text, reads).await.map_err(planned)?;
    match is_told(frame.logical_plan()) {
        true => Ok((frame, MAX_LIMIT)),
        false => Ok((frame.limit(0, Some(limit + 1)).map_err(planned)?, limit)),
    }
}

/// The same in the language of Logs Insights.
async fn insights(
    session: &SessionContext,
    sessions: &dyn Sessions,
    asked: &Ask,
) -> Result<(DataFrame, usize), AskError> {
    let query = Query::parse(&asked.text).map_err(AskError::Mistake)?;
    let limit = query.limit(asked.limit);
    let rows = table(session, query.table()).await?;
    let before = match query.compared() {
        Some(compared) => {
            let (from, to) = earlier(compared, asked);
            let session = sessions.session(from, to).await.map_err(failed)?;
            Some(table(&session, query.table()).await?)
        }
        None => None,
    };
    let source = Source { rows, before, now: asked.now, limit: limit + 1 };
    let plan = query.compile(source).map_err(AskError::Mistake)?;
    Ok((session.execute_logical_plan(plan).await.map_err(planned)?, limit))
}

/// Whether a statement tells about plans or tables, which cannot be limited.
fn is_told(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    )
}

async fn table(session: &SessionContext, name: &str) -> Result<LogicalPlan, AskError> {
    match session.table(name).await {
        Ok(frame) => Ok(DataFrame::into_parts(frame).1),
        Err(_) => {
            let catalogs = session.catalog_names().into_iter();
            let schemas = catalogs.filter_map(|name| session.catalog(&name)).flat_map(|catalog| {
                catalog.schema_names().into_iter().filter_map(move |name| catalog.schema(&name))
            });
            let mut names: Vec<_> = schemas.flat_map(|schema| schema.table_names()).collect();
            names.sort();
            Err(AskError::Table(name.to_owned(), names.join(", ")))
        }
    }
}

/// The time that a query compares with.
fn earlier(compared: Compared, asked: &Ask) -> (Timestamp, Timestamp) {
    let back = match compared {
        Compared::Previous => asked.to.duration_since(asked.from),
        Compared::DaysEarlier(days) => jiff::SignedDuration::from_hours(24 * days),
    };
    let earlier = |at: Timestamp| at.checked_sub(back).unwrap_or(Timestamp::MIN);
    (earlier(asked.from), earlier(asked.to))
}

/// An error of making the plan is the query's.
fn planned(error: DataFusionError) -> AskError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => AskError::Memory,
        DataFusionError::IoError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::ParquetError(_) => AskError::Failed(error),
        _ => AskError::Sql(error.strip_backtrace()),
    }
}

/// An error of running it is ours, but for what the query's values make.
fn failed(error: DataFusionError) -> AskError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => AskError::Memory,
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => {
            AskError::Sql(error.strip_backtrace())
        }
        _ => AskError::Failed(error),
    }
}

#[cfg(test)]
mod tests;
