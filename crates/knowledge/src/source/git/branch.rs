//! A branch of a repository, read at its newest commit: for whoever applies a project from git.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use release::Digest;

use super::objects::{File, Objects};
use super::{Git, Place, local, valid};
use crate::KnowledgeError;
use crate::source::{Repository, Wanted, unusable};

/// The most files that are read.
const MAX_FILES: usize = 5_000;
/// The most bytes of one of them.
const MAX_FILE: u64 = 8 << 20;
/// The most bytes of all of them.
const MAX_ALL: u64 = 48 << 20;

/// Where a repository is.
#[derive(Debug, Clone)]
pub enum Tracked {
    /// In a directory of this machine.
    Here(PathBuf),
    /// Elsewhere.
    There(Box<Repository>),
}

/// A branch, and a folder of it.
#[derive(Debug)]
pub struct Branch(Git);

/// Which paths are meant.
pub type Which = fn(&str) -> bool;

/// What a commit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The files by path, relative to the folder.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Who wrote it, as `Ada <ada@example.com>`.
    pub author: String,
    /// The first line of what they said.
    pub subject: String,
}

impl Branch {
    /// The branch `branch` of a repository and its folder `folder`, copied to below `cache`.
    ///
    /// # Errors
    /// If the repository keeps objects elsewhere, or the branch has no name.
    pub fn open(
        tracked: Tracked,
        (branch, folder): (&str, &str),
        cache: &Path,
    ) -> Result<Self, KnowledgeError> {
        let no_name = || unusable(format!("`{branch}`"), "is no name of a branch");
        valid(branch).then_some(()).ok_or_else(no_name)?;
        let place = match tracked {
            Tracked::Here(path) => Place::Here(local(&path)?),
            Tracked::There(repository) => Place::There(repository),
        };
        let address = place.address();
        let mirror = Digest::of_fields([b"branch", address.as_bytes(), branch.as_bytes()]).to_hex();
        let folder = match folder.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        Ok(Self(Git {
            name: format!("branch `{branch}`"),
            place,
            reference: Some(branch.to_owned()),
            folder,
            wanted: Wanted::new(&[], &[])?,
            mirror: cache.join("git").join(mirror),
            shallow: true,
        }))
    }

    /// What `commit` holds of the files that `wanted` names, if it is the newest of the branch; none
    /// if another is. What is wanted by `own` must be files: a link could lead anywhere.
    ///
    /// # Errors
    /// Why it cannot be read, or is refused.
    pub async fn read(
        &self,
        commit: &str,
        (own, wanted): (Which, Which),
    ) -> Result<Option<Committed>, String> {
        let git = &self.0;
        let (head, name) = git.head().await.map_err(|error| error.to_string())?;
        if head != commit {
            return Ok(None);
        }
        git.fetch(commit, &name).await?;
        let objects = Objects { git, commit };
        let (mut files, mut refused, mut all): (Vec<File>, _, u64) = (Vec::new(), None, 0);
        let each = |entry: super::objects::Entry<'_>| {
            if !own(entry.path) {
                return ControlFlow::Continue(());
            }
            if !entry.is_file() {
                refused =
                    Some(format!("`{}` is a link or a submodule: make it a file", entry.path));
            } else if wanted(entry.path) {
                all = all.saturating_add(entry.size);
                files.push(entry.file());
                refused = if entry.size > MAX_FILE {
                    Some(format!("`{}` has more than {MAX_FILE} bytes", entry.path))
                } else if all > MAX_ALL || files.len() > MAX_FILES {
                    Some(format!("the project has more than {MAX_FILES} files or {MAX_ALL} bytes"))
                } else {
                    None
                };
            }
            if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        objects.entries(&git.folder, each).await?;
        if let Some(why) = refused {
            return Err(why);
        }
        let mut contents = objects.contents()?;
        let mut read = BTreeMap::new();
        for File { path, blob, size } in files {
            read.insert(path, contents.read(&blob, size).await?);
        }
        let log = ["log", "-1", "--no-show-signature", "--format=%an <%ae>%n%s", commit, "--"];
        let said = git.git(log).text().await?;
        let mut lines = said.lines().map(str::to_owned);
        let (author, subject) = (lines.next(), lines.next());
        let (author, subject) = (author.unwrap_or_default(), subject.unwrap_or_default());
        Ok(Some(Committed { files: read, author, subject }))
    }
}
