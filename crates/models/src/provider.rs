//! The trait that every provider implements, and what goes in and out of it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{ChatRequest, Event, ModelSpec, ProviderError, Usage};

/// The pieces of one answer. Dropping it cancels the call upstream. After an error nothing
/// follows; without an error the last event is [`Event::Finished`].
pub type EventStream = BoxStream<'static, Result<Event, ProviderError>>;

/// Something that answers questions.
#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// The name of its kind, as OpenTelemetry's `gen_ai.provider.name` has it.
    fn name(&self) -> &'static str;

    /// Asks `call`. Errors up to the provider's first byte are returned here, later ones are the
    /// stream's last item. One attempt is made, never more.
    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError>;

    /// Embeds texts; providers without embeddings return [`ProviderError::Unsupported`].
    async fn embed(&self, call: EmbedCall) -> Result<Embeddings, ProviderError>;
}

/// One question to one model.
#[derive(Debug, Clone)]
pub struct Call {
    /// The model, with the parameters that hold where the request says nothing.
    pub model: Arc<ModelSpec>,
    /// What is asked.
    pub request: Arc<ChatRequest>,
    /// What was retrieved for it, best first. Only the built-in extractive model reads it; for
    /// others the prompt carries the passages.
    pub passages: Arc<[Passage]>,
    /// When the answer must be complete; the binding's total limit holds besides.
    pub deadline: Option<tokio::time::Instant>,
}

/// A retrieved piece of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The chunk's id.
    pub id: String,
    /// The document's title.
    pub title: String,
    /// The chunk's text.
    pub text: String,
    /// The document's path or URI.
    pub source: String,
}

/// Texts to embed.
#[derive(Debug, Clone)]
pub struct EmbedCall {
    /// The model.
    pub model: Arc<ModelSpec>,
    /// The texts; the result has one vector for each, in this order.
    pub inputs: Arc<[String]>,
    /// The vectors' length, for models that let one choose.
    pub dimensions: Option<u32>,
    /// When the result must be here; the binding's total limit holds besides.
    pub deadline: Option<tokio::time::Instant>,
}

/// Vectors for texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The model that the provider says answered.
    pub model: String,
    /// One vector per input, in order, all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// What it used.
    pub usage: Usage,
}
