//! What an answer used.

use serde::{Deserialize, Serialize};

/// Tokens used, counted as OpenTelemetry's GenAI conventions v1.41 do: the parts are included in
/// their totals, so nothing may be priced twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, those read from and written to a cache included.
    pub input_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens read from the provider's cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Input tokens written to the provider's cache.
    #[serde(default)]
    pub cache_creation_tokens: u64,
    /// Output tokens spent on reasoning.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Whether we counted, because the provider did not or could not be believed.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// The most tokens of one kind that one answer is believed to use.
    const BELIEVABLE: u64 = 100_000_000;

    /// Whether the counts can be true: parts within their totals, totals within reason.
    pub fn is_plausible(&self) -> bool {
        self.input_tokens <= Self::BELIEVABLE
            && self.output_tokens <= Self::BELIEVABLE
            && self
                .cache_read_tokens
                .checked_add(self.cache_creation_tokens)
                .is_some_and(|cached| cached <= self.input_tokens)
            && self.reasoning_tokens <= self.output_tokens
    }
}
