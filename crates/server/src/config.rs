//! `server.toml`: what the operator owns.

mod backups;
mod calls;
mod git;
mod mail;
mod sources;
mod telemetry;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cost::PriceRow;
use delivery::Retention;
use delivery::project::document::Document;
use models::{ProviderBinding, ProviderEntry, ProviderKind, Timers, TokenLimitField};
use release::{Diagnostic, EnvironmentName, TenantId};
use schemars::JsonSchema;
use security::{SecretRef, SecurityError};
use serde::{Deserialize, Serialize};
use store::S3Options;

pub use backups::BackupFile;
pub use calls::{ConnectionFile, FunctionFile};
pub use git::GitFile;
pub use mail::MailFile;
pub use sources::{BucketFile, DatabaseFile, DirectoryFile, NetworkFile, RepositoryFile};
pub use telemetry::TelemetryFile;

/// `server.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerFile {
    /// The address to listen on. Off loopback it needs `[tls]` or `--insecure-http`.
    pub listen: String,
    /// The directory of the installation's data.
    pub data: PathBuf,
    /// The environment of an app that is called without one.
    pub environment: EnvironmentName,
    /// Serve TLS (1.2 and 1.3).
    pub tls: Option<TlsFile>,
    /// Where records are kept.
    pub store: StoreFile,
    /// Where immutable content is kept.
    pub blobs: BlobsFile,
    /// How answers are recorded, and what others tell of.
    pub telemetry: TelemetryFile,
    /// How workflows are kept.
    pub workflows: WorkflowsFile,
    /// For how long things are kept that are not in use any more; they go when somebody prunes.
    pub retention: Retention,
    /// Where backups go. Without it none are taken.
    pub backup: Option<BackupFile>,
    /// Directories that knowledge may be made from, by name.
    pub directories: BTreeMap<String, DirectoryFile>,
    /// Functions that workflows may invoke, by the name that `lambda:invoke` uses.
    pub functions: BTreeMap<String, FunctionFile>,
    /// Services that workflows and webhooks may call over HTTP, by name.
    pub connections: BTreeMap<String, ConnectionFile>,
    /// How people are told by mail. Without it they are not.
    pub mail: Option<MailFile>,
    /// Git repositories that knowledge may be made from, and projects applied from, by name.
    pub repositories: BTreeMap<String, RepositoryFile>,
    /// Branches whose projects are applied when somebody pushes, by the name of their hook.
    pub git: BTreeMap<String, GitFile>,
    /// Databases that knowledge may be made from, by name.
    pub databases: BTreeMap<String, DatabaseFile>,
    /// Networks besides the public internet whose sites knowledge may be made from, by name.
    pub networks: BTreeMap<String, NetworkFile>,
    /// Buckets that workflows may read from and write to, and knowledge may be made from, by name.
    pub buckets: BTreeMap<String, BucketFile>,
    /// Providers of models, by the name that model files use.
    pub providers: BTreeMap<String, ProviderFile>,
    /// What models cost.
    pub prices: Vec<PriceRow>,
}

impl Default for ServerFile {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".to_owned(),
            data: ".groundcrew".into(),
            environment: default_environment(),
            tls: None,
            store: StoreFile::default(),
            blobs: BlobsFile::default(),
            telemetry: TelemetryFile::default(),
            workflows: WorkflowsFile::default(),
            retention: Retention::default(),
            backup: None,
            directories: BTreeMap::new(),
            repositories: BTreeMap::new(),
            git: BTreeMap::new(),
            databases: BTreeMap::new(),
            networks: BTreeMap::new(),
            functions: BTreeMap::new(),
            connections: BTreeMap::new(),
            mail: None,
            buckets: BTreeMap::new(),
            providers: BTreeMap::new(),
            prices: Vec::new(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a name fixed in code")]
fn default_environment() -> EnvironmentName {
    "prod".parse().expect("a valid name")
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The certificate chain's file.
    pub certificate: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
}

/// Where records are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StoreFile {
    /// In a SQLite database in the data directory.
    #[default]
    Sqlite,
    /// In a Postgres database.
    Postgres {
        /// Its URL, by reference.
        url: SecretRef,
    },
}

/// Where immutable content is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BlobsFile {
    /// In the data directory.
    #[default]
    Disk,
    /// In an S3-compatible bucket.
    S3 {
        /// The service's address; AWS's own if absent.
        endpoint: Option<String>,
        /// The bucket.
        bucket: String,
        /// The region.
        region: String,
        /// Put before every key.
        #[serde(default)]
        prefix: String,
        /// The access key's id, by reference.
        access_key_id: SecretRef,
        /// The access key's secret, by reference.
        secret_access_key: SecretRef,
    },
}

impl BlobsFile {
    /// The bucket, if they are in one.
    ///
    /// # Errors
    /// If a key cannot be resolved.
    pub fn s3(&self) -> Result<Option<S3Options>> {
        let Self::S3 { endpoint, bucket, region, prefix, access_key_id, secret_access_key } = self
        else {
            return Ok(None);
        };
        Ok(Some(S3Options {
            endpoint: endpoint.clone(),
            bucket: bucket.clone(),
            region: region.clone(),
            prefix: prefix.clone(),
            access_key_id: access_key_id.resolve()?.expose().to_owned(),
            secret_access_key: secret_access_key.resolve()?,
        }))
    }
}

/// How workflows are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkflowsFile {
    /// For how many days after its end an execution is kept, with its history. Then its name can be
    /// given anew.
    #[schemars(range(min = 1))]
    pub keep_days: u32,
}

impl Default for WorkflowsFile {
    fn default() -> Self {
        Self { keep_days: 90 }
    }
}

fn default_tenants() -> Vec<TenantId> {
    vec![TenantId::DEFAULT]
}

/// A provider of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderFile {
    /// The API it speaks.
    pub kind: ProviderKind,
    /// Its base address, as `https://api.openai.com/v1`.
    pub endpoint: String,
    /// The region, for records.
    #[serde(default)]
    pub region: Option<String>,
    /// Its API key, by reference; none for servers without.
    #[serde(default)]
    pub credential: Option<SecretRef>,
    /// The tenants that may use it.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<TenantId>,
    /// How long each part of a call may take.
    #[serde(default)]
    pub timers: Timers,
    /// The field that carries the token limit to an OpenAI-compatible server.
    #[serde(default)]
    pub token_limit_field: TokenLimitField,
    /// What differs in single environments.
    #[serde(default)]
    pub environments: BTreeMap<EnvironmentName, BindingFile>,
}

/// What differs in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingFile {
    /// The base address there.
    pub endpoint: Option<String>,
    /// The region there.
    pub region: Option<String>,
    /// The API key there, by reference. An address of its own needs a key of its own.
    pub credential: Option<SecretRef>,
}

/// Reads `server.toml`; without the file, the defaults.
///
/// # Errors
/// Every mistake in it.
pub fn read(path: &Path) -> Result<ServerFile, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(ServerFile::default());
        }
        Err(error) => {
            let place = release::Place::start_of(&name);
            let code = release::Code::new("GC0106");
            return Err(vec![Diagnostic::error(code, place, error.to_string())]);
        }
    };
    Document::parse(&name, &text)?.read()
}

impl ServerFile {
    /// The address to listen on.
    ///
    /// # Errors
    /// If it is not an address with a port.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.listen.parse().map_err(|_| {
            anyhow::anyhow!("`listen = \"{}\"` is not an address and a port", self.listen)
        })
    }

    /// The providers, with their credentials read.
    ///
    /// # Errors
    /// If a credential cannot be read.
    pub fn providers(&self) -> Result<BTreeMap<String, ProviderEntry>, SecurityError> {
        let mut entries = BTreeMap::new();
        for (name, file) in &self.providers {
            let none = BindingFile { endpoint: None, region: None, credential: None };
            let default = file.binding(&none)?;
            let mut environments = BTreeMap::new();
            for (environment, own) in &file.environments {
                environments.insert(environment.clone(), file.binding(own)?);
            }
            let tenants = file.tenants.clone();
            entries.insert(name.clone(), ProviderEntry { tenants, default, environments });
        }
        Ok(entries)
    }
}

impl ProviderFile {
    fn binding(&self, own: &BindingFile) -> Result<ProviderBinding, SecurityError> {
        // A credential is for one address: another address never gets it unasked.
        let shared = self.credential.as_ref().filter(|_| own.endpoint.is_none());
        let credential = own.credential.as_ref().or(shared);
        Ok(ProviderBinding {
            kind: self.kind,
            endpoint: own.endpoint.as_ref().unwrap_or(&self.endpoint).clone(),
            region: own.region.clone().or_else(|| self.region.clone()),
            credential: credential.map(SecretRef::resolve).transpose()?,
            timers: self.timers,
            token_limit_field: self.token_limit_field,
        })
    }
}
