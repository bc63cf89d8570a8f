//! A Postgres database of somebody else's.

use std::time::{Duration, Instant};

use release::Secret;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Query, Row, too_long};
use crate::StoreError;

/// How many rows are fetched at a time.
const FETCH: &str = "FETCH FORWARD 8 FROM told";

/// What is left of the time for a query. Only what the database takes counts, and not how long
/// whoever takes the rows lets it wait.
struct Left {
    whole: Duration,
    left: Duration,
}

impl Left {
    async fn take<T>(
        &mut self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let done = timeout(self.left, work).await.map_err(|_| too_long(self.whole))?;
        self.left = self.left.saturating_sub(start.elapsed());
        done.map_err(failed)
    }
}

/// Asks, with the server's own limit beside ours. The server makes JSON of each row, so that every
/// type has one form, and keeps back what is too large.
pub async fn read(url: &Secret, query: &Query, rows: mpsc::Sender<Row>) -> Result<(), StoreError> {
    let mut left = Left { whole: query.timeout, left: query.timeout };
    let mut connection = left.take(PgConnection::connect(url.expose())).await?;
    let limit = format!("SET statement_timeout = {}", query.timeout.as_millis());
    left.take(sqlx::query(AssertSqlSafe(limit)).execute(&mut connection)).await?;
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    left.take(sqlx::query(begin).execute(&mut connection)).await?;
    // A statement of the extended protocol is one statement: the query cannot end it and begin
    // another. The line's end ends a comment.
    let declare = format!(
        "DECLARE told NO SCROLL CURSOR FOR SELECT key, octet_length(columns), \
         CASE WHEN octet_length(columns) <= {} THEN columns END \
         FROM (SELECT source.{}::text AS key, row_to_json(source)::text AS columns FROM ({}\n) AS \
         source) AS told",
        query.most,
        query.quoted_key(),
        query.inner()
    );
    left.take(sqlx::query(AssertSqlSafe(declare)).execute(&mut connection)).await?;
    loop {
        let page = left.take(sqlx::query(FETCH).fetch_all(&mut connection)).await?;
        if page.is_empty() {
            break;
        }
        for found in page {
            if rows.send(row(&found).map_err(failed)?).await.is_err() {
                return Ok(());
            }
        }
    }
    // Nothing was written: that the connection closes is all there is to end.
    connection.close().await.map_err(failed)
}

fn row(found: &PgRow) -> Result<Row, sqlx::Error> {
    let bytes: i32 = found.try_get(1)?;
    Ok(Row {
        key: found.try_get(0)?,
        bytes: usize::try_from(bytes).unwrap_or_default(),
        columns: found.try_get(2)?,
    })
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Engine(error.to_string())
}
