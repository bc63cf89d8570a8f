//! What a provider is, and which one a model artifact's name means here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use release::{CanonicalJson, Digest, EnvironmentName, Secret, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::anthropic::Anthropic;
use crate::extractive::Extractive;
use crate::openai::OpenAi;
use crate::{
    ChatRequest, EXTRACTIVE, EmbedRequest, Embeddings, Event, ModelSpec, Passage, ProviderError,
    RerankRequest,
};

/// An answer as it is made. Dropping it cancels the call.
pub type EventStream = BoxStream<'static, Result<Event, ProviderError>>;

/// One call of a model.
#[derive(Debug, Clone)]
pub struct Call {
    /// The model.
    pub model: Arc<ModelSpec>,
    /// The composed conversation.
    pub request: ChatRequest,
    /// The passages that ground it, as they stand in the system message.
    pub passages: Arc<[Passage]>,
}

/// Something that answers.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    /// Begins an answer. An error here means that nothing was answered yet; an error in the stream
    /// ends it.
    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError>;

    /// Turns texts into vectors.
    async fn embed(
        &self,
        model: &ModelSpec,
        request: EmbedRequest,
    ) -> Result<Embeddings, ProviderError>;

    /// Says how well each document answers a query, in the documents' order; greater is better.
    async fn rerank(
        &self,
        model: &ModelSpec,
        request: RerankRequest,
    ) -> Result<Vec<f32>, ProviderError>;
}

/// The API a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Any server with OpenAI's Chat Completions.
    Openai,
    /// Anthropic's Messages.
    Anthropic,
}

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// Seconds to connect.
    pub connect: f64,
    /// Seconds to the head of the response.
    pub first_byte: f64,
    /// Seconds to the first token; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<f64>,
    /// Seconds between two pieces.
    pub idle: f64,
    /// Seconds for the whole answer.
    pub total: f64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { connect: 5.0, first_byte: 30.0, first_token: None, idle: 30.0, total: 600.0 }
    }
}

impl Timers {
    /// Seconds as a duration; nonsense becomes a day.
    pub(crate) fn seconds(seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400))
    }
}

/// The field that carries the token limit to an OpenAI-compatible server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimitField {
    /// OpenAI's present name.
    #[default]
    MaxCompletionTokens,
    /// The older name, for servers that know only it.
    MaxTokens,
}

/// Where a provider is and how it is called: resolved from `server.toml`.
#[derive(Debug, Clone)]
pub struct ProviderBinding {
    /// The API it speaks.
    pub kind: ProviderKind,
    /// Its base address, up to and without the API's own path: `https://api.openai.com/v1`.
    pub endpoint: String,
    /// The region, for records.
    pub region: Option<String>,
    /// Its API key; none for servers without.
    pub credential: Option<Secret>,
    /// How long each part of a call may take.
    pub timers: Timers,
    /// The field that carries the token limit.
    pub token_limit_field: TokenLimitField,
}

impl ProviderBinding {
    /// Names the binding in traces: over kind, endpoint and region, never the credential.
    pub fn digest(&self) -> Digest {
        let parts = (self.kind, &self.endpoint, &self.region);
        CanonicalJson::of(&parts).map_or_else(|_| Digest::of(b""), |json| json.digest())
    }
}

/// A provider that is ready to be called.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// The binding it was reached by; none for the built-in model.
    pub binding: Option<Digest>,
}

/// Which tenants may use a provider, and where it is in which environment.
#[derive(Debug, Clone)]
pub struct ProviderEntry {
    /// The tenants that may use it.
    pub tenants: Vec<TenantId>,
    /// The binding where no environment has its own.
    pub default: ProviderBinding,
    /// The bindings of single environments.
    pub environments: BTreeMap<EnvironmentName, ProviderBinding>,
}

#[derive(Debug)]
struct Ready {
    tenants: Vec<TenantId>,
    default: Bound,
    environments: BTreeMap<EnvironmentName, Bound>,
}

/// The providers of an installation, by name.
#[derive(Debug)]
pub struct Providers {
    named: BTreeMap<String, Ready>,
    extractive: Bound,
}

impl Providers {
    /// Sets up every provider; the built-in `extractive` is always there.
    ///
    /// # Errors
    /// [`ProviderError::Misconfigured`] for an endpoint or credential that cannot be used.
    pub fn new(entries: BTreeMap<String, ProviderEntry>) -> Result<Self, ProviderError> {
        let mut named = BTreeMap::new();
        for (name, entry) in entries {
            let default = bind(&name, &entry.default)?;
            let mut environments = BTreeMap::new();
            for (environment, binding) in &entry.environments {
                environments.insert(environment.clone(), bind(&name, binding)?);
            }
            named.insert(name, Ready { tenants: entry.tenants, default, environments });
        }
        let extractive = Bound { provider: Arc::new(Extractive), binding: None };
        Ok(Self { named, extractive })
    }

    /// The provider that `name` means for `tenant` in `environment`.
    ///
    /// # Errors
    /// [`ProviderError::UnknownProvider`] if there is none or the tenant may not use it; the two
    /// are not told apart.
    pub fn resolve(
        &self,
        tenant: &TenantId,
        environment: &EnvironmentName,
        name: &str,
    ) -> Result<&Bound, ProviderError> {
        if name == EXTRACTIVE {
            return Ok(&self.extractive);
        }
        let allowed = self.named.get(name).filter(|ready| ready.tenants.contains(tenant));
        let ready = allowed.ok_or_else(|| ProviderError::UnknownProvider {
            provider: name.to_owned(),
            tenant: tenant.clone(),
        })?;
        Ok(ready.environments.get(environment).unwrap_or(&ready.default))
    }
}

fn bind(name: &str, binding: &ProviderBinding) -> Result<Bound, ProviderError> {
    let provider: Arc<dyn Provider> = match binding.kind {
        ProviderKind::Openai => Arc::new(OpenAi::new(name, binding)?),
        ProviderKind::Anthropic => Arc::new(Anthropic::new(name, binding)?),
    };
    Ok(Bound { provider, binding: Some(binding.digest()) })
}
