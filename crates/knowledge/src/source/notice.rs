//! Notices of a bucket: which objects changed.

use percent_encoding::percent_decode_str;
use release::TenantId;
use serde_json::Value;

use super::{Offered, OfferedBucket, Wanted};
use crate::{BucketSpec, SourceSpec};

/// An object that was written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// The bucket's name where it is.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

impl ObjectChange {
    /// Reads a notice of S3: as it is sent itself, through SNS, or by EventBridge. A test of the
    /// connection tells of no object.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(notice: &Value) -> Result<Vec<Self>, String> {
        if notice["Type"] == "Notification" {
            let message = notice["Message"].as_str().ok_or("the notice of SNS has no `Message`")?;
            let inner: Value = serde_json::from_str(message)
                .map_err(|error| format!("the `Message` of SNS is no JSON: {error}"))?;
            // A notice within a notice within a notice is nobody's.
            return match inner["Type"] == "Notification" {
                true => Err("a notice of SNS within another".to_owned()),
                false => Self::read(&inner),
            };
        }
        if notice["Type"] == "SubscriptionConfirmation" {
            return Err(
                "it asks to confirm a subscription of SNS: open its `SubscribeURL` yourself, \
                        nothing is called that a notice names"
                    .to_owned(),
            );
        }
        if notice["Event"] == "s3:TestEvent" {
            return Ok(Vec::new());
        }
        if notice["source"] == "aws.s3" {
            return Ok(vec![Self::of(&notice["detail"], false)?]);
        }
        let records = notice["Records"].as_array();
        let records = records.ok_or("it is no notice of S3: it has no `Records`")?;
        records.iter().map(|record| Self::of(&record["s3"], true)).collect()
    }

    fn of(told: &Value, encoded: bool) -> Result<Self, String> {
        let (bucket, key) = (&told["bucket"]["name"], &told["object"]["key"]);
        let (Some(bucket), Some(key)) = (bucket.as_str(), key.as_str()) else {
            return Err("a record names no bucket and object".to_owned());
        };
        let key = match encoded {
            // As in a form.
            true => percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned(),
            false => key.to_owned(),
        };
        Ok(Self { bucket: bucket.to_owned(), key })
    }

    /// Whether a source of the tenant reads the object.
    pub fn concerns(&self, source: &SourceSpec, offered: &Offered, tenant: &TenantId) -> bool {
        let SourceSpec::Bucket(spec) = source else { return false };
        let Ok(bucket) = Offered::find(&offered.buckets, "bucket", &spec.bucket, tenant) else {
            return false;
        };
        match bucket {
            OfferedBucket::Folder(_) => false,
            OfferedBucket::S3(bucket) => {
                let path = bucket.name() == self.bucket;
                let path = path.then(|| below(&self.key, bucket.prefix())).flatten();
                path.and_then(|path| below(path, &spec.path)).is_some_and(|path| wants(spec, path))
            }
        }
    }
}

/// The rest of a key that lies below a folder.
fn below<'a>(key: &'a str, folder: &str) -> Option<&'a str> {
    match folder.trim_matches('/') {
        "" => Some(key),
        folder => key.strip_prefix(folder)?.strip_prefix('/'),
    }
}

fn wants(spec: &BucketSpec, path: &str) -> bool {
    Wanted::new(&spec.include, &spec.exclude).is_ok_and(|wanted| wanted.wants(path))
}

#[cfg(test)]
mod tests;
