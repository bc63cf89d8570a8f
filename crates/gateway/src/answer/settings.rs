//! What a client asked beside the conversation, as a trace keeps it: with it the request can be made
//! again.

use models::{CapturePolicy, ChatRequest, RequestField};
use monitoring::AnswerRecord;
use serde::{Deserialize, Serialize};

use super::Bound;

/// What a client asked beside the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The request, without its messages.
    pub request: ChatRequest,
    /// The request fields that the client set itself.
    pub set: Vec<(RequestField, String)>,
}

impl Settings {
    /// What is kept of them, if there is anything: as the conversation, wholly or not at all.
    pub(super) fn kept(capture: CapturePolicy, bound: &Bound) -> Option<String> {
        let Bound { request, set, .. } = bound;
        if capture != CapturePolicy::Full || set.is_empty() && request.metadata.is_empty() {
            return None;
        }
        let settings = Self { request: request.settings(), set: set.clone() };
        // A request was read from JSON, so it can be written.
        serde_json::to_string(&settings).ok()
    }

    /// Those that a record keeps; none if the client asked nothing beside the conversation, or what
    /// it asked was not recorded.
    ///
    /// # Errors
    /// If they are there and cannot be read.
    pub fn of(record: &AnswerRecord) -> Result<Option<Self>, serde_json::Error> {
        record.settings.as_deref().map(serde_json::from_str).transpose()
    }
}
