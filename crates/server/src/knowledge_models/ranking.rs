//! A reranking model of a provider.

use std::sync::Arc;

use async_trait::async_trait;
use knowledge::{KnowledgeError, Reranker};
use models::{ModelSpec, Provider, RerankRequest};

/// A model that is made to order passages.
#[derive(Debug)]
pub struct Ranking {
    pub provider: Arc<dyn Provider>,
    pub model: Arc<ModelSpec>,
}

#[async_trait]
impl Reranker for Ranking {
    async fn scores(&self, question: &str, passages: &[&str]) -> Result<Vec<f32>, KnowledgeError> {
        let documents = passages.iter().map(|passage| (*passage).to_owned()).collect();
        let request = RerankRequest { query: question.to_owned(), documents };
        let scores = self.provider.rerank(&self.model, request).await;
        scores.map_err(|error| KnowledgeError::model(self.model.id(), error.detail()))
    }
}
