//! What was answered, as a scorer sees it, and what asking has cost.

use std::collections::BTreeSet;

use release::Money;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer with all that was seen of how it was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Ids of the passages or documents that it cites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<String>,
    /// The passages it was given, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
    /// The tools it called, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Whether the provider or a guardrail refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Why generation ended, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The model, as the provider reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tokens it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What it cost; unknown if the price is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// How long it took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
    /// The trace that tells the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Answer {
    /// Whether it was given a passage of any of `documents`, and so may quote it.
    pub fn quotes(&self, documents: &BTreeSet<String>) -> bool {
        self.passages.iter().any(|passage| documents.contains(&passage.document))
    }

    /// It with neither what it says nor what it was given: how it was made is left.
    pub(crate) fn without_content(self) -> Self {
        let (text, citations, passages, tool_calls) = Default::default();
        Self { text, citations, passages, tool_calls, ..self }
    }
}

/// A passage that an answer was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    /// Its id.
    pub id: String,
    /// The document it is of.
    pub document: String,
    /// Its text.
    pub text: String,
    /// How well it fitted, in the retrieval's own measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// What it was given.
    #[serde(default)]
    pub arguments: Value,
}

/// Tokens of one call, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens that went in.
    pub input_tokens: u64,
    /// Tokens that came out.
    pub output_tokens: u64,
}

/// What calls have cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// How many calls.
    pub calls: u64,
    /// Their tokens.
    pub usage: Usage,
    /// Their cost, of those whose price is known.
    pub cost: Option<Money>,
    /// How many have no known price, or one in another currency than the first.
    pub unpriced: u64,
}

impl Spend {
    /// Adds one call.
    pub fn call(&mut self, usage: Usage, cost: Option<Money>) {
        let unpriced = u64::from(cost.is_none());
        self.add(&Self { calls: 1, usage, cost, unpriced });
    }

    /// Adds what other calls have cost.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.usage.input_tokens += other.usage.input_tokens;
        self.usage.output_tokens += other.usage.output_tokens;
        self.unpriced += other.unpriced;
        match (self.cost, other.cost) {
            (Some(ours), Some(theirs)) => match ours.checked_add(theirs) {
                Some(sum) => self.cost = Some(sum),
                None => self.unpriced += other.calls - other.unpriced.min(other.calls),
            },
            (None, cost) => self.cost = cost,
            (_, None) => {}
        }
    }

    /// Whether it has reached `cap`. What is in another currency cannot be compared and has not.
    pub fn reaches(&self, cap: Money) -> bool {
        self.cost.is_some_and(|cost| cost.currency == cap.currency && cost.nanos >= cap.nanos)
    }
}

#[cfg(test)]
mod tests;
