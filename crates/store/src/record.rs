//! Records and events, as they are read.

use release::{PrincipalId, TenantId, Timestamp};
use serde::de::DeserializeOwned;

use crate::StoreError;

/// A named set of records. Constants of it live beside the noun they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Collection(pub &'static str);

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key within the collection.
    pub key: String,
    /// Its value, as JSON text.
    pub value: Vec<u8>,
    /// Counts its writes from 1.
    pub version: u64,
}

impl Record {
    /// The value as `T`.
    ///
    /// # Errors
    /// [`StoreError::Form`] if it does not have that form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.value)
            .map_err(|source| StoreError::Form { what: self.key.clone(), source })
    }
}

/// Which records to list, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only records that were put with this index entry.
    pub index: Option<(&'static str, String)>,
    /// Only keys after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// An entry of a stream, and of the global log if it has a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the global log, dense from 1 in the order of commits.
    pub position: Option<u64>,
    /// The tenant it belongs to; none for the installation's own.
    pub tenant: Option<TenantId>,
    /// Its stream.
    pub stream: String,
    /// Its place in the stream, dense from 1.
    pub sequence: u64,
    /// What happened, as `deployment.moved`.
    pub kind: String,
    /// What it tells, as JSON text.
    pub payload: Vec<u8>,
    /// Who did it.
    pub actor: PrincipalId,
    /// When.
    pub at: Timestamp,
}

impl Event {
    /// The payload as `T`.
    ///
    /// # Errors
    /// [`StoreError::Form`] if it does not have that form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.payload).map_err(|source| StoreError::Form {
            what: format!("{}#{}", self.stream, self.sequence),
            source,
        })
    }
}
