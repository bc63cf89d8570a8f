//! Blobs as objects of an S3-compatible bucket.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use release::Timestamp;

use super::{Backend, BlobError, Entry, S3Options};

#[derive(Debug)]
pub struct S3 {
    store: AmazonS3,
    prefix: String,
}

impl S3 {
    pub fn new(options: &S3Options) -> Result<Self, BlobError> {
        let store = open(options)?;
        Ok(Self { store, prefix: options.prefix.trim_matches('/').to_owned() })
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }
}

/// Opens a bucket; what is in it is not looked at.
pub fn open(options: &S3Options) -> Result<AmazonS3, BlobError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&options.bucket)
        .with_region(&options.region)
        .with_access_key_id(&options.access_key_id)
        .with_secret_access_key(options.secret_access_key.expose());
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    builder.build().map_err(failed)
}

pub fn failed(error: object_store::Error) -> BlobError {
    BlobError::Backend(error.to_string())
}

#[async_trait]
impl Backend for S3 {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        // Equal keys have equal bytes, so that writing twice is harmless.
        self.store.put(&self.path(key), bytes.into()).await.map(|_| ()).map_err(failed)
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, BlobError> {
        let only_new = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.path(key), bytes.into(), only_new).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        match self.store.get(&self.path(key)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let wanted = range.end.saturating_sub(range.start);
        match self.store.get_range(&self.path(key), range).await {
            // A bucket gives what there is of a range that begins before the end.
            Ok(bytes) if (bytes.len() as u64) < wanted => Err(BlobError::Backend(format!(
                "`{key}` ends before byte {wanted} of what is read"
            ))),
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool, BlobError> {
        match self.store.head(&self.path(key)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self.store.delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), BlobError> {
        // The copy first: a crash in between leaves both.
        match self.store.copy(&self.path(from), &self.path(to)).await {
            Ok(()) => self.delete(from).await,
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        let path = self.path(prefix);
        let objects: Vec<_> = self.store.list(Some(&path)).try_collect().await.map_err(failed)?;
        let entries = objects.iter().filter_map(|object| {
            Some(Entry {
                name: object.location.filename()?.to_owned(),
                bytes: object.size,
                written_at: written_at(object),
            })
        });
        Ok(entries.collect())
    }
}

/// When an object was written.
pub fn written_at(object: &ObjectMeta) -> Timestamp {
    Timestamp::from_millisecond(object.last_modified.timestamp_millis()).unwrap_or_default()
}
