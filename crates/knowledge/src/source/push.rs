//! Documents that are put through the API.
//!
//! A document counts as put when its bytes are a blob and its record is committed. Blobs are not
//! deleted here: what a record names is in use, and whoever clears blobs away asks for that. Each
//! blob is one document's: equal bytes of two are two blobs, so that one can be erased alone. Which
//! blobs were ever one's is kept, for the day it must be erased.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use release::{ArtifactName, CanonicalJson, Digest, PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{BlobError, Collection, Expect, List, TenantBlobs, TenantStore, Transaction};
use tokio::sync::mpsc;

use super::{MAX_DOCUMENTS, failed, tell, too_large, unfit, unusable};
use crate::{Filter, KnowledgeError, Metadata, RawDocument, Seen, Source};

const DOCUMENTS: Collection = Collection("pushed_documents");
/// The blobs that ever were a document's.
const BLOBS: Collection = Collection("pushed_documents.blobs");
/// How many records are read at a time.
const PAGE: usize = 1_000;
/// The most bytes of a document's metadata.
const MAX_METADATA: usize = 64 << 10;

/// The documents that are pushed to a knowledge base.
#[derive(Debug, Clone)]
pub struct Pushes {
    store: TenantStore,
    blobs: TenantBlobs,
    name: ArtifactName,
}

/// A document to be put.
#[derive(Debug, Clone)]
pub struct Put {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// What kind of content it is; the path's ending tells else.
    pub media_type: Option<String>,
    /// When it was changed; when it is put, if that is not known.
    pub modified_at: Option<Timestamp>,
    /// What else is known of it.
    pub metadata: Metadata,
}

/// A document that was put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushedDocument {
    /// Its path.
    pub path: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The blob that holds them, after a line that says whose they are.
    pub blob: Digest,
    /// How many it has.
    pub bytes: u64,
    /// What kind of content it was said to be.
    pub media_type: Option<String>,
    /// When it was said to have been changed.
    pub modified_at: Option<Timestamp>,
    /// What else was said of it.
    pub metadata: Metadata,
    /// When it was put.
    pub put_at: Timestamp,
}

impl PushedDocument {
    fn mark(&self) -> Result<String, KnowledgeError> {
        let said = (&self.digest, &self.media_type, &self.modified_at, &self.metadata);
        Ok(Digest::of(CanonicalJson::of(&said)?.as_bytes()).to_hex())
    }
}

impl Pushes {
    pub(super) fn new(store: TenantStore, blobs: TenantBlobs, name: ArtifactName) -> Self {
        Self { store, blobs, name }
    }

    fn key(&self, path: &str) -> String {
        format!("{}/{path}", self.name)
    }

    async fn find(&self, path: &str) -> Result<Option<PushedDocument>, KnowledgeError> {
        let found = self.store.get(DOCUMENTS, &self.key(path)).await?;
        Ok(found.map(|record| record.read()).transpose()?)
    }

    /// Puts a document. When this returns it is durable. Whether anything changed: the same again
    /// changes nothing.
    ///
    /// # Errors
    /// If it cannot be a document, or cannot be kept.
    pub async fn put(
        &self,
        put: Put,
        (actor, now): (PrincipalId, Timestamp),
    ) -> Result<(PushedDocument, bool), KnowledgeError> {
        let refused = |why: String| unusable(format!("document `{}`", put.path), why);
        if let Some(why) = unfit(&put.path) {
            return Err(unusable("document", why));
        }
        if let Some(why) = too_large(put.bytes.len() as u64) {
            return Err(refused(why));
        }
        if CanonicalJson::of(&put.metadata)?.as_bytes().len() > MAX_METADATA {
            return Err(refused(format!("its metadata have more than {MAX_METADATA} bytes")));
        }
        let mut bytes = self.head(&put.path, now)?;
        bytes.extend_from_slice(&put.bytes);
        let document = PushedDocument {
            path: put.path.clone(),
            digest: Digest::of(&put.bytes),
            blob: Digest::of(&bytes),
            bytes: put.bytes.len() as u64,
            media_type: put.media_type.clone(),
            modified_at: put.modified_at,
            metadata: put.metadata.clone(),
            put_at: now,
        };
        if let Some(present) = self.find(&put.path).await?
            && present.mark()? == document.mark()?
            && self.blobs.exists(&present.blob).await?
        {
            return Ok((present, false));
        }
        // The bytes first: a record never names what is not there.
        self.blobs.put_sealed(bytes.into()).await?;
        let ever = format!("{}{}", self.ever(&document.path), document.blob.to_hex());
        let told = serde_json::json!({"path": document.path, "digest": document.digest});
        let transaction = Transaction::new(actor, now)
            .put(DOCUMENTS, &self.key(&document.path), &document, Expect::Any)?
            .put(BLOBS, &ever, &now, Expect::Any)?
            .emit(&format!("knowledge/{}", self.name), "knowledge.document_put", &told)?;
        self.store.commit(transaction).await?;
        Ok((document, true))
    }

    /// Removes a document. Whether it was there.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn remove(
        &self,
        path: &str,
        (actor, now): (PrincipalId, Timestamp),
    ) -> Result<bool, KnowledgeError> {
        if self.find(path).await?.is_none() {
            return Ok(false);
        }
        let told = serde_json::json!({"path": path});
        let transaction = Transaction::new(actor, now)
            .delete(DOCUMENTS, &self.key(path), Expect::Any)
            .emit(&format!("knowledge/{}", self.name), "knowledge.document_removed", &told)?;
        self.store.commit(transaction).await?;
        Ok(true)
    }

    /// The line before a document's bytes: it makes the blob this document's, put at this moment.
    fn head(&self, path: &str, now: Timestamp) -> Result<Vec<u8>, KnowledgeError> {
        let head = serde_json::json!({"knowledge": self.name, "path": path, "put_at": now});
        let mut head = CanonicalJson::of(&head)?.into_bytes();
        head.push(b'\n');
        Ok(head)
    }

    /// The beginning of the keys of the blobs that ever were a document's. Paths have slashes: the
    /// digest of one ends where it ends.
    fn ever(&self, path: &str) -> String {
        format!("{}/{}/", self.name, Digest::of(path.as_bytes()).to_hex())
    }

    /// The blobs that ever held a document's bytes.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn blobs_of(&self, path: &str) -> Result<Vec<Digest>, KnowledgeError> {
        let mut found: Vec<_> = self.find(path).await?.iter().map(|it| it.blob).collect();
        let prefix = self.ever(path);
        let mut after = None;
        loop {
            let list = List { prefix: prefix.clone(), index: None, after, limit: PAGE };
            let page = self.store.list(BLOBS, list).await?;
            after = page.last().map(|record| record.key.clone());
            let named = page.iter().filter_map(|record| record.key.strip_prefix(&prefix));
            found.extend(named.filter_map(|hex| format!("sha256:{hex}").parse::<Digest>().ok()));
            if page.len() < PAGE {
                return Ok(found);
            }
        }
    }

    /// The documents whose metadata, as they were put, pass all of `filters`.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn paths_where(&self, filters: &[Filter]) -> Result<Vec<String>, KnowledgeError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.list(after.as_deref()).await?;
            after = page.last().map(|document| document.path.clone());
            let last = page.len() < PAGE;
            let fits = |document: &PushedDocument| {
                filters.iter().all(|filter| filter.passes(document.metadata.get(&filter.key)))
            };
            found.extend(page.into_iter().filter(fits).map(|document| document.path));
            if last {
                return Ok(found);
            }
        }
    }

    /// Forgets a document and which blobs were ever its own.
    ///
    /// # Errors
    /// If that cannot be written.
    pub async fn forget(
        &self,
        path: &str,
        (actor, now): (PrincipalId, Timestamp),
    ) -> Result<(), KnowledgeError> {
        let mut transaction =
            Transaction::new(actor, now).delete(DOCUMENTS, &self.key(path), Expect::Any);
        for blob in self.blobs_of(path).await? {
            let key = format!("{}{}", self.ever(path), blob.to_hex());
            transaction = transaction.delete(BLOBS, &key, Expect::Any);
        }
        self.store.commit(transaction).await?;
        Ok(())
    }

    /// What was put, a page at a time in the order of the paths, after the path `after`.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn list(&self, after: Option<&str>) -> Result<Vec<PushedDocument>, KnowledgeError> {
        let list = List {
            prefix: self.key(""),
            index: None,
            after: after.map(|path| self.key(path)),
            limit: PAGE,
        };
        let page = self.store.list(DOCUMENTS, list).await?;
        page.iter().map(|record| Ok(record.read()?)).collect()
    }

    /// What was put, as one digest.
    pub(super) async fn look(&self) -> Result<Digest, KnowledgeError> {
        let mut marks = Vec::new();
        loop {
            let after = marks.last().map(|(path, _): &(String, String)| path.as_str());
            let page = self.list(after).await?;
            let last = page.len() < PAGE;
            for document in page {
                let mark = document.mark()?;
                marks.push((document.path, mark));
            }
            if last {
                let fields = marks.iter().flat_map(|(path, mark)| [path, mark]);
                return Ok(Digest::of_fields(fields.map(String::as_bytes)));
            }
        }
    }

    async fn seen(
        &self,
        document: PushedDocument,
        before: &BTreeMap<String, String>,
    ) -> Result<Seen, KnowledgeError> {
        let mark = document.mark()?;
        if before.get(&document.path) == Some(&mark) {
            return Ok(Seen::Same(document.path));
        }
        let bytes = match self.blobs.get(&document.blob).await {
            Ok(bytes) => {
                let head = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                bytes.slice(head..)
            }
            Err(
                error @ (BlobError::Missing(_) | BlobError::Corrupt { .. } | BlobError::Erased(_)),
            ) => {
                return Ok(failed(document.path, error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Seen::Fresh(Box::new(RawDocument {
            path: document.path,
            bytes,
            media_type: document.media_type,
            mark,
            modified_at: document.modified_at.or(Some(document.put_at)),
            version: None,
            metadata: document.metadata,
        })))
    }
}

/// The blobs of all documents that were put into a tenant's knowledge bases, each with the base and
/// path that it was put under: whoever collects garbage keeps them.
///
/// # Errors
/// If the records cannot be read.
pub async fn pushed_blobs(store: &TenantStore) -> Result<Vec<(String, Digest)>, KnowledgeError> {
    let (mut blobs, mut after) = (Vec::new(), None);
    loop {
        let list = List { prefix: String::new(), index: None, after, limit: PAGE };
        let page = store.list(DOCUMENTS, list).await?;
        for record in &page {
            blobs.push((record.key.clone(), record.read::<PushedDocument>()?.blob));
        }
        if page.len() < PAGE {
            return Ok(blobs);
        }
        after = page.last().map(|record| record.key.clone());
    }
}

#[async_trait]
impl Source for Pushes {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let (mut after, mut count) = (None::<String>, 0);
        loop {
            let page = self.list(after.as_deref()).await?;
            let last = page.len() < PAGE;
            after = page.last().map(|document| document.path.clone());
            count += page.len();
            if count > MAX_DOCUMENTS {
                return Err(KnowledgeError::TooMany(MAX_DOCUMENTS));
            }
            for document in page {
                tell(&seen, self.seen(document, before).await?).await?;
            }
            if last {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
