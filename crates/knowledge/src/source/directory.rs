//! Files of a directory.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata as FileMetadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use release::{Digest, TenantId, Timestamp};
use rustix::fs::OFlags;
use tokio::sync::mpsc;

use super::{MAX_DOCUMENT, MAX_DOCUMENTS, MAX_LISTED, Offered, Wanted, failed, too_large};
use crate::{DirectorySpec, KnowledgeError, Metadata, RawDocument, Seen, Source};

/// How deep directories may nest.
const MAX_DEPTH: usize = 32;

/// The files below a directory.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
    wanted: Wanted,
}

/// A file that was found.
struct Found {
    path: String,
    file: PathBuf,
    /// What was found there; else why nothing is read.
    metadata: Result<FileMetadata, String>,
}

impl Files {
    pub fn open(
        spec: &DirectorySpec,
        offered: &Offered,
        tenant: &TenantId,
    ) -> Result<Self, KnowledgeError> {
        let root = offered.directory(&spec.directory, &spec.path, tenant)?;
        Ok(Self::new(root, Wanted::new(&spec.include, &spec.exclude)?))
    }

    pub fn new(root: PathBuf, wanted: Wanted) -> Self {
        Self { root, wanted }
    }

    fn tell(
        &self,
        before: &BTreeMap<String, String>,
        seen: &mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        for Found { path, file, metadata } in self.list()? {
            let one = match metadata {
                Err(reason) => failed(path, reason),
                Ok(metadata) if before.get(&path) == Some(&mark(&metadata)) => Seen::Same(path),
                Ok(metadata) => match document(&path, &file, &metadata) {
                    Ok(document) => Seen::Fresh(Box::new(document)),
                    Err(reason) => failed(path, reason),
                },
            };
            seen.blocking_send(one).map_err(|_| KnowledgeError::Stopped)?;
        }
        Ok(())
    }

    /// What the files look like, without reading them.
    pub async fn look(self) -> Result<Digest, KnowledgeError> {
        let listing = tokio::task::spawn_blocking(move || self.list());
        let found = listing.await.map_err(|_| KnowledgeError::Stopped)??;
        let looks = found.iter().flat_map(|found| {
            let mark = found.metadata.as_ref().map_or_else(String::clone, mark);
            [found.path.clone(), mark]
        });
        let looks: Vec<String> = looks.collect();
        Ok(Digest::of_fields(looks.iter().map(String::as_bytes)))
    }

    /// The wanted files, in the order of their paths.
    fn list(&self) -> Result<Vec<Found>, KnowledgeError> {
        let mut found = Vec::new();
        self.walk(&self.root, 0, &mut 0, &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The regular files below `directory`, links left out: a link could lead anywhere.
    fn walk(
        &self,
        directory: &Path,
        depth: usize,
        listed: &mut usize,
        found: &mut Vec<Found>,
    ) -> Result<(), KnowledgeError> {
        let broken =
            |source| KnowledgeError::Listing { path: directory.display().to_string(), source };
        if depth > MAX_DEPTH {
            return Err(broken(io::Error::other(format!("nested deeper than {MAX_DEPTH} levels"))));
        }
        for entry in fs::read_dir(directory).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            *listed += 1;
            if *listed > MAX_LISTED {
                return Err(KnowledgeError::TooMany(MAX_LISTED));
            }
            let (file, kind) = (entry.path(), entry.file_type().map_err(broken)?);
            if kind.is_dir() {
                self.walk(&file, depth + 1, listed, found)?;
                continue;
            }
            let relative = file.strip_prefix(&self.root).unwrap_or(&file);
            let path = relative.to_string_lossy().into_owned();
            if !kind.is_file() || !self.wanted.wants(&path) {
                continue;
            }
            if found.len() == MAX_DOCUMENTS {
                return Err(KnowledgeError::TooMany(MAX_DOCUMENTS));
            }
            let metadata = match relative.to_str() {
                Some(_) => entry.metadata().map_err(|error| error.to_string()),
                None => Err("its name is not UTF-8".to_owned()),
            };
            found.push(Found { path, file, metadata });
        }
        Ok(())
    }
}

/// What a file is known by.
fn mark(metadata: &FileMetadata) -> String {
    let nanoseconds =
        i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    format!("{}-{nanoseconds}-{}", metadata.len(), metadata.ino())
}

/// Reads a file, if it still is what was found.
fn document(path: &str, file: &Path, found: &FileMetadata) -> Result<RawDocument, String> {
    if let Some(reason) = too_large(found.len()) {
        return Err(reason);
    }
    let told = |error: io::Error| error.to_string();
    // What became a link or a pipe since is neither followed nor waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let open = File::options().read(true).custom_flags(flags).open(file);
    let mut open = open.map_err(told)?;
    let mut bytes = Vec::new();
    open.by_ref().take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(told)?;
    let read = open.metadata().map_err(told)?;
    let same = mark(&read) == mark(found) && read.dev() == found.dev();
    if !same || bytes.len() as u64 != found.len() {
        return Err("it was changed while it was read".to_owned());
    }
    let modified_at = read.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    Ok(RawDocument {
        path: path.to_owned(),
        bytes: bytes.into(),
        media_type: None,
        mark: mark(&read),
        modified_at,
        version: None,
        metadata: Metadata::new(),
    })
}

#[async_trait]
impl Source for Files {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let (files, before) = (self.clone(), before.clone());
        let reading = tokio::task::spawn_blocking(move || files.tell(&before, &seen));
        reading.await.map_err(|_| KnowledgeError::Stopped)?
    }
}

#[cfg(test)]
mod tests;
