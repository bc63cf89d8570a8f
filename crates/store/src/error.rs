//! What can go wrong in the store.

use crate::Expect;

/// An error of the store. Only a successful commit was written; any error means that nothing was,
/// but for [`StoreError::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record is not at the version that the caller had read.
    #[error("record `{key}` of `{collection}` is not {expected}: somebody else wrote it meanwhile")]
    Conflict {
        /// The collection.
        collection: &'static str,
        /// The record.
        key: String,
        /// What the caller expected.
        expected: Expect,
    },
    /// A stream is not as long as the caller had read.
    #[error("stream `{stream}` ends at {found}, not at {expected}")]
    StreamConflict {
        /// The stream.
        stream: String,
        /// The last sequence number that the caller had read.
        expected: u64,
        /// The last sequence number it has.
        found: u64,
    },
    /// A stream cannot be deleted.
    #[error("stream `{stream}` has entries of the global event log, which is kept for good")]
    Logged {
        /// The stream.
        stream: String,
    },
    /// The data was written by a newer version of this program.
    #[error(
        "the data has schema {found}, this program knows schemas up to {known}: use a newer one"
    )]
    NewerSchema {
        /// The data's schema.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Another process owns the database file.
    #[error("`{path}` is in use by another process")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// A record or event does not have the form its reader expects.
    #[error("`{what}` cannot be read as what it should be")]
    Form {
        /// The record or stream.
        what: String,
        /// What did not fit.
        source: serde_json::Error,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Engine(String),
    /// The database gave way to another transaction; the same again may succeed.
    #[error("the database gave way to another transaction: {0}")]
    Aborted(String),
    /// The connection was lost during the commit: it may have been written or not.
    #[error("whether it was written is unknown, look before you try again: {0}")]
    Unknown(String),
    /// A file could not be opened.
    #[error("`{path}` cannot be opened")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // A serialization failure, and a deadlock (SQLSTATE class 40).
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            Some("40001" | "40P01") => Self::Aborted(error.to_string()),
            _ => Self::Engine(error.to_string()),
        }
    }
}
