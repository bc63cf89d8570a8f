//! What a provider says when it says no, before it becomes an error.

use std::time::Duration;

use crate::{ErrorKind, ProviderError};

/// A provider's error object, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) param: Option<String>,
}

impl Refusal {
    /// The error. `status` is absent when the refusal came inside a success: the status is then
    /// the one its kind stands for. `quote` makes the provider's words fit to be passed on.
    pub(crate) fn into_error(
        self,
        status: Option<u16>,
        retry_after: Option<Duration>,
        quote: impl Fn(&str) -> String,
    ) -> ProviderError {
        ProviderError::Refused {
            status: status.unwrap_or_else(|| status_of(self.kind)),
            kind: self.kind,
            message: quote(&self.message),
            code: self.code.as_deref().map(&quote),
            param: self.param.as_deref().map(&quote),
            retry_after,
        }
    }

    /// A refusal of which only the status can be read.
    pub(crate) fn of_status(status: u16, what: &str) -> Self {
        let message = format!("status {status} with {what}");
        Self { kind: kind_of_status(status), message, code: None, param: None }
    }
}

/// What a status is about when nothing else tells.
pub(crate) fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Authentication,
        402 => ErrorKind::Quota,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        413 => ErrorKind::RequestTooLarge,
        429 => ErrorKind::RateLimit,
        503 | 529 => ErrorKind::Overloaded,
        500.. => ErrorKind::Server,
        _ => ErrorKind::InvalidRequest,
    }
}

/// The status that stands for a kind when the provider sent none.
fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentPolicy => 400,
        ErrorKind::Authentication => 401,
        ErrorKind::Permission => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::RequestTooLarge => 413,
        ErrorKind::RateLimit | ErrorKind::Quota => 429,
        ErrorKind::Server => 500,
        ErrorKind::Overloaded => 503,
        ErrorKind::Timeout => 504,
    }
}

/// What a body that is no error object is.
pub(crate) fn describe(body: &[u8]) -> &'static str {
    match body.trim_ascii_start() {
        [] => "an empty body",
        [b'<', ..] => "an HTML body",
        _ => "a body that is no error object",
    }
}
