//! What knowledge may be made from, as `server.toml` has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use knowledge::Offered;
use knowledge::source::{Directory, Offer, OfferedBucket, Repository, SshKey};
use release::{Secret, TenantId};
use reqwest::Url;
use schemars::JsonSchema;
use security::SecretRef;
use security::outside::Network;
use serde::{Deserialize, Serialize};
use store::{Blobs, Bucket, Database, S3Options, Store};

use super::{ServerFile, default_tenants};
use crate::buckets::{Buckets, Place};

/// A directory that knowledge may be made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryFile {
    /// Where it is; relative to `server.toml`.
    pub path: PathBuf,
    /// The tenants that may read it.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

/// A git repository that knowledge may be made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryFile {
    /// Its address: `https://…` or `ssh://…`.
    pub url: String,
    /// The user's name that goes with `token`.
    #[serde(default = "git_user")]
    pub user: String,
    /// A token or password for `https://`, by reference.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// The file of a private key for `ssh://`; relative to `server.toml`.
    #[serde(default)]
    pub ssh_key: Option<PathBuf>,
    /// The file of the hosts whose keys are known, for `ssh://`; relative to `server.toml`.
    #[serde(default)]
    pub known_hosts: Option<PathBuf>,
    /// The tenants that may read it.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

/// What services take beside a token, where the user does not matter.
fn git_user() -> String {
    "x-access-token".to_owned()
}

/// A database that knowledge may be made from. Give it a role that may only read what is meant: a
/// query may call whatever that role may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DatabaseFile {
    /// A Postgres database.
    Postgres {
        /// Its URL, by reference.
        url: SecretRef,
        /// The tenants that may ask it.
        #[serde(default = "default_tenants")]
        tenants: Vec<TenantId>,
    },
    /// A file of SQLite.
    Sqlite {
        /// The file; relative to `server.toml`.
        path: PathBuf,
        /// The tenants that may ask it.
        #[serde(default = "default_tenants")]
        tenants: Vec<TenantId>,
    },
}

/// Networks besides the public internet whose sites knowledge may be made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// Networks, as `10.1.0.0/16`, or single addresses.
    pub addresses: Vec<Network>,
    /// The tenants that may read from them.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

/// A bucket: a folder, whose files are the objects, or a bucket of an S3-compatible service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketFile {
    /// The folder; relative to `server.toml`. Or `bucket`.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The bucket's name at the service. Or `path`.
    #[serde(default)]
    pub bucket: Option<String>,
    /// The service's address; AWS's own if absent.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The bucket's region.
    #[serde(default)]
    pub region: Option<String>,
    /// Put before every key.
    #[serde(default)]
    pub prefix: String,
    /// The access key's id, by reference.
    #[serde(default)]
    pub access_key_id: Option<SecretRef>,
    /// The access key's secret, by reference.
    #[serde(default)]
    pub secret_access_key: Option<SecretRef>,
    /// The tenants that may use it.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
}

impl ServerFile {
    /// What knowledge may be made from, with the secrets read; paths relative to `base`, copies in
    /// `data`.
    ///
    /// # Errors
    /// If something cannot be offered as it stands.
    pub fn offered(
        &self,
        base: &Path,
        data: &Path,
        (store, blobs): (&Store, &Blobs),
    ) -> Result<Offered> {
        let directories = self.directories.iter().map(|(name, file)| {
            let what = Directory(base.join(&file.path));
            (name.clone(), Offer { what, tenants: file.tenants.clone() })
        });
        let networks = self.networks.iter().map(|(name, file)| {
            let what = file.addresses.clone();
            (name.clone(), Offer { what, tenants: file.tenants.clone() })
        });
        let mut repositories = BTreeMap::new();
        for (name, file) in &self.repositories {
            let what = file.repository(base).with_context(|| format!("[repositories.{name}]"))?;
            repositories.insert(name.clone(), Offer { what, tenants: file.tenants.clone() });
        }
        let mut databases = BTreeMap::new();
        for (name, file) in &self.databases {
            let offer = file.database(base).with_context(|| format!("[databases.{name}]"))?;
            databases.insert(name.clone(), offer);
        }
        let mut buckets = BTreeMap::new();
        for (name, file) in &self.buckets {
            let what = match self.place(name, file, base)? {
                Place::Folder(path) => OfferedBucket::Folder(Directory(path)),
                Place::S3(bucket) => OfferedBucket::S3(bucket),
            };
            buckets.insert(name.clone(), Offer { what, tenants: file.tenants.clone() });
        }
        Ok(Offered {
            directories: directories.collect(),
            repositories,
            buckets,
            databases,
            networks: networks.collect(),
            cache: std::path::absolute(data.join("cache"))?,
            pushed: Some((store.clone(), blobs.clone())),
        })
    }

    /// The buckets, with their secrets read; folders relative to `base`.
    ///
    /// # Errors
    /// If one cannot be offered as it stands.
    pub fn buckets(&self, base: &Path) -> Result<Buckets> {
        let mut offered = BTreeMap::new();
        for (name, file) in &self.buckets {
            let place = self.place(name, file, base)?;
            offered.insert(
                name.clone(),
                crate::buckets::Bucket { place, tenants: file.tenants.clone() },
            );
        }
        Ok(Buckets::new(offered))
    }

    fn place(&self, name: &str, file: &BucketFile, base: &Path) -> Result<Place> {
        file.place(base).with_context(|| format!("[buckets.{name}]"))
    }
}

impl RepositoryFile {
    fn repository(&self, base: &Path) -> Result<Repository> {
        let url = Url::parse(&self.url).with_context(|| format!("`url = \"{}\"`", self.url))?;
        let ssh = url.scheme() == "ssh";
        ensure!(
            (ssh || url.scheme() == "https") && url.has_host(),
            "`url = \"{}\"` is no https:// or ssh:// address; a repository of this machine is named \
             by its directory",
            self.url
        );
        // It would stand in logs.
        ensure!(url.password().is_none(), "`url` holds a password: name a `token` by reference");
        ensure!(
            ssh || url.username().is_empty(),
            "`url` holds a name: write it as `user`, beside a `token`"
        );
        let authorization = match &self.token {
            None => None,
            Some(token) => {
                ensure!(!ssh, "`token` is for https://; ssh:// takes an `ssh_key`");
                let pair = format!("{}:{}", self.user, token.resolve()?.expose());
                Some(Secret::new(format!("Basic {}", BASE64.encode(pair))))
            }
        };
        let key = match (&self.ssh_key, &self.known_hosts) {
            (Some(key), Some(known_hosts)) if ssh => {
                let file = |path: &PathBuf| std::path::absolute(base.join(path));
                Some(SshKey { key: file(key)?, known_hosts: file(known_hosts)? })
            }
            (None, None) if !ssh => None,
            _ if ssh => anyhow::bail!("ssh:// needs both `ssh_key` and `known_hosts`"),
            _ => anyhow::bail!("`ssh_key` and `known_hosts` are for ssh://"),
        };
        Ok(Repository { url, authorization, ssh: key })
    }
}

impl DatabaseFile {
    fn database(&self, base: &Path) -> Result<Offer<Database>> {
        Ok(match self {
            Self::Postgres { url, tenants } => {
                let what = Database::Postgres { url: url.resolve()? };
                Offer { what, tenants: tenants.clone() }
            }
            Self::Sqlite { path, tenants } => {
                let what = Database::Sqlite { path: base.join(path) };
                Offer { what, tenants: tenants.clone() }
            }
        })
    }
}

impl BucketFile {
    fn place(&self, base: &Path) -> Result<Place> {
        ensure!(
            self.path.is_some() != self.bucket.is_some(),
            "it needs either a `path` or a `bucket`"
        );
        if let Some(path) = &self.path {
            let keys = self.access_key_id.is_some() || self.secret_access_key.is_some();
            let service = self.endpoint.is_some() || self.region.is_some();
            ensure!(
                !keys && !service && self.prefix.is_empty(),
                "`endpoint`, `region`, `prefix` and the access key are for a `bucket`"
            );
            return Ok(Place::Folder(base.join(path)));
        }
        Ok(Place::S3(Box::new(Bucket::s3(&self.options()?)?)))
    }

    /// The bucket as a place of the product's own content; a folder relative to `base`.
    pub(super) fn blobs(&self, base: &Path) -> Result<Blobs> {
        match self.place(base)? {
            Place::Folder(path) => Ok(Blobs::disk(path)),
            Place::S3(_) => Ok(Blobs::s3(&self.options()?)?),
        }
    }

    /// How a bucket of a service is opened.
    fn options(&self) -> Result<S3Options> {
        let secret = |reference: &Option<SecretRef>, key: &str| -> Result<Secret> {
            let missing = || format!("a `bucket` needs `{key}`");
            Ok(reference.as_ref().with_context(missing)?.resolve()?)
        };
        Ok(S3Options {
            endpoint: self.endpoint.clone(),
            bucket: self.bucket.clone().unwrap_or_default(),
            region: self.region.clone().context("a `bucket` needs `region`")?,
            prefix: self.prefix.clone(),
            access_key_id: secret(&self.access_key_id, "access_key_id")?.expose().to_owned(),
            secret_access_key: secret(&self.secret_access_key, "secret_access_key")?,
        })
    }
}
