//! Extractive.

use async_trait::async_trait;

use crate::{Call, EmbedCall, Embeddings, EventStream, Provider, ProviderError};

/// The built-in model.
#[derive(Debug)]
pub struct Extractive;

impl Extractive {
    /// The name it always has.
    pub const NAME: &str = "extractive";
}

#[async_trait]
impl Provider for Extractive {
    fn name(&self) -> &'static str {
        "extractive"
    }

    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        Err(ProviderError::Truncated { what: "" })
    }

    async fn embed(&self, call: EmbedCall) -> Result<Embeddings, ProviderError> {
        Err(ProviderError::Truncated { what: "" })
    }
}
