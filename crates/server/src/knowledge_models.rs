//! The models that knowledge is embedded and ordered with: a provider's, or imported ones that run
//! in this process.

mod imported;
mod provided;
mod ranking;
mod rating;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use cost::PriceBook;
use embedding::SentenceTransformer;
use knowledge::{
    Asking, EmbeddingSpec, KnowledgeError, KnowledgeModels, OpenEmbedder, RerankSpec, Reranker,
};
use models::{ModelSpec, Providers};
use release::{ArtifactName, Clock, Digest, EnvironmentName, TenantId};
use store::{Blobs, Store};

pub use imported::open as open_imported;

use imported::Imported;
use provided::Provided;
use ranking::Ranking;
use rating::Rating;

/// How many imported models are kept open at most.
const OPEN: usize = 4;

/// The models of an installation.
#[derive(Debug)]
pub struct InstalledModels {
    /// Providers of models.
    pub providers: Arc<Providers>,
    /// The environment whose bindings are used.
    pub environment: EnvironmentName,
    /// What models cost.
    pub prices: PriceBook,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where names of imported models are kept.
    pub store: Store,
    /// Where their files are.
    pub blobs: Blobs,
    /// Models that are open, each tenant's for itself.
    pub open: OpenModels,
}

/// Imported models that are open.
#[derive(Debug, Default)]
pub struct OpenModels(std::sync::Mutex<HashMap<(TenantId, Digest), Arc<SentenceTransformer>>>);

impl OpenModels {
    fn find(&self, key: &(TenantId, Digest)) -> Option<Arc<SentenceTransformer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: (TenantId, Digest), model: &Arc<SentenceTransformer>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            // What is in use stays with its users, and is read again when it is asked for.
            open.clear();
        }
        open.insert(key, Arc::clone(model));
    }
}

#[async_trait]
impl KnowledgeModels for InstalledModels {
    async fn embedder(
        &self,
        tenant: &TenantId,
        spec: &EmbeddingSpec,
        artifact: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        let Some(provider) = &spec.provider else {
            return self.imported(tenant, spec, artifact).await;
        };
        let failed =
            |error: models::ProviderError| KnowledgeError::model(&spec.model, error.detail());
        let bound = self.providers.resolve(tenant, &self.environment, provider.as_str());
        let embedder = Provided {
            provider: Arc::clone(&bound.map_err(failed)?.provider),
            model: model(provider, &spec.model),
            dimensions: spec.dimensions,
            revision: spec.revision.clone(),
            prices: self.prices.clone(),
            clock: Arc::clone(&self.clock),
        };
        Ok(OpenEmbedder { embedder: Arc::new(embedder), artifact: None })
    }

    async fn reranker(
        &self,
        tenant: &TenantId,
        spec: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError> {
        let bound = self.providers.resolve(tenant, &self.environment, spec.provider.as_str());
        let bound = bound.map_err(|error| KnowledgeError::model(&spec.model, error.detail()))?;
        let model = Arc::new(model(&spec.provider, &spec.model));
        let provider = Arc::clone(&bound.provider);
        Ok(match spec.api {
            Asking::Chat => Arc::new(Rating { provider, model }),
            Asking::Rerank => Arc::new(Ranking { provider, model }),
        })
    }
}

impl InstalledModels {
    async fn imported(
        &self,
        tenant: &TenantId,
        spec: &EmbeddingSpec,
        artifact: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        let wrong = |why: String| KnowledgeError::model(&spec.model, why);
        if spec.revision.is_some() {
            let why = "an imported model has no revisions: its files are its name";
            return Err(wrong(why.to_owned()));
        }
        if spec.dimensions.is_some() {
            return Err(wrong("an imported model cannot choose its dimensions".to_owned()));
        }
        let artifact = match artifact {
            Some(artifact) => artifact,
            None => {
                let store = self.store.tenant(tenant);
                let found = delivery::imported_model(&store, &spec.model).await?;
                let hint = "there is none of this name: run `groundcrew models import`";
                found.ok_or_else(|| wrong(hint.to_owned()))?
            }
        };
        let key = (tenant.clone(), artifact);
        let model = match self.open.find(&key) {
            Some(model) => model,
            None => {
                let read = imported::read(&self.blobs.tenant(tenant), artifact).await;
                let model = Arc::new(imported::open(read.map_err(wrong)?).await.map_err(wrong)?);
                self.open.keep(key, &model);
                model
            }
        };
        let embedder = Arc::new(Imported { name: spec.model.clone(), model });
        Ok(OpenEmbedder { embedder, artifact: Some(artifact) })
    }
}

fn model(provider: &ArtifactName, id: &str) -> ModelSpec {
    ModelSpec {
        provider: provider.clone(),
        model: id.to_owned(),
        revision: None,
        description: String::new(),
        parameters: models::Parameters::default(),
    }
}
