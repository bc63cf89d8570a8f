//! Planned ends: everything that writes through a [`Cut`] stops dead at a chosen moment, as a process
//! does that is killed there.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::backup::Row;
use crate::batch::{Done, Work};
use crate::blobs::{Backend, Entry};
use crate::engine::{Engine, StreamPage};
use crate::{BlobError, Blobs, Event, List, Record, Store, StoreError};

/// Counts moments: each change of a database or a blob store has two, just before it is made and just
/// after, before whoever made it knows. At the chosen one, and ever after, nothing goes on; whoever
/// waits is to be dropped then.
#[derive(Debug, Clone)]
pub struct Cut(Arc<State>);

#[derive(Debug)]
struct State {
    at: usize,
    passed: AtomicUsize,
    last: Mutex<String>,
    dead: watch::Sender<bool>,
}

impl Cut {
    /// At moment `at`, from 0; a number beyond the last moment cuts nothing.
    pub fn at(at: usize) -> Self {
        let (passed, last) = (AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(State { at, passed, last, dead: watch::Sender::new(false) }))
    }

    /// `store`, cut off.
    pub fn store(&self, store: &Store) -> Store {
        let (engine, cut) = (Arc::clone(&store.engine), self.clone());
        Store { engine: Arc::new(Mortal { inner: engine, cut }) }
    }

    /// `blobs`, cut off.
    pub fn blobs(&self, blobs: &Blobs) -> Blobs {
        let (inner, cut) = (Arc::clone(&blobs.backend), self.clone());
        let mut mortal = blobs.clone();
        mortal.backend = Arc::new(Mortal { inner, cut });
        mortal
    }

    /// What `work` gives; `Err` names the moment at which it was cut off, and everything it was doing
    /// is dropped.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let mut dead = self.0.dead.subscribe();
        tokio::select! {
            biased;
            _ = dead.wait_for(|dead| *dead) => {
                Err(self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone())
            }
            done = work => Ok(done),
        }
    }

    /// A moment comes.
    async fn moment(&self, name: impl FnOnce() -> String) {
        let State { at, passed, last, dead } = &*self.0;
        if passed.fetch_add(1, Ordering::SeqCst) == *at {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = name();
            dead.send_replace(true);
        }
        if *dead.borrow() {
            std::future::pending::<()>().await;
        }
    }

    async fn around<T>(&self, what: &str, change: impl Future<Output = T>) -> T {
        self.moment(|| format!("before {what}")).await;
        let changed = change.await;
        self.moment(|| format!("after {what}")).await;
        changed
    }
}

#[derive(Debug)]
struct Mortal<T: ?Sized> {
    inner: Arc<T>,
    cut: Cut,
}

#[async_trait]
impl Backend for Mortal<dyn Backend> {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.cut.around("a put", self.inner.put(key, bytes)).await
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, BlobError> {
        self.cut.around("a put of a key", self.inner.create(key, bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        self.inner.get(key).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        self.inner.get_range(key, range).await
    }

    async fn exists(&self, key: &str) -> Result<bool, BlobError> {
        self.inner.exists(key).await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.cut.around("a deletion", self.inner.delete(key)).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), BlobError> {
        self.cut.around("a rename", self.inner.rename(from, to)).await
    }

    async fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        self.inner.entries(prefix).await
    }
}

#[async_trait]
impl Engine for Mortal<dyn Engine> {
    async fn write(&self, scope: &str, work: Work) -> Result<Done, StoreError> {
        self.cut.around("a commit", self.inner.write(scope, work)).await
    }

    async fn get(
        &self,
        scope: &str,
        collection: &str,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        self.inner.get(scope, collection, key).await
    }

    async fn list(
        &self,
        scope: &str,
        collection: &str,
        list: List,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.list(scope, collection, list).await
    }

    async fn stream(&self, page: StreamPage) -> Result<Vec<Event>, StoreError> {
        self.inner.stream(page).await
    }

    async fn log(
        &self,
        scope: Option<String>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.inner.log(scope, after, limit).await
    }

    async fn dump(&self, pages: mpsc::Sender<Vec<Row>>) -> Result<(), StoreError> {
        self.inner.dump(pages).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.inner.scrub().await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.inner.is_empty().await
    }

    fn position(&self) -> watch::Receiver<u64> {
        self.inner.position()
    }
}
