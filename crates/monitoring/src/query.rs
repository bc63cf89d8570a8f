//! Asking the tables.
//!
//! A query sees one tenant's tables over a span of time, at one moment, live rows included. It runs
//! on threads of its own, in bounded memory and time, and ends when nobody waits for it any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use release::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::frame::nanoseconds;
use crate::tables::{Span, TIMESTAMP, Table, Tables, View};

/// What a query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryLimits {
    /// The most seconds it takes.
    #[schemars(range(min = 1))]
    pub seconds: u64,
    /// The most bytes of memory that all queries together take; what needs more is spilled to disk,
    /// and refused if that cannot be done.
    pub memory_bytes: usize,
    /// The most bytes that all queries together spill to disk.
    pub spill_bytes: u64,
    /// The most rows it gives.
    pub rows: usize,
    /// How many run at once; others wait.
    #[schemars(range(min = 1))]
    pub concurrent: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            seconds: 60,
            memory_bytes: 512 << 20,
            spill_bytes: 4 << 30,
            rows: 100_000,
            concurrent: 4,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It cannot be understood, or does not fit the tables.
    #[error("{0}")]
    Wrong(String),
    /// It took too long.
    #[error("the query took longer than {0} s and was stopped")]
    TooSlow(u64),
    /// It needs more memory than queries may have.
    #[error("the query needs more memory than {0} bytes and was stopped")]
    TooLarge(usize),
    /// The engine failed.
    #[error("the query failed: {0}")]
    Failed(String),
}

/// What a query gave.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Whether there are more rows than it may give.
    pub cut: bool,
    /// Whether rows that were acknowledged before may be missing, since the log is far ahead.
    pub behind: bool,
    /// Files that were passed over because they are damaged.
    pub damaged: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// How long a query waits for rows that were acknowledged before it.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How often a query is asked again because a file turned out to be damaged.
const RETRIES: usize = 16;

/// Asks the tables.
#[derive(Debug, Clone)]
pub struct Queries {
    tables: Tables,
    limits: QueryLimits,
    environment: Arc<RuntimeEnv>,
    running: Arc<Semaphore>,
    threads: Arc<Threads>,
}

/// The threads that queries run on, so that they never keep a request waiting.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Queries {
    /// Asks `tables` within `limits`.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn new(tables: Tables, limits: QueryLimits) -> Result<Self> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.concurrent + 1)
            .thread_name("queries")
            .enable_all()
            .build()?;
        let environment = environment(limits)?;
        let running = Arc::new(Semaphore::new(limits.concurrent));
        Ok(Self { tables, limits, environment, running, threads: Arc::new(Threads(Some(threads))) })
    }

    /// The tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What queries may use.
    pub fn limits(&self) -> QueryLimits {
        self.limits
    }

    /// Asks with what `plan` makes of the tenant's tables.
    ///
    /// # Errors
    /// What `plan` fails with, or if the limits are exceeded.
    pub async fn ask<P, F>(
        &self,
        tenant: &TenantId,
        span: Span,
        plan: P,
    ) -> Result<Answer, QueryError>
    where
        P: Fn(SessionContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<DataFrame>> + Send + 'static,
    {
        let begun = Instant::now();
        let behind = !self.tables.catch_up(CATCH_UP).await;
        let seconds = self.limits.seconds;
        let Some(threads) = &self.threads.0 else {
            return Err(QueryError::Failed("the server is stopping".to_owned()));
        };
        let task = threads.spawn(self.clone().run(tenant.clone(), span, plan));
        let _stopped = Abort(task.abort_handle());
        // Timed from outside: a query that computes without a pause would stop its own clock.
        let done = tokio::time::timeout(Duration::from_secs(seconds), task).await;
        let done = done.map_err(|_| QueryError::TooSlow(seconds))?;
        let mut answer = done.map_err(|error| QueryError::Failed(error.to_string()))??;
        (answer.took, answer.behind) = (begun.elapsed(), behind);
        Ok(answer)
    }

    /// Asks a query in SQL whose `$name`s have these values. What decides something must rest on
    /// everything there is: an answer with a hole in it is none.
    ///
    /// # Errors
    /// As [`Queries::ask`], or if not everything that was recorded could be looked at.
    pub(crate) async fn whole(
        &self,
        tenant: &TenantId,
        span: Span,
        (sql, values): (&'static str, Vec<(&'static str, ScalarValue)>),
    ) -> Result<Answer, QueryError> {
        let plan = move |session: SessionContext| {
            let values = values.clone();
            async move { read_only(&session, sql).await?.with_param_values(values) }
        };
        let answer = self.ask(tenant, span, plan).await?;
        if answer.behind || answer.cut || !answer.damaged.is_empty() {
            let why = "not everything that was recorded could be looked at";
            return Err(QueryError::Failed(why.to_owned()));
        }
        Ok(answer)
    }

    async fn run<P, F>(self, tenant: TenantId, span: Span, plan: P) -> Result<Answer, QueryError>
    where
        P: Fn(SessionContext) -> F + Send + Sync,
        F: Future<Output = Result<DataFrame>> + Send,
    {
        let turn = self.running.acquire().await;
        let _turn = turn.map_err(|error| QueryError::Failed(error.to_string()))?;
        let mut tries = 0;
        loop {
            let damaged = self.tables.damaged();
            match self.once((&tenant, span), &plan).await {
                Ok(mut answer) => {
                    answer.damaged = damaged.into_iter().collect();
                    return Ok(answer);
                }
                Err(_) if tries < RETRIES && self.tables.damaged() != damaged => tries += 1,
                Err(error) => return Err(self.told(&error)),
            }
        }
    }

    async fn once<P, F>(&self, (tenant, span): (&TenantId, Span), plan: &P) -> Result<Answer>
    where
        P: Fn(SessionContext) -> F,
        F: Future<Output = Result<DataFrame>>,
    {
        let session = self.session(tenant, span)?;
        let mut rows = plan(session).await?.execute_stream().await?;
        let schema = rows.schema();
        let (mut batches, mut left, mut cut) = (Vec::new(), self.limits.rows, false);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            cut = batch.num_rows() > left;
            let fits = batch.num_rows().min(left);
            left -= fits;
            if fits > 0 {
                batches.push(batch.slice(0, fits));
            }
            if cut {
                break;
            }
        }
        let (behind, damaged, took) = (false, Vec::new(), Duration::ZERO);
        Ok(Answer { schema, batches, cut, behind, damaged, took })
    }

    /// A session that knows one tenant's tables over a span of time, and nothing else.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn session(&self, tenant: &TenantId, span: Span) -> Result<SessionContext> {
        let session = session(&self.environment);
        for table in Table::ALL {
            let view = self.tables.view(tenant, table, span);
            let plan = bounded(view, span)?;
            session.register_table(
                table.as_str(),
                DataFrame::new(session.state(), plan).into_view(),
            )?;
        }
        Ok(session)
    }

    fn told(&self, error: &DataFusionError) -> QueryError {
        let root = error.find_root();
        let message = root.strip_backtrace();
        match root {
            DataFusionError::ResourcesExhausted(_) => {
                QueryError::TooLarge(self.limits.memory_bytes)
            }
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::Configuration(_)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Execution(_)
            | DataFusionError::ArrowError(..) => QueryError::Wrong(message),
            _ => QueryError::Failed(message),
        }
    }
}

/// Stops a query that nobody waits for any more.
struct Abort(AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The view's rows of the span, whatever the query says.
fn bounded(view: View, span: Span) -> Result<LogicalPlan> {
    let name = view.table.as_str();
    let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(view)), None)?;
    if span == Span::ALL {
        return scan.build();
    }
    let moment = |at: Timestamp| {
        let utc = Some("UTC".into());
        lit(ScalarValue::TimestampNanosecond(Some(nanoseconds(at)), utc))
    };
    let inside = col(TIMESTAMP).gt_eq(moment(span.from)).and(col(TIMESTAMP).lt(moment(span.until)));
    scan.filter(inside)?.build()
}

/// What a query in SQL, which may only read, gives.
///
/// # Errors
/// If it does more than read, or cannot be understood.
pub(crate) async fn read_only(session: &SessionContext, sql: &str) -> Result<DataFrame> {
    let only_reads =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    session.sql_with_options(sql, only_reads).await
}

/// A view's rows, sorted as its files are.
///
/// # Errors
/// If they cannot be read, or need more memory and disk than maintenance may have.
pub(crate) async fn sorted(view: View) -> Result<SendableRecordBatchStream> {
    let order = view.table.sort_key().iter().map(|name| col(*name).sort(true, true));
    let order: Vec<_> = order.collect();
    let limits = QueryLimits { memory_bytes: 256 << 20, ..QueryLimits::default() };
    rows(view, limits)?.sort(order)?.execute_stream().await
}

/// How many rows of a view meet a condition.
///
/// # Errors
/// If they cannot be read.
pub(crate) async fn count(view: View, condition: Expr) -> Result<usize> {
    rows(view, QueryLimits::default())?.filter(condition)?.count().await
}

/// The distinct values of a view's column where a condition is met.
///
/// # Errors
/// If they cannot be read.
pub(crate) async fn column(
    view: View,
    name: &str,
    condition: Expr,
) -> Result<SendableRecordBatchStream> {
    let rows = rows(view, QueryLimits::default())?.filter(condition)?;
    rows.select(vec![col(name)])?.distinct()?.execute_stream().await
}

/// The rows of a view of metrics that are sums of others.
///
/// # Errors
/// If they cannot be read.
pub(crate) async fn rollups(view: View) -> Result<SendableRecordBatchStream> {
    let rows = rows(view, QueryLimits::default())?;
    rows.filter(col("kind").eq(lit("rollup")))?.execute_stream().await
}

/// A view's rows, read within limits of its own.
fn rows(view: View, limits: QueryLimits) -> Result<DataFrame> {
    let session = session(&environment(limits)?);
    session.read_table(Arc::new(view) as Arc<dyn TableProvider>)
}

fn environment(limits: QueryLimits) -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::OsTmpDirectory)
        .with_max_temp_directory_size(limits.spill_bytes);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()
}

fn session(environment: &Arc<RuntimeEnv>) -> SessionContext {
    let config = SessionConfig::new()
        .with_information_schema(true)
        .with_target_partitions(2)
        .with_collect_statistics(false);
    SessionContext::new_with_config_rt(config, Arc::clone(environment))
}
