//! Anthropic.

use async_trait::async_trait;

use crate::http::Target;
use crate::{Call, EmbedCall, Embeddings, EventStream, Provider, ProviderError};

/// Anthropic messages.
#[derive(Debug)]
pub struct Anthropic {
    target: Target,
}

impl Anthropic {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        Err(ProviderError::Truncated { what: "" })
    }

    async fn embed(&self, call: EmbedCall) -> Result<Embeddings, ProviderError> {
        Err(ProviderError::Truncated { what: "" })
    }
}
