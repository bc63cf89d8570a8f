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
    /// The document that says the same and is found in its place; none if it is found itself. Its
    /// passages stay in its segment, so that it is back at once when the other goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
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

    /// How many passages it has, those of copies aside.
    pub fn chunks(&self) -> u64 {
        let found = self.documents.values().filter(|entry| entry.copy_of.is_none());
        found.map(|entry| entry.chunks).sum()
    }

    /// Documents that say the same, the one that is found first.
    pub fn copies(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut copies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (path, entry) in &self.documents {
            if let Some(of) = &entry.copy_of {
                copies.entry(of).or_insert_with(|| vec![of]).push(path);
            }
        }
        copies
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
            Some(_) => {
                without.settle();
                Ok(without)
            }
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
        // What a document was a copy of may say something else now: then it is none.
        let raw = |of: &Self, path: &str| Some(of.documents.get(path)?.raw);
        let no_copy = |(path, entry): (&String, &DocumentEntry)| {
            let of = entry.copy_of.as_deref()?;
            let from = if self.documents.get(path) == Some(entry) { self } else { before };
            (raw(&without, of) != raw(from, of)).then(|| path.clone())
        };
        let no_copies: Vec<String> = without.documents.iter().filter_map(no_copy).collect();
        for path in no_copies {
            if let Some(entry) = without.documents.get_mut(&path) {
                entry.copy_of = None;
            }
        }
        without.settle();
        without
    }

    /// Keeps the documents that `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&str, &DocumentEntry) -> bool) {
        self.documents.retain(|path, entry| keep(path, entry));
        self.settle();
    }

    /// Gives copies whose document is gone, or is a copy itself, to the first of them.
    fn settle(&mut self) {
        let found =
            |of: &String| self.documents.get(of).is_some_and(|entry| entry.copy_of.is_none());
        let lost = self.documents.iter().filter_map(|(path, entry)| {
            let of = entry.copy_of.as_ref().filter(|of| !found(of))?;
            Some((path.clone(), of.clone()))
        });
        let lost: Vec<_> = lost.collect();
        let mut heirs: BTreeMap<String, String> = BTreeMap::new();
        for (path, of) in lost {
            let heir = heirs.entry(of).or_insert_with(|| path.clone()).clone();
            if let Some(entry) = self.documents.get_mut(&path) {
                entry.copy_of = (heir != path).then_some(heir);
            }
        }
    }
}

#[cfg(test)]
mod tests;
