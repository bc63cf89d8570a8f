//! What is kept of one request.

use std::fmt;
use std::str::FromStr;

use release::{
    AppName, Digest, EnvironmentName, Money, PlanId, PrincipalId, ReleaseDigest, TenantId,
    Timestamp, Unit,
};
use serde::{Deserialize, Serialize};

/// A trace's id: 16 bytes, written as 32 hex digits (W3C Trace Context).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// An id from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for TraceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| valid);
        let number = number.ok_or_else(|| "a trace id has 32 hex digits".to_owned())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl TryFrom<String> for TraceId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> String {
        id.to_string()
    }
}

/// Everything that is kept of one request: what it was bound to, what it used, how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// Its trace.
    pub trace: TraceId,
    /// Whose app was called.
    pub tenant: TenantId,
    /// The app.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// The release that answered.
    pub release: ReleaseDigest,
    /// The traffic plan in force.
    pub plan: Option<PlanId>,
    /// Which step of the plan's owner it was.
    #[serde(default)]
    pub step: Option<u32>,
    /// The plan's arm.
    pub arm: Option<String>,
    /// What the request was assigned by.
    pub unit: Unit,
    /// Whose key was used.
    pub principal: PrincipalId,
    /// The dialect the client spoke.
    pub dialect: String,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// Why nobody waited for the answer, if nobody did: then it is no traffic, and whatever counts
    /// what clients got leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Aside>,
    /// Why the copy of this request that the plan wanted was not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_dropped: Option<String>,
    /// When it arrived.
    pub started_at: Timestamp,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// What grounded it, if the release has knowledge.
    pub retrieval: Option<Retrieval>,
    /// What the model did, if it was called.
    pub generation: Option<Generation>,
    /// What guardrails found.
    pub findings: Vec<Finding>,
    /// The request fields that the client set itself.
    pub overrides: Vec<String>,
    /// What the client asked beside the conversation, as JSON: where it asked anything, and the
    /// conversation itself is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was asked.
    pub input: Captured,
    /// What was answered.
    pub output: Captured,
}

impl AnswerRecord {
    /// The same without what was asked and answered, of which digests and lengths stay.
    #[must_use]
    pub fn without_texts(&self) -> Self {
        let (input, output) = (self.input.without_text(), self.output.without_text());
        // The question's vector tells about as much as the question.
        let retrieval = self.retrieval.clone();
        let retrieval = retrieval.map(|retrieval| Retrieval { vector: None, ..retrieval });
        Self { input, output, retrieval, settings: None, ..self.clone() }
    }
}

/// Why nobody waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aside {
    /// This evaluation asked.
    Evaluation(String),
    /// It answers a copy of the request of this trace.
    CopyOf(TraceId),
}

impl Aside {
    /// The evaluation that asked.
    pub fn evaluation(&self) -> Option<&String> {
        match self {
            Self::Evaluation(run) => Some(run),
            Self::CopyOf(_) => None,
        }
    }

    /// The trace of the request that was copied.
    pub fn copy_of(&self) -> Option<&TraceId> {
        match self {
            Self::CopyOf(trace) => Some(trace),
            Self::Evaluation(_) => None,
        }
    }
}

/// One step of the request path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, as `ground`.
    pub name: String,
    /// When it began, in nanoseconds after the request arrived.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// What grounded an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// The knowledge snapshot.
    pub snapshot: Digest,
    /// The passages, best first.
    pub chunks: Vec<RetrievedChunk>,
    /// The question's vector, its 32-bit numbers in hex, where passages were found by vectors and
    /// the question itself is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// Why the passages were not ordered anew by a model, if that was wanted and failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank_failure: Option<String>,
}

/// A passage that was retrieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievedChunk {
    /// The chunk's id.
    pub id: String,
    /// The document it is of.
    pub document: String,
    /// Its score.
    pub score: f64,
    /// Where it stands in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What the model did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Who answered.
    pub provider: String,
    /// The digest of its binding; none for the built-in model.
    pub binding: Option<Digest>,
    /// The model that was asked for.
    pub request_model: String,
    /// The model that answered, as the provider names it.
    pub response_model: String,
    /// The provider's id of the answer.
    pub response_id: String,
    /// The provider's fingerprint of its configuration.
    pub fingerprint: Option<String>,
    /// Why it ended; none if it did not.
    pub finish: Option<String>,
    /// Seconds to the first piece of the answer.
    pub time_to_first_chunk: Option<f64>,
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of the input, read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Of the input, written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// Of the output, reasoning.
    pub reasoning_tokens: u64,
    /// Whether the tokens were counted by us.
    pub usage_estimated: bool,
    /// How many of the provider's events could not be read, and were passed over.
    pub unreadable_events: u64,
    /// What it cost.
    pub cost: Option<Money>,
    /// Why the cost is not known.
    pub unpriced: Option<String>,
}

/// Something a guardrail found. Never holds the text that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// `input` or `output`.
    pub on: String,
    /// `block` or `flag`.
    pub action: String,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The client got the whole answer.
    Answered,
    /// A guardrail refused the request or the answer.
    Blocked {
        /// The rule.
        rule: String,
    },
    /// The client hung up first.
    Cancelled,
    /// It failed.
    Failed {
        /// What went wrong, as one word.
        kind: String,
        /// What the client was told.
        message: String,
    },
}

impl Outcome {
    /// The outcome as one word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Blocked { .. } => "blocked",
            Self::Cancelled => "cancelled",
            Self::Failed { .. } => "failed",
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
        /// The digest.
        digest: Digest,
        /// Its length.
        bytes: u64,
    },
    /// Its length only.
    Length {
        /// The length.
        bytes: u64,
    },
    /// All of it once, but no longer: it was erased, or its time was over.
    Gone,
}

impl Captured {
    fn without_text(&self) -> Self {
        match self {
            Self::Full { json } => {
                Self::Hashed { digest: Digest::of(json.as_bytes()), bytes: json.len() as u64 }
            }
            kept => kept.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
