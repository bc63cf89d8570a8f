//! Tenants, users, service accounts and keys, as they are stored.
//!
//! Each change is one transaction with its event. What belongs to a tenant lies in that tenant's
//! part of the store; an installation-wide principal or key lies in the installation's own.

use std::path::Path;
use std::sync::Arc;

use release::{Clock, PrincipalId, Secret, TenantId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{
    Collection, Expect, List, Record, Store, StoreError, SystemStore, TenantStore, Transaction,
};

use crate::key::{Minted, StoredKey, replace_private};
use crate::{InstallationKey, Key, KeyId, Role, SecurityError};

/// Facts about the installation, by name; in the installation's own scope.
const INSTALLATION: Collection = Collection("installation");
/// Tenants by id; in the installation's own scope.
const TENANTS: Collection = Collection("tenants");
/// Users and service accounts by id, in the scope they belong to.
const PRINCIPALS: Collection = Collection("principals");
/// Keys by id, in the scope they are for.
const KEYS: Collection = Collection("keys");

/// Which installation key the store's HMACs were made under.
const FINGERPRINT: &str = "key-fingerprint";
/// That the first admin key was made.
const BOOTSTRAPPED: &str = "bootstrapped";

/// The kind of the event that tells of a new key.
pub(crate) const KEY_CREATED: &str = "key.created";
/// The kind of the event that tells of a revoked key.
pub(crate) const KEY_REVOKED: &str = "key.revoked";

/// A tenant, as it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its name.
    pub id: TenantId,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: PrincipalId,
}

/// A user or service account, as it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalRecord {
    /// Its identity.
    pub id: PrincipalId,
    /// Where it belongs; `None` is the whole installation.
    pub tenant: Option<TenantId>,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: PrincipalId,
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Whom it speaks for; exists already, in the tenant or installation-wide.
    pub principal: PrincipalId,
    /// Where; `None` is the whole installation.
    pub tenant: Option<TenantId>,
    /// What it may do there.
    pub role: Role,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// What it is for.
    pub note: Option<String>,
}

/// A key that was made.
#[derive(Debug, Clone)]
pub struct CreatedKey {
    /// What is stored.
    pub key: Key,
    /// What its holder presents. It is shown once: nothing that is stored leads back to it.
    pub secret: Secret,
}

/// The stored accounts of an installation. Callers [`crate::authorize`] first.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: Store,
    installation: InstallationKey,
    clock: Arc<dyn Clock>,
}

impl Accounts {
    /// The accounts in `store`.
    ///
    /// # Errors
    /// [`SecurityError::ForeignInstallationKey`] if the stored keys were made under another
    /// installation key, [`SecurityError::Store`].
    pub async fn open(
        store: Store,
        installation: InstallationKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SecurityError> {
        let accounts = Self { store, installation, clock };
        let (system, own) = (accounts.store.system(), accounts.installation.fingerprint());
        if system.get(INSTALLATION, FINGERPRINT).await?.is_none() {
            let fact = accounts.transaction(&PrincipalId::system("start")).put(
                INSTALLATION,
                FINGERPRINT,
                &own,
                Expect::Absent,
            );
            match system.commit(fact).await {
                // Another replica started at the same time; its key is compared below.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let stored = system.get(INSTALLATION, FINGERPRINT).await?;
        let stored: Option<String> = stored.map(|record| record.read()).transpose()?;
        if stored.as_deref() == Some(own.as_str()) {
            Ok(accounts)
        } else {
            Err(SecurityError::ForeignInstallationKey)
        }
    }

    /// On an installation's first start: makes the tenant `default` and the principal `admin`, and
    /// writes an installation-wide admin key to `path`, readable by its owner alone. Later it does
    /// nothing.
    ///
    /// The file is written before the key is stored, so a crash between the two leaves a file that
    /// the next start replaces.
    ///
    /// # Errors
    /// [`SecurityError::AdminKeyFile`], [`SecurityError::Store`].
    pub async fn bootstrap(
        &self,
        admin: PrincipalId,
        path: &Path,
    ) -> Result<Option<KeyId>, SecurityError> {
        let system = self.store.system();
        if system.get(INSTALLATION, BOOTSTRAPPED).await?.is_some() {
            return Ok(None);
        }
        let (by, at) = (PrincipalId::system("start"), self.clock.now());
        let admin =
            PrincipalRecord { id: admin, tenant: None, created: at, created_by: by.clone() };
        let new = NewKey {
            principal: admin.id.clone(),
            tenant: None,
            role: Role::Admin,
            expires: None,
            note: Some("made on first start".to_owned()),
        };
        let (minted, stored) = self.mint(new, &by, at)?;
        let failed = |source| SecurityError::AdminKeyFile { path: path.to_owned(), source };
        replace_private(path, minted.presented().expose()).map_err(failed)?;
        let tenant = TenantRecord { id: TenantId::DEFAULT, created: at, created_by: by.clone() };
        let first_start = put_tenant(self.transaction(&by), &tenant);
        let first_start = put_principal(first_start, &admin);
        let first_start = put_key(first_start, &stored).put(
            INSTALLATION,
            BOOTSTRAPPED,
            &stored.key.id,
            Expect::Absent,
        );
        match system.commit(first_start).await {
            Ok(_) => Ok(Some(stored.key.id)),
            // Another replica was first, and has the file.
            Err(StoreError::Conflict { .. }) => {
                std::fs::remove_file(path).map_err(failed)?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`SecurityError::Exists`], [`SecurityError::Store`].
    pub async fn create_tenant(
        &self,
        id: TenantId,
        by: &PrincipalId,
    ) -> Result<TenantRecord, SecurityError> {
        let tenant = TenantRecord { id, created: self.clock.now(), created_by: by.clone() };
        let transaction = put_tenant(self.transaction(by), &tenant);
        let committed = self.scope(None).commit(transaction).await;
        exists_unless(committed, "tenant", tenant.id.as_str())?;
        Ok(tenant)
    }

    /// All tenants, by name.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, SecurityError> {
        self.scope(None).all(TENANTS).await
    }

    /// Makes a user or service account of `tenant`, or of the installation.
    ///
    /// # Errors
    /// [`SecurityError::Exists`], [`SecurityError::Missing`] if there is no such tenant,
    /// [`SecurityError::Store`].
    pub async fn create_principal(
        &self,
        id: PrincipalId,
        tenant: Option<TenantId>,
        by: &PrincipalId,
    ) -> Result<PrincipalRecord, SecurityError> {
        self.require_tenant(tenant.as_ref()).await?;
        let created = self.clock.now();
        let principal = PrincipalRecord { id, tenant, created, created_by: by.clone() };
        let transaction = put_principal(self.transaction(by), &principal);
        let committed = self.scope(principal.tenant.as_ref()).commit(transaction).await;
        exists_unless(committed, "principal", &principal.id.to_string())?;
        Ok(principal)
    }

    /// All users and service accounts of `tenant`, or of the installation.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn principals(
        &self,
        tenant: Option<&TenantId>,
    ) -> Result<Vec<PrincipalRecord>, SecurityError> {
        self.scope(tenant).all(PRINCIPALS).await
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`SecurityError::Missing`] if there is no such tenant or principal,
    /// [`SecurityError::ExpiresInThePast`], [`SecurityError::Store`].
    pub async fn create_key(
        &self,
        new: NewKey,
        by: &PrincipalId,
    ) -> Result<CreatedKey, SecurityError> {
        let at = self.clock.now();
        if new.expires.is_some_and(|expires| expires <= at) {
            return Err(SecurityError::ExpiresInThePast);
        }
        self.require_tenant(new.tenant.as_ref()).await?;
        self.require_principal(&new).await?;
        let (minted, stored) = self.mint(new, by, at)?;
        let transaction = put_key(self.transaction(by), &stored);
        self.scope(stored.key.tenant.as_ref()).commit(transaction).await?;
        Ok(CreatedKey { secret: minted.presented(), key: stored.key })
    }

    /// All keys of `tenant`, or of the installation, revoked and expired ones included.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn keys(&self, tenant: Option<&TenantId>) -> Result<Vec<Key>, SecurityError> {
        let stored = self.stored_keys(tenant).await?;
        Ok(stored.into_iter().map(|stored| stored.key).collect())
    }

    /// Revokes a key of `tenant`, or of the installation. One that is revoked already stays so.
    ///
    /// # Errors
    /// [`SecurityError::Missing`], [`SecurityError::Store`].
    pub async fn revoke_key(
        &self,
        tenant: Option<&TenantId>,
        id: &KeyId,
        by: &PrincipalId,
    ) -> Result<Key, SecurityError> {
        let scope = self.scope(tenant);
        loop {
            let record = scope.get(KEYS, id.as_str()).await?;
            let record = record.ok_or_else(|| missing("key", id.as_str()))?;
            let mut stored: StoredKey = record.read()?;
            if stored.key.revoked.is_some() {
                return Ok(stored.key);
            }
            let at = self.clock.now();
            stored.key.revoked = Some(at);
            let change = Transaction::new(by.clone(), at)
                .put(KEYS, id.as_str(), &stored, Expect::Version(record.version))
                .emit(key_stream(id), KEY_REVOKED, &stored.key);
            match scope.commit(change).await {
                // Somebody else revoked it in between.
                Err(StoreError::Conflict { .. }) => {}
                committed => return committed.map(|()| stored.key).map_err(Into::into),
            }
        }
    }

    /// One stored key, if there is one.
    pub(crate) async fn stored_key(
        &self,
        tenant: Option<&TenantId>,
        id: &KeyId,
    ) -> Result<Option<StoredKey>, SecurityError> {
        let record = self.scope(tenant).get(KEYS, id.as_str()).await?;
        Ok(record.map(|record| record.read()).transpose()?)
    }

    /// All stored keys of a tenant, or of the installation.
    pub(crate) async fn stored_keys(
        &self,
        tenant: Option<&TenantId>,
    ) -> Result<Vec<StoredKey>, SecurityError> {
        self.scope(tenant).all(KEYS).await
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn installation(&self) -> &InstallationKey {
        &self.installation
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    async fn require_tenant(&self, tenant: Option<&TenantId>) -> Result<(), SecurityError> {
        let Some(tenant) = tenant else { return Ok(()) };
        match self.store.system().get(TENANTS, tenant.as_str()).await? {
            Some(_) => Ok(()),
            None => Err(missing("tenant", tenant.as_str())),
        }
    }

    async fn require_principal(&self, new: &NewKey) -> Result<(), SecurityError> {
        let id = new.principal.to_string();
        let own = self.scope(new.tenant.as_ref()).get(PRINCIPALS, &id).await?;
        let found = match own {
            Some(_) => true,
            None => self.scope(None).get(PRINCIPALS, &id).await?.is_some(),
        };
        if found { Ok(()) } else { Err(missing("principal", &id)) }
    }

    fn mint(
        &self,
        new: NewKey,
        by: &PrincipalId,
        at: Timestamp,
    ) -> Result<(Minted, StoredKey), SecurityError> {
        let minted = Minted::new()?;
        let key = Key {
            id: minted.id.clone(),
            principal: new.principal,
            tenant: new.tenant,
            role: new.role,
            note: new.note,
            created: at,
            created_by: by.clone(),
            expires: new.expires,
            revoked: None,
        };
        let stored = minted.stored(key, &self.installation);
        Ok((minted, stored))
    }

    fn transaction(&self, by: &PrincipalId) -> Transaction {
        Transaction::new(by.clone(), self.clock.now())
    }

    fn scope(&self, tenant: Option<&TenantId>) -> Scope {
        match tenant {
            Some(tenant) => Scope::Tenant(self.store.tenant(tenant)),
            None => Scope::Installation(self.store.system()),
        }
    }
}

fn put_tenant(transaction: Transaction, tenant: &TenantRecord) -> Transaction {
    let id = tenant.id.as_str();
    let stream = format!("tenants/{id}");
    transaction.put(TENANTS, id, tenant, Expect::Absent).emit(stream, "tenant.created", tenant)
}

fn put_principal(transaction: Transaction, principal: &PrincipalRecord) -> Transaction {
    let id = principal.id.to_string();
    let stream = format!("principals/{id}");
    let put = transaction.put(PRINCIPALS, id, principal, Expect::Absent);
    put.emit(stream, "principal.created", principal)
}

/// The event holds the key without its HMAC.
fn put_key(transaction: Transaction, stored: &StoredKey) -> Transaction {
    let id = &stored.key.id;
    let put = transaction.put(KEYS, id.as_str(), stored, Expect::Absent);
    put.emit(key_stream(id), KEY_CREATED, &stored.key)
}

fn key_stream(id: &KeyId) -> String {
    format!("keys/{id}")
}

fn missing(noun: &'static str, name: &str) -> SecurityError {
    SecurityError::Missing { noun, name: name.to_owned() }
}

/// A conflict means that the thing is there already.
fn exists_unless(
    committed: Result<(), StoreError>,
    noun: &'static str,
    name: &str,
) -> Result<(), SecurityError> {
    match committed {
        Err(StoreError::Conflict { .. }) => {
            Err(SecurityError::Exists { noun, name: name.to_owned() })
        }
        other => Ok(other?),
    }
}

/// The part of the store that accounts lie in.
enum Scope {
    Tenant(TenantStore),
    Installation(SystemStore),
}

impl Scope {
    async fn get(&self, collection: Collection, key: &str) -> Result<Option<Record>, StoreError> {
        match self {
            Self::Tenant(store) => store.get(collection, key).await,
            Self::Installation(store) => store.get(collection, key).await,
        }
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        match self {
            Self::Tenant(store) => store.commit(transaction).await.map(|_| ()),
            Self::Installation(store) => store.commit(transaction).await.map(|_| ()),
        }
    }

    /// All records of a collection, page by page.
    async fn all<T: DeserializeOwned>(
        &self,
        collection: Collection,
    ) -> Result<Vec<T>, SecurityError> {
        let mut all = Vec::new();
        let mut list = List::all();
        loop {
            let page = match self {
                Self::Tenant(store) => store.list(collection, list.clone()).await?,
                Self::Installation(store) => store.list(collection, list.clone()).await?,
            };
            for record in &page {
                all.push(record.read()?);
            }
            match page.last() {
                Some(last) if page.len() == list.limit => list = list.after(last.key.clone()),
                _ => return Ok(all),
            }
        }
    }
}

#[cfg(test)]
mod tests;
