//! Listing and reading a directory of documents.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{Glob, GlobSet, GlobSetBuilder};
use release::{Digest, TenantId, Timestamp};

use crate::refresh::Skipped;
use crate::{Directories, KnowledgeError, KnowledgeSpec, SourceSpec};

/// The most bytes of one document.
const MAX_DOCUMENT: u64 = 16 << 20;
/// The most documents of one knowledge base.
const MAX_DOCUMENTS: usize = 100_000;
/// How deep directories may nest.
const MAX_DEPTH: usize = 32;

/// A document as it was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its path within the source, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The digest of its bytes.
    pub raw: Digest,
    /// When its file was last changed.
    pub modified_at: Timestamp,
}

/// Reads every document of a knowledge base, in the order of their paths. What cannot be read is
/// skipped with its reason; what cannot be listed is an error.
pub fn read(
    spec: &KnowledgeSpec,
    directories: &Directories,
    tenant: &TenantId,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Document>, KnowledgeError> {
    let mut documents = Vec::new();
    for source in &spec.sources {
        let SourceSpec::Directory { directory, path, include, exclude } = source;
        let root = directories.resolve(tenant, directory, path)?;
        let (include, exclude) = (patterns(include)?, patterns(exclude)?);
        let mut files = Vec::new();
        list(&root, &root, 0, &mut files)?;
        let wanted =
            files.into_iter().filter(|(name, _)| include.is_match(name) && !exclude.is_match(name));
        for (name, file) in wanted {
            if documents.len() >= MAX_DOCUMENTS {
                return Err(KnowledgeError::TooMany(MAX_DOCUMENTS));
            }
            match document(&file, name.clone()) {
                Ok(document) => documents.push(document),
                Err(reason) => skipped.push(Skipped { document: name, reason }),
            }
        }
    }
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    documents.dedup_by(|later, earlier| {
        let twice = later.path == earlier.path;
        if twice {
            let reason = "another source has a document of this path".to_owned();
            skipped.push(Skipped { document: later.path.clone(), reason });
        }
        twice
    });
    Ok(documents)
}

fn patterns(patterns: &[String]) -> Result<GlobSet, KnowledgeError> {
    let wrong = |pattern: &str, error: globset::Error| KnowledgeError::Pattern {
        pattern: pattern.to_owned(),
        why: error.to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| wrong(pattern, error))?);
    }
    set.build().map_err(|error| wrong("", error))
}

/// The regular files below `directory`, links left out: a link could lead anywhere.
fn list(
    root: &Path,
    directory: &Path,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), KnowledgeError> {
    let failed = |source| KnowledgeError::Listing { path: directory.display().to_string(), source };
    if depth > MAX_DEPTH {
        return Err(failed(io::Error::other(format!("nested deeper than {MAX_DEPTH} levels"))));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if kind.is_dir() {
            list(root, &path, depth + 1, files)?;
        } else if kind.is_file() {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let name = relative.to_string_lossy().replace('\\', "/");
            files.push((name, path));
        }
    }
    Ok(())
}

fn document(file: &Path, path: String) -> Result<Document, String> {
    let metadata = fs::metadata(file).map_err(|error| error.to_string())?;
    if metadata.len() > MAX_DOCUMENT {
        return Err(format!("{} bytes are more than the {MAX_DOCUMENT} allowed", metadata.len()));
    }
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let raw = Digest::of(&bytes);
    if bytes.contains(&0) {
        return Err("binary, not text".to_owned());
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("not valid UTF-8 at byte {}", error.utf8_error().valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
    let modified = metadata.modified().map_err(|error| error.to_string())?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let modified_at = i64::try_from(since.as_millis())
        .ok()
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
        .ok_or("its time of change cannot be told")?;
    Ok(Document { path, text, raw, modified_at })
}
