//! Principals, tenants and keys, and the ring that knows them all in memory.
//!
//! Keys are of two kinds ([`KeyProof`]). A key that is sent whole is kept as an HMAC only. A client
//! that signs never sends its secret, so the server has to have it: such a secret is kept sealed
//! (see `keys/access.rs`). Both are made under the installation's key, a file beside the data.
//!
//! Who comes by a part of this can do the following.
//! - **The database alone**, as a copy: sees who has which keys and until when, and can act as
//!   nobody. HMACs and sealed secrets are of no use without the installation's key, and secrets
//!   have 240 random bits or more, so none can be guessed.
//! - **The database alone, to write to**: cannot make a key, read a secret, or have a sealed secret
//!   accepted under another id or in another tenant. But records are not signed: one who also holds
//!   a key can give it another role, take back its revocation, or move it to another principal.
//! - **The installation's key alone**: nothing. No secret is derived from it, and a key counts only
//!   if its record is in the database.
//! - **Both**: can open the secrets of all access keys and sign with them until they are revoked,
//!   and with writing make keys. The secrets of other keys stay unknown even then.
//!
//! With another installation's key, or none, no key of either kind is accepted any more.

mod access;
mod statement;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use release::{Clock, PrincipalId, Secret, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, Store, StoreError, SystemStore, Transaction};

use crate::{Identity, Role, SecurityError};

use access::Seal;
pub use access::{AccessKey, IssuedAccessKey};
pub use statement::Forged;

const TENANTS: Collection = Collection("tenants");
const PRINCIPALS: Collection = Collection("principals");
const KEYS: Collection = Collection("keys");
/// Everything here is logged to one stream, which the ring follows.
const STREAM: &str = "security";
/// How many rows are read at once.
const PAGE: usize = 1_000;
/// How long after a failure the log is read again.
const AGAIN: Duration = Duration::from_secs(1);

/// The public part of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    #[cfg(test)]
    pub(crate) fn for_test(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its name.
    pub name: TenantId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A user or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalRecord {
    /// Who.
    pub id: PrincipalId,
    /// Where it belongs; none for the whole installation.
    pub tenant: Option<TenantId>,
    /// What it is there for.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key. Its secret is not here, or cannot be read here: see [`KeyProof`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its public part.
    pub id: KeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What is kept of its secret, which also tells the kind of the key.
    #[serde(flatten)]
    pub proof: KeyProof,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What is kept of a key's secret, in base 64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyProof {
    /// Of a key that clients send whole: HMAC-SHA256 of the secret under the installation's key.
    Hmac(String),
    /// Of an access key, with which clients sign: the secret, sealed.
    Sealed(String),
}

/// A key just made: the only time its secret is seen.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    /// Its public part.
    pub id: KeyId,
    /// The whole key, as clients send it: `gc_<id>.<secret>`.
    pub key: Secret,
}

/// A key that is not accepted. Why is not told apart to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not valid")]
pub struct Invalid;

#[derive(Debug)]
struct Known {
    proof: Proof,
    expires_at: Option<Timestamp>,
    identity: Arc<Identity>,
}

#[derive(Debug)]
enum Proof {
    Hmac(Vec<u8>),
    Sealed(Vec<u8>),
}

impl Known {
    /// Whose the key is, if it has not expired.
    fn identity(&self, now: Timestamp) -> Result<Arc<Identity>, Invalid> {
        match self.expires_at {
            Some(expires) if expires <= now => Err(Invalid),
            _ => Ok(Arc::clone(&self.identity)),
        }
    }
}

/// Every valid key, in memory: authentication reads no database.
#[derive(Debug)]
pub struct KeyRing {
    store: Store,
    clock: Arc<dyn Clock>,
    hmac: hmac::Key,
    seal: Seal,
    statements: hmac::Key,
    known: RwLock<HashMap<String, Known>>,
    /// Held while the keys are read anew: an older reading never replaces a newer one.
    reloading: tokio::sync::Mutex<()>,
}

impl KeyRing {
    /// Reads every key. `pepper` is the installation's own secret, kept beside the data.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        pepper: &Secret,
    ) -> Result<Self, SecurityError> {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, pepper.expose().as_bytes());
        let ring = Self {
            store,
            clock,
            hmac,
            seal: Seal::new(pepper)?,
            statements: statement::key(pepper)?,
            known: RwLock::default(),
            reloading: tokio::sync::Mutex::default(),
        };
        ring.reload().await?;
        Ok(ring)
    }

    /// A secret of 256 random bits, in base 64.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn random_secret() -> Result<Secret, SecurityError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| SecurityError::Randomness)?;
        Ok(Secret::new(BASE64.encode(bytes)))
    }

    /// Who presents `key`.
    ///
    /// # Errors
    /// [`Invalid`] if the key is unknown, wrong, expired or revoked.
    pub fn authenticate(&self, key: &str) -> Result<Arc<Identity>, Invalid> {
        let (id, secret) =
            key.strip_prefix("gc_").and_then(|rest| rest.split_once('.')).ok_or(Invalid)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(id).ok_or(Invalid)?;
        let Proof::Hmac(tag) = &found.proof else { return Err(Invalid) };
        hmac::verify(&self.hmac, secret.as_bytes(), tag).map_err(|_| Invalid)?;
        found.identity(self.clock.now())
    }

    /// Follows the log, so that keys made or revoked elsewhere count here too, until the store
    /// closes. A log that cannot be read for a while is read again: a key that was revoked
    /// meanwhile must not stay valid.
    pub async fn follow(&self) {
        let mut changes = self.store.watch();
        let mut position = *changes.borrow_and_update();
        let mut stale = true;
        loop {
            match self.catch_up(&mut position, &mut stale).await {
                Ok(()) if changes.changed().await.is_ok() => {}
                Ok(()) | Err(SecurityError::Store(StoreError::Closed)) => return,
                Err(error) => {
                    tracing::warn!(%error, "keys cannot be followed; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Reads the log after `position`, and the keys anew if it tells of any or they are `stale`.
    async fn catch_up(&self, position: &mut u64, stale: &mut bool) -> Result<(), SecurityError> {
        loop {
            let events = self.system().log(*position, PAGE).await?;
            *stale |= events.iter().any(|e| e.tenant.is_none() && e.stream == STREAM);
            *position = events.last().and_then(|event| event.position).unwrap_or(*position);
            if events.len() < PAGE {
                break;
            }
        }
        if *stale {
            self.reload().await?;
            *stale = false;
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), SecurityError> {
        let _alone = self.reloading.lock().await;
        let principals = self.principals().await?;
        let principals: HashMap<_, _> = principals.into_iter().map(|p| (p.id.clone(), p)).collect();
        let mut known = HashMap::new();
        for key in self.keys().await? {
            let principal = principals.get(&key.principal);
            let proof = match &key.proof {
                KeyProof::Hmac(tag) => BASE64.decode(tag).map(Proof::Hmac),
                KeyProof::Sealed(sealed) => BASE64.decode(sealed).map(Proof::Sealed),
            };
            let (Some(principal), None, Ok(proof)) = (principal, key.revoked_at, proof) else {
                continue;
            };
            let identity = Arc::new(Identity {
                principal: principal.id.clone(),
                tenant: principal.tenant.clone(),
                role: principal.role,
                key: key.id.clone(),
            });
            known.insert(key.id.0, Known { proof, expires_at: key.expires_at, identity });
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`SecurityError::Exists`] if there is one of that name.
    pub async fn create_tenant(
        &self,
        actor: &PrincipalId,
        name: TenantId,
    ) -> Result<TenantRecord, SecurityError> {
        let record = TenantRecord { name, created_at: self.clock.now() };
        let key = record.name.to_string();
        self.create(actor, (TENANTS, &key), "tenant.created", &record).await?;
        Ok(record)
    }

    /// Makes a user or a service account.
    ///
    /// # Errors
    /// If it exists already, or its tenant does not.
    pub async fn create_principal(
        &self,
        actor: &PrincipalId,
        id: PrincipalId,
        tenant: Option<TenantId>,
        role: Role,
    ) -> Result<PrincipalRecord, SecurityError> {
        if let Some(tenant) = &tenant
            && self.system().get(TENANTS, tenant.as_str()).await?.is_none()
        {
            return Err(SecurityError::UnknownTenant(tenant.clone()));
        }
        let record = PrincipalRecord { id, tenant, role, created_at: self.clock.now() };
        let key = record.id.to_string();
        self.create(actor, (PRINCIPALS, &key), "principal.created", &record).await?;
        Ok(record)
    }

    /// Makes a key for a principal. It counts at once.
    ///
    /// # Errors
    /// If there is no such principal.
    pub async fn issue(
        &self,
        actor: &PrincipalId,
        principal: &PrincipalId,
        expires_at: Option<Timestamp>,
    ) -> Result<IssuedKey, SecurityError> {
        self.principal(principal).await?;
        let mut id = [0; 6];
        rand::fill(&mut id).map_err(|_| SecurityError::Randomness)?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Self::random_secret()?;
        let key = Secret::new(format!("gc_{id}.{}", secret.expose()));
        let record = KeyRecord {
            id: KeyId(id),
            principal: principal.clone(),
            proof: KeyProof::Hmac(
                BASE64.encode(hmac::sign(&self.hmac, secret.expose().as_bytes())),
            ),
            created_at: self.clock.now(),
            expires_at,
            revoked_at: None,
        };
        self.add(actor, &record).await?;
        Ok(IssuedKey { id: record.id, key })
    }

    async fn add(&self, actor: &PrincipalId, record: &KeyRecord) -> Result<(), SecurityError> {
        self.create(actor, (KEYS, &record.id.0), "key.created", record).await?;
        self.reload().await
    }

    /// Revokes a key. It stops counting here at once, elsewhere within a second.
    ///
    /// # Errors
    /// If there is no such key.
    pub async fn revoke(&self, actor: &PrincipalId, id: &str) -> Result<KeyRecord, SecurityError> {
        let found = self.system().get(KEYS, id).await?;
        let found = found.ok_or_else(|| SecurityError::UnknownKey(id.to_owned()))?;
        let now = self.clock.now();
        let record = KeyRecord { revoked_at: Some(now), ..found.read()? };
        let revoked = Transaction::new(actor.clone(), now)
            .put(KEYS, id, &record, Expect::Version(found.version))?
            .emit(STREAM, "key.revoked", &record.id)?;
        self.system().commit(revoked).await?;
        self.reload().await?;
        Ok(record)
    }

    /// One principal.
    ///
    /// # Errors
    /// [`SecurityError::UnknownPrincipal`] if there is none.
    pub async fn principal(&self, id: &PrincipalId) -> Result<PrincipalRecord, SecurityError> {
        let found = self.system().get(PRINCIPALS, &id.to_string()).await?;
        let found = found.ok_or_else(|| SecurityError::UnknownPrincipal(id.clone()))?;
        Ok(found.read()?)
    }

    /// The identity of a principal that proves itself with a signed statement instead of a key.
    ///
    /// # Errors
    /// [`SecurityError::UnknownPrincipal`] if there is none, or it was shut out: it had keys, and
    /// all of them were revoked or have expired.
    pub async fn by_statement(&self, id: &PrincipalId) -> Result<Identity, SecurityError> {
        let PrincipalRecord { id: principal, tenant, role, .. } = self.principal(id).await?;
        let mut keys = self.keys().await?;
        keys.retain(|key| key.principal == principal);
        let now = self.clock.now();
        let over = |key: &KeyRecord| {
            key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now)
        };
        if !keys.is_empty() && keys.iter().all(over) {
            return Err(SecurityError::UnknownPrincipal(principal));
        }
        Ok(Identity { principal, tenant, role, key: KeyId("statement".to_owned()) })
    }

    /// One key.
    ///
    /// # Errors
    /// [`SecurityError::UnknownKey`] if there is none.
    pub async fn key(&self, id: &str) -> Result<KeyRecord, SecurityError> {
        let found = self.system().get(KEYS, id).await?;
        Ok(found.ok_or_else(|| SecurityError::UnknownKey(id.to_owned()))?.read()?)
    }

    /// Every key, revoked ones included.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, SecurityError> {
        self.all(KEYS).await
    }

    /// Every user and service account.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn principals(&self) -> Result<Vec<PrincipalRecord>, SecurityError> {
        self.all(PRINCIPALS).await
    }

    /// Every tenant.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, SecurityError> {
        self.all(TENANTS).await
    }

    /// The name of every tenant.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn tenant_names(&self) -> Result<Vec<TenantId>, SecurityError> {
        Ok(self.tenants().await?.into_iter().map(|tenant| tenant.name).collect())
    }

    fn system(&self) -> SystemStore {
        self.store.system()
    }

    async fn create<T: Serialize>(
        &self,
        actor: &PrincipalId,
        (collection, key): (Collection, &str),
        kind: &str,
        record: &T,
    ) -> Result<(), SecurityError> {
        // The event names what was made; what is kept of a secret stays in the record.
        let created = Transaction::new(actor.clone(), self.clock.now())
            .put(collection, key, record, Expect::Absent)?
            .emit(STREAM, kind, &key)?;
        match self.system().commit(created).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { .. }) => Err(SecurityError::Exists(key.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    async fn all<T: serde::de::DeserializeOwned>(
        &self,
        collection: Collection,
    ) -> Result<Vec<T>, SecurityError> {
        let found = self.system().all(collection, "").await?;
        Ok(found.iter().map(store::Record::read).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests;
