//! Objects of an S3-compatible bucket, under keys of their own.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Attribute, ObjectMeta, ObjectStore, ObjectStoreExt};
use release::Timestamp;

use super::{BlobError, S3Options, s3};

/// A bucket whose objects have keys of their own; blobs are kept elsewhere.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: AmazonS3,
    name: String,
    prefix: String,
}

/// An object as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key, without the bucket's prefix.
    pub key: String,
    /// How many bytes it has.
    pub size: u64,
    /// What its content is known by; changes with the content.
    pub etag: String,
    /// When it was written.
    pub modified_at: Timestamp,
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is, as a listing tells it.
    pub info: ObjectInfo,
    /// Its bytes.
    pub bytes: Bytes,
    /// Which version it is, where the bucket has versions.
    pub version: Option<String>,
    /// What kind of content it was said to be when it was written.
    pub media_type: Option<String>,
}

impl Bucket {
    /// A bucket.
    ///
    /// # Errors
    /// If the options do not describe one.
    pub fn s3(options: &S3Options) -> Result<Self, BlobError> {
        let (name, prefix) = (options.bucket.clone(), options.prefix.trim_matches('/').to_owned());
        Ok(Self { store: s3::open(options)?, name, prefix })
    }

    /// The bucket's name where it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is put before every key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Tells `each` of every object below the folder `prefix` whose key comes after `after`, page by
    /// page in the order of the keys, until it says no.
    ///
    /// # Errors
    /// If the bucket cannot be listed, or a key has a form that cannot be read, as `a//b`.
    pub async fn list(
        &self,
        prefix: &str,
        after: &str,
        mut each: impl FnMut(ObjectInfo) -> bool + Send,
    ) -> Result<(), BlobError> {
        let folder = self.path(prefix)?;
        let mut objects = match after {
            "" => self.store.list(Some(&folder)),
            after => self.store.list_with_offset(Some(&folder), &self.path(after)?),
        };
        while let Some(found) = objects.try_next().await.map_err(s3::failed)? {
            // A folder of the console's is an empty object that is no document.
            if found.size > 0 && !each(self.info(&found)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// An object of at most `most` bytes; none if there is none. The newest version, where the
    /// bucket has versions.
    ///
    /// # Errors
    /// If it cannot be read, or is larger.
    pub async fn get(&self, key: &str, most: u64) -> Result<Option<Object>, BlobError> {
        let found = match self.store.get(&self.path(key)?).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(s3::failed(error)),
        };
        if found.meta.size > most {
            let why = format!("`{key}` has {} bytes, more than {most}", found.meta.size);
            return Err(BlobError::TooLarge(why));
        }
        let (info, version) = (self.info(&found.meta), found.meta.version.clone());
        let media_type = found.attributes.get(&Attribute::ContentType);
        let media_type = media_type.map(|value| value.as_ref().to_owned());
        let bytes = found.bytes().await.map_err(s3::failed)?;
        // What was never versioned is called so.
        let version = version.filter(|version| version != "null");
        Ok(Some(Object { info, bytes, version, media_type }))
    }

    /// Writes an object.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        let path = self.path(key)?;
        self.store.put(&path, bytes.into()).await.map(|_| ()).map_err(s3::failed)
    }

    fn path(&self, key: &str) -> Result<Path, BlobError> {
        let whole = format!("{}/{key}", self.prefix);
        Path::parse(whole.trim_start_matches('/'))
            .map_err(|error| BlobError::Backend(error.to_string()))
    }

    fn info(&self, found: &ObjectMeta) -> ObjectInfo {
        let whole = found.location.as_ref();
        let key = whole.strip_prefix(&self.prefix).unwrap_or(whole);
        ObjectInfo {
            key: key.trim_start_matches('/').to_owned(),
            size: found.size,
            etag: found.e_tag.clone().unwrap_or_default(),
            modified_at: s3::written_at(found),
        }
    }
}
