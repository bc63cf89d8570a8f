//! A provider's embeddings.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cost::{Cost, PriceBook};
use knowledge::{CallLimits, Embedded, Embedder, KnowledgeError};
use models::{EmbedRequest, ModelSpec, Provider, ProviderError, RefusalKind};
use release::{Clock, Digest};

/// How often a call is made at most.
const ATTEMPTS: u32 = 5;
/// How long the first wait is; each further one is twice as long.
const WAIT: Duration = Duration::from_millis(500);
/// How long a wait is at most, whatever the provider asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// A model of a provider.
#[derive(Debug)]
pub struct Provided {
    pub provider: Arc<dyn Provider>,
    pub model: ModelSpec,
    pub dimensions: Option<u32>,
    pub revision: Option<String>,
    pub prices: PriceBook,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Embedder for Provided {
    fn identity(&self) -> Digest {
        let dimensions = self.dimensions.unwrap_or(0).to_be_bytes();
        let mut fields = vec![
            b"provider/v1".as_slice(),
            self.model.provider.as_str().as_bytes(),
            self.model.id().as_bytes(),
            &dimensions,
        ];
        fields.extend(self.revision.as_ref().map(String::as_bytes));
        Digest::of_fields(fields)
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 128, bytes: 128 << 10 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        let request = EmbedRequest { input: texts.to_vec(), dimensions: self.dimensions };
        let mut attempt = 1;
        let made = loop {
            let error = match self.provider.embed(&self.model, request.clone()).await {
                Ok(made) => break made,
                Err(error) => error,
            };
            match pause(&error, attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(KnowledgeError::model(self.model.id(), error.detail())),
            }
            attempt += 1;
        };
        let (provider, now) = (self.model.provider.as_str(), self.clock.now());
        let cost = match self.prices.price(provider, self.model.id(), &made.usage, now) {
            Cost::Priced { money } => Some(money),
            Cost::Unpriced { .. } => None,
        };
        Ok(Embedded { vectors: made.vectors, tokens: made.usage.input_tokens, cost })
    }
}

/// How long to wait before a call is made again; none if that would not help.
fn pause(error: &ProviderError, attempt: u32) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let own = WAIT * 2_u32.pow(attempt - 1);
    match error {
        ProviderError::Refused { refusal, .. } => match refusal.kind {
            RefusalKind::RateLimited | RefusalKind::Overloaded | RefusalKind::Server => {
                Some(refusal.retry_after.unwrap_or(own).min(LONGEST))
            }
            _ => None,
        },
        ProviderError::Transport { .. } | ProviderError::Timeout { .. } => Some(own),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
