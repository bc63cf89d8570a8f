//! What OpenLLMetry and OpenInference write as many numbered attributes: messages
//! (`gen_ai.prompt.0.content`, `llm.input_messages.0.message.content`) and documents
//! (`retrieval.documents.0.document.id`).

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::{Map, Value as Json, json};

use super::values;

/// A list that is written as numbered attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// What was asked.
    Input,
    /// What was answered.
    Output,
    /// What was retrieved.
    Documents,
}

/// How the names begin, and what stands between the number and the field.
const FAMILIES: &[(&str, &str, Family)] = &[
    ("gen_ai.prompt.", "", Family::Input),
    ("gen_ai.completion.", "", Family::Output),
    ("llm.input_messages.", "message.", Family::Input),
    ("llm.output_messages.", "message.", Family::Output),
    ("llm.prompts.", "prompt.", Family::Input),
    ("llm.choices.", "completion.", Family::Output),
    ("retrieval.documents.", "document.", Family::Documents),
    ("reranker.output_documents.", "document.", Family::Documents),
];

impl Family {
    /// The list that an attribute is of.
    pub fn of(key: &str) -> Option<Self> {
        split(key).map(|(family, _, _)| family)
    }
}

/// The list, the number in it, and the field.
fn split(key: &str) -> Option<(Family, usize, &str)> {
    let (prefix, infix, family) = FAMILIES.iter().find(|(prefix, _, _)| key.starts_with(prefix))?;
    let (number, rest) = key.strip_prefix(prefix)?.split_once('.')?;
    Some((*family, number.parse().ok()?, rest.strip_prefix(infix)?))
}

/// The lists of one item.
#[derive(Debug, Default)]
pub struct Families<'a> {
    input: BTreeMap<usize, Message<'a>>,
    output: BTreeMap<usize, Message<'a>>,
    documents: BTreeMap<usize, BTreeMap<&'a str, &'a Value>>,
}

#[derive(Debug, Default)]
struct Message<'a> {
    fields: BTreeMap<&'a str, &'a Value>,
    calls: BTreeMap<usize, BTreeMap<&'a str, &'a Value>>,
    parts: BTreeMap<usize, BTreeMap<&'a str, &'a Value>>,
}

impl<'a> Families<'a> {
    pub fn add(&mut self, family: Family, key: &'a str, value: &'a Value) {
        let Some((_, number, field)) = split(key) else { return };
        let message = match family {
            Family::Input => self.input.entry(number).or_default(),
            Family::Output => self.output.entry(number).or_default(),
            Family::Documents => {
                self.documents.entry(number).or_default().insert(field, value);
                return;
            }
        };
        let numbered = |list: &str| {
            let (number, field) = field.strip_prefix(list)?.split_once('.')?;
            Some((number.parse::<usize>().ok()?, field))
        };
        if let Some((number, field)) = numbered("tool_calls.") {
            let field = field.strip_prefix("tool_call.").unwrap_or(field);
            message.calls.entry(number).or_default().insert(field, value);
        } else if let Some((number, field)) = numbered("contents.") {
            let field = field.strip_prefix("message_content.").unwrap_or(field);
            message.parts.entry(number).or_default().insert(field, value);
        } else {
            message.fields.insert(field, value);
        }
    }

    /// What was asked, as messages in OpenAI's form.
    pub fn input(&self) -> Vec<Json> {
        self.input.values().map(|message| message.json("user")).collect()
    }

    /// What was answered, likewise.
    pub fn output(&self) -> Vec<Json> {
        self.output.values().map(|message| message.json("assistant")).collect()
    }

    /// Why the first answer ended.
    pub fn finish_reason(&self) -> Option<String> {
        let reason = self.output.values().next()?.fields.get("finish_reason")?;
        Some(values::text(reason).into_owned())
    }

    /// What was retrieved, as `gen_ai.retrieval.documents` has it.
    pub fn documents(&self) -> Vec<Json> {
        let fields = |document: &BTreeMap<&str, &Value>| {
            let fields =
                document.iter().map(|(key, value)| ((*key).to_owned(), values::json(value)));
            Json::Object(fields.collect())
        };
        self.documents.values().map(fields).collect()
    }
}

impl Message<'_> {
    fn json(&self, role: &str) -> Json {
        let text = |field: &str| self.fields.get(field).map(|value| values::text(value));
        let mut message = Map::new();
        message.insert("role".to_owned(), text("role").unwrap_or(role.into()).into());
        if self.parts.is_empty() {
            let said = text("content").or_else(|| text("text"));
            message.insert("content".to_owned(), said.map_or(Json::Null, Json::from));
        } else {
            let parts = self.parts.values().map(|part| {
                let fields =
                    part.iter().map(|(key, value)| ((*key).to_owned(), values::json(value)));
                Json::Object(fields.collect())
            });
            message.insert("content".to_owned(), parts.collect());
        }
        if !self.calls.is_empty() {
            let calls = self.calls.values().map(|call| {
                let field = |names: [&str; 2]| {
                    let value = names.iter().find_map(|name| call.get(name));
                    value.map_or(Json::Null, |value| values::json(value))
                };
                json!({
                    "id": field(["id", "id"]),
                    "function": {
                        "name": field(["function.name", "name"]),
                        "arguments": field(["function.arguments", "arguments"]),
                    },
                })
            });
            message.insert("tool_calls".to_owned(), calls.collect());
        }
        for field in ["tool_call_id", "finish_reason"] {
            if let Some(text) = text(field) {
                message.insert(field.to_owned(), text.into());
            }
        }
        Json::Object(message)
    }
}
