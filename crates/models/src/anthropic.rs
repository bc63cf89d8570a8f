//! Anthropic's messages. The path through this module: `request.rs`, `response.rs`, `refusal.rs`.

mod refusal;
mod request;
mod response;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::assemble::Assembler;
use crate::crossing::Border;
use crate::http::{CredentialHeader, Reply, Target};
use crate::{Call, Dialect, EmbedCall, Embeddings, EventStream, Provider, ProviderError, stream};

const BORDER: Border = Border { dialect: Dialect::Anthropic, provider: Anthropic::NAME };

/// The version of the API whose shapes this module knows.
const VERSION: &str = "2023-06-01";

/// A server that speaks Anthropic's messages.
#[derive(Debug)]
pub struct Anthropic {
    target: Target,
    messages: Url,
    headers: HeaderMap,
}

impl Anthropic {
    /// The kind's name.
    const NAME: &str = "anthropic";

    pub(crate) fn new(target: Target) -> Result<Self, String> {
        let key = CredentialHeader { name: HeaderName::from_static("x-api-key"), prefix: "" };
        let mut headers = target.headers(key)?;
        headers.insert("anthropic-version", HeaderValue::from_static(VERSION));
        // An endpoint that was copied with its version means the same.
        let path = if target.base().ends_with("/v1") { "/messages" } else { "/v1/messages" };
        Ok(Self { messages: target.url(path)?, headers, target })
    }

    async fn refused(&self, reply: Reply) -> ProviderError {
        let (status, retry_after) = (reply.status(), reply.retry_after());
        if (300..400).contains(&status) {
            let what = format!("it redirects (status {status}), which is not followed");
            return ProviderError::Protocol { what };
        }
        let body = reply.error_body().await;
        let refusal = refusal::read(status, &body);
        refusal.into_error(Some(status), retry_after, |text| self.target.quote(text))
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        let body = request::write(&call)?;
        let until = self.target.until(call.deadline);
        let reply =
            self.target.post(self.messages.clone(), self.headers.clone(), body, until).await?;
        if !(200..300).contains(&reply.status()) {
            return Err(self.refused(reply).await);
        }
        let decoder = response::Reader::new(&self.target);
        let first_token = self.target.timeouts.first_token();
        stream::events(reply, decoder, Assembler::new(call.request), first_token).await
    }

    async fn embed(&self, _: EmbedCall) -> Result<Embeddings, ProviderError> {
        Err(BORDER.refuse("embeddings"))
    }
}

#[cfg(test)]
mod tests;
