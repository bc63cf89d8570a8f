//! EventBridge: posting events, for rules to act on.

use security::Action;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use workflow::engine::{EngineError, PostedEvent, TenantEngine};

use super::{Call, Exception};

/// What the names of its operations begin with.
pub const SERVICE: &str = "AWSEvents";

/// The most events of one request.
const MAX_ENTRIES: usize = 10;

/// What the caller of an operation must be allowed to do; `None` if there is no such operation.
pub fn action(operation: &str) -> Option<Action> {
    (operation == "PutEvents").then_some(Action::RunWorkflows)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    entries: Vec<Entry>,
}

/// An event; who posts it says when it happened, but the log's own time counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
}

/// Posts events. Each stands for itself: one that is refused is told in its place.
pub async fn put_events(engine: &TenantEngine, call: &Call) -> Result<Value, Exception> {
    let Asked { entries } = call.body()?;
    if !(1..=MAX_ENTRIES).contains(&entries.len()) {
        let why = format!("`Entries` has 1 to {MAX_ENTRIES} events, not {}", entries.len());
        return Err(Exception::new("ValidationException", why));
    }
    let mut told = Vec::new();
    for entry in entries {
        told.push(match entry.event() {
            Ok(event) => match engine.post(&event).await {
                Ok(()) => json!({"EventId": uuid::Uuid::new_v4().to_string()}),
                Err(EngineError::Store(error)) => {
                    return Err(Exception::internal(error.to_string()));
                }
                Err(error) => refused("InvalidArgument", &error.to_string()),
            },
            Err((code, why)) => refused(code, &why),
        });
    }
    let failed = told.iter().filter(|one| one.get("ErrorCode").is_some()).count();
    Ok(json!({"FailedEntryCount": failed, "Entries": told}))
}

impl Entry {
    fn event(self) -> Result<PostedEvent, (&'static str, String)> {
        let missing = |name: &str| ("InvalidArgument", format!("Parameter {name} is not valid."));
        let detail = self.detail.ok_or_else(|| missing("Detail"))?;
        let detail: Map<String, Value> = serde_json::from_str(&detail)
            .map_err(|_| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
        Ok(PostedEvent {
            source: self.source.ok_or_else(|| missing("Source"))?,
            detail_type: self.detail_type.ok_or_else(|| missing("DetailType"))?,
            detail,
        })
    }
}

fn refused(code: &str, why: &str) -> Value {
    json!({"ErrorCode": code, "ErrorMessage": why})
}
