//! The tokens of calls that somebody else ends.
//!
//! A call that is made again after a crash must carry the token that it carried before: whoever was
//! called may have taken it on already. So a token is not drawn but follows from the task and a
//! secret that is not in the store. The store keeps its digest alone; where a call's arguments and
//! the history hold the token, they name the digest in its place.

use release::{Digest, Secret, TenantId, Timestamp};
use serde_json::Value;

use crate::interpreter::{Effect, Step};

/// The token of a task of an execution: 256 bits in hexadecimal. When the execution was started is
/// part of it, so that a later one of the same name has others.
pub fn of(
    secret: &Secret,
    (tenant, execution_arn, started_at): (&TenantId, &str, Timestamp),
    task: &str,
) -> String {
    let started_at = started_at.to_string();
    let fields =
        ["workflow task token", secret.expose(), tenant.as_str(), execution_arn, &started_at, task];
    // Whoever has a token cannot make another of it: the number of fields is fixed, and each is
    // preceded by its length.
    Digest::of_fields(fields.map(str::as_bytes)).to_hex()
}

/// Takes the tokens of tasks that a step schedules out of everything that is kept of it.
pub fn conceal(done: &mut Step) {
    for effect in &mut done.effects {
        let Effect::Schedule(request) = effect else { continue };
        let Some(token) = &request.token else { continue };
        request.arguments = concealed(&request.arguments, token);
        for event in &mut done.events {
            event.details = event.details.take().map(|details| concealed(&details, token));
        }
    }
}

/// A value that names a token's digest in place of the token.
pub fn concealed(value: &Value, token: &str) -> Value {
    replaced(value, token, &placeholder(token))
}

/// A value with the token put back.
pub fn reveal(value: &Value, token: &str) -> Value {
    replaced(value, &placeholder(token), token)
}

/// Nobody who does not know the token can write this.
fn placeholder(token: &str) -> String {
    format!("<token {}>", Digest::of(token.as_bytes()))
}

fn replaced(value: &Value, from: &str, to: &str) -> Value {
    let each = |value: &Value| replaced(value, from, to);
    match value {
        Value::String(text) => text.replace(from, to).into(),
        Value::Array(items) => items.iter().map(each).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace(from, to), each(value))).collect()
        }
        other => other.clone(),
    }
}
