//! Postgres: shared by several processes, each with one writer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use release::Secret;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Row as _, TypeInfo};
use tokio::sync::watch;

use super::{Cell, Engine, Failure, Row, Session, Statement, Value, last_position};
use crate::StoreError;
use crate::batch::{self, Outcome, Work, Writer};
use crate::migrations::migrate;

/// Connections of one process: the writer's, the listener's, and the rest for queries.
const CONNECTIONS: u32 = 8;

/// How long another process's event may stay unseen if its notification is lost.
const POLL: Duration = Duration::from_secs(1);

/// The channel on which processes tell each other that the log grew.
const CHANNEL: &str = "groundcrew_log";

/// The engine over one Postgres database.
pub(crate) struct Postgres {
    pool: PgPool,
    writer: Writer,
    highest: watch::Receiver<u64>,
}

impl Postgres {
    pub(crate) async fn open(url: &Secret) -> Result<Self, StoreError> {
        let mut options = PgConnectOptions::from_str(url.expose())
            .map_err(|source| StoreError::engine("read the Postgres URL", source))?;
        if options.get_application_name().is_none() {
            options = options.application_name("groundcrew");
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await
            .map_err(|source| StoreError::engine("connect to Postgres", source))?;
        let mut session = PostgresSession { pool: pool.clone(), connection: None };
        migrate(&mut session).await?;
        let (sender, highest) = watch::channel(last_position(&mut session).await?);
        session.connection = None;
        let (writer, queue) = batch::queue();
        tokio::spawn(serve(pool.clone(), batch::run(session, queue, sender.clone()), sender));
        Ok(Self { pool, writer, highest })
    }
}

/// Writes, and publishes what other processes commit, until the store is closed or every handle on
/// it is gone.
async fn serve(pool: PgPool, write: impl Future<Output = ()>, highest: watch::Sender<u64>) {
    tokio::select! {
        () = write => {}
        () = listen(&pool, &highest) => {}
    }
    pool.close().await;
}

#[async_trait]
impl Engine for Postgres {
    async fn read(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let mut session = PostgresSession { pool: self.pool.clone(), connection: None };
        match session.query(statement.sql, &statement.values).await {
            Err(_) if self.pool.is_closed() => Err(StoreError::Closed),
            rows => rows.map_err(|failure| failure.during("run a query")),
        }
    }

    async fn write(&self, work: Work) -> Result<Outcome, StoreError> {
        self.writer.write(work).await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.highest.clone()
    }

    async fn close(&self) {
        self.writer.stop().await;
        self.pool.close().await;
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// Publishes the positions that other processes commit, for ever. A lost notification is made up
/// for by looking every [`POLL`].
async fn listen(pool: &PgPool, highest: &watch::Sender<u64>) {
    let mut listener = None;
    let mut session = PostgresSession { pool: pool.clone(), connection: None };
    loop {
        if listener.is_none() {
            listener = subscribe(pool).await;
        }
        let notified = async {
            match &mut listener {
                Some(listener) => listener.try_recv().await,
                None => std::future::pending().await,
            }
        };
        if let Ok(Err(_) | Ok(None)) = tokio::time::timeout(POLL, notified).await {
            // The connection is gone: subscribe anew, after looking at what was missed.
            listener = None;
        }
        match last_position(&mut session).await {
            Ok(position) => batch::publish(highest, position),
            Err(error) => {
                tracing::warn!(error = %error, "the log's last position could not be read");
                tokio::time::sleep(POLL).await;
            }
        }
        session.connection = None;
    }
}

async fn subscribe(pool: &PgPool) -> Option<PgListener> {
    let subscribed = async {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    subscribed
        .await
        .inspect_err(|error| {
            tracing::warn!(error = %error, "no notifications from Postgres; polling instead");
        })
        .ok()
}

/// A connection of the pool, taken when first needed.
struct PostgresSession {
    pool: PgPool,
    connection: Option<PoolConnection<sqlx::Postgres>>,
}

impl PostgresSession {
    async fn connection(&mut self) -> Result<&mut PoolConnection<sqlx::Postgres>, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(self.connection.insert(connection))
    }
}

impl Session for PostgresSession {
    const MIGRATIONS: &'static [&'static str] =
        &[include_str!("../../migrations/postgres/0001.sql")];

    async fn begin(&mut self) -> Result<(), Failure> {
        self.execute("BEGIN", &[]).await.map(|_| ())
    }

    async fn savepoint(&mut self, replace: bool) -> Result<(), Failure> {
        // One round trip, not two.
        let sql = "RELEASE SAVEPOINT work; SAVEPOINT work";
        self.script(if replace { sql } else { "SAVEPOINT work" }).await
    }

    async fn commit(&mut self, emitted: bool) -> Result<(), Failure> {
        if emitted {
            self.execute("NOTIFY groundcrew_log", &[]).await?;
        }
        self.execute("COMMIT", &[]).await?;
        self.connection = None;
        Ok(())
    }

    /// A connection in doubt is closed, never returned to the pool with its transaction open.
    async fn rollback(&mut self) {
        let rolled_back = self.execute("ROLLBACK", &[]).await;
        if let Some(mut connection) = self.connection.take()
            && rolled_back.is_err()
        {
            connection.close_on_drop();
        }
    }

    async fn lock_schema(&mut self) -> Result<(), Failure> {
        // The key is arbitrary: "ground" in ASCII.
        self.query("SELECT pg_advisory_xact_lock(113668989906532)", &[]).await.map(|_| ())
    }

    async fn script(&mut self, sql: &'static str) -> Result<(), Failure> {
        let connection = self.connection().await?;
        sqlx::raw_sql(sql).execute(&mut **connection).await?;
        Ok(())
    }

    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure> {
        let connection = self.connection().await?;
        Ok(bind(sql, values).execute(&mut **connection).await?.rows_affected())
    }

    async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let connection = self.connection().await?;
        let rows = bind(sql, values).fetch_all(&mut **connection).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }
}

/// The statement in Postgres's notation: placeholders are `$1`, and no text of ours holds a `?`.
fn bind<'q>(sql: &'static str, values: &'q [Value<'q>]) -> Query<'q, sqlx::Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.replace('?', "$")));
    values.iter().fold(query, |query, value| match value {
        Value::Integer(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.as_ref()),
        Value::Blob(value) => query.bind(*value),
    })
}

fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    let cells = row.columns().iter().map(|column| {
        let at = column.ordinal();
        Ok(match column.type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(at)?.map_or(Cell::Null, Cell::Integer),
            "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(at)?.map_or(Cell::Null, Cell::Blob),
            "VOID" => Cell::Null,
            _ => row.try_get::<Option<String>, _>(at)?.map_or(Cell::Null, Cell::Text),
        })
    });
    Ok(Row(cells.collect::<Result<_, sqlx::Error>>()?))
}

impl From<sqlx::Error> for Failure {
    fn from(source: sqlx::Error) -> Self {
        // serialization_failure and deadlock_detected, Postgres manual, appendix A.
        let code = source.as_database_error().and_then(|error| error.code());
        let transient = matches!(code.as_deref(), Some("40001" | "40P01"));
        Self { transient, source: Arc::new(source) }
    }
}
