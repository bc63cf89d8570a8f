//! A document on its way from its source to its passages.
//!
//! ```text
//!  source ─► Seen::Fresh(RawDocument) ─► Extracted ─► passages
//!         └► Seen::Same(path): its last version counts on
//!         └► Seen::Failed(path, why): kept as it was, told in the report
//! ```

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use release::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::KnowledgeError;

/// What a source tells of a document beside its bytes: as `author`, `title` or a column.
pub type Metadata = BTreeMap<String, Value>;

/// A document as its source gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct RawDocument {
    /// Its path within the knowledge base, with `/`.
    pub path: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// What kind of content the source says it is, as `text/html`; the path's ending tells else.
    pub media_type: Option<String>,
    /// What tells the source, the next time, that it has not changed: an ETag, a version, a size and
    /// a time. Opaque to everybody else.
    pub mark: String,
    /// When it was changed, if the source knows.
    pub modified_at: Option<Timestamp>,
    /// Which version the source itself calls it, as of an object in a bucket or a commit.
    pub version: Option<String>,
    /// What else the source tells.
    pub metadata: Metadata,
}

/// What a source sees of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// It is there and has not changed.
    Same(String),
    /// It is new, or was changed.
    Fresh(Box<RawDocument>),
    /// It is there, but could not be read.
    Failed {
        /// Which.
        path: String,
        /// Why not.
        reason: String,
    },
}

/// A place that documents come from.
#[async_trait]
pub trait Source: std::fmt::Debug + Send + Sync {
    /// Tells `seen` of every document that is there, each once, as fast as it is taken. `before` has
    /// the marks of the documents that are known, by path. Whatever it does not tell of is gone.
    ///
    /// # Errors
    /// If not all could be told of: then nothing counts as gone, and the age of all is unknown.
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError>;
}

/// A document's plain text and structure.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Extracted {
    /// Its title; its first heading, or nothing.
    pub title: String,
    /// Its plain text. Paragraphs are separated by blank lines.
    pub text: String,
    /// Its headings, in order.
    pub headings: Vec<Heading>,
    /// Where each page begins, in bytes of the text; empty if it has no pages.
    pub pages: Vec<usize>,
    /// What the document says of itself, as `author`, `created` or `language`.
    pub metadata: Metadata,
}

/// A heading and where the text under it starts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Heading {
    /// 1 for the topmost.
    pub level: u8,
    /// Its text.
    pub text: String,
    /// Where the text under it starts, in bytes.
    pub at: usize,
}
