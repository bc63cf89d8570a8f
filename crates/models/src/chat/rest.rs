//! Fields that the internal form has no name for, kept with the dialect they came in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A wire format for questions and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's `/v1/chat/completions`.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Anthropic's `/v1/messages`.
    Anthropic,
}

/// Unknown fields of one object, tagged with their dialect. Empty for almost every object, hence
/// one pointer wide.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rest(Option<Box<Tagged>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tagged {
    dialect: Dialect,
    fields: Map<String, Value>,
}

impl Rest {
    /// The `fields` that an object of `dialect` had beside those we know.
    pub fn new(dialect: Dialect, fields: Map<String, Value>) -> Self {
        Self((!fields.is_empty()).then(|| Box::new(Tagged { dialect, fields })))
    }

    /// Whether there is nothing here.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The dialect the fields came in; `None` when there are none.
    pub fn dialect(&self) -> Option<Dialect> {
        self.0.as_ref().map(|tagged| tagged.dialect)
    }

    /// The fields and their values, whatever the dialect, in their order of arrival.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().flat_map(|tagged| tagged.fields.iter().map(|(key, value)| (&**key, value)))
    }

    /// The value of `field`, if it is here.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.as_ref()?.fields.get(field)
    }

    /// Takes `field` out.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        let tagged = self.0.as_mut()?;
        let value = tagged.fields.shift_remove(field);
        if tagged.fields.is_empty() {
            self.0 = None;
        }
        value
    }
}
