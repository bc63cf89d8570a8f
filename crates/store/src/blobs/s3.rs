//! Blobs in a bucket of an S3 service.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use release::{Digest, Secret, TenantId};

use super::{BlobEngine, BlobError, digest_of};

/// Where a bucket is and how to reach it.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The service's URL, as `https://s3.eu-central-1.amazonaws.com`; `http:` is used as given.
    pub endpoint: String,
    /// The bucket's name; it must exist.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// What precedes every object's key, without a final slash; may be empty.
    pub prefix: String,
    /// The access key's id.
    pub key: Secret,
    /// The secret access key.
    pub secret: Secret,
}

/// How long requests that fail are tried again before the failure is reported.
const PATIENCE: Duration = Duration::from_secs(20);

/// Blobs in one bucket.
#[derive(Debug)]
pub(super) struct S3 {
    bucket: AmazonS3,
    prefix: String,
}

impl S3 {
    pub(super) fn open(options: S3Options) -> Result<Self, BlobError> {
        let bucket = AmazonS3Builder::new()
            .with_allow_http(options.endpoint.starts_with("http://"))
            .with_endpoint(&options.endpoint)
            .with_bucket_name(&options.bucket)
            .with_region(options.region)
            .with_access_key_id(options.key.expose())
            .with_secret_access_key(options.secret.expose())
            .with_retry(RetryConfig { retry_timeout: PATIENCE, ..RetryConfig::default() })
            .build()
            .map_err(|source| BlobError::engine("open", options.bucket, source))?;
        Ok(Self { bucket, prefix: options.prefix.trim_end_matches('/').to_owned() })
    }

    fn path(&self, path: &str) -> Path {
        if self.prefix.is_empty() {
            Path::from(path)
        } else {
            Path::from(format!("{}/{path}", self.prefix))
        }
    }
}

#[async_trait]
impl BlobEngine for S3 {
    async fn put(&self, path: String, parts: [Bytes; 2]) -> Result<(), BlobError> {
        let payload = PutPayload::from_iter(parts);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.bucket.put_opts(&self.path(&path), payload, options).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(BlobError::engine("write", path, source)),
        }
    }

    async fn get(&self, path: String) -> Result<Option<Bytes>, BlobError> {
        let read = async { self.bucket.get(&self.path(&path)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(BlobError::engine("read", path, source)),
        }
    }

    async fn exists(&self, path: String) -> Result<bool, BlobError> {
        match self.bucket.head(&self.path(&path)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(BlobError::engine("look at", path, source)),
        }
    }

    async fn delete(&self, path: String) -> Result<(), BlobError> {
        match self.bucket.delete(&self.path(&path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(BlobError::engine("remove", path, source)),
        }
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, BlobError> {
        let folder = self.path(tenant.as_str());
        let objects = match after {
            Some(digest) => self
                .bucket
                .list_with_offset(Some(&folder), &self.path(&super::path(tenant, digest))),
            None => self.bucket.list(Some(&folder)),
        };
        objects
            .map_err(|source| BlobError::engine("list", folder.to_string(), source))
            .try_filter_map(async |object| Ok(object.location.filename().and_then(digest_of)))
            .take(limit)
            .try_collect()
            .await
    }
}
