//! The history of an execution: events as `GetExecutionHistory` returns them.

use release::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, dense from 1.
    pub id: u64,
    /// The event it followed from; 0 for the first.
    pub previous: u64,
    /// When.
    pub at: Timestamp,
    /// What happened, as `TaskStateEntered`.
    pub kind: String,
    /// What there is to tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl Event {
    /// The event in the form of the service's API. Timestamps are seconds since 1970.
    pub fn shown(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("timestamp".to_owned(), seconds(self.at));
        fields.insert("type".to_owned(), self.kind.clone().into());
        fields.insert("id".to_owned(), self.id.into());
        fields.insert("previousEventId".to_owned(), self.previous.into());
        if let Some(details) = &self.details {
            fields.insert(self.details_name(), details.clone());
        }
        fields.into()
    }

    /// The field that holds the details: named after the event, but one name for all states.
    fn details_name(&self) -> String {
        let bare = match self.kind.as_str() {
            kind if kind.ends_with("StateEntered") => "stateEntered".to_owned(),
            kind if kind.ends_with("StateExited") => "stateExited".to_owned(),
            kind => {
                let mut characters = kind.chars();
                let first = characters.next().map(|c| c.to_ascii_lowercase());
                first.into_iter().chain(characters).collect()
            }
        };
        format!("{bare}EventDetails")
    }
}

/// A moment as the service's API tells it: seconds since 1970, to the millisecond.
pub fn seconds(at: Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1e3)
}

/// Adds a payload to an event's details, as JSON text.
pub fn payload(details: &mut Map<String, Value>, name: &str, value: &Value) {
    details.insert(name.to_owned(), value.to_string().into());
    details.insert(format!("{name}Details"), json!({"truncated": false}));
}
