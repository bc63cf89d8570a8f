//! Imported models, run in this process.

use std::sync::Arc;

use async_trait::async_trait;
use embedding::{ModelFiles, ModelManifest, SentenceTransformer};
use knowledge::{CallLimits, Embedded, Embedder, KnowledgeError};
use release::Digest;
use store::TenantBlobs;

/// An imported model.
#[derive(Debug)]
pub struct Imported {
    pub name: String,
    pub model: Arc<SentenceTransformer>,
}

/// The files of the model that `artifact` pins; each is verified when it is read.
pub async fn read(blobs: &TenantBlobs, artifact: Digest) -> Result<ModelFiles, String> {
    let bytes = blobs.get(&artifact).await.map_err(|error| error.to_string())?;
    let manifest: ModelManifest =
        serde_json::from_slice(&bytes).map_err(|error| format!("its manifest: {error}"))?;
    let mut files = ModelFiles::default();
    for (path, entry) in manifest.files {
        let bytes = blobs.get(&entry.digest).await.map_err(|error| error.to_string())?;
        files.0.insert(path, bytes.into());
    }
    Ok(files)
}

/// Opens a model, on a thread where that may take its time.
pub async fn open(files: ModelFiles) -> Result<SentenceTransformer, String> {
    let opened = tokio::task::spawn_blocking(move || SentenceTransformer::open(&files)).await;
    opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

#[async_trait]
impl Embedder for Imported {
    fn identity(&self) -> Digest {
        self.model.identity()
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 16, bytes: 16 << 10 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        let (model, texts) = (Arc::clone(&self.model), texts.to_vec());
        let made = tokio::task::spawn_blocking(move || model.embed(&texts)).await;
        let made = made.map_err(|_| KnowledgeError::Stopped)?;
        let made = made.map_err(|error| KnowledgeError::model(&self.name, error.to_string()))?;
        Ok(Embedded { vectors: made.vectors, tokens: made.tokens, cost: None })
    }
}
