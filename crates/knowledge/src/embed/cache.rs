//! Vectors that were made once, in pages: a blob with the vectors, and a record that says of which
//! texts they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use release::{Clock, Digest, PrincipalId};
use serde::{Deserialize, Serialize};
use store::{BlobError, Collection, Expect, List, TenantBlobs, TenantStore, Transaction};

use crate::KnowledgeError;

const PAGES: Collection = Collection("embeddings");
/// About how many vectors a page has.
pub(super) const PAGE: usize = 256;
/// How many records are read at once.
const LISTED: usize = 200;

/// Names an embedded text, within one embedder's: the first half of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey([u8; 16]);

impl CacheKey {
    /// The key of the exact text that is embedded.
    pub fn of(text: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&Digest::of(text.as_bytes()).as_bytes()[..16]);
        Self(key)
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a page holds: the keys in the order of their vectors, as hex.
#[derive(Debug, Serialize, Deserialize)]
struct PageRecord {
    dimension: usize,
    keys: String,
}

/// The vectors that one tenant has already. They are never another tenant's.
#[derive(Debug, Clone)]
pub struct EmbeddingCache {
    /// Where pages are found.
    pub store: TenantStore,
    /// Where vectors are kept.
    pub blobs: TenantBlobs,
    /// In whose name pages are written.
    pub actor: PrincipalId,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

struct Page {
    /// Its record's key.
    record: String,
    blob: Digest,
    dimension: usize,
    keys: Vec<CacheKey>,
}

impl EmbeddingCache {
    /// The vectors of `wanted` that are known. A page that is missing or damaged counts as unknown.
    pub(super) async fn find<T>(
        &self,
        identity: Digest,
        wanted: &BTreeMap<CacheKey, T>,
    ) -> Result<HashMap<CacheKey, Vec<f32>>, KnowledgeError> {
        let mut known = HashMap::new();
        for page in self.pages(&format!("{}/", identity.to_hex())).await? {
            let new = |key: &CacheKey| wanted.contains_key(key) && !known.contains_key(key);
            if !page.keys.iter().any(new) {
                continue;
            }
            let bytes = match self.blobs.get(&page.blob).await {
                Ok(bytes) => bytes,
                Err(BlobError::Missing(_) | BlobError::Corrupt { .. } | BlobError::Erased(_)) => {
                    tracing::warn!(blob = %page.blob, "kept vectors are gone and are made anew");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (numbers, _) = bytes.as_chunks::<4>();
            let rows = numbers.chunks_exact(page.dimension.max(1));
            for (key, row) in page.keys.iter().zip(rows) {
                if wanted.contains_key(key) {
                    let vector = row.iter().map(|number| f32::from_le_bytes(*number));
                    known.insert(*key, vector.collect());
                }
            }
        }
        Ok(known)
    }

    /// Keeps a page of vectors, all of one dimension. Keeping the same one twice changes nothing.
    pub(super) async fn keep(
        &self,
        identity: Digest,
        page: &[(CacheKey, Vec<f32>)],
    ) -> Result<(), KnowledgeError> {
        let Some((_, first)) = page.first() else { return Ok(()) };
        let numbers = page.iter().flat_map(|(_, vector)| vector);
        let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        let blob = match self.blobs.put_sealed(Bytes::from(bytes)).await {
            Ok(blob) => blob,
            // The very same page was erased once: these vectors are made anew each time.
            Err(BlobError::Erased(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let keys = page.iter().map(|(key, _)| hex::encode(key.0)).collect();
        let record = PageRecord { dimension: first.len(), keys };
        let key = format!("{}/{}", identity.to_hex(), blob.to_hex());
        let transaction = Transaction::new(self.actor.clone(), self.clock.now());
        let transaction = transaction.put(PAGES, &key, &record, Expect::Any)?;
        self.store.commit(transaction).await?;
        Ok(())
    }

    /// The blobs that hold vectors: whoever collects garbage keeps them.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn blobs(&self) -> Result<Vec<Digest>, KnowledgeError> {
        Ok(self.pages("").await?.into_iter().map(|page| page.blob).collect())
    }

    /// The blobs that hold vectors of these texts, by any embedder.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn holding(&self, texts: &BTreeSet<CacheKey>) -> Result<Vec<Digest>, KnowledgeError> {
        let mut pages = self.pages("").await?;
        pages.retain(|page| page.keys.iter().any(|key| texts.contains(key)));
        Ok(pages.into_iter().map(|page| page.blob).collect())
    }

    /// Forgets the vectors of these texts, by every embedder. Others of the same pages are kept, in
    /// new pages. The blobs that held them are still there, named by nothing: whoever calls has them
    /// from [`EmbeddingCache::holding`].
    ///
    /// # Errors
    /// If a page cannot be read or a record cannot be written.
    pub async fn forget(&self, texts: &BTreeSet<CacheKey>) -> Result<(), KnowledgeError> {
        let mut pages = self.pages("").await?;
        pages.retain(|page| page.keys.iter().any(|key| texts.contains(key)));
        for page in &pages {
            let identity = page.record.split('/').next().unwrap_or_default();
            let identity = format!("sha256:{identity}").parse::<Digest>();
            if let (Ok(identity), Ok(bytes)) = (identity, self.blobs.get(&page.blob).await) {
                let (numbers, _) = bytes.as_chunks::<4>();
                let rows = numbers.chunks_exact(page.dimension.max(1));
                let kept = page.keys.iter().zip(rows).filter(|(key, _)| !texts.contains(key));
                let kept = kept.map(|(key, row)| {
                    (*key, row.iter().map(|number| f32::from_le_bytes(*number)).collect())
                });
                self.keep(identity, &kept.collect::<Vec<_>>()).await?;
            }
            let transaction = Transaction::new(self.actor.clone(), self.clock.now());
            let transaction = transaction.delete(PAGES, &page.record, Expect::Any);
            self.store.commit(transaction).await?;
        }
        Ok(())
    }

    async fn pages(&self, prefix: &str) -> Result<Vec<Page>, KnowledgeError> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let list = List { prefix: prefix.to_owned(), index: None, after, limit: LISTED };
            let records = self.store.list(PAGES, list).await?;
            after = records.last().map(|record| record.key.clone());
            let complete = records.len() < LISTED;
            for record in records {
                let read: PageRecord = record.read()?;
                let blob = record.key.rsplit('/').next().unwrap_or_default();
                let blob = format!("sha256:{blob}").parse();
                let keys = hex::decode(&read.keys).unwrap_or_default();
                let keys = keys.as_chunks::<16>().0.iter().map(|key| CacheKey(*key)).collect();
                if let Ok(blob) = blob {
                    let (record, dimension) = (record.key, read.dimension);
                    pages.push(Page { record, blob, dimension, keys });
                }
            }
            if complete {
                return Ok(pages);
            }
        }
    }
}
