//! A Postgres database of somebody else's.

use futures::TryStreamExt;
use release::Secret;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row as _};
use tokio::sync::mpsc;

use super::{Query, Row};
use crate::StoreError;

/// Asks, with the server's own limit beside ours. The server makes JSON of each row, so that every
/// type has one form, and keeps back what is too large.
pub async fn read(url: &Secret, query: &Query, rows: mpsc::Sender<Row>) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect(url.expose()).await.map_err(failed)?;
    let timeout = format!("SET statement_timeout = {}", query.timeout.as_millis());
    sqlx::query(AssertSqlSafe(timeout)).execute(&mut connection).await.map_err(failed)?;
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    sqlx::query(begin).execute(&mut connection).await.map_err(failed)?;
    // A statement of the extended protocol is one statement: the query cannot end it and begin
    // another. The line's end ends a comment.
    let sql = format!(
        "SELECT key, octet_length(columns), CASE WHEN octet_length(columns) <= $1 THEN columns END \
         FROM (SELECT source.{}::text AS key, row_to_json(source)::text AS columns FROM ({}\n) AS source) \
         AS told",
        query.quoted_key(),
        query.inner()
    );
    let most = i32::try_from(query.most).unwrap_or(i32::MAX);
    let mut found = sqlx::query(AssertSqlSafe(sql)).bind(most).fetch(&mut connection);
    while let Some(row) = found.try_next().await.map_err(failed)? {
        let bytes: i32 = row.try_get(1).map_err(failed)?;
        let row = Row {
            key: row.try_get(0).map_err(failed)?,
            bytes: usize::try_from(bytes).unwrap_or_default(),
            columns: row.try_get(2).map_err(failed)?,
        };
        if rows.send(row).await.is_err() {
            return Ok(());
        }
    }
    drop(found);
    // Nothing was written: that the connection closes is all there is to end.
    connection.close().await.map_err(failed)
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Engine(error.to_string())
}
