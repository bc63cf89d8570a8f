//! Erasing blobs: what is kept beside a sealed blob, and what stays of one that was erased.
//!
//! ```text
//!  put_sealed ─► key ── hide ──► key, hidden names ── succeed ──► and a successor ── shred ──► no key
//! ```
//!
//! Each of these is one write, so that a crash leaves one state or the next. A blob without its key
//! is nothing, whoever has a copy of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use release::Digest;
use serde::{Deserialize, Serialize};

use super::seal::KeptKey;
use super::{BlobError, TenantBlobs};

/// Where keys are, beside the tenants' blobs: no tenant's name begins with a dot.
const KEYS: &str = ".keys/";

/// What was erased of a blob.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasure {
    /// The names of what must not be seen of it any more, as whoever put it names its parts.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub hidden: BTreeSet<String>,
    /// The blob that stands for it: the same without what is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<Digest>,
    /// Whether its key is gone for good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shredded: bool,
}

/// What is kept beside a blob.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Beside {
    /// Its key, as long as it may be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeptKey>,
    /// What was erased of it.
    pub erasure: Erasure,
}

impl TenantBlobs {
    /// What was erased of a blob; nothing of most.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn erasure(&self, digest: &Digest) -> Result<Erasure, BlobError> {
        Ok(self.beside(digest).await?.unwrap_or_default().erasure)
    }

    /// Notes that parts of a blob must not be seen any more. Erasures of one tenant run one at a
    /// time.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn hide(&self, digest: &Digest, names: &BTreeSet<String>) -> Result<(), BlobError> {
        self.change(digest, |erasure| erasure.hidden.extend(names.iter().cloned())).await
    }

    /// Notes which blob stands for another: the same without what is hidden of it.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn succeed(&self, digest: &Digest, successor: Digest) -> Result<(), BlobError> {
        self.change(digest, |erasure| erasure.successor = Some(successor)).await
    }

    /// Deletes a blob for good: first its key, which makes every copy of it unreadable, then its
    /// bytes. It cannot be put again.
    ///
    /// # Errors
    /// If something could not be deleted; doing it again goes on.
    pub async fn shred(&self, digest: &Digest) -> Result<(), BlobError> {
        self.change(digest, |erasure| erasure.shredded = true).await?;
        self.delete_bytes(digest).await
    }

    /// The blob that stands for `digest` now: itself, unless something was erased of it.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn standing(&self, digest: &Digest) -> Result<Digest, BlobError> {
        let mut standing = *digest;
        while let Some(successor) = self.erasure(&standing).await?.successor {
            standing = successor;
        }
        Ok(standing)
    }

    /// Copies a blob to another place, hashed again on its way, with what was erased of it; one that
    /// was erased there stays erased. How many bytes were copied.
    ///
    /// # Errors
    /// If it is missing or damaged here, or cannot be written there.
    pub(crate) async fn copy(&self, digest: &Digest, to: &Self) -> Result<u64, BlobError> {
        let (mut copied, mut next) = (0, Some(*digest));
        while let Some(digest) = next {
            let erasure = self.erasure(&digest).await?;
            next = erasure.successor;
            if !erasure.shredded {
                let (bytes, sealed) = self.read(&digest).await?;
                let length = bytes.len() as u64;
                match to.write(bytes, sealed).await {
                    Ok(_) => copied += length,
                    Err(BlobError::Erased(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if erasure != Erasure::default() {
                to.adopt(&digest, &erasure).await?;
            }
        }
        Ok(copied)
    }

    /// Has erased of a blob here what was erased of it elsewhere.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) async fn adopt(&self, digest: &Digest, other: &Erasure) -> Result<(), BlobError> {
        let take = |erasure: &mut Erasure| {
            erasure.hidden.extend(other.hidden.iter().cloned());
            erasure.successor = other.successor.or(erasure.successor);
            erasure.shredded |= other.shredded;
        };
        self.change(digest, take).await?;
        if other.shredded { self.delete_bytes(digest).await } else { Ok(()) }
    }

    async fn change(
        &self,
        digest: &Digest,
        change: impl FnOnce(&mut Erasure),
    ) -> Result<(), BlobError> {
        let before = self.beside(digest).await?;
        let mut beside = before.clone().unwrap_or_default();
        change(&mut beside.erasure);
        if beside.erasure.shredded {
            beside.key = None;
        }
        let same = before
            .is_some_and(|before| before.erasure == beside.erasure && before.key == beside.key);
        if same { Ok(()) } else { self.keep_beside(digest, &beside).await }
    }

    /// What is kept beside a blob; none of one that was never sealed.
    pub(super) async fn beside(&self, digest: &Digest) -> Result<Option<Beside>, BlobError> {
        let Some(bytes) = self.backend.get(&self.beside_key(digest)).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| BlobError::Corrupt {
            digest: *digest,
            why: format!("what is kept beside it is unreadable: {error}"),
        })
    }

    pub(super) async fn keep_beside(
        &self,
        digest: &Digest,
        beside: &Beside,
    ) -> Result<(), BlobError> {
        self.backend.put(&self.beside_key(digest), encoded(beside)?).await
    }

    /// Keeps a key beside a blob that has none yet; gives the one that it has then.
    pub(super) async fn first_key(&self, digest: &Digest) -> Result<KeptKey, BlobError> {
        loop {
            match self.beside(digest).await? {
                Some(Beside { key: Some(key), .. }) => return Ok(key),
                Some(Beside { erasure, .. }) if erasure.shredded => {
                    return Err(BlobError::Erased(*digest));
                }
                // It was put before blobs were sealed.
                Some(Beside { key: None, erasure }) => {
                    let key = Some(self.wrap.make(&self.tenant, digest)?);
                    self.keep_beside(digest, &Beside { key, erasure }).await?;
                }
                None => {
                    let key = Some(self.wrap.make(&self.tenant, digest)?);
                    let beside = encoded(&Beside { key, erasure: Erasure::default() })?;
                    // Whoever comes first: two keys for one blob would lose it.
                    self.backend.create(&self.beside_key(digest), beside).await?;
                }
            }
        }
    }

    pub(super) fn beside_key(&self, digest: &Digest) -> String {
        format!("{KEYS}{}", self.key(digest))
    }
}

fn encoded(beside: &Beside) -> Result<Bytes, BlobError> {
    let bytes = serde_json::to_vec(beside);
    bytes.map(Bytes::from).map_err(|error| BlobError::Backend(error.to_string()))
}
