//! Objects of an S3-compatible bucket.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use release::{Digest, TenantId};
use store::{Bucket, ObjectInfo};
use tokio::sync::mpsc;

use super::directory::Files;
use super::{
    MAX_DOCUMENT, MAX_DOCUMENTS, MAX_LISTED, Offered, OfferedBucket, Wanted, failed, tell,
    too_large, unusable,
};
use crate::{BucketSpec, KnowledgeError, Metadata, RawDocument, Seen, Source};

/// How many objects are read at once.
const AT_ONCE: usize = 4;

/// The objects below a folder of a bucket.
#[derive(Debug)]
struct Objects {
    bucket: Bucket,
    /// Ends with `/`, unless it is the whole bucket.
    folder: String,
    wanted: Wanted,
    limits: Limits,
}

/// How much of a bucket is read.
#[derive(Debug, Clone, Copy)]
struct Limits {
    listed: usize,
    documents: usize,
}

/// A bucket may also be a folder of this machine.
enum Place {
    Folder(Files),
    Bucket(Objects),
}

pub fn open(
    spec: &BucketSpec,
    offered: &Offered,
    tenant: &TenantId,
) -> Result<Box<dyn Source>, KnowledgeError> {
    Ok(match place(spec, offered, tenant)? {
        Place::Folder(files) => Box::new(files),
        Place::Bucket(objects) => Box::new(objects),
    })
}

/// What the objects look like: their keys and ETags.
pub async fn look(
    spec: &BucketSpec,
    offered: &Offered,
    tenant: &TenantId,
) -> Result<Digest, KnowledgeError> {
    match place(spec, offered, tenant)? {
        Place::Folder(files) => files.look().await,
        Place::Bucket(objects) => {
            let listed = objects.list().await?;
            let fields = listed.iter().flat_map(|(path, info)| [path.as_str(), info.etag.as_str()]);
            Ok(Digest::of_fields(fields.map(str::as_bytes)))
        }
    }
}

fn place(spec: &BucketSpec, offered: &Offered, tenant: &TenantId) -> Result<Place, KnowledgeError> {
    let wanted = Wanted::new(&spec.include, &spec.exclude)?;
    let bucket = match Offered::find(&offered.buckets, "bucket", &spec.bucket, tenant)? {
        OfferedBucket::Folder(folder) => {
            let files = Files::new(folder.resolve(&spec.bucket, &spec.path)?, wanted);
            return Ok(Place::Folder(files));
        }
        OfferedBucket::S3(bucket) => (**bucket).clone(),
    };
    let folder = match spec.path.trim_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let limits = Limits { listed: MAX_LISTED, documents: MAX_DOCUMENTS };
    Ok(Place::Bucket(Objects { bucket, folder, wanted, limits }))
}

impl Objects {
    /// What the bucket has that is wanted. Nothing is read before all of it is known to be few
    /// enough.
    async fn list(&self) -> Result<Vec<(String, ObjectInfo)>, KnowledgeError> {
        let (mut found, mut listed) = (Vec::new(), 0);
        let Limits { listed: most, documents } = self.limits;
        self.bucket
            .list(&self.folder, "", |info| {
                listed += 1;
                let path = info.key.strip_prefix(&self.folder).unwrap_or(&info.key);
                if self.wanted.wants(path) {
                    found.push((path.to_owned(), info));
                }
                listed <= most && found.len() <= documents
            })
            .await?;
        if listed > most {
            let why = format!(
                "more than {most} keys lie below `{}`: name a folder of it as `path`",
                self.folder
            );
            return Err(unusable(format!("bucket `{}`", self.bucket.name()), why));
        }
        if found.len() > documents {
            return Err(KnowledgeError::TooMany(documents));
        }
        Ok(found)
    }

    async fn object(&self, path: String, info: &ObjectInfo) -> Seen {
        if let Some(reason) = too_large(info.size) {
            return failed(path, reason);
        }
        // One that cannot be read may be forbidden alone; that the bucket is gone its listing tells.
        let object = match self.bucket.get(&info.key, MAX_DOCUMENT).await {
            Ok(Some(object)) => object,
            Ok(None) => return failed(path, "it was deleted while the bucket was read"),
            Err(error) => return failed(path, error.to_string()),
        };
        let told_nothing = ["binary/octet-stream", "application/octet-stream"];
        let media_type = object.media_type.filter(|kind| !told_nothing.contains(&kind.as_str()));
        Seen::Fresh(Box::new(RawDocument {
            path,
            bytes: object.bytes,
            media_type,
            mark: object.info.etag,
            modified_at: Some(object.info.modified_at),
            version: object.version,
            metadata: Metadata::new(),
        }))
    }
}

#[async_trait]
impl Source for Objects {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let each = self.list().await?.into_iter().map(|(path, info)| async move {
            match before.get(&path) == Some(&info.etag) && !info.etag.is_empty() {
                true => Seen::Same(path),
                false => self.object(path, &info).await,
            }
        });
        let mut each = std::pin::pin!(stream::iter(each).buffered(AT_ONCE));
        while let Some(one) = each.next().await {
            tell(&seen, one).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
