//! Records: versioned JSON values by key.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::engine::{Row, Statement};

/// A named set of records; each is a constant beside the noun that it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection(pub &'static str);

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A versioned value.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's name within its collection and scope.
    pub key: String,
    /// The value, as JSON text.
    pub value: Vec<u8>,
    /// 1 for a new record, one more with each put. A record deleted and put again starts at 1.
    pub version: u64,
}

impl Record {
    /// Reads the value as `T`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the value is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.value).map_err(|source| StoreError::Corrupt {
            object: format!("record `{}`", self.key),
            source: Box::new(source),
        })
    }

    pub(crate) fn from_row(row: Row) -> Result<Self, StoreError> {
        let mut cells = row.cells();
        Ok(Self { key: cells.text()?, value: cells.blob()?, version: cells.number()? })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("bytes", &self.value.len())
            .finish()
    }
}

/// What a transaction expects of a record before it changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is none.
    Absent,
    /// It has this version.
    Version(u64),
    /// Whatever is there.
    Any,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Version(version) => write!(f, "version {version}"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// Which records of a collection to list, in the byte order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only records indexed under this name with this value.
    pub index: Option<(&'static str, String)>,
    /// Only keys after this one: the last key of the previous page.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

impl List {
    /// Every record, at most 1000 in a page.
    pub fn all() -> Self {
        Self { prefix: String::new(), index: None, after: None, limit: 1000 }
    }

    /// Only keys that start with `prefix`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only records that were put with the index entry `name` = `value`.
    pub fn by(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.index = Some((name, value.into()));
        self
    }

    /// The page after `key`.
    pub fn after(mut self, key: impl Into<String>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// At most `limit` records.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) fn statement(
        self,
        scope: &str,
        collection: Collection,
    ) -> Result<Statement, StoreError> {
        if !self.prefix.is_empty() {
            check_key("prefix", &self.prefix)?;
        }
        let end = after_prefix(&self.prefix);
        // Keys hold no control characters, so none lies between `after` and this.
        let start = match self.after {
            Some(after) => {
                check_key("key", &after)?;
                self.prefix.max(format!("{after}\u{1}"))
            }
            None => self.prefix,
        };
        let range = Statement::new(if self.index.is_some() { LIST_BY_INDEX } else { LIST })
            .text(scope)
            .text(collection.0)
            .text(start)
            .text(end)
            .number(self.limit as u64);
        match self.index {
            Some((name, value)) => {
                check_key("index value", &value)?;
                Ok(range.text(name).text(value))
            }
            None => Ok(range),
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self::all()
    }
}

const LIST: &str = "SELECT key, value, version FROM records \
    WHERE tenant = ?1 AND collection = ?2 AND key >= ?3 AND key < ?4 ORDER BY key LIMIT ?5";

const LIST_BY_INDEX: &str = "SELECT r.key, r.value, r.version \
    FROM record_indexes i JOIN records r \
    ON r.tenant = i.tenant AND r.collection = i.collection AND r.key = i.key \
    WHERE i.tenant = ?1 AND i.collection = ?2 AND i.name = ?6 AND i.value = ?7 \
    AND i.key >= ?3 AND i.key < ?4 ORDER BY i.key LIMIT ?5";

/// The longest key, stream name or index value in bytes: three of them fit an index entry of
/// Postgres.
const MAX_KEY_BYTES: usize = 512;

/// The greatest character there is; no key holds it, so every key is less.
const LAST: char = char::MAX;

/// Checks what becomes part of an index: keys, index values, stream and lease names.
pub(crate) fn check_key(noun: &str, key: &str) -> Result<(), StoreError> {
    let reason = if key.is_empty() {
        "it is empty"
    } else if key.len() > MAX_KEY_BYTES {
        "it is longer than 512 bytes"
    } else if key.chars().any(|c| c.is_control() || c == LAST) {
        "it holds a control character"
    } else {
        return Ok(());
    };
    let shown: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(StoreError::Refused { object: format!("{noun} `{shown}`"), reason })
}

/// The least text greater than every key that starts with `prefix`.
fn after_prefix(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=LAST).nth(1) {
            end.push(next);
            return end;
        }
    }
    LAST.to_string()
}

#[cfg(test)]
mod tests;
