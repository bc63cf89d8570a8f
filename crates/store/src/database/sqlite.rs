//! A file of SQLite of somebody else's.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{Query, Row, too_long};
use crate::StoreError;

/// How long a writer of the file is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// How often it is looked at whether a query has had its time.
const LOOK: Duration = Duration::from_millis(20);

/// Stops a query when it is dropped.
struct StopOnDrop(InterruptHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

/// Asks, in a thread of its own, which stops when it takes too long or is not waited for.
pub async fn read(path: &Path, query: &Query, rows: mpsc::Sender<Row>) -> Result<(), StoreError> {
    let (path, query, timeout) = (path.to_owned(), query.clone(), query.timeout);
    let open = move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        Ok::<_, StoreError>(connection)
    };
    let connection = blocking(open).await?;
    let _stops = StopOnDrop(connection.get_interrupt_handle());
    let waits = Arc::new(AtomicBool::new(false));
    let waiting = Arc::clone(&waits);
    let reading = blocking(move || tell(&connection, &query, &rows, &waiting));
    tokio::select! {
        read = reading => read,
        () = spent(timeout, &waits) => Err(too_long(timeout)),
    }
}

/// Waits until a query has had its time. Only what the database takes counts, and not how long
/// whoever takes the rows lets it wait.
async fn spent(timeout: Duration, waits: &AtomicBool) {
    let mut left = timeout;
    while !left.is_zero() {
        tokio::time::sleep(LOOK).await;
        if !waits.load(Ordering::Relaxed) {
            left = left.saturating_sub(LOOK);
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
}

fn tell(
    connection: &Connection,
    query: &Query,
    rows: &mpsc::Sender<Row>,
    waits: &AtomicBool,
) -> Result<(), StoreError> {
    // Only what gives rows can stand here: no pragma, and no other file is attached.
    let (key, inner) = (query.quoted_key(), query.inner());
    let sql = format!("SELECT CAST(told.{key} AS TEXT), told.* FROM ({inner}\n) AS told");
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query([]).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        let key: Option<String> = row.get(0).map_err(failed)?;
        let mut columns = Map::new();
        let mut bytes = 0;
        for (at, name) in names.iter().enumerate().skip(1) {
            let value = row.get_ref(at).map_err(failed)?;
            bytes += name.len() + value.as_bytes_or_null().ok().flatten().map_or(8, <[u8]>::len);
            if bytes <= query.most {
                columns.insert(name.clone(), json(value));
            }
        }
        let columns = (bytes <= query.most).then(|| Value::Object(columns).to_string());
        waits.store(true, Ordering::Relaxed);
        let sent = rows.blocking_send(Row { key, bytes, columns });
        waits.store(false, Ordering::Relaxed);
        if sent.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A value as JSON; bytes that are no text as hex digits, as Postgres writes them.
fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{digits}").into()
        }
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Engine(error.to_string())
}
