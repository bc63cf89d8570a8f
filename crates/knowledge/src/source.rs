//! Where documents come from.
//!
//! What a source's file names is looked up in what the operator offers; what comes of it is a
//! [`Source`]. A new kind of source is a file below `source/` and a line in [`open`].

mod bucket;
mod directory;
mod feed;
mod fetch;
mod git;
mod notice;
mod offered;
mod push;
mod site;
mod sql;
mod xml;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use globset::{Glob, GlobSet, GlobSetBuilder};
use release::{ArtifactName, Digest, TenantId};
use tokio::sync::mpsc;

use crate::{KnowledgeError, Seen, Source, SourceSpec};

pub use git::{Branch, Committed, Tracked, Which};
pub use notice::ObjectChange;
pub use offered::{Directory, Offer, Offered, OfferedBucket, Repository, SshKey};
pub use push::{PushedDocument, Pushes, Put, pushed_blobs};

/// The most bytes of one document.
pub const MAX_DOCUMENT: u64 = 16 << 20;
/// The most documents of one source.
pub const MAX_DOCUMENTS: usize = 100_000;
/// The most files, keys or rows that are looked at for them.
const MAX_LISTED: usize = 500_000;
/// The most bytes of a path.
const MAX_PATH: usize = 1_024;
/// How many documents wait to be taken.
const WAITING: usize = 4;

/// Opens a source of the knowledge base `name`; nothing is read yet.
///
/// # Errors
/// If it names what the tenant is not offered, or is not made as it must be.
pub fn open(
    spec: &SourceSpec,
    offered: &Offered,
    tenant: &TenantId,
    name: &ArtifactName,
) -> Result<Box<dyn Source>, KnowledgeError> {
    let source: Box<dyn Source> = match spec {
        SourceSpec::Directory(spec) => Box::new(directory::Files::open(spec, offered, tenant)?),
        SourceSpec::Git(spec) => Box::new(git::Git::open(spec, offered, tenant)?),
        SourceSpec::Bucket(spec) => bucket::open(spec, offered, tenant)?,
        SourceSpec::Site(spec) => Box::new(site::Site::open(spec, offered, tenant)?),
        SourceSpec::Sql(spec) => Box::new(sql::Rows::open(spec, offered, tenant)?),
        SourceSpec::Feed(spec) => Box::new(feed::Feed::open(spec, offered, tenant)?),
        SourceSpec::Push(_) => Box::new(offered.pushes(tenant, name)?),
    };
    Ok(Box::new(Named { source, prefix: spec.prefix().to_owned() }))
}

/// Checks that the sources of a knowledge base can be told apart.
///
/// # Errors
/// If two have one name, or more than one takes what is pushed.
pub fn check(sources: &[SourceSpec]) -> Result<(), KnowledgeError> {
    let mut names = BTreeSet::new();
    let mut pushed = 0;
    for source in sources {
        pushed += usize::from(matches!(source, SourceSpec::Push(_)));
        if !names.insert(source.name()) {
            let why = "two sources have this name: give one of them another `name`";
            return Err(unusable(source.name(), why));
        }
        if pushed > 1 {
            return Err(unusable(source.name(), "a knowledge base has one source of kind `push`"));
        }
    }
    Ok(())
}

/// What a source of the knowledge base `name` looks like, without reading its documents: another
/// digest means that something changed. None for a source of which only reading can tell.
///
/// # Errors
/// If it cannot be looked at.
pub async fn look(
    spec: &SourceSpec,
    offered: &Offered,
    tenant: &TenantId,
    name: &ArtifactName,
) -> Result<Option<Digest>, KnowledgeError> {
    match spec {
        SourceSpec::Directory(spec) => {
            directory::Files::open(spec, offered, tenant)?.look().await.map(Some)
        }
        SourceSpec::Git(spec) => git::Git::open(spec, offered, tenant)?.look().await.map(Some),
        SourceSpec::Bucket(spec) => bucket::look(spec, offered, tenant).await.map(Some),
        SourceSpec::Push(_) => offered.pushes(tenant, name)?.look().await.map(Some),
        SourceSpec::Site(_) | SourceSpec::Sql(_) | SourceSpec::Feed(_) => Ok(None),
    }
}

/// A source whose paths have a prefix, and are fit to be paths.
#[derive(Debug)]
struct Named {
    source: Box<dyn Source>,
    prefix: String,
}

#[async_trait]
impl Source for Named {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let own = before.iter().filter_map(|(path, mark)| {
            Some((path.strip_prefix(&self.prefix)?.to_owned(), mark.clone()))
        });
        let own = own.collect();
        let (sender, receiver) = mpsc::channel(WAITING);
        let seen = &seen;
        let telling = async move {
            // Gone as soon as nobody wants to know: then the source stops at its next document.
            let mut receiver = receiver;
            while let Some(one) = receiver.recv().await {
                tell(seen, self.named(one)).await?;
            }
            Ok(())
        };
        let (read, told) = tokio::join!(self.source.read(&own, sender), telling);
        told.and(read)
    }
}

impl Named {
    /// What was seen, under its whole path. One that could not be shown or kept is not read.
    fn named(&self, seen: Seen) -> Seen {
        let whole = |path: String| format!("{}{path}", self.prefix);
        match seen {
            Seen::Same(path) => Seen::Same(whole(path)),
            Seen::Failed { path, reason } => Seen::Failed { path: shown(&whole(path)), reason },
            Seen::Fresh(mut document) => {
                document.path = whole(document.path);
                match unfit(&document.path) {
                    None => Seen::Fresh(document),
                    Some(reason) => {
                        Seen::Failed { path: shown(&document.path), reason: reason.to_owned() }
                    }
                }
            }
        }
    }
}

/// Why a text cannot be a document's path.
pub fn unfit(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("its path is empty")
    } else if path.len() > MAX_PATH {
        Some("its path is longer than 1024 bytes")
    } else if path.chars().any(char::is_control) {
        Some("its path has control characters")
    } else {
        None
    }
}

/// A path that is unfit, as it can be shown.
fn shown(path: &str) -> String {
    let shown = path.chars().take(MAX_PATH / 4).flat_map(|c| {
        let escaped: Vec<char> = match c.is_control() {
            true => c.escape_default().collect(),
            false => vec![c],
        };
        escaped
    });
    if unfit(path).is_none() { path.to_owned() } else { shown.collect() }
}

/// Tells of a document.
///
/// # Errors
/// If nobody wants to know any more.
async fn tell(seen: &mpsc::Sender<Seen>, one: Seen) -> Result<(), KnowledgeError> {
    seen.send(one).await.map_err(|_| KnowledgeError::Stopped)
}

/// A document that is there but could not be read.
fn failed(path: impl Into<String>, reason: impl Into<String>) -> Seen {
    Seen::Failed { path: path.into(), reason: reason.into() }
}

/// Why a document of `bytes` is too large, if it is.
fn too_large(bytes: u64) -> Option<String> {
    let why = || format!("{bytes} bytes are more than the {MAX_DOCUMENT} allowed");
    (bytes > MAX_DOCUMENT).then(why)
}

/// A source that cannot be read as it stands.
fn unusable(of: impl Into<String>, why: impl Into<String>) -> KnowledgeError {
    KnowledgeError::Source { of: of.into(), why: why.into() }
}

/// Which paths are wanted.
#[derive(Debug, Clone)]
struct Wanted {
    include: GlobSet,
    exclude: GlobSet,
}

impl Wanted {
    fn new(include: &[String], exclude: &[String]) -> Result<Self, KnowledgeError> {
        Ok(Self { include: patterns(include)?, exclude: patterns(exclude)? })
    }

    fn wants(&self, path: &str) -> bool {
        self.include.is_match(path) && !self.excludes(path)
    }

    fn excludes(&self, path: &str) -> bool {
        self.exclude.is_match(path)
    }
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

#[cfg(test)]
mod tests;
