//! How much of a conversation is kept, by the app's policy.

use release::Digest;
use serde::{Deserialize, Serialize};

/// How much of a conversation the trace log keeps.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Whole messages.
    #[default]
    Full,
    /// Their SHA-256 digests and lengths.
    Hashed,
    /// Their lengths only.
    None,
}

impl Capture {
    /// What the policy keeps of messages, given as JSON. Nothing of the text outlives the call
    /// unless the policy is [`Capture::Full`].
    pub fn keep(self, json: String) -> Captured {
        let bytes = json.len() as u64;
        match self {
            Self::Full => Captured::Full { json },
            Self::Hashed => Captured::Hashed { digest: Digest::of(json.as_bytes()), bytes },
            Self::None => Captured::Length { bytes },
        }
    }

    /// The policy as one word, as records carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Hashed => "hashed",
            Self::None => "none",
        }
    }
}

/// What is kept of a text, by the app's capture policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "captured", rename_all = "snake_case")]
pub enum Captured {
    /// All of it, as JSON.
    Full {
        /// The messages.
        json: String,
    },
    /// Its digest.
    Hashed {
        /// The digest of the messages' JSON.
        digest: Digest,
        /// Its length.
        bytes: u64,
    },
    /// Its length only.
    Length {
        /// The length.
        bytes: u64,
    },
}

impl Captured {
    /// The policy that kept it.
    pub const fn policy(&self) -> Capture {
        match self {
            Self::Full { .. } => Capture::Full,
            Self::Hashed { .. } => Capture::Hashed,
            Self::Length { .. } => Capture::None,
        }
    }
}
