//! Wakes whoever waits for something by its name.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How many names are kept before those that nobody waits for any more are taken out.
const NAMES: usize = 1_024;

/// One bell for each name that somebody listens for.
#[derive(Debug)]
pub struct Bell<K>(Mutex<Names<K>>);

#[derive(Debug)]
struct Names<K> {
    bells: HashMap<K, Weak<Notify>>,
    /// With how many names it is tidied.
    limit: usize,
}

impl<K> Default for Bell<K> {
    fn default() -> Self {
        Self(Mutex::new(Names { bells: HashMap::new(), limit: NAMES }))
    }
}

impl<K: Hash + Eq> Bell<K> {
    /// Listens for a name until the result is dropped.
    pub fn listen(&self, name: K) -> Listener {
        let mut names = self.names();
        if names.bells.len() >= names.limit {
            names.bells.retain(|_, bell| bell.strong_count() > 0);
            names.limit = (names.bells.len() * 2).max(NAMES);
        }
        let known = names.bells.get(&name).and_then(Weak::upgrade);
        let bell = known.unwrap_or_default();
        names.bells.insert(name, Arc::downgrade(&bell));
        Listener(bell)
    }

    /// Wakes all who listen for a name.
    pub fn ring(&self, name: &K) {
        let bell = self.names().bells.get(name).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }

    fn names(&self) -> MutexGuard<'_, Names<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener(Arc<Notify>);

impl Listener {
    /// The next ring, counted from now on: take it before looking at what the ring is about.
    pub fn rung(&self) -> Rung<'_> {
        let mut ring = Box::pin(self.0.notified());
        ring.as_mut().enable();
        Rung(ring)
    }
}

/// A ring that is waited for.
#[derive(Debug)]
pub struct Rung<'a>(Pin<Box<Notified<'a>>>);

impl Rung<'_> {
    /// Waits for it, and for no longer than `patience`. Either way the caller looks again.
    pub async fn within(self, patience: Duration) {
        let _rung = tokio::time::timeout(patience, self.0).await;
    }
}

#[cfg(test)]
mod tests;
