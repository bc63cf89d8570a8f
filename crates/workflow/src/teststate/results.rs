//! What the called services answer, as far as a pretended answer is held to it.
//!
//! Not every service's model is here, only those of the integrations that have a form of their own,
//! and of a few others; what is not here is taken as it comes. Field names are the definition's,
//! which begin with a capital; a field of another name is no field of the answer, and is let be.

use serde_json::Value;

use super::Validation;
use crate::definition::{Resource, Waiting};

/// The type of a field.
enum Type {
    /// Texts, moments and bytes, all of which are strings; with the least characters.
    Text(usize),
    Number,
    Flag,
    /// An object whose fields are not known.
    Object,
    /// An object with these fields.
    Record(&'static [Field]),
    /// An array of such objects.
    Records(&'static [Field]),
}

/// A field of an answer.
struct Field {
    name: &'static str,
    kind: Type,
    required: bool,
}

const fn field(name: &'static str, kind: Type) -> Field {
    Field { name, kind, required: false }
}

const fn required(name: &'static str, kind: Type) -> Field {
    Field { name, kind, required: true }
}

const TEXT: Type = Type::Text(0);

const WRITTEN: &[Field] = &[
    field("Attributes", Type::Object),
    field("ConsumedCapacity", Type::Object),
    field("ItemCollectionMetrics", Type::Object),
];

/// Answers by service and action. An execution that is waited for answers as if described.
const ANSWERS: &[(&str, &str, &[Field])] = &[
    ("aws-sdk:kms", "encrypt", ENCRYPTED),
    ("bedrock", "invokeModel", &[field("ContentType", TEXT)]),
    (
        "dynamodb",
        "getItem",
        &[field("Item", Type::Object), field("ConsumedCapacity", Type::Object)],
    ),
    ("dynamodb", "putItem", WRITTEN),
    ("dynamodb", "deleteItem", WRITTEN),
    ("dynamodb", "updateItem", WRITTEN),
    (
        "events",
        "putEvents",
        &[
            field("FailedEntryCount", Type::Number),
            field(
                "Entries",
                Type::Records(&[
                    field("EventId", TEXT),
                    field("ErrorCode", TEXT),
                    field("ErrorMessage", TEXT),
                ]),
            ),
        ],
    ),
    ("glue", "startJobRun", &[field("JobRunId", Type::Text(1))]),
    (
        "lambda",
        "invoke",
        &[
            field("StatusCode", Type::Number),
            field("FunctionError", TEXT),
            field("LogResult", TEXT),
            field("ExecutedVersion", Type::Text(1)),
        ],
    ),
    ("sns", "publish", &[field("MessageId", TEXT), field("SequenceNumber", TEXT)]),
    (
        "sqs",
        "sendMessage",
        &[
            field("MD5OfMessageBody", TEXT),
            field("MD5OfMessageAttributes", TEXT),
            field("MD5OfMessageSystemAttributes", TEXT),
            field("MessageId", TEXT),
            field("SequenceNumber", TEXT),
        ],
    ),
    (
        "states",
        "startExecution",
        &[required("ExecutionArn", Type::Text(1)), required("StartDate", TEXT)],
    ),
];

const ENCRYPTED: &[Field] = &[
    field("CiphertextBlob", Type::Text(1)),
    field("KeyId", Type::Text(1)),
    field("EncryptionAlgorithm", TEXT),
];

const DESCRIBED: &[Field] = &[
    required("ExecutionArn", Type::Text(1)),
    required("StateMachineArn", Type::Text(1)),
    required("Status", TEXT),
    required("StartDate", TEXT),
    field("Name", Type::Text(1)),
    field("StopDate", TEXT),
    field("InputDetails", Type::Record(&[field("Included", Type::Flag)])),
    field("OutputDetails", Type::Record(&[field("Included", Type::Flag)])),
    field("Error", TEXT),
    field("Cause", TEXT),
];

/// Holds a pretended answer to what the service answers.
pub fn check(resource: &Resource, result: &Value, mode: Validation) -> Result<(), String> {
    let Resource::Service { service, action, waiting } = resource else { return Ok(()) };
    let fields = match (service.as_str(), action.as_str(), waiting) {
        // Whoever returns the token says what it likes.
        (_, _, Waiting::Token) => return Ok(()),
        ("states", "startExecution", Waiting::Job | Waiting::JobJson) => DESCRIBED,
        (_, _, Waiting::Job | Waiting::JobJson) => return Ok(()),
        (service, action, Waiting::Response) => {
            let known = ANSWERS.iter().find(|(own, call, _)| (*own, *call) == (service, action));
            let Some((_, _, fields)) = known else { return Ok(()) };
            fields
        }
    };
    if !result.is_object() {
        return Err("Mock result must be an object".to_owned());
    }
    record(fields, result, mode)
}

fn record(fields: &[Field], value: &Value, mode: Validation) -> Result<(), String> {
    for Field { name, kind, required } in fields {
        match value.get(name) {
            Some(value) => typed(name, kind, value, mode)?,
            None if *required && mode == Validation::Strict => {
                return Err(format!("Required field '{name}' is missing"));
            }
            None => {}
        }
    }
    Ok(())
}

fn typed(name: &str, kind: &Type, value: &Value, mode: Validation) -> Result<(), String> {
    let must = |what: &str| Err(format!("Field '{name}' must be {what}"));
    match (kind, value) {
        (Type::Text(least), Value::String(text)) if text.chars().count() < *least => {
            Err(format!("Field '{name}' is smaller than the minimum length"))
        }
        (Type::Text(_), Value::String(_))
        | (Type::Number, Value::Number(_))
        | (Type::Flag, Value::Bool(_))
        | (Type::Object, Value::Object(_)) => Ok(()),
        (Type::Record(fields), Value::Object(_)) => record(fields, value, mode),
        (Type::Records(fields), Value::Array(items)) => {
            items.iter().try_for_each(|item| match item {
                Value::Object(_) => record(fields, item, mode),
                _ => must("an array of objects"),
            })
        }
        (Type::Text(_), _) => must("a string"),
        (Type::Number, _) => must("a number"),
        (Type::Flag, _) => must("a boolean"),
        (Type::Object | Type::Record(_), _) => must("an object"),
        (Type::Records(_), _) => must("an array"),
    }
}
