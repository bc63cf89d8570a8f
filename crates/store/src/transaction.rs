//! What one logical transaction changes.

use std::fmt;

use release::{PrincipalId, Timestamp};
use serde::Serialize;

use crate::{Collection, StoreError};

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing under this key.
    Absent,
    /// The record at this version.
    Version(u64),
    /// Whatever is there.
    Any,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Version(version) => write!(f, "at version {version}"),
            Self::Any => f.write_str("there"),
        }
    }
}

/// Changes that happen together or not at all.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub(crate) actor: PrincipalId,
    pub(crate) at: Timestamp,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Put {
        collection: Collection,
        key: String,
        value: Vec<u8>,
        expect: Expect,
        /// None if its entries stay as they are.
        indexes: Option<Vec<(&'static str, String)>>,
    },
    Delete {
        collection: Collection,
        key: String,
        expect: Expect,
    },
    Append {
        stream: String,
        kind: String,
        payload: Vec<u8>,
        expected_last: Option<u64>,
        global: bool,
    },
    DeleteStream {
        stream: String,
    },
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// The global position of its last event, if it emitted one.
    pub position: Option<u64>,
}

impl Transaction {
    /// An empty transaction; `actor` and `at` are noted on every event.
    pub fn new(actor: PrincipalId, at: Timestamp) -> Self {
        Self { actor, at, steps: Vec::new() }
    }

    /// How many bytes it writes.
    pub fn bytes(&self) -> usize {
        let bytes = self.steps.iter().map(|step| match step {
            Step::Put { value, .. } => value.len(),
            Step::Append { payload, .. } => payload.len(),
            Step::Delete { .. } | Step::DeleteStream { .. } => 0,
        });
        bytes.sum()
    }

    /// Writes a record without index entries.
    ///
    /// # Errors
    /// [`StoreError::Form`] if `value` has no JSON form.
    pub fn put(
        self,
        collection: Collection,
        key: &str,
        value: &impl Serialize,
        expect: Expect,
    ) -> Result<Self, StoreError> {
        self.put_indexed((collection, key), value, expect, &[])
    }

    /// Writes a record that can be listed by each of `indexes`; earlier entries are replaced.
    ///
    /// # Errors
    /// [`StoreError::Form`] if `value` has no JSON form.
    pub fn put_indexed(
        mut self,
        (collection, key): (Collection, &str),
        value: &impl Serialize,
        expect: Expect,
        indexes: &[(&'static str, String)],
    ) -> Result<Self, StoreError> {
        let value = json(key, value)?;
        let (key, indexes) = (key.to_owned(), Some(indexes.to_vec()));
        self.steps.push(Step::Put { collection, key, value, expect, indexes });
        Ok(self)
    }

    /// Writes a record whose index entries stay as they are, which costs the database less.
    ///
    /// # Errors
    /// [`StoreError::Form`] if `value` has no JSON form.
    pub fn put_as_indexed(
        mut self,
        (collection, key): (Collection, &str),
        value: &impl Serialize,
        expect: Expect,
    ) -> Result<Self, StoreError> {
        let value = json(key, value)?;
        let key = key.to_owned();
        self.steps.push(Step::Put { collection, key, value, expect, indexes: None });
        Ok(self)
    }

    /// Deletes a record and its index entries.
    #[must_use]
    pub fn delete(mut self, collection: Collection, key: &str, expect: Expect) -> Self {
        self.steps.push(Step::Delete { collection, key: key.to_owned(), expect });
        self
    }

    /// Appends to a stream that keeps its own order only. With `expected_last` the stream must end
    /// there.
    ///
    /// # Errors
    /// [`StoreError::Form`] if `payload` has no JSON form.
    pub fn append(
        mut self,
        stream: &str,
        kind: &str,
        payload: &impl Serialize,
        expected_last: Option<u64>,
    ) -> Result<Self, StoreError> {
        let payload = json(stream, payload)?;
        let (stream, kind) = (stream.to_owned(), kind.to_owned());
        self.steps.push(Step::Append { stream, kind, payload, expected_last, global: false });
        Ok(self)
    }

    /// Deletes a stream with all its entries; one of its name then begins anew. The global event
    /// log is kept for good, so a stream with entries of it is refused when this is committed.
    #[must_use]
    pub fn delete_stream(mut self, stream: &str) -> Self {
        self.steps.push(Step::DeleteStream { stream: stream.to_owned() });
        self
    }

    /// Appends to a stream and to the global event log.
    ///
    /// # Errors
    /// [`StoreError::Form`] if `payload` has no JSON form.
    pub fn emit(
        mut self,
        stream: &str,
        kind: &str,
        payload: &impl Serialize,
    ) -> Result<Self, StoreError> {
        let payload = json(stream, payload)?;
        let (stream, kind) = (stream.to_owned(), kind.to_owned());
        let (expected_last, global) = (None, true);
        self.steps.push(Step::Append { stream, kind, payload, expected_last, global });
        Ok(self)
    }
}

fn json(what: &str, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Form { what: what.to_owned(), source })
}
