//! The log, the tables and their queries as one.

use std::path::PathBuf;
use std::sync::Arc;

use release::Clock;
use store::{Files, SystemStore};

use crate::log::{LogOptions, TelemetryLog};
use crate::query::{Queries, QueryLimits};
use crate::tables::{Follower, Parts, Tables, TablesError, TablesOptions};

/// What telemetry is kept with.
#[derive(Debug)]
pub struct TelemetryParts {
    /// The log's directory.
    pub directory: PathBuf,
    /// Where the manifest is.
    pub store: SystemStore,
    /// Where the files are.
    pub files: Files,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who follows what comes.
    pub followers: Vec<Arc<dyn Follower>>,
    /// A number that was never drawn before: a new log is known by it.
    pub drawn: u64,
    /// How the log is kept.
    pub log: LogOptions,
    /// How the tables are kept.
    pub tables: TablesOptions,
    /// What queries may use.
    pub limits: QueryLimits,
}

/// Everything that was told of answers and by other services.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// The log's name.
    pub log_id: String,
    /// What came, in the order of its coming.
    pub log: TelemetryLog,
    /// The same as columns.
    pub tables: Tables,
    /// Questions about them.
    pub queries: Queries,
}

impl Telemetry {
    /// Opens what there is and goes on from there.
    ///
    /// # Errors
    /// If another process has the log, or something cannot be read.
    pub async fn open(parts: TelemetryParts) -> Result<Self, TablesError> {
        let TelemetryParts { directory, store, files, clock, followers, .. } = parts;
        let log_id = TelemetryLog::identity(&directory, || parts.drawn)?;
        let used = Tables::watermark(&store, &log_id).await?;
        let log = TelemetryLog::open(&directory, LogOptions { used, ..parts.log })?;
        let options = parts.tables;
        let own = log_id.clone();
        let tables =
            Parts { log: log.clone(), log_id: own, store, files, clock, followers, options };
        let tables = Tables::open(tables).await?;
        let queries = Queries::new(tables.clone(), parts.limits)?;
        Ok(Self { log_id, log, tables, queries })
    }
}
