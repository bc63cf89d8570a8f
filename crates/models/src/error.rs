//! How a call to a provider fails, with all that is needed to say so in any dialect.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a provider's refusal is about, whatever its dialect calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is wrong.
    InvalidRequest,
    /// The request is longer than the model's context.
    ContextLength,
    /// A policy forbids the content.
    ContentPolicy,
    /// Our credential is missing or wrong.
    Authentication,
    /// Our credential may not do this.
    Permission,
    /// No such model or route.
    NotFound,
    /// The body is too large.
    RequestTooLarge,
    /// Too many requests; waiting helps.
    RateLimit,
    /// The account's money or quota is used up; waiting does not help.
    Quota,
    /// The provider is overloaded.
    Overloaded,
    /// The provider took too long by its own measure.
    Timeout,
    /// The provider failed.
    Server,
}

/// Where in a call the time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the connection stood.
    Connect,
    /// Before the response's head was complete.
    FirstByte,
    /// Before the first piece of content.
    FirstToken,
    /// Between two pieces.
    Idle,
    /// Before the answer was complete.
    Total,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "to connect",
            Self::FirstByte => "for the response to begin",
            Self::FirstToken => "for the first token",
            Self::Idle => "for the next piece of the answer",
            Self::Total => "for the whole answer",
        })
    }
}

/// Why a call to a provider failed.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider said no.
    #[error("the provider refused with status {status}: {message}")]
    Refused {
        /// Its HTTP status; for an error inside a 200, the status that its type stands for.
        status: u16,
        /// What it is about.
        kind: ErrorKind,
        /// Its words, at most 2,000 characters; never holds our credential.
        message: String,
        /// OpenAI's `code`, or the type where a dialect has only that.
        code: Option<String>,
        /// OpenAI's `param`.
        param: Option<String>,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The connection could not be made or broke.
    #[error("the connection to the provider failed {}", if *sent { "after the request was sent" } else { "before the request was sent" })]
    Transport {
        /// Whether the request may have reached the provider, which may bill for it.
        sent: bool,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The time ran out.
    #[error("waited {} s {stage}", limit.as_secs_f64())]
    Timeout {
        /// Where.
        stage: Stage,
        /// The limit that was reached.
        limit: Duration,
    },
    /// The provider's response is not what its dialect promises.
    #[error("the provider's response breaks its protocol: {what}")]
    Protocol {
        /// How; never quotes the answer.
        what: String,
    },
    /// The answer stopped without its end.
    #[error("the provider's answer was cut off: {what}")]
    Truncated {
        /// What is missing.
        what: &'static str,
    },
    /// The response is larger than we read.
    #[error("the provider's response has {what} over {limit} bytes")]
    TooLarge {
        /// What is too large: a line, an event, the body.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The provider's dialect cannot express this.
    #[error("`{field}` cannot be expressed for provider kind `{provider}`")]
    Unsupported {
        /// The field, as the client knows it where that is possible: `logprobs`, `tools[1].type`.
        field: String,
        /// The provider's kind.
        provider: &'static str,
    },
    /// No provider of this name is bound for the tenant.
    #[error("no provider named `{name}` is configured for tenant `{tenant}`")]
    Unbound {
        /// The name.
        name: String,
        /// The tenant.
        tenant: release::TenantId,
    },
    /// A binding cannot be used.
    #[error("the binding of provider `{name}` is wrong: {what}")]
    Binding {
        /// The provider's name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
}

impl ProviderError {
    /// The kind, for those errors that have one: what the provider said, or what its silence
    /// amounts to.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { kind, .. } => *kind,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Unsupported { .. } => ErrorKind::InvalidRequest,
            Self::Unbound { .. } => ErrorKind::NotFound,
            Self::Transport { .. }
            | Self::Protocol { .. }
            | Self::Truncated { .. }
            | Self::TooLarge { .. }
            | Self::Binding { .. } => ErrorKind::Server,
        }
    }
}
