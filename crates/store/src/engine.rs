//! What a database must offer, and the parts that SQLite and Postgres share.

pub mod postgres;
pub mod sqlite;

use std::fmt;

use async_trait::async_trait;
use release::{TenantId, Timestamp};
use tokio::sync::{mpsc, watch};

use crate::backup::Row;
use crate::batch::{Done, Work};
use crate::{Event, List, Record, StoreError};

/// A database that keeps records, streams, the log and leases.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync {
    /// Hands work to the writer and waits for its commit.
    async fn write(&self, scope: &str, work: Work) -> Result<Done, StoreError>;

    /// One record.
    async fn get(
        &self,
        scope: &str,
        collection: &str,
        key: &str,
    ) -> Result<Option<Record>, StoreError>;

    /// Records in key order.
    async fn list(
        &self,
        scope: &str,
        collection: &str,
        list: List,
    ) -> Result<Vec<Record>, StoreError>;

    /// A stream's entries after `after`.
    async fn stream(&self, page: StreamPage) -> Result<Vec<Event>, StoreError>;

    /// The global log's entries after `after`, of one scope or of all.
    async fn log(
        &self,
        scope: Option<String>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// Every row, as of one moment, in pages.
    async fn dump(&self, pages: mpsc::Sender<Vec<Row>>) -> Result<(), StoreError>;

    /// Leaves nothing of what was deleted before in the database's files, as far as that is ours to
    /// do: Postgres does it when it vacuums.
    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether nothing was ever written.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// The highest committed position.
    fn position(&self) -> watch::Receiver<u64>;
}

/// Which part of a stream to read.
#[derive(Debug)]
pub struct StreamPage {
    pub scope: String,
    pub stream: String,
    pub after: u64,
    pub limit: usize,
}

/// An event as its row.
pub struct EventRow {
    pub position: Option<i64>,
    pub scope: String,
    pub stream: String,
    pub sequence: i64,
    pub kind: String,
    pub payload: Vec<u8>,
    pub actor: String,
    pub at: i64,
}

impl EventRow {
    /// The event; an error if the row does not hold one.
    pub fn into_event(self) -> Result<Event, StoreError> {
        let broken = |what: &str| {
            StoreError::Engine(format!(
                "event {}#{} has no valid {what}",
                self.stream, self.sequence
            ))
        };
        let tenant = match self.scope.as_str() {
            "" => None,
            name => Some(name.parse::<TenantId>().map_err(|_| broken("tenant"))?),
        };
        let actor = self.actor.parse().map_err(|_| broken("actor"))?;
        let at = Timestamp::from_nanosecond(i128::from(self.at)).map_err(|_| broken("time"))?;
        Ok(Event {
            position: self.position.map(|position| position as u64),
            tenant,
            stream: self.stream,
            sequence: self.sequence as u64,
            kind: self.kind,
            payload: self.payload,
            actor,
            at,
        })
    }
}

/// How many rows of a dump or of a whole collection are read at a time.
pub const PAGE: usize = 1_000;

/// The first key after all that start with `prefix`.
pub fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}
