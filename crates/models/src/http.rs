//! One provider's endpoint over HTTP.

use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{ProviderBinding, Timeouts};

/// One provider's endpoint, with its connections.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    client: Client,
    pub(crate) base: reqwest::Url,
    pub(crate) timeouts: Timeouts,
    pub(crate) require_finish_reason: bool,
}
impl Target {
    /// Prepares the endpoint of `binding`; nothing is sent. The error says what is wrong with it.
    pub(crate) fn new(binding: &ProviderBinding) -> Result<Self, String> {
        Err(String::new())
    }
}
