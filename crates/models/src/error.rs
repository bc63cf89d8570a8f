//! How calling a model fails.

use std::time::Duration;

/// What a provider means by its refusal, whatever its dialect calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The request is wrong.
    InvalidRequest,
    /// The conversation is longer than the model's window.
    ContextLength,
    /// The provider's policy forbids it.
    ContentPolicy,
    /// Our credential is not accepted.
    Authentication,
    /// Our credential does not allow this.
    Permission,
    /// The model or the endpoint does not exist.
    NotFound,
    /// Too many requests; waiting helps.
    RateLimited,
    /// The account's quota is used up; waiting does not help.
    QuotaExhausted,
    /// The provider has more work than it can do.
    Overloaded,
    /// The provider failed.
    Server,
}

impl RefusalKind {
    /// The kind as one word, for traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
        }
    }
}

/// Which timer ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Connecting.
    Connect,
    /// Waiting for the head of the response.
    FirstByte,
    /// Waiting for the first token.
    FirstToken,
    /// Waiting for more.
    Idle,
    /// The whole call.
    Total,
}

impl Stage {
    /// The stage in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::FirstByte => "the first byte",
            Self::FirstToken => "the first token",
            Self::Idle => "more of the answer",
            Self::Total => "the whole answer",
        }
    }
}

/// What a provider said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its HTTP status; 200 for an error inside a stream.
    pub status: u16,
    /// What it means.
    pub kind: RefusalKind,
    /// Its own words, cut to 2,000 characters.
    pub message: String,
    /// Its own code.
    pub code: Option<String>,
    /// The field it complains about.
    pub param: Option<String>,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
}

/// Why there is no (whole) answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider said no.
    #[error("provider `{provider}` answered {}: {}", refusal.status, refusal.message)]
    Refused {
        /// The provider.
        provider: String,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// The connection failed.
    #[error("the connection to provider `{provider}` failed")]
    Transport {
        /// The provider.
        provider: String,
        /// How.
        source: reqwest::Error,
    },
    /// A timer ran out.
    #[error("provider `{provider}` took more than {} s for {}", limit.as_secs_f64(), stage.as_str())]
    Timeout {
        /// The provider.
        provider: String,
        /// Which timer.
        stage: Stage,
        /// What it was set to.
        limit: Duration,
    },
    /// What came back is not an answer.
    #[error("provider `{provider}` sent something that is not an answer: {what}")]
    Protocol {
        /// The provider.
        provider: String,
        /// What was wrong with it.
        what: String,
    },
    /// The answer stopped before its end.
    #[error("the answer of provider `{provider}` broke off before its end")]
    Truncated {
        /// The provider.
        provider: String,
    },
    /// The request holds something this provider cannot do.
    #[error("`{field}` is not supported by provider `{provider}`")]
    Unsupported {
        /// The field.
        field: String,
        /// The provider.
        provider: String,
    },
    /// No provider of that name may be used here.
    #[error("there is no provider `{provider}` for tenant `{tenant}`")]
    UnknownProvider {
        /// The name the model artifact uses.
        provider: String,
        /// The tenant.
        tenant: release::TenantId,
    },
    /// The provider cannot be set up.
    #[error("provider `{provider}` is not usable: {why}")]
    Misconfigured {
        /// The provider.
        provider: String,
        /// Why.
        why: String,
    },
}

impl ProviderError {
    /// The failure for whoever runs the server: with the innermost cause of a failed connection
    /// (refused, not found, a certificate that has expired), which clients are not told.
    pub fn detail(&self) -> String {
        let mut cause: Option<&dyn std::error::Error> = None;
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            cause = Some(source);
            next = source.source();
        }
        cause.map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }

    /// The failure as one word, for traces.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => refusal.kind.as_str(),
            Self::Transport { .. } => "transport",
            Self::Timeout { .. } => "timeout",
            Self::Protocol { .. } => "protocol",
            Self::Truncated { .. } => "truncated",
            Self::Unsupported { .. } => "unsupported",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }
}
