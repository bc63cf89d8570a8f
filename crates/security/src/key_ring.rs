//! The keys that are valid now, in memory.
//!
//! A request is authenticated without a database: one look-up and one HMAC. [`KeyRing::follow`]
//! reads the log of key events, woken by the store's watch and at least every [`POLL`], so a key
//! that any replica made or revoked counts here within a second. While the store cannot be read the
//! ring serves what it knew last, and logs a warning.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use release::Timestamp;
use serde::Deserialize;
use store::{Event, StoreError};
use tokio::sync::Mutex;

use crate::accounts::{KEY_CREATED, KEY_REVOKED};
use crate::key::{StoredKey, parse};
use crate::{Accounts, Identity, KeyId, SecurityError};

/// How long the ring goes at most without looking at the log.
const POLL: Duration = Duration::from_millis(400);
/// How many events are read at once.
const PAGE: usize = 500;

/// A presented key that lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It does not have the form of a key.
    #[error("the key does not have the form `gc_<id>.<secret>`")]
    Malformed,
    /// There is no such key, or its secret is another.
    #[error("the key is not valid: it is unknown or was revoked")]
    Invalid,
    /// It ended by itself.
    #[error("the key has expired")]
    Expired,
}

/// The valid keys of an installation. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub struct KeyRing {
    shared: Arc<Shared>,
}

struct Shared {
    accounts: Accounts,
    keys: RwLock<HashMap<KeyId, Arc<Held>>>,
    /// The position of the log up to which the keys are known.
    known: Mutex<u64>,
}

struct Held {
    identity: Arc<Identity>,
    tag: Vec<u8>,
    expires: Option<Timestamp>,
}

impl KeyRing {
    /// Loads all keys.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn open(accounts: Accounts) -> Result<Self, SecurityError> {
        // Before the keys are listed: a change in between is then read twice, never missed.
        let known = *accounts.store().watch().borrow();
        let mut stored = accounts.stored_keys(None).await?;
        for tenant in accounts.tenants().await? {
            stored.extend(accounts.stored_keys(Some(&tenant.id)).await?);
        }
        let (keys, known) = (RwLock::default(), Mutex::new(known));
        let ring = Self { shared: Arc::new(Shared { accounts, keys, known }) };
        stored.into_iter().for_each(|key| ring.hold(key));
        Ok(ring)
    }

    /// Whom `presented` speaks for. Every presented key of the right form costs one HMAC, known or
    /// not.
    ///
    /// # Errors
    /// [`AuthError`]; only the holder of the secret learns that a key expired.
    pub fn authenticate(&self, presented: &str) -> Result<Arc<Identity>, AuthError> {
        let (id, secret) = parse(presented).ok_or(AuthError::Malformed)?;
        let held = {
            let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.get(&id).map(Arc::clone)
        };
        let tag = held.as_ref().map_or(&[0; 32][..], |held| &held.tag);
        let verified = self.shared.accounts.installation().verify(&id, secret, tag);
        let held = held.filter(|_| verified).ok_or(AuthError::Invalid)?;
        let now = self.shared.accounts.clock().now();
        if held.expires.is_some_and(|expires| expires <= now) {
            return Err(AuthError::Expired);
        }
        Ok(Arc::clone(&held.identity))
    }

    /// Follows the log until the store is closed; the body of a background task.
    pub async fn follow(self) {
        let mut watch = self.shared.accounts.store().watch();
        let mut failing = false;
        loop {
            match self.catch_up().await {
                Ok(()) => failing = false,
                Err(SecurityError::Store(StoreError::Closed)) => return,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "keys cannot be refreshed; those known last stay valid"
                    );
                }
                Err(_) => {}
            }
            if failing {
                tokio::time::sleep(POLL).await;
            } else if let Ok(Err(_)) = tokio::time::timeout(POLL, watch.changed()).await {
                return;
            }
        }
    }

    /// Reads what happened to keys since the last look. After it returns, a change committed
    /// before it was called counts.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn catch_up(&self) -> Result<(), SecurityError> {
        let log = self.shared.accounts.store().system();
        let mut known = self.shared.known.lock().await;
        loop {
            let events = log.log(*known, PAGE).await?;
            for event in &events {
                if event.kind == KEY_CREATED || event.kind == KEY_REVOKED {
                    self.reload(event).await?;
                }
                *known = event.position.unwrap_or(*known);
            }
            if events.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Reads the key that `event` tells of as it is now.
    async fn reload(&self, event: &Event) -> Result<(), SecurityError> {
        #[derive(Deserialize)]
        struct Subject {
            id: KeyId,
        }
        let Subject { id } = event.read()?;
        match self.shared.accounts.stored_key(event.tenant.as_ref(), &id).await? {
            Some(stored) => self.hold(stored),
            None => self.drop_key(&id),
        }
        Ok(())
    }

    fn hold(&self, stored: StoredKey) {
        if stored.key.revoked.is_some() {
            self.drop_key(&stored.key.id);
            return;
        }
        let held = Held {
            identity: Arc::new(stored.key.identity()),
            tag: stored.tag(),
            expires: stored.key.expires,
        };
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(stored.key.id, Arc::new(held));
    }

    fn drop_key(&self, id: &KeyId) {
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.remove(id);
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}
