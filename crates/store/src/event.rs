//! Events: what happened, in order.

use std::fmt;

use release::{PrincipalId, TenantId, Timestamp};
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::engine::Row;

/// One entry of a stream; one that was emitted is also an entry of the global log.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The place in the global log, dense from 1 in commit order; `None` for an entry that was
    /// appended to its stream alone.
    pub position: Option<u64>,
    /// Whose event it is; `None` for the installation's own.
    pub tenant: Option<TenantId>,
    /// The stream's name.
    pub stream: String,
    /// The place in the stream, dense from 1.
    pub sequence: u64,
    /// What kind of thing happened, as `deployment.moved`.
    pub kind: String,
    /// The particulars, as JSON text.
    pub payload: Vec<u8>,
    /// Who did it.
    pub actor: PrincipalId,
    /// When, as the actor's process saw it.
    pub at: Timestamp,
}

impl Event {
    /// Reads the payload as `T`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the payload is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.payload).map_err(|source| StoreError::Corrupt {
            object: format!("event {} of stream `{}`", self.sequence, self.stream),
            source: Box::new(source),
        })
    }

    /// Reads `position, tenant, stream, sequence, kind, payload, actor, at`.
    pub(crate) fn from_row(row: Row) -> Result<Self, StoreError> {
        let mut cells = row.cells();
        let position = cells.optional_number()?;
        let tenant = cells.text()?;
        Ok(Self {
            position,
            tenant: if tenant.is_empty() { None } else { Some(parse(&tenant)?) },
            stream: cells.text()?,
            sequence: cells.number()?,
            kind: cells.text()?,
            payload: cells.blob()?,
            actor: parse(&cells.text()?)?,
            at: parse(&cells.text()?)?,
        })
    }
}

fn parse<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|source: T::Err| StoreError::Corrupt {
        object: format!("event field `{text}`"),
        source: Box::new(source),
    })
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("position", &self.position)
            .field("tenant", &self.tenant)
            .field("stream", &self.stream)
            .field("sequence", &self.sequence)
            .field("kind", &self.kind)
            .field("actor", &self.actor)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
