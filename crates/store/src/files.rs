//! Files that are read in parts: columns of telemetry. Unlike blobs they have names of their own,
//! can be written anew in another form, and carry the checksums that their format gives them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use release::{TenantId, Timestamp};

use crate::blobs::{Backend, BlobError, Disk, Entry, S3, S3Options};

/// A place for files.
#[derive(Debug, Clone)]
pub struct Files {
    backend: Arc<dyn Backend>,
}

/// A file as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name in its folder.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

impl Files {
    /// Keeps files under `directory`, which is made if missing.
    pub fn disk(directory: PathBuf) -> Self {
        Self { backend: Arc::new(Disk::new(directory)) }
    }

    /// Keeps files in a bucket.
    ///
    /// # Errors
    /// If the options do not describe a bucket.
    pub fn s3(options: &S3Options) -> Result<Self, BlobError> {
        Ok(Self { backend: Arc::new(S3::new(options)?) })
    }

    /// The files of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> TenantFiles {
        TenantFiles { backend: Arc::clone(&self.backend), tenant: tenant.clone() }
    }
}

/// One tenant's files. Each has a folder and a name in it.
#[derive(Debug, Clone)]
pub struct TenantFiles {
    backend: Arc<dyn Backend>,
    tenant: TenantId,
}

impl TenantFiles {
    /// Whose they are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Between folder and name stand the name's first two letters, as with blobs: no directory
    /// grows too large.
    fn key(&self, folder: &str, name: &str) -> String {
        let shard: String = name.chars().take(2).collect();
        format!("{}/{folder}/{shard}/{name}", self.tenant)
    }

    /// Writes a file. When this returns it is on disk, whole.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, folder: &str, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.backend.put(&self.key(folder, name), bytes).await
    }

    /// Part of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, or does not have so many bytes.
    pub async fn read(
        &self,
        folder: &str,
        name: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, BlobError> {
        self.backend.get_range(&self.key(folder, name), range).await
    }

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub async fn delete(&self, folder: &str, name: &str) -> Result<(), BlobError> {
        self.backend.delete(&self.key(folder, name)).await
    }

    /// The files of a folder.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub async fn list(&self, folder: &str) -> Result<Vec<FileInfo>, BlobError> {
        let prefix = format!("{}/{folder}/", self.tenant);
        let entries = self.backend.entries(&prefix).await?;
        let file = |Entry { name, bytes, written_at }| FileInfo { name, bytes, written_at };
        Ok(entries.into_iter().map(file).collect())
    }
}
