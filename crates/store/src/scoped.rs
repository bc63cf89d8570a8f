//! The store as one tenant or the installation sees it: no call exists without a scope.

use std::marker::PhantomData;
use std::sync::Arc;

use release::TenantId;

use crate::batch::Work;
use crate::engine::{Engine, Statement};
use crate::lease::LeaseChange;
use crate::record::check_key;
use crate::{Collection, Committed, Event, List, Record, StoreError, Transaction};

/// One tenant's records, streams and events; nothing of another's can be reached through it.
pub type TenantStore = ScopedStore<Tenant>;

/// The installation's own records and streams, the global log over all tenants, and leases.
pub type SystemStore = ScopedStore<System>;

/// The scope of one tenant.
#[derive(Debug, Clone, Copy)]
pub struct Tenant;

/// The scope of the installation itself.
#[derive(Debug, Clone, Copy)]
pub struct System;

/// The store within the scope `S`: [`TenantStore`] or [`SystemStore`].
#[derive(Debug, Clone)]
pub struct ScopedStore<S> {
    engine: Arc<dyn Engine>,
    /// The tenant's name, or empty for the installation: no tenant's name is empty.
    scope: String,
    kind: PhantomData<S>,
}

impl ScopedStore<Tenant> {
    pub(crate) fn tenant(engine: Arc<dyn Engine>, tenant: &TenantId) -> Self {
        Self { engine, scope: tenant.as_str().to_owned(), kind: PhantomData }
    }

    /// The tenant's own events of the global log after `position`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Engine`] if the database fails, [`StoreError::Closed`] after a close.
    pub async fn log(&self, position: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let statement =
            Statement::new(TENANT_LOG).text(&self.scope).number(position).number(limit as u64);
        self.events(statement).await
    }
}

impl ScopedStore<System> {
    pub(crate) fn system(engine: Arc<dyn Engine>) -> Self {
        Self { engine, scope: String::new(), kind: PhantomData }
    }

    /// All events of the global log after `position`, in order and without gaps, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Engine`] if the database fails, [`StoreError::Closed`] after a close.
    pub async fn log(&self, position: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.events(Statement::new(LOG).number(position).number(limit as u64)).await
    }

    pub(crate) async fn change_lease(
        &self,
        change: LeaseChange,
    ) -> Result<Option<crate::Lease>, StoreError> {
        Ok(self.engine.write(Work::Lease(change)).await?.lease)
    }
}

impl<S> ScopedStore<S> {
    /// The record `key`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Engine`] if the database fails, [`StoreError::Closed`] after a close.
    pub async fn get(
        &self,
        collection: Collection,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        check_key("key", key)?;
        let statement = Statement::new(GET).text(&self.scope).text(collection.0).text(key);
        let rows = self.engine.read(statement).await?;
        rows.into_iter().next().map(Record::from_row).transpose()
    }

    /// The records that `list` asks for, in the byte order of their keys.
    ///
    /// # Errors
    /// As [`ScopedStore::get`].
    pub async fn list(
        &self,
        collection: Collection,
        list: List,
    ) -> Result<Vec<Record>, StoreError> {
        let rows = self.engine.read(list.statement(&self.scope, collection)?).await?;
        rows.into_iter().map(Record::from_row).collect()
    }

    /// The entries of a stream after sequence `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// As [`ScopedStore::get`].
    pub async fn stream(
        &self,
        stream: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        check_key("stream", stream)?;
        let statement = Statement::new(STREAM)
            .text(&self.scope)
            .text(stream)
            .number(after)
            .number(limit as u64);
        self.events(statement).await
    }

    /// Commits `transaction`; once this returns, it survives a crash and every reader sees it. It
    /// may still commit if the returned future is dropped.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::StreamConflict`] or [`StoreError::LeaseLost`] if what
    /// it expects is not so, [`StoreError::Refused`] or [`StoreError::Encode`] for a mistake in
    /// building it: then nothing of it happened. After [`StoreError::Engine`] the outcome is unknown.
    #[tracing::instrument(name = "commit", level = "debug", skip_all)]
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, StoreError> {
        let transaction = transaction.check()?;
        let work = Work::Commit { scope: self.scope.clone(), transaction };
        Ok(self.engine.write(work).await?.committed)
    }

    async fn events(&self, statement: Statement) -> Result<Vec<Event>, StoreError> {
        self.engine.read(statement).await?.into_iter().map(Event::from_row).collect()
    }
}

const GET: &str =
    "SELECT key, value, version FROM records WHERE tenant = ?1 AND collection = ?2 AND key = ?3";

const STREAM: &str = "SELECT position, tenant, stream, sequence, kind, payload, actor, at \
    FROM events WHERE tenant = ?1 AND stream = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4";

const TENANT_LOG: &str = "SELECT position, tenant, stream, sequence, kind, payload, actor, at \
    FROM events WHERE tenant = ?1 AND position > ?2 ORDER BY position LIMIT ?3";

const LOG: &str = "SELECT position, tenant, stream, sequence, kind, payload, actor, at \
    FROM events WHERE position > ?1 ORDER BY position LIMIT ?2";
