//! Webhooks as targets of schedules and event rules.
//!
//! A call is an execution of a workflow of one state that every tenant has, so that it is durable,
//! tried again and seen like all other work. One that was given up leaves a dead letter, whose
//! delivery redrives it.

use serde_json::{Value, json};
use store::{Expect, StoreError, Transaction};

use super::dead_letters::{DEAD_LETTERS, DeadLetter};
use super::{ACCOUNT, ExecutionRecord, Status};
use crate::fault::Fault;
use crate::rule::Webhook;

/// The workflow that calls webhooks.
pub const WEBHOOK: &str = "groundcrew.webhook";
pub const DEFINITION: &str = include_str!("webhook.asl.json");

impl Webhook {
    /// The input of the workflow that tells it `body`. `source` is what wants it told.
    pub(super) fn input(&self, source: &str, body: &Value) -> Value {
        let connection = format!("arn:aws:events:local:{ACCOUNT}:connection/{}", self.connection);
        let path = format!("/{}", self.path.trim_start_matches('/'));
        json!({"source": source, "connection": connection, "path": path, "body": body})
    }
}

/// Keeps a dead letter, in the transaction that ends it, of a webhook that was called in vain.
pub fn give_up(
    record: &ExecutionRecord,
    transaction: Transaction,
) -> Result<Transaction, StoreError> {
    let in_vain = matches!(record.run.status, Status::Failed | Status::TimedOut);
    let Some(at) = record.stopped_at.filter(|_| in_vain && record.key.machine == WEBHOOK) else {
        return Ok(transaction);
    };
    let about = &record.run.about;
    let fault = record.run.outcome.as_ref().and_then(|outcome| outcome.fault.clone());
    let Fault { error, cause } = fault.unwrap_or_default();
    let error = [error, cause].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let source = about.input.get("source").and_then(Value::as_str).unwrap_or(WEBHOOK).to_owned();
    let letter = DeadLetter {
        id: format!("{}-{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), about.name, about.redrives),
        source,
        execution: record.key.clone(),
        input: about.input.clone(),
        author: record.author.clone(),
        caused_by: record.caused_by.clone(),
        error,
        at,
    };
    let transaction = transaction.put(DEAD_LETTERS, &letter.id, &letter, Expect::Any)?;
    transaction.emit("workflow", "dead_letter.kept", &letter)
}
