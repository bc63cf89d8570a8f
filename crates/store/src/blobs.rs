//! Immutable content, named by the digest of its plaintext.
//!
//! Every blob has a header before its bytes: format version, algorithm, key id. What may have to be
//! erased one day is sealed under a key of its own (`erasure.rs`, `seal.rs`); its digest is of the
//! plaintext all the same.

mod bucket;
mod disk;
mod erasure;
mod s3;
mod seal;
mod sweep;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use release::{Digest, Secret, TenantId, Timestamp};

pub use bucket::{Bucket, Object, ObjectInfo};
pub(crate) use disk::Disk;
pub use erasure::Erasure;
pub(crate) use s3::S3;
use seal::Wrap;
pub use seal::derived_key;
pub use sweep::{Amount, Sweep, Swept};

/// First bytes of every blob: magic and format version.
const MAGIC: &[u8; 4] = b"gcb\x01";
/// The algorithm of blobs that are not encrypted.
const PLAIN: u8 = 0;
/// That of blobs that are sealed with AES-256-GCM.
const SEALED: u8 = 1;

/// What can go wrong with a blob.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("blob `{0}` is missing")]
    Missing(Digest),
    /// The stored bytes are not what the digest says.
    #[error("blob `{digest}` is corrupt: {why}")]
    Corrupt {
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// The blob was erased.
    #[error("blob `{0}` was erased")]
    Erased(Digest),
    /// An object has more bytes than were asked for.
    #[error("{0}")]
    TooLarge(String),
    /// The place where blobs are kept failed.
    #[error("the blob store failed: {0}")]
    Backend(String),
}

/// A place that keeps bytes under a key.
#[async_trait]
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError>;
    /// Puts bytes unless something is there; whether nothing was.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, BlobError>;
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError>;
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, BlobError>;
    async fn exists(&self, key: &str) -> Result<bool, BlobError>;
    async fn delete(&self, key: &str) -> Result<(), BlobError>;
    /// Moves what is under a key to another one, if it is there. It is then as new as if it had just
    /// been written.
    async fn rename(&self, from: &str, to: &str) -> Result<(), BlobError>;
    /// What is under `prefix`, which ends with `/`.
    async fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BlobError>;

    /// The last segments of all keys under `prefix`, which ends with `/`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        Ok(self.entries(prefix).await?.into_iter().map(|entry| entry.name).collect())
    }
}

/// What a place tells of something that it keeps.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The last segment of its key.
    pub name: String,
    /// How many bytes it has, header included.
    pub bytes: u64,
    /// When it was written or renamed.
    pub written_at: Timestamp,
}

/// Where an S3-compatible bucket is and how it is opened.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The service's address; AWS's own if none.
    pub endpoint: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// Put before every key.
    pub prefix: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: Secret,
}

/// Where immutable content is kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) wrap: Wrap,
}

impl Blobs {
    /// Keeps blobs as files under `directory`, which is made if missing.
    pub fn disk(directory: PathBuf) -> Self {
        Self { backend: Arc::new(Disk::new(directory)), wrap: Wrap::default() }
    }

    /// Keeps blobs in a bucket.
    ///
    /// # Errors
    /// If the options do not describe a bucket.
    pub fn s3(options: &S3Options) -> Result<Self, BlobError> {
        Ok(Self { backend: Arc::new(S3::new(options)?), wrap: Wrap::default() })
    }

    /// The same, with the keys of sealed blobs wrapped by the installation's key; else they are
    /// kept as they are, and only forgetting them protects anything.
    #[must_use]
    pub fn with_key(self, installation: &Secret) -> Self {
        Self { wrap: Wrap::new(installation), ..self }
    }

    /// The blobs of one tenant: the same bytes of two tenants are two blobs.
    pub fn tenant(&self, tenant: &TenantId) -> TenantBlobs {
        let (backend, wrap) = (Arc::clone(&self.backend), self.wrap.clone());
        TenantBlobs { backend, tenant: tenant.clone(), wrap }
    }
}

/// The blobs of one tenant.
#[derive(Debug, Clone)]
pub struct TenantBlobs {
    backend: Arc<dyn Backend>,
    tenant: TenantId,
    wrap: Wrap,
}

impl TenantBlobs {
    /// The tenant whose blobs these are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Stores bytes, unless they are there already and whole, and returns their digest. When this
    /// returns, they are durable.
    ///
    /// # Errors
    /// If they could not be written.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        self.write(bytes, false).await
    }

    /// Stores bytes as [`TenantBlobs::put`] does, sealed under a key of their own: for everything
    /// that may have to be erased one day.
    ///
    /// # Errors
    /// [`BlobError::Erased`] if they were erased, or if they could not be written.
    pub async fn put_sealed(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        self.write(bytes, true).await
    }

    async fn write(&self, bytes: Bytes, mut sealed: bool) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        // One that was set aside is put to its place anew: a sweep may be deleting it.
        let in_place = self.backend.exists(&self.key(&digest)).await?;
        match self.read(&digest).await {
            Ok((_, is_sealed)) if in_place && (is_sealed || !sealed) => return Ok(digest),
            Ok((_, is_sealed)) => sealed |= is_sealed,
            Err(BlobError::Missing(_) | BlobError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut stored = Vec::with_capacity(bytes.len() + 64);
        stored.extend_from_slice(MAGIC);
        if sealed {
            // The key first: a blob is never there without it.
            let kept = self.first_key(&digest).await?;
            let key = self.wrap.open(&kept, (&self.tenant, &digest))?;
            stored.extend_from_slice(&[SEALED, key.id.len() as u8]);
            stored.extend_from_slice(&key.id);
            key.seal(&bytes, &mut stored)?;
        } else {
            stored.extend_from_slice(&[PLAIN, 0]);
            stored.extend_from_slice(&bytes);
        }
        self.backend.put(&self.key(&digest), stored.into()).await?;
        Ok(digest)
    }

    /// The bytes of a blob, their digest recomputed.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Erased`], or [`BlobError::Corrupt`] if they are not what
    /// was stored.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        Ok(self.read(digest).await?.0)
    }

    /// The bytes of a blob, and whether they are sealed.
    async fn read(&self, digest: &Digest) -> Result<(Bytes, bool), BlobError> {
        let corrupt = |why: String| BlobError::Corrupt { digest: *digest, why };
        let Some(mut stored) = self.stored(digest).await? else {
            let erased = self.erasure(digest).await?.shredded;
            return Err(if erased {
                BlobError::Erased(*digest)
            } else {
                BlobError::Missing(*digest)
            });
        };
        let unknown = || corrupt("its header is not one this program knows".to_owned());
        let (head, rest) = stored.split_at_checked(6).ok_or_else(unknown)?;
        let id_len = usize::from(head[5]);
        let (bytes, sealed) = match head[4] {
            _ if head[..4] != MAGIC[..] => return Err(unknown()),
            PLAIN if id_len == 0 => (stored.slice(6..), false),
            SEALED if rest.len() >= id_len => {
                let beside = self.beside(digest).await?.unwrap_or_default();
                let kept = match beside.key {
                    Some(kept) => kept,
                    None if beside.erasure.shredded => return Err(BlobError::Erased(*digest)),
                    None => return Err(corrupt("its key is missing".to_owned())),
                };
                let key = self.wrap.open(&kept, (&self.tenant, digest))?;
                if key.id != rest[..id_len] {
                    return Err(corrupt("it was sealed with another key".to_owned()));
                }
                let from = 6 + id_len;
                // Nothing else holds the bytes, so they are opened where they are.
                stored.advance(from);
                let opened = key.open(stored);
                (opened.ok_or_else(|| corrupt("its key does not open it".to_owned()))?, true)
            }
            _ => return Err(unknown()),
        };
        digest.verify(&bytes).map_err(|mismatch| corrupt(mismatch.to_string()))?;
        Ok((bytes, sealed))
    }

    /// Whether a blob is there; its bytes are not checked.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn exists(&self, digest: &Digest) -> Result<bool, BlobError> {
        for key in self.places(digest) {
            if self.backend.exists(&key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes a blob; one that is not there is no error.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn delete(&self, digest: &Digest) -> Result<(), BlobError> {
        // Its key first: what is left after a crash is nothing, and deleted the next time.
        self.backend.delete(&self.beside_key(digest)).await?;
        self.delete_bytes(digest).await
    }

    async fn delete_bytes(&self, digest: &Digest) -> Result<(), BlobError> {
        for key in self.places(digest) {
            self.backend.delete(&key).await?;
        }
        Ok(())
    }

    /// The digests of all blobs of the tenant, in order.
    ///
    /// # Errors
    /// If the place where blobs are kept failed.
    pub async fn list(&self) -> Result<Vec<Digest>, BlobError> {
        let mut names = self.backend.list(&self.folder()).await?;
        names.extend(self.backend.list(&self.folder_aside()).await?);
        let digests = names.iter().filter_map(|name| format!("sha256:{name}").parse().ok());
        let mut digests: Vec<_> = digests.collect();
        digests.sort();
        digests.dedup();
        Ok(digests)
    }

    fn key(&self, digest: &Digest) -> String {
        let hex = digest.to_hex();
        format!("{}/{}/{hex}", self.tenant, &hex[..2])
    }
}
