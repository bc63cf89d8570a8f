//! A transaction: changes of records and entries of streams that happen together or not at all.

use release::{PrincipalId, Timestamp};
use serde::Serialize;

use crate::record::check_key;
use crate::{Collection, Expect, Lease, StoreError};

/// Changes to commit together, in the scope of the handle that commits them.
///
/// Changes apply in the order they were added. A mistake in one (a value that is not JSON, an
/// unusable key) is reported by the commit, which then does nothing.
#[derive(Debug)]
#[must_use = "a transaction does nothing until a handle commits it"]
pub struct Transaction {
    pub(crate) actor: PrincipalId,
    pub(crate) at: Timestamp,
    pub(crate) operations: Vec<Operation>,
    mistake: Option<StoreError>,
}

/// One change.
#[derive(Debug)]
pub(crate) enum Operation {
    Put { record: RecordName, value: Vec<u8>, indexes: Vec<(&'static str, String)> },
    Delete { record: RecordName },
    Append(Entry),
    Fence(Lease),
}

/// Which record to change, and what must be there before.
#[derive(Debug)]
pub(crate) struct RecordName {
    pub collection: Collection,
    pub key: String,
    pub expect: Expect,
}

/// An entry for a stream.
#[derive(Debug)]
pub(crate) struct Entry {
    pub stream: String,
    pub kind: String,
    pub payload: Vec<u8>,
    pub expected_last: Option<u64>,
    /// Whether it becomes an event of the global log too.
    pub global: bool,
}

/// What a committed transaction brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The global position of the last event it emitted.
    pub position: Option<u64>,
    /// The version of each record it put, in order.
    pub versions: Vec<u64>,
    /// The sequence of each entry it appended or emitted, in order.
    pub sequences: Vec<u64>,
}

/// The largest value or payload in bytes; larger things are blobs.
const MAX_VALUE_BYTES: usize = 8 << 20;

impl Transaction {
    /// An empty transaction of `actor` at the moment `at`.
    pub fn new(actor: PrincipalId, at: Timestamp) -> Self {
        Self { actor, at, operations: Vec::new(), mistake: None }
    }

    /// Sets a record's value; it is then in no index.
    pub fn put(
        self,
        collection: Collection,
        key: impl Into<String>,
        value: &impl Serialize,
        expect: Expect,
    ) -> Self {
        self.put_indexed(collection, key, value, expect, &[])
    }

    /// Sets a record's value and replaces its index entries by `indexes`: pairs of the index's name
    /// and the value to find the record by.
    #[expect(clippy::too_many_arguments, reason = "`put` and what to index, nothing to group")]
    pub fn put_indexed(
        mut self,
        collection: Collection,
        key: impl Into<String>,
        value: &impl Serialize,
        expect: Expect,
        indexes: &[(&'static str, String)],
    ) -> Self {
        let record = RecordName { collection, key: key.into(), expect };
        let value = encode(value, || format!("record `{collection}/{}`", record.key));
        let checked = check_key("key", &record.key)
            .and_then(|()| indexes.iter().try_for_each(|(_, v)| check_key("index value", v)))
            .and(value);
        match checked {
            Ok(value) => {
                let indexes = indexes.to_vec();
                self.operations.push(Operation::Put { record, value, indexes });
            }
            Err(mistake) => self.note(mistake),
        }
        self
    }

    /// Removes a record and its index entries; with [`Expect::Any`] it need not exist.
    pub fn delete(
        mut self,
        collection: Collection,
        key: impl Into<String>,
        expect: Expect,
    ) -> Self {
        let record = RecordName { collection, key: key.into(), expect };
        if expect == Expect::Absent {
            self.note(StoreError::Refused {
                object: format!("the removal of record `{collection}/{}`", record.key),
                reason: "an absent record cannot be removed",
            });
        } else if let Err(mistake) = check_key("key", &record.key) {
            self.note(mistake);
        } else {
            self.operations.push(Operation::Delete { record });
        }
        self
    }

    /// Adds an entry to a stream that has an order of its own. With `expected_last` the stream's
    /// last sequence must be that, 0 meaning empty.
    pub fn append(
        self,
        stream: impl Into<String>,
        kind: impl Into<String>,
        payload: &impl Serialize,
        expected_last: Option<u64>,
    ) -> Self {
        let (stream, kind) = (stream.into(), kind.into());
        let entry = Entry { stream, kind, payload: Vec::new(), expected_last, global: false };
        self.entry(entry, payload)
    }

    /// Adds an event to a stream and to the global log.
    pub fn emit(
        self,
        stream: impl Into<String>,
        kind: impl Into<String>,
        payload: &impl Serialize,
    ) -> Self {
        let (stream, kind) = (stream.into(), kind.into());
        let entry = Entry { stream, kind, payload: Vec::new(), expected_last: None, global: true };
        self.entry(entry, payload)
    }

    /// Makes the commit fail with [`StoreError::LeaseLost`] if `lease` was acquired anew since.
    pub fn fenced_by(mut self, lease: &Lease) -> Self {
        self.operations.push(Operation::Fence(lease.clone()));
        self
    }

    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.mistake.is_none()
    }

    /// Returns the first mistake made in building this.
    pub(crate) fn check(mut self) -> Result<Self, StoreError> {
        match self.mistake.take() {
            Some(mistake) => Err(mistake),
            None => Ok(self),
        }
    }

    fn entry(mut self, mut entry: Entry, payload: &impl Serialize) -> Self {
        let payload = encode(payload, || format!("an event of stream `{}`", entry.stream));
        let checked = check_key("stream", &entry.stream)
            .and_then(|()| check_key("event kind", &entry.kind))
            .and(payload);
        match checked {
            Ok(payload) => {
                entry.payload = payload;
                self.operations.push(Operation::Append(entry));
            }
            Err(mistake) => self.note(mistake),
        }
        self
    }

    fn note(&mut self, mistake: StoreError) {
        self.mistake.get_or_insert(mistake);
    }
}

fn encode(value: &impl Serialize, object: impl Fn() -> String) -> Result<Vec<u8>, StoreError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|source| StoreError::Encode { object: object(), source })?;
    if bytes.len() > MAX_VALUE_BYTES {
        let reason = "it is larger than 8 MiB; store it as a blob";
        return Err(StoreError::Refused { object: object(), reason });
    }
    Ok(bytes)
}
