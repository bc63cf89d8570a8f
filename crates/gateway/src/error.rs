//! Why a request is not answered. Dialects turn these into their own envelopes.

use knowledge::KnowledgeError;
use models::ProviderError;
use monitoring::LogError;
use prompts::PromptError;
use release::{ReleaseDigest, UnknownTarget};
use security::Denied;

/// An error of the request path.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No valid key.
    #[error("the request has no valid key: send `Authorization: Bearer gc_…` or `x-api-key: gc_…`")]
    Unauthorized,
    /// A key that may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request is not what the dialect allows.
    #[error("{message}")]
    BadRequest {
        /// What is wrong.
        message: String,
        /// The field it is wrong in.
        param: Option<String>,
    },
    /// The body is not JSON by its content type.
    #[error("the content type must be `application/json`")]
    ContentType,
    /// There is no such route, or not with this method.
    #[error("there is no `{0}`")]
    UnknownRoute(String),
    /// The body is too large.
    #[error("the body exceeds {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// A field that the app does not let clients set.
    #[error("the app does not let clients set `{0}`")]
    NotOverridable(String),
    /// No such app, environment or live release.
    #[error(transparent)]
    UnknownTarget(#[from] UnknownTarget),
    /// The release could not be loaded.
    #[error("release `{release}` cannot answer: {why}")]
    NotLoaded {
        /// The release.
        release: ReleaseDigest,
        /// Why not.
        why: String,
    },
    /// The prompt could not be rendered for this request.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Retrieval failed.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// A guardrail refused the request.
    #[error("{message}")]
    Blocked {
        /// The rule.
        rule: String,
        /// What its author wants the client to be told.
        message: String,
    },
    /// The model did not answer.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The answer could not be recorded, so it is not given.
    #[error("the answer could not be recorded")]
    Unrecorded(#[source] LogError),
    /// The client hung up.
    #[error("the client hung up")]
    HungUp,
    /// The task that answered ended without an answer: a defect of ours.
    #[error("the server failed while it answered")]
    Stopped,
}

impl GatewayError {
    /// A request that is not what the dialect allows.
    pub(crate) fn bad(param: &str, message: impl Into<String>) -> Self {
        let param = Some(param.to_owned()).filter(|param| !param.is_empty());
        Self::BadRequest { message: message.into(), param }
    }

    /// The failure as one word, for traces.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Denied(_) => "denied",
            Self::BadRequest { .. } | Self::ContentType | Self::TooLarge { .. } => "bad_request",
            Self::NotOverridable(_) => "not_overridable",
            Self::UnknownTarget(_) => "unknown_target",
            Self::UnknownRoute(_) => "unknown_route",
            Self::NotLoaded { .. } => "not_loaded",
            Self::Prompt(_) => "prompt",
            Self::Knowledge(_) => "knowledge",
            Self::Blocked { .. } => "blocked",
            Self::Provider(error) => error.kind(),
            Self::Unrecorded(_) => "unrecorded",
            Self::HungUp => "hung_up",
            Self::Stopped => "stopped",
        }
    }
}
