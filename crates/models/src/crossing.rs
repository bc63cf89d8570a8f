//! What may cross from one dialect into another, and what is refused by name.

use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use crate::{Dialect, ProviderError, Rest};

/// Fields that shape no answer: routing, accounting and caching hints, end-user ids, and records
/// of earlier answers. Another dialect's provider is not sent them.
const HINTS: [&str; 14] = [
    "annotations",
    "cache_control",
    "citations",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "reasoning_content",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "user",
    "inference_geo",
];

/// One provider kind's view of what it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Border {
    /// The dialect it speaks.
    pub(crate) dialect: Dialect,
    /// The provider's kind, for errors.
    pub(crate) provider: &'static str,
}

impl Border {
    /// The refusal of `field`.
    pub(crate) fn refuse(self, field: impl Into<String>) -> ProviderError {
        ProviderError::Unsupported { field: field.into(), provider: self.provider }
    }

    /// Refuses the first field of `rest` that only another dialect understands and that could
    /// shape the answer. `place` precedes the field's name: `messages[2].` or nothing.
    pub(crate) fn check_rest(
        self,
        rest: &Rest,
        place: impl Fn() -> String,
    ) -> Result<(), ProviderError> {
        if rest.dialect().is_none_or(|dialect| dialect == self.dialect) {
            return Ok(());
        }
        match rest
            .fields()
            .find(|(field, value)| !HINTS.contains(field) && !says_nothing(field, value))
        {
            Some((field, _)) => Err(self.refuse(format!("{}{field}", place()))),
            None => Ok(()),
        }
    }

    /// Refuses a thing of a kind that only another dialect knows.
    pub(crate) fn check_other(
        self,
        dialect: Dialect,
        value: &Value,
        place: impl Fn() -> String,
    ) -> Result<(), ProviderError> {
        if dialect == self.dialect {
            return Ok(());
        }
        let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
        Err(self.refuse(format!("{}type: {kind}", place())))
    }

    /// Refuses `extra` parameters of a model that stand for fields the translation writes itself.
    pub(crate) fn check_extra(
        self,
        extra: &Map<String, Value>,
        own: &[&str],
    ) -> Result<(), ProviderError> {
        match extra.keys().find(|key| own.contains(&key.as_str())) {
            Some(key) => Err(self.refuse(format!("parameters.extra.{key}"))),
            None => Ok(()),
        }
    }

    /// Writes the fields of `rest` if they are of this dialect, except those of `own`.
    pub(crate) fn write_rest<M: SerializeMap>(
        self,
        map: &mut M,
        rest: &Rest,
        own: &[&str],
    ) -> Result<(), M::Error> {
        if rest.dialect() == Some(self.dialect) {
            for (field, value) in rest.fields().filter(|(field, _)| !own.contains(field)) {
                map.serialize_entry(field, value)?;
            }
        }
        Ok(())
    }
}

/// Whether the field has the value that leaving it out has.
fn says_nothing(field: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => match field {
            "n" => number.as_u64() == Some(1),
            _ => number.as_f64() == Some(0.0),
        },
        Value::String(text) => text.is_empty() || text == "auto",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => {
            fields.is_empty()
                || (field == "thinking" && fields.get("type") == Some(&"disabled".into()))
        }
        Value::Bool(true) => false,
    }
}

/// Serialises the items that a function iterates over, as a list.
pub(crate) struct Seq<F>(pub(crate) F);

impl<F, I> serde::Serialize for Seq<F>
where
    F: Fn() -> I,
    I: Iterator<Item: serde::Serialize>,
{
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
