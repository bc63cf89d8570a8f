//! Immutable content, named by the digest of its plaintext.
//!
//! Every blob has a header before its bytes (format version, algorithm, key id), so that
//! encryption can be added without touching a digest.

mod bucket;
mod disk;
mod s3;
mod sweep;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use release::{Digest, Secret, TenantId, Timestamp};

pub use bucket::{Bucket, Object, ObjectInfo};
use disk::Disk;
use s3::S3;
pub use sweep::{Amount, Sweep, Swept};

/// First bytes of every blob: magic and format version.
const MAGIC: &[u8; 4] = b"gcb\x01";
/// The algorithm of blobs that are not encrypted.
const PLAIN: u8 = 0;

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
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError>;
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
}

impl Blobs {
    /// Keeps blobs as files under `directory`, which is made if missing.
    pub fn disk(directory: PathBuf) -> Self {
        Self { backend: Arc::new(Disk::new(directory)) }
    }

    /// Keeps blobs in a bucket.
    ///
    /// # Errors
    /// If the options do not describe a bucket.
    pub fn s3(options: &S3Options) -> Result<Self, BlobError> {
        Ok(Self { backend: Arc::new(S3::new(options)?) })
    }

    /// The blobs of one tenant: the same bytes of two tenants are two blobs.
    pub fn tenant(&self, tenant: &TenantId) -> TenantBlobs {
        TenantBlobs { backend: Arc::clone(&self.backend), tenant: tenant.clone() }
    }
}

/// The blobs of one tenant.
#[derive(Debug, Clone)]
pub struct TenantBlobs {
    backend: Arc<dyn Backend>,
    tenant: TenantId,
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
        let digest = Digest::of(&bytes);
        let key = self.key(&digest);
        let mut stored = Vec::with_capacity(bytes.len() + 6);
        stored.extend_from_slice(MAGIC);
        stored.extend_from_slice(&[PLAIN, 0]);
        stored.extend_from_slice(&bytes);
        if self.backend.get(&key).await?.is_none_or(|present| present != stored) {
            self.backend.put(&key, stored.into()).await?;
        }
        Ok(digest)
    }

    /// The bytes of a blob, their digest recomputed.
    ///
    /// # Errors
    /// [`BlobError::Missing`], or [`BlobError::Corrupt`] if they are not what was stored.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        let stored = self.stored(digest).await?.ok_or(BlobError::Missing(*digest))?;
        let corrupt = |why: String| BlobError::Corrupt { digest: *digest, why };
        let plain = stored.len() >= 6 && stored[..4] == MAGIC[..] && stored[4..6] == [PLAIN, 0];
        if !plain {
            return Err(corrupt("its header is not one this program knows".to_owned()));
        }
        let bytes = stored.slice(6..);
        digest.verify(&bytes).map_err(|mismatch| corrupt(mismatch.to_string()))?;
        Ok(bytes)
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
