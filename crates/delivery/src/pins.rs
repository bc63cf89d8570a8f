//! What must be kept: every blob that a record names, and what these blobs name.
//!
//! ```text
//!  releases, environments ─► release ─► artifacts ─┬─► snapshot ─► segments, embedder
//!  knowledge, batches ─────► snapshot, ledger      └─► imported model ─► its files
//!  pushed documents · embeddings · imported models · holds · suites · evaluations
//! ```
//!
//! A blob that nothing here names is garbage: whoever stores a digest in a new kind of record adds it
//! here. A test walks all records of a tenant and fails for one that is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use knowledge::Manifest;
use knowledge::source::pushed_blobs;
use release::{ArtifactState, ArtifactVersion, Digest, Environment, Release, ReleaseDigest};
use serde::{Deserialize, Serialize};

use crate::catalog::{
    ARTIFACTS, BATCHES, BatchRecord, ENVIRONMENTS, HOLDS, KNOWLEDGE, KnowledgeRecord, RELEASES,
    ReleaseRecord,
};
use crate::holds::Hold;
use crate::imported::{IMPORTED, ImportedRecord};
use crate::retention::Doomed;
use crate::{DeliveryError, TenantDelivery};

/// How many reasons are told of one blob.
const TOLD: usize = 50;

/// Why a blob is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The blob.
    pub digest: Digest,
    /// Whether it is there.
    pub there: bool,
    /// What names it; nothing if it is garbage.
    pub by: Vec<String>,
}

/// The blobs that are kept.
#[derive(Debug, Default)]
pub struct Pins {
    all: BTreeSet<Digest>,
    /// Blobs that may name others.
    roots: BTreeSet<Digest>,
    /// Blobs that another may stand for, since documents were erased.
    erasable: BTreeSet<Digest>,
    /// Those that were not followed yet, each with what first named it.
    ahead: Vec<(Digest, String)>,
    asked: Option<Digest>,
    why: Vec<String>,
}

impl Pins {
    /// All of them.
    pub fn all(&self) -> &BTreeSet<Digest> {
        &self.all
    }

    fn add(&mut self, digest: Digest, why: impl FnOnce() -> String) {
        self.all.insert(digest);
        if self.asked == Some(digest) && self.why.len() < TOLD {
            self.why.push(why());
        }
    }

    /// Adds a blob that another may stand for.
    fn erasable(&mut self, digest: Digest, why: impl FnOnce() -> String) {
        self.add(digest, why);
        self.erasable.insert(digest);
    }

    /// Adds a blob that may name others.
    fn root(&mut self, digest: Digest, why: impl Fn() -> String) {
        self.add(digest, &why);
        if self.roots.insert(digest) {
            self.ahead.push((digest, why()));
        }
    }
}

/// What a blob that names others may be.
#[derive(Debug, Deserialize)]
struct Form {
    r#type: String,
}

/// What an imported model's manifest says of its files.
#[derive(Debug, Deserialize)]
pub(crate) struct ModelFiles {
    pub files: BTreeMap<String, ModelFile>,
    /// Their licence, by its SPDX identifier.
    #[serde(default)]
    pub licence: Option<String>,
}

/// A file, which is a blob.
#[derive(Debug, Deserialize)]
pub(crate) struct ModelFile {
    pub digest: Digest,
}

impl TenantDelivery {
    /// Why a blob is kept.
    ///
    /// # Errors
    /// If a record or a blob that names others cannot be read.
    pub async fn explain_pins(&self, digest: Digest) -> Result<Pinned, DeliveryError> {
        let mut pins = Pins { asked: Some(digest), ..Pins::default() };
        self.pin_named(&Doomed::default(), &mut pins).await?;
        self.pin_artifacts(&Doomed::default(), &mut pins).await?;
        Ok(Pinned { digest, there: self.blobs.exists(&digest).await?, by: pins.why })
    }

    /// What is kept once the records of `doomed` are gone, but for artifacts that nothing else names.
    pub(crate) async fn named(&self, doomed: &Doomed) -> Result<Pins, DeliveryError> {
        let mut pins = Pins::default();
        self.pin_named(doomed, &mut pins).await?;
        Ok(pins)
    }

    async fn pin_named(&self, doomed: &Doomed, pins: &mut Pins) -> Result<(), DeliveryError> {
        for found in self.all_keyed::<ReleaseRecord>(RELEASES).await? {
            let (key, record) = found;
            if doomed.releases.contains_key(&key) {
                continue;
            }
            let name = || format!("release #{} of {}", record.sequence, record.app);
            pins.root(record.release.digest(), name);
            for (slot, artifact) in &record.slots {
                pins.root(artifact.digest, || format!("{}: its {slot} ({artifact})", name()));
            }
        }
        for found in self.all::<Environment>(ENVIRONMENTS, "").await? {
            let environment = found.value;
            for release in environment.releases() {
                let (app, name) = (&environment.app, &environment.name);
                pins.root(release.digest(), || format!("it is live for {app} in {name}"));
            }
        }
        for found in self.all::<KnowledgeRecord>(KNOWLEDGE, "").await? {
            let base = found.value;
            let name = || format!("the newest snapshot of {}", base.name);
            base.snapshot.iter().for_each(|snapshot| pins.root(*snapshot, name));
            let name = || format!("what is known of the documents of {}", base.name);
            let ledgers = base.ledger.iter().chain(&base.observed);
            ledgers.for_each(|ledger| pins.erasable(*ledger, name));
            let name = || format!("the golden queries of {}, and what they find", base.name);
            base.golden.iter().chain(&base.found).for_each(|blob| pins.add(*blob, name));
        }
        for (key, batch) in self.all_keyed::<BatchRecord>(BATCHES).await? {
            if doomed.batches.contains_key(&key) {
                continue;
            }
            let of = |what: &str| format!("{what} batch {} of {}", batch.number, batch.knowledge);
            pins.root(batch.snapshot, || of("the snapshot of"));
            batch.parent.iter().for_each(|it| pins.root(*it, || of("the snapshot before")));
            pins.erasable(batch.ledger, || of("the ledger of"));
            batch
                .parent_ledger
                .iter()
                .for_each(|it| pins.erasable(*it, || of("the ledger before")));
            pins.add(batch.report, || of("the report of"));
            batch
                .found
                .iter()
                .for_each(|it| pins.add(*it, || of("what golden queries find after")));
        }
        for (name, imported) in self.all_keyed::<ImportedRecord>(IMPORTED).await? {
            pins.root(imported.model, || format!("the imported model {name}"));
        }
        for (name, digest) in self.evaluation_blobs().await? {
            pins.add(digest, || name);
        }
        for (path, digest) in pushed_blobs(&self.store).await? {
            pins.add(digest, || format!("the document {path} that was put"));
        }
        for digest in self.embedding_cache().blobs().await? {
            pins.add(digest, || "vectors that were made once".to_owned());
        }
        for found in self.all::<Hold>(HOLDS, "").await? {
            let Hold { digest, reason, by, .. } = found.value;
            pins.root(digest, || format!("held by {by}: {reason}"));
        }
        self.follow_pins(pins).await
    }

    /// Adds what artifacts are kept for their own sake: those that are not doomed.
    pub(crate) async fn pin_artifacts(
        &self,
        doomed: &Doomed,
        pins: &mut Pins,
    ) -> Result<(), DeliveryError> {
        for (key, version) in self.all_keyed::<ArtifactVersion>(ARTIFACTS).await? {
            if version.state == ArtifactState::Deleted || doomed.artifacts.contains_key(&key) {
                continue;
            }
            let (artifact, sequence) = (&version.artifact, version.sequence);
            pins.root(artifact.digest, || {
                format!("version {sequence} of {} {}", artifact.kind, artifact.name)
            });
        }
        self.follow_pins(pins).await
    }

    /// Adds what the roots name, and what that names.
    async fn follow_pins(&self, pins: &mut Pins) -> Result<(), DeliveryError> {
        while let Some((digest, why)) = pins.ahead.pop() {
            let bytes = self.blobs.get(&digest).await?;
            let form = serde_json::from_slice::<Form>(&bytes).ok().map(|form| form.r#type);
            match form.as_deref() {
                Some("release/v1") => {
                    let release = Release::open(bytes.to_vec(), ReleaseDigest::new(digest))?;
                    for (slot, artifact) in release.slots() {
                        pins.root(*artifact, || format!("{why}: its {slot}"));
                    }
                }
                Some("knowledge/v2") => {
                    let manifest = Manifest::read(digest, &bytes)?;
                    for segment in manifest.segments() {
                        pins.erasable(segment, || format!("{why}: its segment"));
                    }
                    if let Some(model) = manifest.embedding.and_then(|entry| entry.artifact) {
                        pins.root(model, || format!("{why}: its embedder"));
                    }
                }
                Some("sentence-transformer/v1") => {
                    let model: ModelFiles = serde_json::from_slice(&bytes).map_err(|error| {
                        let why = format!("its files cannot be told: {error}");
                        store::BlobError::Corrupt { digest, why }
                    })?;
                    for (path, file) in model.files {
                        pins.add(file.digest, || format!("{why}: its file {path}"));
                    }
                }
                _ => {}
            }
        }
        for digest in std::mem::take(&mut pins.erasable) {
            let standing = self.blobs.standing(&digest).await?;
            if standing != digest {
                pins.add(standing, || {
                    format!("it stands for {digest} since documents were erased")
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
