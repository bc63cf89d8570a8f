//! Blobs in files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use release::{Digest, TenantId};

use super::{BlobEngine, BlobError, digest_of};

/// The folder of files being written; no tenant's name starts with a dot.
const TEMPORARY: &str = ".tmp";

/// Blobs under one directory.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    pub(super) fn open(root: &Path) -> Result<Self, BlobError> {
        prepare(root).map(|root| Self { root }).map_err(|source| failed("open", root, source))
    }

    /// Runs file-system work on `path` off the async threads.
    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        path: &str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let (root, path) = (self.root.clone(), self.root.join(path));
        let run = move || work(&root, &path).map_err(|source| failed(action, &path, source));
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|source| BlobError::engine(action, self.root.display().to_string(), source))?
    }
}

#[async_trait]
impl BlobEngine for Disk {
    async fn put(&self, path: String, parts: [Bytes; 2]) -> Result<(), BlobError> {
        self.run("write", &path, move |root, path| write(root, path, &parts)).await
    }

    async fn get(&self, path: String) -> Result<Option<Bytes>, BlobError> {
        let read = self.run("read", &path, |_, path| present(fs::read(path))).await?;
        Ok(read.map(Bytes::from))
    }

    async fn exists(&self, path: String) -> Result<bool, BlobError> {
        self.run("look at", &path, |_, path| path.try_exists()).await
    }

    async fn delete(&self, path: String) -> Result<(), BlobError> {
        self.run("remove", &path, |_, path| present(fs::remove_file(path)).map(|_| ())).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, BlobError> {
        let list = move |_: &Path, tenant: &Path| list(tenant, after, limit);
        self.run("list", tenant.as_str(), list).await
    }
}

/// Writes a temporary file, syncs it, links it to its name unless that is taken, and syncs the
/// folders: at every moment the name is absent or whole.
fn write(root: &Path, path: &Path, parts: &[Bytes]) -> io::Result<()> {
    if path.try_exists()? {
        // Perhaps another call's, linked a moment ago and not yet synced.
        return sync_folders(root, path);
    }
    let temporary = root.join(TEMPORARY).join(uuid::Uuid::now_v7().to_string());
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written = file
        .lock()
        .and_then(|()| parts.iter().try_for_each(|part| file.write_all(part)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::create_dir_all(path.parent().unwrap_or(root)))
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| sync_folders(root, path));
    let removed = present(fs::remove_file(&temporary));
    written.and(removed).map(|_| ())
}

/// Makes the name of `path` and of each folder between it and `root` durable, whoever created them;
/// an unchanged folder costs next to nothing.
fn sync_folders(root: &Path, path: &Path) -> io::Result<()> {
    let within = |folder: &&Path| folder.starts_with(root);
    path.ancestors().skip(1).take_while(within).try_for_each(sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn list(tenant: &Path, after: Option<Digest>, limit: usize) -> io::Result<Vec<Digest>> {
    let first_shard = after.map(|digest| digest.to_hex()[..2].to_owned());
    let mut found = Vec::new();
    for shard in names(tenant)? {
        if first_shard.as_ref().is_some_and(|first| shard < *first) {
            continue;
        }
        let digests = names(&tenant.join(shard))?;
        let digests = digests.iter().filter_map(|name| digest_of(name));
        found.extend(digests.filter(|digest| Some(*digest) > after));
        if found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// The names in `folder`, sorted; none if it is absent.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let Some(entries) = present(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Creates the folders, durably, and removes what dead writers left; returns the absolute path.
fn prepare(root: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(root.join(TEMPORARY))?;
    let root = root.canonicalize()?;
    if let Some(parent) = root.parent() {
        sync(parent)?;
    }
    remove_abandoned(&root.join(TEMPORARY))?;
    Ok(root)
}

/// Removes the temporary files of writers that died: a living one holds its file's lock.
fn remove_abandoned(temporary: &Path) -> io::Result<()> {
    for name in names(temporary)? {
        let path = temporary.join(name);
        if let Some(file) = present(File::open(&path))?
            && file.try_lock().is_ok()
        {
            present(fs::remove_file(&path))?;
        }
    }
    Ok(())
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> BlobError {
    BlobError::engine(action, path.display().to_string(), source)
}
