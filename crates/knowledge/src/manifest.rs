//! A snapshot's manifest: what its digest is over.

use std::borrow::Cow;
use std::collections::BTreeMap;

use release::{CanonicalJson, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::KnowledgeError;
use crate::segment::DocumentRows;
use crate::spec::{EmbeddingEntry, RetrievalSpec};

/// Which segments and documents a snapshot consists of. Parent, batch, author and times of
/// reading stay outside: refreshing without a change gives the same manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `knowledge/v1`.
    pub r#type: String,
    /// How documents became chunks.
    pub recipe: Digest,
    /// What made its vectors; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingEntry>,
    /// How passages are found in it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retrieval: RetrievalSpec,
    /// Its segments, oldest first.
    pub segments: Vec<SegmentEntry>,
    /// Its documents, by path.
    pub documents: BTreeMap<String, DocumentEntry>,
    /// The newest change of a document it includes, in milliseconds since 1970.
    pub watermark_ms: i64,
    /// How many passages it has.
    pub chunks: u64,
}

fn is_default(retrieval: &RetrievalSpec) -> bool {
    *retrieval == RetrievalSpec::default()
}

/// The form that this version reads and writes.
pub const FORM: &str = "knowledge/v1";

/// A segment, and which of its documents no longer count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// The segment's digest.
    pub digest: Digest,
    /// Tombstones: documents of the segment that were changed or removed since.
    pub removed: Vec<String>,
}

/// A document of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentEntry {
    /// The digest of its bytes.
    pub raw: Digest,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_ms: i64,
    /// How many passages it has.
    pub chunks: u64,
}

impl Manifest {
    /// An empty snapshot under `recipe`.
    pub fn empty(recipe: Digest) -> Self {
        Self {
            r#type: FORM.to_owned(),
            recipe,
            embedding: None,
            retrieval: RetrievalSpec::default(),
            segments: Vec::new(),
            documents: BTreeMap::new(),
            watermark_ms: 0,
            chunks: 0,
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

    /// The newest change of a document that the snapshot includes.
    pub fn watermark(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.watermark_ms).ok().filter(|_| !self.documents.is_empty())
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
}
