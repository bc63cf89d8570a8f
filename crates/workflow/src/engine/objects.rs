//! Objects in buckets, which Maps read their items from and write their results to.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use release::{TenantId, Timestamp};

use crate::fault::Fault;

/// Which object, and on whose behalf.
#[derive(Debug, Clone, Copy)]
pub struct ObjectName<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The bucket.
    pub bucket: &'a str,
    /// The key; in a listing, what all keys begin with.
    pub key: &'a str,
}

/// An object as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Timestamp,
    /// Changes whenever the object does.
    pub etag: String,
}

/// The buckets that tenants may use. Errors are named as S3 names them (`S3.NoSuchKey`).
#[async_trait]
pub trait Objects: fmt::Debug + Send + Sync {
    /// An object's bytes, at most `most`.
    ///
    /// # Errors
    /// If the tenant may not use the bucket, there is no such object, or it is larger.
    async fn get(&self, name: ObjectName<'_>, most: u64) -> Result<Bytes, Fault>;

    /// Writes an object whole: whoever reads it sees the old one or this one.
    ///
    /// # Errors
    /// If the tenant may not use the bucket, or it cannot be written.
    async fn put(&self, name: ObjectName<'_>, bytes: Bytes) -> Result<(), Fault>;

    /// A page of the objects whose keys begin with the name's and come after `after`, in the
    /// order of their keys; empty if there are no more.
    ///
    /// # Errors
    /// If the tenant may not use the bucket.
    async fn list(&self, name: ObjectName<'_>, after: &str) -> Result<Vec<ObjectInfo>, Fault>;
}
