//! A snapshot's manifest: what its digest is over.
//!
//! A document's entry names the segment that holds its passages. A passage counts if its document's
//! entry names the segment it is in: there are no tombstones that could disagree, taking a document
//! out is forgetting its entry, and taking it back is writing the entry it had.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use release::{CanonicalJson, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::KnowledgeError;
use crate::segment::DocumentRows;
use crate::spec::{EmbeddingEntry, RetrievalSpec};

/// Which documents a snapshot consists of, and in which segments they are. Parent, batch, author and
/// times of reading stay outside: refreshing without a change gives the same manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `knowledge/v2`.
    pub r#type: String,
    /// How documents became chunks.
    pub recipe: Digest,
    /// What made its vectors; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingEntry>,
    /// How passages are found in it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retrieval: RetrievalSpec,
    /// Its documents, by path.
    pub documents: BTreeMap<String, DocumentEntry>,
}

fn is_default(retrieval: &RetrievalSpec) -> bool {
    *retrieval == RetrievalSpec::default()
}

/// The form that this version reads and writes.
pub const FORM: &str = "knowledge/v2";

/// A document of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentEntry {
    /// The digest of its bytes.
    pub raw: Digest,
    /// The segment that its passages are in; none if it has no passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Digest>,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_ms: i64,
    /// How many passages it has.
    pub chunks: u64,
}

/// What is different between two snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Documents that only the later one has.
    pub added: Vec<String>,
    /// Documents whose bytes or passages differ.
    pub changed: Vec<String>,
    /// Documents that only the earlier one has.
    pub removed: Vec<String>,
}

impl DocumentEntry {
    /// Whether both are the same version of a document, wherever its passages are: compaction puts
    /// them into another segment.
    pub fn is_version_of(&self, other: &Self) -> bool {
        let version = |entry: &Self| (entry.raw, entry.modified_ms, entry.chunks);
        version(self) == version(other)
    }
}

impl Manifest {
    /// An empty snapshot under `recipe`.
    pub fn empty(recipe: Digest) -> Self {
        Self {
            r#type: FORM.to_owned(),
            recipe,
            embedding: None,
            retrieval: RetrievalSpec::default(),
            documents: BTreeMap::new(),
        }
    }

    /// Reads a manifest's bytes, whose digest was checked.
    ///
    /// # Errors
    /// [`KnowledgeError::Corrupt`] if they do not have the form.
    pub fn read(digest: Digest, bytes: &[u8]) -> Result<Self, KnowledgeError> {
        let corrupt = |why: String| KnowledgeError::Corrupt { part: digest, why };
        let json = CanonicalJson::from_stored(bytes.to_vec());
        let json = json.map_err(|error| corrupt(error.to_string()))?;
        let manifest: Self = json.read().map_err(|error| corrupt(error.to_string()))?;
        if manifest.r#type == FORM {
            Ok(manifest)
        } else {
            Err(corrupt(format!("form `{}` is not `{FORM}`", manifest.r#type)))
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// If a number has no canonical form.
    pub fn bytes(&self) -> Result<Vec<u8>, KnowledgeError> {
        Ok(CanonicalJson::of(self)?.into_bytes())
    }

    /// The segments that hold its documents.
    pub fn segments(&self) -> BTreeSet<Digest> {
        self.documents.values().filter_map(|entry| entry.segment).collect()
    }

    /// How many passages it has.
    pub fn chunks(&self) -> u64 {
        self.documents.values().map(|entry| entry.chunks).sum()
    }

    /// The newest change of a document that the snapshot includes.
    pub fn watermark(&self) -> Option<Timestamp> {
        let newest = self.documents.values().map(|entry| entry.modified_ms).max()?;
        Timestamp::from_millisecond(newest).ok()
    }

    /// What a filter sees under `key` of one of its documents.
    pub(crate) fn property<'a>(
        &self,
        document: &'a DocumentRows,
        key: &str,
    ) -> Option<Cow<'a, Value>> {
        match key {
            "path" => Some(Cow::Owned(document.path.clone().into())),
            "modified_at" => {
                let entry = self.documents.get(&document.path)?;
                let at = Timestamp::from_millisecond(entry.modified_ms).ok()?;
                Some(Cow::Owned(at.to_string().into()))
            }
            key => document.metadata.get(key).map(Cow::Borrowed),
        }
    }

    /// What is different since `before`.
    pub fn since(&self, before: &Self) -> Diff {
        let mut diff = Diff::default();
        for (path, entry) in &self.documents {
            match before.documents.get(path) {
                None => diff.added.push(path.clone()),
                Some(old) if old.raw != entry.raw => diff.changed.push(path.clone()),
                Some(_) => {}
            }
        }
        let gone = before.documents.keys().filter(|path| !self.documents.contains_key(*path));
        diff.removed.extend(gone.cloned());
        diff
    }

    /// This snapshot without a document. Nothing is built anew.
    ///
    /// # Errors
    /// If it has no such document.
    pub fn without(&self, document: &str) -> Result<Self, KnowledgeError> {
        let mut without = self.clone();
        match without.documents.remove(document) {
            Some(_) => Ok(without),
            None => Err(KnowledgeError::UnknownDocument(document.to_owned())),
        }
    }

    /// This snapshot as if the batch that led from `before` to `after` had not been: what it brought
    /// goes, and what it replaced or removed comes back. A document that a later batch changed again
    /// stays as that one left it. Nothing is built anew.
    pub fn without_batch(&self, before: &Self, after: &Self) -> Self {
        let same = |one: Option<&DocumentEntry>, other: Option<&DocumentEntry>| match (one, other) {
            (Some(one), Some(other)) => one.is_version_of(other),
            (None, None) => true,
            _ => false,
        };
        let mut without = self.clone();
        let paths: BTreeSet<_> = before.documents.keys().chain(after.documents.keys()).collect();
        for path in paths {
            let (was, became) = (before.documents.get(path), after.documents.get(path));
            if same(was, became) || !same(self.documents.get(path), became) {
                continue;
            }
            match was {
                Some(was) => without.documents.insert(path.clone(), was.clone()),
                None => without.documents.remove(path),
            };
        }
        without
    }
}

#[cfg(test)]
mod tests;
