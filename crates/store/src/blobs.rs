//! Blobs: immutable bytes named by their digest, on disk or S3.

mod disk;
mod s3;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use release::{Digest, TenantId};

pub use s3::S3Options;

/// A handle on one blob store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    engine: Arc<dyn BlobEngine>,
}

/// One tenant's blobs; nothing of another's can be reached through it.
#[derive(Debug, Clone)]
pub struct TenantBlobs {
    engine: Arc<dyn BlobEngine>,
    tenant: TenantId,
}

/// Where bytes lie under a path. The border between blobs and the places that hold them.
#[async_trait]
pub(crate) trait BlobEngine: std::fmt::Debug + Send + Sync {
    /// Makes `parts`, one after the other, durable at `path`, unless something is there already.
    async fn put(&self, path: String, parts: [Bytes; 2]) -> Result<(), BlobError>;

    /// All bytes at `path`.
    async fn get(&self, path: String) -> Result<Option<Bytes>, BlobError>;

    /// Whether something is at `path`.
    async fn exists(&self, path: String) -> Result<bool, BlobError>;

    /// Removes what is at `path`, if anything.
    async fn delete(&self, path: String) -> Result<(), BlobError>;

    /// The names of blobs in `tenant`'s folder after `after`, in order, at most `limit`.
    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, BlobError>;
}

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("blob `{digest}` of tenant `{tenant}` does not exist")]
    NotFound {
        /// Whose blob.
        tenant: TenantId,
        /// Its name.
        digest: Digest,
    },
    /// The stored bytes are not those that were put: restore this blob from a copy.
    #[error("blob `{digest}` of tenant `{tenant}` is corrupt: {reason}")]
    Corrupt {
        /// Whose blob.
        tenant: TenantId,
        /// Its name.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// A newer Groundcrew wrote the blob, or one with a key that this one has not.
    #[error("blob `{digest}` of tenant `{tenant}` cannot be read by this groundcrew: {reason}")]
    Unsupported {
        /// Whose blob.
        tenant: TenantId,
        /// Its name.
        digest: Digest,
        /// Which part of its header is not known.
        reason: String,
    },
    /// The disk or the S3 service failed.
    #[error("the blob store failed to {action} `{path}`")]
    Engine {
        /// What it was doing.
        action: &'static str,
        /// To which path or key.
        path: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl BlobError {
    fn engine(
        action: &'static str,
        path: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Engine { action, path: path.into(), source: source.into() }
    }
}

impl Blobs {
    /// Blobs in files under `directory`, which is created when absent. What a crash left half
    /// written is removed.
    ///
    /// # Errors
    /// [`BlobError::Engine`] if the directory cannot be created.
    pub fn disk(directory: &Path) -> Result<Self, BlobError> {
        Ok(Self { engine: Arc::new(disk::Disk::open(directory)?) })
    }

    /// Blobs in a bucket of an S3 service; nothing is sent yet.
    ///
    /// # Errors
    /// [`BlobError::Engine`] if the options are not usable.
    pub fn s3(options: S3Options) -> Result<Self, BlobError> {
        Ok(Self { engine: Arc::new(s3::S3::open(options)?) })
    }

    /// The blobs of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> TenantBlobs {
        TenantBlobs { engine: self.engine.clone(), tenant: tenant.clone() }
    }
}

impl TenantBlobs {
    /// Whose blobs these are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Stores `bytes` and returns their name; once this returns they survive a power loss. Bytes
    /// that are there already are not written again.
    ///
    /// # Errors
    /// [`BlobError::Engine`] if they could not be stored.
    #[tracing::instrument(name = "put blob", level = "debug", skip_all)]
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = digest_off_thread(bytes.clone()).await?;
        self.engine.put(self.path(digest), [Bytes::from_static(&HEADER), bytes]).await?;
        Ok(digest)
    }

    /// The bytes named `digest`, verified.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Corrupt`] if they are no longer what was put,
    /// [`BlobError::Unsupported`] if this binary cannot read them, [`BlobError::Engine`].
    #[tracing::instrument(name = "get blob", level = "debug", skip_all)]
    pub async fn get(&self, digest: Digest) -> Result<Bytes, BlobError> {
        let stored = self
            .engine
            .get(self.path(digest))
            .await?
            .ok_or_else(|| BlobError::NotFound { tenant: self.tenant.clone(), digest })?;
        let plaintext = self.open(digest, stored)?;
        let found = digest_off_thread(plaintext.clone()).await?;
        if found != digest {
            return Err(self.corrupt(digest, format!("its digest is now `{found}`")));
        }
        Ok(plaintext)
    }

    /// Whether there is a blob named `digest`; its bytes are not verified.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    pub async fn exists(&self, digest: Digest) -> Result<bool, BlobError> {
        self.engine.exists(self.path(digest)).await
    }

    /// Removes the blob named `digest`, if there is one.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    pub async fn delete(&self, digest: Digest) -> Result<(), BlobError> {
        self.engine.delete(self.path(digest)).await
    }

    /// The names of the blobs after `after`, ascending, at most `limit`.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    pub async fn list(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, BlobError> {
        self.engine.list(&self.tenant, after, limit).await
    }

    fn path(&self, digest: Digest) -> String {
        path(&self.tenant, digest)
    }

    /// Reads the header and returns what follows it.
    fn open(&self, digest: Digest, mut stored: Bytes) -> Result<Bytes, BlobError> {
        let unsupported =
            |reason: String| BlobError::Unsupported { tenant: self.tenant.clone(), digest, reason };
        if stored.len() < HEADER.len() || stored[..4] != HEADER[..4] {
            return Err(self.corrupt(digest, "it has no header".to_owned()));
        }
        let [version, algorithm, key_length] = [stored[4], stored[5], stored[6]];
        if version != VERSION {
            return Err(unsupported(format!("its header has version {version}")));
        }
        if algorithm != PLAIN || key_length != 0 {
            return Err(unsupported(format!("it is encrypted with algorithm {algorithm}")));
        }
        Ok(stored.split_off(HEADER.len()))
    }

    fn corrupt(&self, digest: Digest, reason: String) -> BlobError {
        BlobError::Corrupt { tenant: self.tenant.clone(), digest, reason }
    }
}

/// The digest of `bytes`; that of many is computed where it holds up no other request.
async fn digest_off_thread(bytes: Bytes) -> Result<Digest, BlobError> {
    if bytes.len() < 64 << 10 {
        return Ok(Digest::of(&bytes));
    }
    tokio::task::spawn_blocking(move || Digest::of(&bytes))
        .await
        .map_err(|source| BlobError::engine("compute the digest of", "a blob", source))
}

/// What precedes every plaintext: a magic, the header's version, the algorithm that the rest is
/// encrypted with, and the length of the key's id, which would follow.
const HEADER: [u8; 7] = [b'G', b'C', b'B', 0, VERSION, PLAIN, 0];

const VERSION: u8 = 1;

/// The algorithm of bytes that are not encrypted.
const PLAIN: u8 = 0;

/// `<tenant>/<first two digits>/<digest>`: no folder grows beyond what file systems like.
fn path(tenant: &TenantId, digest: Digest) -> String {
    let hex = digest.to_hex();
    format!("{tenant}/{}/{hex}", &hex[..2])
}

/// The digest that a path's last component names; `None` for what is not a blob.
fn digest_of(name: &str) -> Option<Digest> {
    format!("sha256:{name}").parse().ok()
}
