//! Any OpenAI-compatible server.

use async_trait::async_trait;

use crate::http::Target;
use crate::{Call, EmbedCall, Embeddings, EventStream, Provider, ProviderError};

/// Any server that speaks OpenAI's chat completions and embeddings.
#[derive(Debug)]
pub struct OpenAi {
    target: Target,
}

impl OpenAi {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        Err(ProviderError::Truncated { what: "" })
    }

    async fn embed(&self, call: EmbedCall) -> Result<Embeddings, ProviderError> {
        Err(ProviderError::Truncated { what: "" })
    }
}
