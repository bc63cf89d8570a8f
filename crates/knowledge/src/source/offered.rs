//! What the operator offers to knowledge, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use release::{ArtifactName, Secret, TenantId};
use security::outside::{Network, Outside, Reach, Url};
use store::{Blobs, Bucket, Database, Store};

use super::push::Pushes;
use super::unusable;
use crate::KnowledgeError;

/// Something that is offered to some tenants.
#[derive(Debug, Clone)]
pub struct Offer<T> {
    /// What.
    pub what: T,
    /// The tenants that may use it.
    pub tenants: Vec<TenantId>,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(pub PathBuf);

/// A git repository elsewhere.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its address: `https://…` or `ssh://…`.
    pub url: Url,
    /// The value of the `Authorization` header that it is asked with.
    pub authorization: Option<Secret>,
    /// How to prove oneself over SSH.
    pub ssh: Option<SshKey>,
}

/// A key for SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKey {
    /// The private key's file.
    pub key: PathBuf,
    /// The file of the hosts that are known.
    pub known_hosts: PathBuf,
}

/// A bucket.
#[derive(Debug, Clone)]
pub enum OfferedBucket {
    /// A folder of this machine, whose files are the objects.
    Folder(Directory),
    /// A bucket of an S3-compatible service.
    S3(Box<Bucket>),
}

/// Everything that the operator offers to knowledge.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    /// Directories.
    pub directories: BTreeMap<String, Offer<Directory>>,
    /// Git repositories.
    pub repositories: BTreeMap<String, Offer<Repository>>,
    /// Buckets.
    pub buckets: BTreeMap<String, Offer<OfferedBucket>>,
    /// Databases.
    pub databases: BTreeMap<String, Offer<Database>>,
    /// Networks besides the public internet whose sites may be read.
    pub networks: BTreeMap<String, Offer<Vec<Network>>>,
    /// Where copies are kept that can be made anew.
    pub cache: PathBuf,
    /// Where documents that are pushed are kept.
    pub pushed: Option<(Store, Blobs)>,
}

impl Offered {
    /// What is offered under `name`, if it is to this tenant. `of` says what is looked for.
    pub(super) fn find<'a, T>(
        offered: &'a BTreeMap<String, Offer<T>>,
        of: &'static str,
        name: &str,
        tenant: &TenantId,
    ) -> Result<&'a T, KnowledgeError> {
        let found = offered.get(name).filter(|offer| offer.tenants.contains(tenant));
        let missing = || KnowledgeError::NotOffered { what: of, name: name.to_owned() };
        found.map(|offer| &offer.what).ok_or_else(missing)
    }

    /// The real path of `path` within the directory `name`: links and `..` cannot lead out of it.
    ///
    /// # Errors
    /// If the tenant may not read the directory, or the path leads out of it or to nothing.
    pub fn directory(
        &self,
        name: &str,
        path: &str,
        tenant: &TenantId,
    ) -> Result<PathBuf, KnowledgeError> {
        let directory = Self::find(&self.directories, "directory", name, tenant)?;
        directory.resolve(name, path)
    }

    /// A client that reaches what the tenant may: the public internet, and networks it is offered.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn outside(&self, tenant: &TenantId) -> Result<Outside, KnowledgeError> {
        let networks = self.networks.values().filter(|offer| offer.tenants.contains(tenant));
        let networks = networks.flat_map(|offer| offer.what.iter().copied()).collect();
        Outside::new(Reach::Public(networks)).map_err(|error| unusable("TLS", error.to_string()))
    }

    /// The documents that are pushed to a knowledge base.
    ///
    /// # Errors
    /// If nothing can be pushed here.
    pub fn pushes(&self, tenant: &TenantId, name: &ArtifactName) -> Result<Pushes, KnowledgeError> {
        let missing = || KnowledgeError::NotOffered { what: "push", name: name.to_string() };
        let (store, blobs) = self.pushed.as_ref().ok_or_else(missing)?;
        Ok(Pushes::new(store.tenant(tenant), blobs.tenant(tenant), name.clone()))
    }
}

impl Directory {
    /// The real path of `path` within it.
    ///
    /// # Errors
    /// If it leads out of it or to nothing.
    pub(super) fn resolve(&self, name: &str, path: &str) -> Result<PathBuf, KnowledgeError> {
        let real = |path: &Path| {
            let shown = path.display().to_string();
            path.canonicalize().map_err(|source| KnowledgeError::Listing { path: shown, source })
        };
        let root = real(&self.0)?;
        let found = real(&root.join(path))?;
        if found.starts_with(&root) {
            Ok(found)
        } else {
            let (directory, path) = (name.to_owned(), path.to_owned());
            Err(KnowledgeError::Outside { directory, path })
        }
    }
}
