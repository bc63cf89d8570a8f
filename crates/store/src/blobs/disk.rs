//! Blobs as files: written aside, synced, then renamed into place.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use release::Timestamp;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

use super::{Backend, BlobError, Entry};

/// Now, by the file system's own clock.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };

#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn work<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let path = self.root.join(key);
        let failed = |why: String| BlobError::Backend(format!("`{key}`: {why}"));
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

#[async_trait]
impl Backend for Disk {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.work(key, move |path| write(path, &bytes, |aside| fs::rename(aside, path))).await
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, BlobError> {
        // A link is made only where nothing is.
        let link = move |path: &Path| {
            let linked = write(path, &bytes, |aside| {
                fs::hard_link(aside, path)?;
                fs::remove_file(aside)
            });
            match linked {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                linked => linked.map(|()| true),
            }
        };
        self.work(key, link).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        let read = |path: &Path| match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        self.work(key, read).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let read = move |path: &Path| {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let length = range.end.saturating_sub(range.start);
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(Some(bytes.into()))
        };
        self.work(key, read).await
    }

    async fn exists(&self, key: &str) -> Result<bool, BlobError> {
        self.work(key, |path| path.try_exists()).await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        let delete = |path: &Path| match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        self.work(key, delete).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), BlobError> {
        let to = self.root.join(to);
        let rename = move |from: &Path| match File::open(from) {
            Ok(file) => {
                // Its age before its name: a crash in between leaves it where it was, and young.
                futimens(&file, &Timestamps { last_access: NOW, last_modification: NOW })?;
                let directory = to.parent().unwrap_or(Path::new("."));
                make_directories(directory)?;
                fs::rename(from, &to)?;
                File::open(directory)?.sync_all()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        self.work(from, rename).await
    }

    async fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        self.work(prefix, |path| {
            let mut found = Vec::new();
            for shard in entries(path)? {
                for file in entries(&shard)? {
                    found.extend(entry(&file)?);
                }
            }
            Ok(found)
        })
        .await
    }
}

/// What there is of a file; nothing if it has just gone.
fn entry(file: &Path) -> io::Result<Option<Entry>> {
    let told = match fs::metadata(file) {
        Ok(told) => told,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    let written_at = Timestamp::try_from(told.modified()?).map_err(io::Error::other)?;
    Ok(Some(Entry { name: name.to_owned(), bytes: told.len(), written_at }))
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Temporary file, sync, into place, sync of the directory: after a crash the blob is whole or
/// absent.
fn write(
    path: &Path,
    bytes: &[u8],
    into_place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    static UNIQUE: AtomicU64 = AtomicU64::new(0);
    let directory = path.parent().unwrap_or(Path::new("."));
    make_directories(directory)?;
    let unique = UNIQUE.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("{}-{unique}.tmp", std::process::id()));
    let mut file = File::create(&aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| into_place(&aside)) {
        // The first error is the one to tell; what is left aside is never read.
        let _left = fs::remove_file(&aside);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

/// Makes missing directories, syncing the parent of each new one.
fn make_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directories(parent)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
