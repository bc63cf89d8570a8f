//! What is known of every document beside the snapshot: where it came from, how it is told from its
//! next version, and what was measured of it.
//!
//! The ledger of a batch is a blob that is named by the transaction that makes its snapshot the
//! newest. So a document counts as seen exactly when its passages do.

use std::collections::{BTreeMap, BTreeSet};

use release::{CanonicalJson, Digest, Timestamp};
use security::guardrails::Entity;
use serde::{Deserialize, Serialize};
use store::TenantBlobs;

use crate::{KnowledgeError, Signature};

/// The form that this version reads and writes.
const FORM: &str = "ledger/v1";

/// The ledger of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Always `ledger/v1`.
    r#type: String,
    /// The documents of the snapshot, by path.
    pub documents: BTreeMap<String, Known>,
    /// Versions that were taken out, by path: they do not come back as long as their bytes are the
    /// same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub excised: BTreeMap<String, BTreeSet<Digest>>,
    /// Documents that were erased: they do not come back, whatever their bytes, until a person
    /// admits them again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub erased: BTreeSet<String>,
    /// Documents that their sources no longer have, by path: where an older snapshot serves, they
    /// still do. The newest [`MAX_GONE`] are remembered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone: BTreeMap<String, Gone>,
}

/// How many documents that are gone are remembered.
pub const MAX_GONE: usize = 10_000;

/// A document that its source no longer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    /// The source it came from.
    pub source: String,
    /// When its source was last read and had it: it may have been deleted right after.
    pub last_seen: Timestamp,
    /// When it was found to be gone.
    pub found_at: Timestamp,
}

/// A document that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The source it comes from.
    pub source: String,
    /// What tells the source whether it has changed.
    pub mark: String,
    /// The digest of its bytes.
    pub raw: Digest,
    /// Which version its source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was changed.
    pub modified_at: Timestamp,
    /// Whether that is only when it was first seen, because its source does not know or names a
    /// moment to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// When it was read.
    pub fetched_at: Timestamp,
    /// What was measured of it.
    pub facts: Facts,
    /// Tells copies of it; none if it has no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What is measured of a document, for the gates that a batch must pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// How many characters its text has.
    pub characters: u64,
    /// How many of them stand for bytes that could not be read (U+FFFD).
    pub unreadable: u64,
    /// The language it is written in, as in ISO 639-1, if that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// A document that it is a copy of, or nearly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// How much of what should not be there was found, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<Entity, u64>,
    /// The names of its metadata.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub fields: BTreeSet<String>,
}

impl Default for Ledger {
    fn default() -> Self {
        let (documents, excised, erased, gone) = Default::default();
        Self { r#type: FORM.to_owned(), documents, excised, erased, gone }
    }
}

impl Ledger {
    /// Reads a ledger's bytes, whose digest was checked.
    ///
    /// # Errors
    /// [`KnowledgeError::Corrupt`] if they do not have the form.
    pub fn read(digest: Digest, bytes: &[u8]) -> Result<Self, KnowledgeError> {
        let corrupt = |why: String| KnowledgeError::Corrupt { part: digest, why };
        let ledger: Self =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if ledger.r#type == FORM {
            Ok(ledger)
        } else {
            Err(corrupt(format!("form `{}` is not `{FORM}`", ledger.r#type)))
        }
    }

    /// Reads a ledger, or the one that stands for it since documents of it were erased.
    ///
    /// # Errors
    /// If it is missing or does not have the form.
    pub async fn open(blobs: &TenantBlobs, digest: Digest) -> Result<Self, KnowledgeError> {
        let standing = blobs.standing(&digest).await?;
        Self::read(standing, &blobs.get(&standing).await?)
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// If a number has no canonical form.
    pub fn bytes(&self) -> Result<Vec<u8>, KnowledgeError> {
        Ok(CanonicalJson::of(self)?.into_bytes())
    }

    /// The marks of the documents of a source, by path.
    pub fn marks(&self, source: &str) -> BTreeMap<String, String> {
        let own = self.documents.iter().filter(|(_, known)| known.source == source);
        own.map(|(path, known)| (path.clone(), known.mark.clone())).collect()
    }

    /// Forgets everything that is known of `erased`; whether that was anything.
    pub fn without(&mut self, erased: &BTreeSet<String>) -> bool {
        let before = self.clone();
        self.documents.retain(|path, _| !erased.contains(path));
        for known in self.documents.values_mut() {
            known.facts.copy_of.take_if(|of| erased.contains(of));
        }
        self.gone.retain(|path, _| !erased.contains(path));
        self.excised.retain(|path, _| !erased.contains(path));
        *self != before
    }

    /// Remembers what its sources no longer have, of what was there when they were read `before`.
    pub(crate) fn note_gone(&mut self, before: &Self, mut gone: BTreeMap<String, Gone>) {
        // What was known to be gone is not gone anew.
        gone.extend(before.gone.clone());
        gone.retain(|path, _| !self.documents.contains_key(path));
        let mut oldest: Vec<_> = gone.iter().map(|(path, gone)| (gone.found_at, path)).collect();
        oldest.sort_unstable();
        let surplus = oldest.len().saturating_sub(MAX_GONE);
        let surplus: BTreeSet<_> =
            oldest.into_iter().take(surplus).map(|(_, path)| path.clone()).collect();
        gone.retain(|path, _| !surplus.contains(path));
        self.gone = gone;
    }

    /// Whether a version was taken out.
    pub fn is_excised(&self, path: &str, raw: &Digest) -> bool {
        self.excised.get(path).is_some_and(|versions| versions.contains(raw))
    }
}
