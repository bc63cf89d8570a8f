//! Bindings: where a provider's name leads in one installation, per environment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use release::{Digest, EnvironmentName, Secret, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::anthropic::Anthropic;
use crate::extractive::Extractive;
use crate::http::Target;
use crate::openai::OpenAi;
use crate::{Provider, ProviderError};

/// A provider as `server.toml` binds it. `C` is how the credential is held: a reference while the
/// configuration is read, the [`Secret`] itself once resolved.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "C: Deserialize<'de>"))]
pub struct ProviderBinding<C = Secret> {
    /// The dialect it speaks.
    pub kind: ProviderKind,
    /// The address that routes such as `/chat/completions` (OpenAI) or `/v1/messages` (Anthropic)
    /// are added to: `https://api.openai.com/v1`, `https://api.anthropic.com`.
    pub endpoint: String,
    /// The API key; a local server may need none.
    pub credential: Option<C>,
    /// Where the provider's machines are, for the record.
    pub region: Option<String>,
    /// An HTTP proxy; those of the process environment are ignored.
    pub proxy: Option<String>,
    /// How long to wait.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Whether an answer without a finish reason counts as cut off. `false` is for servers that
    /// never send one: there, only a complete body or terminator ends an answer.
    #[serde(default = "yes")]
    pub require_finish_reason: bool,
    /// The tenants that may use it.
    pub tenants: BTreeSet<TenantId>,
    /// What differs in an environment.
    #[serde(default)]
    pub environments: BTreeMap<EnvironmentName, BindingOverride<C>>,
}

/// What a binding has different in one environment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingOverride<C = Secret> {
    /// Another address.
    pub endpoint: Option<String>,
    /// Another API key.
    pub credential: Option<C>,
    /// Another region.
    pub region: Option<String>,
    /// Other limits, all of them.
    pub timeouts: Option<Timeouts>,
}

/// The dialect a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Any server with OpenAI's chat completions.
    Openai,
    /// Anthropic's messages.
    Anthropic,
}

impl ProviderKind {
    /// The kind as written in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// How long to wait for a provider, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For name resolution, the connection and TLS together.
    #[schemars(range(min = 1))]
    pub connect_ms: u64,
    /// For the response's complete head, connecting included.
    #[schemars(range(min = 1))]
    pub first_byte_ms: u64,
    /// For the first piece of content of a stream, from its start; not limited when absent.
    #[schemars(range(min = 1))]
    pub first_token_ms: Option<u64>,
    /// Between two pieces of a body.
    #[schemars(range(min = 1))]
    pub idle_ms: u64,
    /// For the whole answer.
    #[schemars(range(min = 1))]
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_byte_ms: 30_000,
            first_token_ms: None,
            idle_ms: 30_000,
            total_ms: 600_000,
        }
    }
}

impl Timeouts {
    pub(crate) fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    pub(crate) fn first_byte(&self) -> Duration {
        Duration::from_millis(self.first_byte_ms)
    }

    pub(crate) fn first_token(&self) -> Option<Duration> {
        self.first_token_ms.map(Duration::from_millis)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms)
    }
}

/// The digest of what a binding leads to: kind, endpoint and region; never the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BindingDigest(pub Digest);

impl std::fmt::Display for BindingDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<C> ProviderBinding<C> {
    /// The binding with every credential turned into another form, such as a reference into the
    /// secret it names. The first error stops it.
    pub fn with_credentials<D, E>(
        self,
        mut turn: impl FnMut(C) -> Result<D, E>,
    ) -> Result<ProviderBinding<D>, E> {
        let credential = self.credential.map(&mut turn).transpose()?;
        let mut environments = BTreeMap::new();
        for (name, over) in self.environments {
            let credential = over.credential.map(&mut turn).transpose()?;
            let BindingOverride { endpoint, region, timeouts, .. } = over;
            environments.insert(name, BindingOverride { endpoint, credential, region, timeouts });
        }
        Ok(ProviderBinding {
            kind: self.kind,
            endpoint: self.endpoint,
            credential,
            region: self.region,
            proxy: self.proxy,
            timeouts: self.timeouts,
            require_finish_reason: self.require_finish_reason,
            tenants: self.tenants,
            environments,
        })
    }
}

impl ProviderBinding {
    /// The binding as it holds in `environment`. A credential is never sent to another endpoint
    /// than the one it was configured for: an override of the endpoint brings its own.
    fn within(&self, environment: &EnvironmentName) -> Self {
        let mut bound = Self { environments: BTreeMap::new(), ..self.clone() };
        if let Some(over) = self.environments.get(environment) {
            if let Some(endpoint) = &over.endpoint {
                bound.endpoint.clone_from(endpoint);
                bound.credential = None;
            }
            if over.credential.is_some() {
                bound.credential.clone_from(&over.credential);
            }
            if over.region.is_some() {
                bound.region.clone_from(&over.region);
            }
            bound.timeouts = over.timeouts.unwrap_or(bound.timeouts);
        }
        bound
    }

    /// The digest of what the binding leads to outside any override.
    pub fn digest(&self) -> BindingDigest {
        let region = self.region.as_deref().unwrap_or_default();
        BindingDigest(Digest::of_fields([
            b"binding/v1".as_slice(),
            self.kind.as_str().as_bytes(),
            self.endpoint.as_bytes(),
            region.as_bytes(),
        ]))
    }

    fn connect(&self, name: &str) -> Result<Bound, ProviderError> {
        let wrong = |what| ProviderError::Binding { name: name.to_owned(), what };
        let target = Target::new(self).map_err(wrong)?;
        let provider: Arc<dyn Provider> = match self.kind {
            ProviderKind::Openai => Arc::new(OpenAi::new(target).map_err(wrong)?),
            ProviderKind::Anthropic => Arc::new(Anthropic::new(target).map_err(wrong)?),
        };
        Ok(Bound { provider, digest: self.digest() })
    }
}

/// All providers of one installation, connected.
#[derive(Debug, Clone)]
pub struct Providers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bindings: BTreeMap<String, Reachable>,
    extractive: Bound,
}

#[derive(Debug)]
struct Reachable {
    tenants: BTreeSet<TenantId>,
    anywhere: Bound,
    environments: BTreeMap<EnvironmentName, Bound>,
}

#[derive(Debug, Clone)]
struct Bound {
    provider: Arc<dyn Provider>,
    digest: BindingDigest,
}

impl Providers {
    /// Connects `bindings`, by name. Fails on an endpoint, proxy or credential that cannot be
    /// used, and on the name `extractive`, which is the built-in model's. No connection is made.
    pub fn new(bindings: BTreeMap<String, ProviderBinding>) -> Result<Self, ProviderError> {
        let mut reachable = BTreeMap::new();
        for (name, binding) in bindings {
            if name == Extractive::NAME {
                let what = "this name belongs to the built-in model".to_owned();
                return Err(ProviderError::Binding { name, what });
            }
            let mut environments = BTreeMap::new();
            for environment in binding.environments.keys() {
                let bound = binding.within(environment).connect(&name)?;
                environments.insert(environment.clone(), bound);
            }
            let anywhere = binding.connect(&name)?;
            let entry = Reachable { tenants: binding.tenants, anywhere, environments };
            reachable.insert(name, entry);
        }
        let digest = BindingDigest(Digest::of_fields([b"binding/v1".as_slice(), b"extractive"]));
        let extractive = Bound { provider: Arc::new(Extractive), digest };
        Ok(Self(Arc::new(Inner { bindings: reachable, extractive })))
    }

    /// The provider that `name` leads to for `tenant` in `environment`, with the digest of its
    /// binding. `extractive` is always there. A name bound only for other tenants is reported
    /// exactly as one that does not exist.
    pub fn resolve(
        &self,
        tenant: &TenantId,
        environment: &EnvironmentName,
        name: &str,
    ) -> Result<(Arc<dyn Provider>, BindingDigest), ProviderError> {
        let bound = match self.0.bindings.get(name) {
            _ if name == Extractive::NAME => &self.0.extractive,
            Some(entry) if entry.tenants.contains(tenant) => {
                entry.environments.get(environment).unwrap_or(&entry.anywhere)
            }
            _ => {
                return Err(ProviderError::Unbound { name: name.into(), tenant: tenant.clone() });
            }
        };
        Ok((bound.provider.clone(), bound.digest))
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
