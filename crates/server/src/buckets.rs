//! The buckets that the operator offers to workflows: folders of this machine, and buckets of an
//! S3-compatible service.
//!
//! In a folder an object's key is the path of a file below its bucket's folder. Neither `..` nor a link leads
//! out of it. Objects are written aside and then renamed, so that a reader sees a whole one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use release::{TenantId, Timestamp};
use store::BlobError;
use workflow::Fault;
use workflow::engine::{ObjectInfo, ObjectName, Objects};

/// How many objects a page of a listing has.
const PAGE: usize = 10_000;
/// What the names of files that are still being written begin with.
const ASIDE: &str = ".groundcrew-";

/// A bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Where it is.
    pub place: Place,
    /// The tenants that may use it.
    pub tenants: Vec<TenantId>,
}

/// Where a bucket is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// At a service.
    S3(Box<store::Bucket>),
}

/// A bucket that was found.
enum Found<'a> {
    /// The real path of its folder.
    Folder(PathBuf),
    S3(&'a store::Bucket),
}

/// The buckets, by name.
#[derive(Debug, Clone, Default)]
pub struct Buckets(BTreeMap<String, Bucket>);

impl Buckets {
    /// These buckets.
    pub fn new(buckets: BTreeMap<String, Bucket>) -> Self {
        Self(buckets)
    }

    /// A bucket. Whoever may not use it is told that it is not there.
    fn find(&self, name: ObjectName<'_>) -> Result<Found<'_>, Fault> {
        let offered =
            self.0.get(name.bucket).filter(|offered| offered.tenants.contains(name.tenant));
        let missing = || {
            let cause = format!("there is no bucket `{}` for this tenant", name.bucket);
            Fault::new("S3.NoSuchBucket", cause)
        };
        let path = match &offered.ok_or_else(missing)?.place {
            Place::Folder(path) => path,
            Place::S3(bucket) => return Ok(Found::S3(bucket)),
        };
        path.canonicalize().map(Found::Folder).map_err(|error| {
            Fault::new(
                "S3.S3Exception",
                format!("the bucket `{}` cannot be opened: {error}", name.bucket),
            )
        })
    }
}

/// The path of a key below a folder.
fn below(root: &Path, key: &str) -> Result<PathBuf, Fault> {
    let wrong = |part: &str| {
        part.is_empty()
            || part == "."
            || part == ".."
            || part.starts_with(ASIDE)
            || part.contains(['\\', '\0'])
    };
    if key.len() > 1_024 || key.split('/').any(wrong) {
        let shown: String = key.chars().take(80).collect();
        return Err(Fault::new("S3.InvalidKey", format!("`{shown}` cannot be a key here")));
    }
    Ok(root.join(key))
}

fn outside(key: &str) -> Fault {
    Fault::new("S3.AccessDenied", format!("`{key}` leads out of its bucket"))
}

fn missing(key: &str) -> Fault {
    Fault::new("S3.NoSuchKey", format!("there is no object `{key}`"))
}

fn failed(key: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing(key),
        _ => Fault::new("S3.S3Exception", format!("`{key}`: {error}")),
    }
}

fn get(root: &Path, key: &str, most: u64) -> Result<Vec<u8>, Fault> {
    let failed = |error: io::Error| failed(key, &error);
    let path = below(root, key)?.canonicalize().map_err(failed)?;
    if !path.starts_with(root) {
        return Err(outside(key));
    }
    // A pipe or a device might never end.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(missing(key));
    }
    let mut body = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut body))
        .map_err(failed)?;
    if body.len() as u64 > most {
        let cause = format!("the object `{key}` has more than {most} bytes");
        return Err(Fault::new("S3.EntityTooLarge", cause));
    }
    Ok(body)
}

fn put(root: &Path, key: &str, bytes: &[u8]) -> Result<(), Fault> {
    let failed = |error: io::Error| Fault::new("S3.S3Exception", format!("`{key}`: {error}"));
    let path = below(root, key)?;
    let folder = path.parent().unwrap_or(root);
    // A link among the folders that are there already must not lead the new ones out.
    let known = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok());
    let inside = |path: &Path| path.canonicalize().is_ok_and(|real| real.starts_with(root));
    if !known.is_some_and(inside) {
        return Err(outside(key));
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let aside = folder.join(format!("{ASIDE}{}", uuid::Uuid::new_v4()));
    let written = File::create_new(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|error| {
        if let Err(left) = fs::remove_file(&aside)
            && left.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%left, file = %aside.display(), "a half-written object is left");
        }
        failed(error)
    })
}

/// A page of a bucket's objects.
struct Listing<'a> {
    prefix: &'a str,
    after: &'a str,
    found: Vec<ObjectInfo>,
}

impl Listing<'_> {
    /// Adds what is below a folder, whose keys begin with `at`, in the order of the keys.
    fn walk(&mut self, folder: &Path, at: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            // What has no key: links, files that are being written, names that are no text.
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if !(kind.is_dir() || kind.is_file()) || name.starts_with(ASIDE) {
                continue;
            }
            let key = if kind.is_dir() { format!("{at}{name}/") } else { format!("{at}{name}") };
            entries.push((key, entry.path()));
        }
        entries.sort();
        for (key, path) in entries {
            if self.found.len() == PAGE {
                return Ok(());
            }
            let (prefix, after) = (self.prefix, self.after);
            if key.ends_with('/') {
                let may_match = key.starts_with(prefix) || prefix.starts_with(&key);
                if may_match && (key.as_str() > after || after.starts_with(&key)) {
                    self.walk(&path, &key)?;
                }
            } else if key.starts_with(prefix) && key.as_str() > after {
                let metadata = path.metadata()?;
                let modified = Timestamp::try_from(metadata.modified()?).unwrap_or_default();
                let etag = format!("\"{:x}-{:x}\"", modified.as_nanosecond(), metadata.len());
                self.found.push(ObjectInfo { key, size: metadata.len(), modified, etag });
            }
        }
        Ok(())
    }
}

/// A page of the objects of a bucket at a service.
async fn list(bucket: &store::Bucket, prefix: &str, after: &str) -> Result<Vec<ObjectInfo>, Fault> {
    let mut found = Vec::new();
    // A prefix may end within a name.
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    let listed = bucket.list(folder, after, |object| {
        if object.key.starts_with(prefix) {
            let (key, size) = (object.key, object.size);
            let (modified, etag) = (object.modified_at, object.etag);
            found.push(ObjectInfo { key, size, modified, etag });
        }
        found.len() < PAGE
    });
    listed.await.map_err(|error| refused(&error))?;
    Ok(found)
}

fn refused(error: &BlobError) -> Fault {
    match error {
        BlobError::TooLarge(why) => Fault::new("S3.EntityTooLarge", why.clone()),
        error => Fault::new("S3.S3Exception", error.to_string()),
    }
}

/// Runs work that blocks on the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let cut_off = |_| Err(Fault::new("S3.S3Exception", "the work on the disk was cut off"));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(cut_off)
}

#[async_trait]
impl Objects for Buckets {
    async fn get(&self, name: ObjectName<'_>, most: u64) -> Result<Bytes, Fault> {
        let root = match self.find(name)? {
            Found::Folder(root) => root,
            Found::S3(bucket) => {
                let found = bucket.get(name.key, most).await.map_err(|error| refused(&error))?;
                return found.map(|found| found.bytes).ok_or_else(|| missing(name.key));
            }
        };
        let key = name.key.to_owned();
        blocking(move || get(&root, &key, most)).await.map(Bytes::from)
    }

    async fn put(&self, name: ObjectName<'_>, bytes: Bytes) -> Result<(), Fault> {
        let root = match self.find(name)? {
            Found::Folder(root) => root,
            Found::S3(bucket) => {
                return bucket.put(name.key, bytes).await.map_err(|error| refused(&error));
            }
        };
        let key = name.key.to_owned();
        blocking(move || put(&root, &key, &bytes)).await
    }

    async fn list(&self, name: ObjectName<'_>, after: &str) -> Result<Vec<ObjectInfo>, Fault> {
        let root = match self.find(name)? {
            Found::Folder(root) => root,
            Found::S3(bucket) => return list(bucket, name.key, after).await,
        };
        let (prefix, after) = (name.key.to_owned(), after.to_owned());
        blocking(move || {
            let mut listing = Listing { prefix: &prefix, after: &after, found: Vec::new() };
            let walked = listing.walk(&root, "");
            walked.map(|()| listing.found).map_err(|error| {
                Fault::new("S3.S3Exception", format!("the bucket cannot be listed: {error}"))
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests;
