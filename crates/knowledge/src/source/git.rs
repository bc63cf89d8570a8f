//! Files of a git repository.
//!
//! The command `git` keeps a bare mirror of it in the cache; its objects are read from there. Its
//! configuration is ours alone: no hook, no filter, no submodule and no helper for credentials runs,
//! and only the protocol of the address is spoken. A repository's own files are never run: nothing
//! is checked out.

mod branch;
mod command;
mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use release::{Digest, TenantId};
use tokio::sync::mpsc;

use super::offered::{Offered, Repository};
use super::{MAX_DOCUMENTS, Wanted, failed, tell, too_large, unusable};
use crate::{GitSpec, KnowledgeError, Metadata, RawDocument, Seen, Source};

pub use branch::{Branch, Committed, Tracked, Which};
use command::Command;
use objects::{File, Objects};

/// The files of a repository.
#[derive(Debug)]
pub struct Git {
    /// What it is called in messages.
    name: String,
    place: Place,
    reference: Option<String>,
    /// Ends with `/`, unless it is the whole repository.
    folder: String,
    wanted: Wanted,
    mirror: PathBuf,
    /// Whether only the newest commit is brought.
    shallow: bool,
}

/// Where a repository is.
#[derive(Debug)]
enum Place {
    /// In a directory of this machine.
    Here(PathBuf),
    /// Elsewhere.
    There(Box<Repository>),
}

impl Git {
    pub fn open(
        spec: &GitSpec,
        offered: &Offered,
        tenant: &TenantId,
    ) -> Result<Self, KnowledgeError> {
        let (name, place) = match (&spec.repository, &spec.directory) {
            (Some(name), None) => {
                let what = Offered::find(&offered.repositories, "repository", name, tenant)?;
                (name, Place::There(Box::new(what.clone())))
            }
            (None, Some(name)) => {
                let found = offered.directory(name, &spec.repository_path, tenant)?;
                (name, Place::Here(local(&found)?))
            }
            _ => return Err(unusable("git", "it needs either `repository` or `directory`")),
        };
        if let Some(reference) = &spec.reference {
            let why = "is no name of a branch or tag";
            valid(reference)
                .then_some(())
                .ok_or_else(|| unusable(format!("`{reference}`"), why))?;
        }
        let address = place.address();
        let mirror = Digest::of_fields([tenant.as_str().as_bytes(), address.as_bytes()]).to_hex();
        let folder = match spec.path.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        Ok(Self {
            name: format!("repository `{name}`"),
            reference: spec.reference.clone(),
            folder,
            wanted: Wanted::new(&spec.include, &spec.exclude)?,
            mirror: offered.cache.join("git").join(mirror),
            shallow: false,
            place,
        })
    }

    /// A command of git's on the mirror.
    fn git<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        Command::new(&self.mirror, self.place.repository(), arguments)
    }

    /// Which commit the reference leads to, and what it is called in full.
    async fn resolve(&self) -> Result<(String, String), String> {
        let address = self.place.address();
        let names = match &self.reference {
            Some(wished) => vec![format!("refs/heads/{wished}"), format!("refs/tags/{wished}")],
            None => vec!["HEAD".to_owned()],
        };
        // A tag that is an object of its own leads to its commit by `^{}`.
        let asked: Vec<_> = names.iter().map(|name| format!("{name}^{{}}")).collect();
        let asked = names.iter().chain(&asked).map(String::as_str);
        let told = self.git(["ls-remote", "--", &address].into_iter().chain(asked)).text().await?;
        let lines = told.lines().filter_map(|line| line.split_once('\t'));
        let found: BTreeMap<&str, &str> = lines.map(|(commit, name)| (name, commit)).collect();
        for name in names {
            let peeled = found.get(format!("{name}^{{}}").as_str());
            if let Some(commit) = peeled.or(found.get(name.as_str())) {
                return Ok(((*commit).to_owned(), name));
            }
        }
        Err(match &self.reference {
            Some(wished) => format!("it has no branch or tag `{wished}`"),
            None => "it has no commit".to_owned(),
        })
    }

    /// Brings a commit, with what came before it, into the mirror.
    async fn fetch(&self, commit: &str, name: &str) -> Result<(), String> {
        if self.has(commit).await {
            return Ok(());
        }
        let address = self.place.address();
        // What a name stands for keeps its objects: one name for each branch.
        let wish = format!("+{name}:refs/groundcrew/{}", Digest::of(name.as_bytes()).short());
        let flags = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
        let depth = self.shallow.then_some("--depth=1");
        let fetch = ["fetch"].into_iter().chain(flags).chain(depth);
        let fetch = fetch.chain(["--", &address, &wish]);
        let fetched = self.git(fetch).done().await;
        // Another refresh may have fetched the same at the same time.
        match self.has(commit).await {
            true => Ok(()),
            false => {
                Err(fetched.err().unwrap_or_else(|| "it changed while it was read".to_owned()))
            }
        }
    }

    async fn has(&self, commit: &str) -> bool {
        self.git(["cat-file", "-e", &format!("{commit}^{{commit}}")]).done().await.is_ok()
    }

    /// What the repository looks like: the commit that its branch is at.
    pub async fn look(&self) -> Result<Digest, KnowledgeError> {
        let (commit, name) = self.head().await?;
        Ok(Digest::of_fields([commit.as_bytes(), name.as_bytes()]))
    }

    /// As [`Git::resolve`], with a mirror to do it from.
    async fn head(&self) -> Result<(String, String), KnowledgeError> {
        let broken = |why: String| unusable(self.name.as_str(), why);
        command::prepare(&self.mirror).map_err(broken)?;
        if !self.mirror.join("HEAD").exists() {
            self.git(["init", "--quiet", "--bare"]).done().await.map_err(broken)?;
        }
        self.resolve().await.map_err(broken)
    }

    async fn tell(
        &self,
        before: &BTreeMap<String, String>,
        seen: &mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let broken = |why: String| unusable(self.name.as_str(), why);
        let (commit, name) = self.head().await?;
        self.fetch(&commit, &name).await.map_err(broken)?;
        let objects = Objects { git: self, commit: &commit };
        let files = objects.files(&self.folder, &self.wanted).await.map_err(broken)?;
        if files.len() > MAX_DOCUMENTS {
            return Err(KnowledgeError::TooMany(MAX_DOCUMENTS));
        }
        let (same, fresh): (Vec<File>, Vec<File>) =
            files.into_iter().partition(|file| before.get(&file.path) == Some(&file.blob));
        for file in same {
            tell(seen, Seen::Same(file.path)).await?;
        }
        let (fresh, large): (Vec<File>, Vec<File>) =
            fresh.into_iter().partition(|file| too_large(file.size).is_none());
        for file in large {
            let reason = too_large(file.size).unwrap_or_default();
            tell(seen, failed(file.path, reason)).await?;
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let wanted: BTreeSet<&str> = fresh.iter().map(|file| file.path.as_str()).collect();
        let mut changed = objects.changed(&self.folder, wanted).await.map_err(broken)?;
        let mut contents = objects.contents().map_err(broken)?;
        for file in fresh {
            let bytes = contents.read(&file.blob, file.size).await.map_err(broken)?;
            let modified_at = changed.remove(&file.path);
            let document = RawDocument {
                path: file.path,
                bytes: bytes.into(),
                media_type: None,
                mark: file.blob,
                modified_at,
                version: Some(commit.clone()),
                metadata: Metadata::new(),
            };
            tell(seen, Seen::Fresh(Box::new(document))).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for Git {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        self.tell(before, &seen).await
    }
}

impl Place {
    fn address(&self) -> String {
        match self {
            Self::Here(path) => path.display().to_string(),
            Self::There(repository) => repository.url.to_string(),
        }
    }

    fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Here(_) => None,
            Self::There(repository) => Some(repository),
        }
    }
}

/// A repository in a directory, if all of it is there: what it points to elsewhere was not offered.
fn local(path: &Path) -> Result<PathBuf, KnowledgeError> {
    let refused = |why: &str| Err(unusable(format!("repository `{}`", path.display()), why));
    let inner = path.join(".git");
    let folder = match inner.symlink_metadata() {
        Ok(found) if found.is_dir() => inner,
        Ok(_) => return refused("its `.git` is no folder: it keeps its objects elsewhere"),
        Err(_) => path.to_owned(),
    };
    let is_folder = |path: PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    if !is_folder(folder.join("objects")) || !is_folder(folder.join("refs")) {
        return refused("there is no git repository");
    }
    for pointer in ["commondir", "objects/info/alternates", "objects/info/http-alternates"] {
        if folder.join(pointer).symlink_metadata().is_ok() {
            return refused("it keeps objects elsewhere");
        }
    }
    Ok(path.to_owned())
}

/// Whether a text can name a branch or tag, and nothing else to git.
fn valid(reference: &str) -> bool {
    let fit = |c: char| c.is_alphanumeric() || "._-+/#@".contains(c);
    !reference.is_empty()
        && reference.len() <= 255
        && reference.chars().all(fit)
        && !reference.starts_with(['-', '+', '/', '.'])
        && !reference.contains("..")
        && !reference.contains("@{")
}

#[cfg(test)]
mod tests;
