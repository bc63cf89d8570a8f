//! What the release path stores: its records, and how they are found.

use std::collections::BTreeMap;

use bytes::Bytes;
use knowledge::{KnowledgeSpec, Polls};
use release::{
    AppName, ArtifactKind, ArtifactName, ArtifactRef, ArtifactState, ArtifactVersion, Change,
    ChangeId, DeploymentEntry, Digest, Environment, EnvironmentName, PrincipalId, Release,
    ReleaseDigest, SlotName, Timestamp,
};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, Record, StoreError, Transaction};

use crate::project::Prepared;
use crate::project::files::Policy;
use crate::{DeliveryError, TenantDelivery};

pub(crate) const PROJECTS: Collection = Collection("projects");
pub(crate) const APPS: Collection = Collection("apps");
pub(crate) const KNOWLEDGE: Collection = Collection("knowledge");
pub(crate) const BATCHES: Collection = Collection("knowledge.batches");
pub(crate) const ARTIFACTS: Collection = Collection("artifacts");
pub(crate) const ARTIFACT_NAMES: Collection = Collection("artifact_names");
/// Contents that a person has asked to keep.
pub(crate) const HOLDS: Collection = Collection("holds");
pub(crate) const RELEASES: Collection = Collection("releases");
pub(crate) const CHANGES: Collection = Collection("changes");
pub(crate) const ENVIRONMENTS: Collection = Collection("environments");

/// How many rows one listing returns at most.
pub(crate) const PAGE: usize = 1_000;

/// A project as last applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectRecord {
    /// Its name.
    pub name: ArtifactName,
    /// Counts the applies; an upload names the one it was read against.
    pub generation: u64,
    /// First to last.
    pub environments: Vec<EnvironmentName>,
    /// The digest of each file.
    pub files: BTreeMap<String, Digest>,
    /// The commit it was read from, where known.
    pub commit: Option<String>,
    /// When it was applied.
    pub applied_at: Timestamp,
}

/// What fills one of an app's slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filled {
    /// An artifact version.
    Artifact(ArtifactRef),
    /// The newest snapshot of a knowledge base.
    Knowledge(ArtifactName),
}

/// An app as last applied, and how far its changes have come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Its name.
    pub name: AppName,
    /// The project it belongs to.
    pub project: ArtifactName,
    /// What it is for.
    pub description: String,
    /// What fills its slots.
    pub slots: BTreeMap<SlotName, Filled>,
    /// How its releases reach the environments.
    pub policy: Policy,
    /// First to last.
    pub environments: Vec<EnvironmentName>,
    /// How many changes were proposed.
    pub changes: u64,
    /// The newest candidate.
    pub head: Option<ReleaseDigest>,
}

/// A knowledge base and its newest snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnowledgeRecord {
    /// Its name.
    pub name: ArtifactName,
    /// The project it belongs to.
    pub project: ArtifactName,
    /// Where its documents come from and how they are cut.
    pub spec: KnowledgeSpec,
    /// The newest snapshot; none until the first refresh.
    pub snapshot: Option<Digest>,
    /// When it was last refreshed, whether or not anything had changed.
    pub refreshed_at: Option<Timestamp>,
    /// What is known of its documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Digest>,
    /// How many batches there were.
    #[serde(default)]
    pub batches: u64,
    /// How the polls of its sources went, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub polls: BTreeMap<String, Polls>,
    /// How many erasures there were.
    #[serde(default)]
    pub erasures: u64,
    /// Its golden queries, as applied: a blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Digest>,
    /// What the newest snapshot finds for them: a blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Digest>,
    /// What was known of the documents when sources were last read, also if the gates rejected what
    /// came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Digest>,
}

impl KnowledgeRecord {
    /// A knowledge base that was never refreshed.
    pub(crate) fn new(name: ArtifactName, project: ArtifactName, spec: KnowledgeSpec) -> Self {
        let (snapshot, refreshed_at, ledger, observed) = (None, None, None, None);
        let (polls, golden, found) = (BTreeMap::new(), None, None);
        Self {
            name,
            project,
            spec,
            snapshot,
            refreshed_at,
            ledger,
            batches: 0,
            polls,
            golden,
            found,
            observed,
            erasures: 0,
        }
    }
}

/// What a batch was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BatchCause {
    /// The sources were read.
    Refresh,
    /// Something was taken out.
    Excise {
        /// The document, or the batch by its number.
        what: String,
    },
    /// Documents were erased.
    Erase {
        /// The erasure's number.
        erasure: u64,
    },
    /// Segments were rewritten.
    Compact,
    /// What an earlier batch had made was made the newest again.
    Restore {
        /// That batch.
        batch: u64,
    },
}

/// A batch: what led from one snapshot to the next, or would have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// Counts its batches from 1.
    pub number: u64,
    /// What it was for.
    pub cause: BatchCause,
    /// The snapshot before.
    pub parent: Option<Digest>,
    /// What was known of that one's documents.
    pub parent_ledger: Option<Digest>,
    /// The snapshot it made.
    pub snapshot: Digest,
    /// What is known of that one's documents.
    pub ledger: Digest,
    /// Whether the snapshot became the newest; else the gates rejected it.
    pub accepted: bool,
    /// By whom.
    pub actor: PrincipalId,
    /// When.
    pub at: Timestamp,
    /// What it did, as a blob.
    pub report: Digest,
    /// What its snapshot finds for the golden queries, as a blob; none if it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Digest>,
    /// The changes it proposed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeId>,
    /// The moves that the apps' policy made of them at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promoted: Vec<DeploymentEntry>,
}

/// A sealed release beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Its digest.
    pub release: ReleaseDigest,
    /// The app it is a release of.
    pub app: AppName,
    /// Counts the app's releases from 1, for people.
    pub sequence: u64,
    /// What fills each slot, by kind, name and digest.
    pub slots: BTreeMap<SlotName, ArtifactRef>,
    /// The newest change that proposed it.
    pub change: ChangeId,
    /// When it was first proposed.
    pub created_at: Timestamp,
}

/// Counts the versions of one artifact name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct NameRecord {
    versions: u64,
}

/// A record with the version it was read at.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T> {
    pub value: T,
    pub version: u64,
}

impl<T> Versioned<T> {
    pub fn expect(&self) -> Expect {
        Expect::Version(self.version)
    }
}

pub(crate) fn versioned<T: serde::de::DeserializeOwned>(
    record: Record,
) -> Result<Versioned<T>, StoreError> {
    Ok(Versioned { value: record.read()?, version: record.version })
}

pub(crate) fn expect<T>(known: &Option<Versioned<T>>) -> Expect {
    known.as_ref().map_or(Expect::Absent, Versioned::expect)
}

pub(crate) fn artifact_key(artifact: &ArtifactRef) -> String {
    format!("{}/{}/{}", artifact.kind, artifact.name, artifact.digest.to_hex())
}

pub(crate) fn environment_key(app: &AppName, environment: &EnvironmentName) -> String {
    format!("{app}/{environment}")
}

/// The stream of an environment's deployment log.
pub(crate) fn deployments(app: &AppName, environment: &EnvironmentName) -> String {
    format!("deployments/{app}/{environment}")
}

impl TenantDelivery {
    pub(crate) async fn find<T: serde::de::DeserializeOwned>(
        &self,
        collection: Collection,
        key: &str,
    ) -> Result<Option<Versioned<T>>, DeliveryError> {
        Ok(self.store.get(collection, key).await?.map(versioned).transpose()?)
    }

    pub(crate) async fn app(&self, app: &AppName) -> Result<Versioned<AppRecord>, DeliveryError> {
        let found = self.find(APPS, app.as_str()).await?;
        found.ok_or_else(|| DeliveryError::UnknownApp(app.clone()))
    }

    /// Every record of `collection` whose key starts with `prefix`, in key order.
    pub(crate) async fn all<T: serde::de::DeserializeOwned>(
        &self,
        collection: Collection,
        prefix: &str,
    ) -> Result<Vec<Versioned<T>>, DeliveryError> {
        let found = self.store.all(collection, prefix).await?.into_iter();
        Ok(found.map(versioned).collect::<Result<_, _>>()?)
    }

    /// Every record of `collection` that is kept for an app's environment, in key order.
    pub(crate) async fn all_in<T: serde::de::DeserializeOwned>(
        &self,
        collection: Collection,
        (app, environment): (&AppName, &EnvironmentName),
    ) -> Result<Vec<T>, DeliveryError> {
        let record = self.app(app).await?.value;
        self.environment(&record, environment).await?;
        let found = self.all(collection, &format!("{app}/{environment}/")).await?.into_iter();
        Ok(found.map(|found| found.value).collect())
    }

    /// Every record of `collection` with its key, in key order.
    pub(crate) async fn all_keyed<T: serde::de::DeserializeOwned>(
        &self,
        collection: Collection,
    ) -> Result<Vec<(String, T)>, DeliveryError> {
        let found = self.store.all(collection, "").await?.into_iter();
        let read = found.map(|record| Ok((record.key.clone(), record.read()?)));
        read.collect()
    }

    /// The environment, empty if nothing was ever deployed there. One that the app no longer names
    /// can still be looked at and rolled back.
    pub(crate) async fn environment(
        &self,
        app: &AppRecord,
        name: &EnvironmentName,
    ) -> Result<(Environment, Expect), DeliveryError> {
        let found =
            self.find::<Environment>(ENVIRONMENTS, &environment_key(&app.name, name)).await?;
        if found.is_none() && !app.environments.contains(name) {
            let (app, environment) = (app.name.clone(), name.clone());
            return Err(DeliveryError::UnknownEnvironment { app, environment });
        }
        let expect = expect(&found);
        let empty = || Environment::empty(app.name.clone(), name.clone());
        Ok((found.map_or_else(empty, |found| found.value), expect))
    }

    /// Reads a release back, verifying its bytes.
    ///
    /// # Errors
    /// If the blob is missing or its bytes are not what the digest says.
    pub async fn open_release(&self, digest: ReleaseDigest) -> Result<Release, DeliveryError> {
        let bytes = self.blobs.get(&digest.digest()).await?;
        Ok(Release::open(bytes.to_vec(), digest)?)
    }

    /// Finds one of the app's releases by `selector`: a change (`support-7`), a sequence number
    /// (`#3` or `3`), or a digest (whole, or at least 6 of its first digits).
    ///
    /// # Errors
    /// [`DeliveryError::UnknownRelease`] unless exactly one release fits.
    pub async fn find_release(
        &self,
        app: &AppName,
        selector: &str,
    ) -> Result<ReleaseRecord, DeliveryError> {
        let unknown =
            || DeliveryError::UnknownRelease { app: app.clone(), selector: selector.to_owned() };
        if let Ok(id) = selector.parse::<ChangeId>()
            && id.app() == app
        {
            let change = self.find::<Change>(CHANGES, &change_key(&id)).await?;
            let change = change.ok_or_else(unknown)?.value;
            let key = release_key(app, change.release);
            return Ok(self.find(RELEASES, &key).await?.ok_or_else(unknown)?.value);
        }
        let digits = selector.strip_prefix("sha256:").unwrap_or(selector);
        let sequence = digits.trim_start_matches('#').parse::<u64>().ok();
        let fits = |record: &ReleaseRecord| {
            let by_digest =
                digits.len() >= 6 && record.release.digest().to_hex().starts_with(digits);
            by_digest || (digits.len() < 6 && sequence == Some(record.sequence))
        };
        let mut fitting = self.releases(app).await?.into_iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(unknown()),
        }
    }

    /// The app's releases, newest first.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn releases(&self, app: &AppName) -> Result<Vec<ReleaseRecord>, DeliveryError> {
        let found = self.all::<ReleaseRecord>(RELEASES, &format!("{app}/")).await?;
        let mut releases: Vec<_> = found.into_iter().map(|found| found.value).collect();
        releases.sort_by_key(|release| std::cmp::Reverse(release.sequence));
        Ok(releases)
    }

    /// The app's changes, newest first.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn changes(&self, app: &AppName) -> Result<Vec<Change>, DeliveryError> {
        let found = self.all::<Change>(CHANGES, &format!("{app}/")).await?;
        Ok(found.into_iter().rev().map(|found| found.value).collect())
    }

    /// Every app of the tenant.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn apps(&self) -> Result<Vec<AppRecord>, DeliveryError> {
        Ok(self.all(APPS, "").await?.into_iter().map(|found| found.value).collect())
    }

    /// Every knowledge base of the tenant.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn knowledge_bases(&self) -> Result<Vec<KnowledgeRecord>, DeliveryError> {
        Ok(self.all(KNOWLEDGE, "").await?.into_iter().map(|found| found.value).collect())
    }

    /// The bytes of an artifact, verified.
    ///
    /// # Errors
    /// If the blob is missing or corrupt.
    pub async fn artifact_bytes(&self, digest: &Digest) -> Result<Bytes, DeliveryError> {
        Ok(self.blobs.get(digest).await?)
    }

    /// Stores an artifact's bytes and adds its version to `transaction`, unless it is known.
    pub(crate) async fn register(
        &self,
        prepared: &Prepared,
        derived_from: Vec<Digest>,
        transaction: Transaction,
    ) -> Result<(Transaction, bool), DeliveryError> {
        let artifact = &prepared.artifact;
        let key = artifact_key(artifact);
        let known = self.find::<ArtifactVersion>(ARTIFACTS, &key).await?;
        // One whose bytes are gone is registered anew.
        let gone = |known: &ArtifactVersion| known.state == ArtifactState::Deleted;
        if known.as_ref().is_some_and(|known| !gone(&known.value)) {
            return Ok((transaction, false));
        }
        let stored = self.blobs.put(Bytes::copy_from_slice(&prepared.bytes)).await?;
        debug_assert_eq!(stored, artifact.digest);
        let name_key = format!("{}/{}", artifact.kind, artifact.name);
        let name = self.find::<NameRecord>(ARTIFACT_NAMES, &name_key).await?;
        let mut versions = name.as_ref().map_or(0, |name| name.value.versions);
        if known.is_none() {
            versions += 1;
        }
        let version = ArtifactVersion {
            artifact: artifact.clone(),
            sequence: known.as_ref().map_or(versions, |known| known.value.sequence),
            reproducible: prepared.reproducible,
            derived_from,
            state: ArtifactState::Registered,
            created_at: self.clock.now(),
            created_by: self.actor.clone(),
        };
        let transaction = transaction
            .put(ARTIFACT_NAMES, &name_key, &NameRecord { versions }, expect(&name))?
            .put(ARTIFACTS, &key, &version, expect(&known))?
            .emit(&format!("artifacts/{name_key}"), "artifact.registered", &version)?;
        Ok((transaction, true))
    }

    /// The stored version of an artifact.
    pub(crate) async fn artifact(
        &self,
        artifact: &ArtifactRef,
    ) -> Result<Option<ArtifactVersion>, DeliveryError> {
        let found = self.find(ARTIFACTS, &artifact_key(artifact)).await?;
        Ok(found.map(|found| found.value))
    }

    /// A transaction of this actor, now.
    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(self.actor.clone(), self.clock.now())
    }
}

pub(crate) fn release_key(app: &AppName, release: ReleaseDigest) -> String {
    format!("{app}/{}", release.digest().to_hex())
}

/// Change keys sort by number.
pub(crate) fn change_key(id: &ChangeId) -> String {
    format!("{}/{:012}", id.app(), id.number())
}

/// The key of a batch: a knowledge base's are in the order of their numbers.
pub(crate) fn batch_key(name: &ArtifactName, number: u64) -> String {
    format!("{name}/{number:012}")
}

/// The kind of artifact that fills a knowledge slot.
pub(crate) fn snapshot_ref(name: &ArtifactName, digest: Digest) -> ArtifactRef {
    ArtifactRef { kind: ArtifactKind::Knowledge, name: name.clone(), digest }
}
