//! What scorers ask beside judges: an embedder, a finder of personal data, scorers outside.

use std::sync::Arc;

use async_trait::async_trait;
use evaluation::judge::CallError;
use evaluation::scorers::{Embeds, External, FindsPersonalData};
use knowledge::Embedder;
use release::{ArtifactName, Digest, TenantId};
use security::guardrails::Entity;
use serde_json::Value;
use workflow::Fault;

use crate::connections::Connections;
use crate::functions::Functions;

/// The most bytes of what a scorer outside answers.
const MAX_REPLY: usize = 64 << 10;

/// An embedder of knowledge, for scorers.
#[derive(Debug)]
pub struct Embedding(pub Arc<dyn Embedder>);

#[async_trait]
impl Embeds for Embedding {
    fn digest(&self) -> Digest {
        self.0.identity()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, CallError> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let limits = self.0.limits();
        let bytes: usize = texts.iter().map(String::len).sum();
        let together = if bytes > limits.bytes { 1 } else { limits.texts.max(1) };
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in texts.chunks(together) {
            let embedded = self.0.embed(texts).await;
            vectors.extend(embedded.map_err(|error| CallError(error.to_string()))?.vectors);
        }
        Ok(vectors)
    }
}

/// Finds what guardrails find.
#[derive(Debug, Clone, Copy)]
pub struct Personal;

impl FindsPersonalData for Personal {
    fn entities(&self) -> Vec<String> {
        Entity::ALL.iter().map(|entity| entity.name().to_owned()).collect()
    }

    fn find(&self, text: &str, entities: &[String]) -> Vec<String> {
        let wanted = |entity: &&Entity| entities.iter().any(|name| name == entity.name());
        let found = Entity::ALL.iter().filter(wanted);
        let found = found.filter(|entity| entity.is_in(text, text.len() + 1));
        found.map(|entity| entity.name().to_owned()).collect()
    }
}

/// Functions of `server.toml`, and connections where no function has the name.
#[derive(Debug)]
pub struct Outside {
    pub functions: Arc<Functions>,
    pub connections: Arc<Connections>,
    pub tenant: TenantId,
}

#[async_trait]
impl External for Outside {
    async fn call(&self, name: &ArtifactName, question: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let payload: Value =
            serde_json::from_slice(&question).map_err(|error| CallError(error.to_string()))?;
        let asked = self.functions.ask(name.as_str(), &self.tenant, &payload, MAX_REPLY).await;
        let reply = match asked {
            Ok(reply) => reply,
            Err(fault) if is_unknown(&fault) => {
                let posted =
                    self.connections.post((name.as_str(), ""), &self.tenant, &payload, MAX_REPLY);
                posted.await.map_err(|why| CallError(format!("`{name}`: {why}")))?
            }
            Err(Fault { error, cause, .. }) => {
                let (error, cause) = (error.unwrap_or_default(), cause.unwrap_or_default());
                return Err(CallError(format!("`{name}` failed: {error}: {cause}")));
            }
        };
        Ok(reply.to_string().into_bytes())
    }
}

fn is_unknown(fault: &Fault) -> bool {
    fault.error.as_deref() == Some("Lambda.ResourceNotFoundException")
}
