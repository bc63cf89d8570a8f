//! Any server with OpenAI's chat completions and embeddings: OpenAI, vLLM, llama.cpp, Ollama and
//! most others. The path through this module: `request.rs`, `response.rs`, `refusal.rs`.

mod embeddings;
mod refusal;
mod request;
mod response;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};

use crate::assemble::Assembler;
use crate::crossing::Border;
use crate::http::{CredentialHeader, Reply, Target};
use crate::{Call, Dialect, EmbedCall, Embeddings, EventStream, Provider, ProviderError, stream};

const BORDER: Border = Border { dialect: Dialect::OpenAi, provider: OpenAi::NAME };

/// Any server that speaks OpenAI's chat completions and embeddings.
#[derive(Debug)]
pub struct OpenAi {
    target: Target,
    chat: Url,
    embeddings: Url,
    headers: HeaderMap,
    limit: LimitField,
}

/// What the server calls the limit on an answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LimitField {
    /// `max_completion_tokens`: OpenAI and Azure, whose reasoning models refuse the other.
    MaxCompletionTokens,
    /// `max_tokens`: everyone else, as not all know the newer name.
    MaxTokens,
}

impl OpenAi {
    /// The kind's name.
    const NAME: &str = "openai";

    pub(crate) fn new(target: Target) -> Result<Self, String> {
        let bearer = CredentialHeader { name: AUTHORIZATION, prefix: "Bearer " };
        let chat = target.url("/chat/completions")?;
        let host = chat.host_str().unwrap_or_default();
        let theirs = ["openai.com", "openai.azure.com"]
            .iter()
            .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")));
        let limit = if theirs { LimitField::MaxCompletionTokens } else { LimitField::MaxTokens };
        Ok(Self {
            embeddings: target.url("/embeddings")?,
            headers: target.headers(bearer)?,
            chat,
            limit,
            target,
        })
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
impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        let body = request::write(&call, self.limit)?;
        let until = self.target.until(call.deadline);
        let reply = self.target.post(self.chat.clone(), self.headers.clone(), body, until).await?;
        if !(200..300).contains(&reply.status()) {
            return Err(self.refused(reply).await);
        }
        let decoder = response::Reader::new(&self.target);
        let first_token = self.target.timeouts.first_token();
        stream::events(reply, decoder, Assembler::new(call.request), first_token).await
    }

    async fn embed(&self, call: EmbedCall) -> Result<Embeddings, ProviderError> {
        let body = embeddings::write(&call)?;
        let until = self.target.until(call.deadline);
        let reply =
            self.target.post(self.embeddings.clone(), self.headers.clone(), body, until).await?;
        if !(200..300).contains(&reply.status()) {
            return Err(self.refused(reply).await);
        }
        let body = reply.body(bytes::Bytes::new()).await?;
        embeddings::read(&body, &call).map_err(|e| match e {
            embeddings::Unreadable::Refused(refusal) => {
                refusal.into_error(None, None, |text| self.target.quote(text))
            }
            embeddings::Unreadable::Protocol(what) => ProviderError::Protocol { what },
        })
    }
}

#[cfg(test)]
mod tests;
