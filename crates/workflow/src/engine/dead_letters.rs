//! Starts that failed and webhooks that were called in vain, kept until somebody sees to them.

use release::{PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Collection, Expect, Transaction};

use super::webhook::WEBHOOK;
use super::{EngineError, ExecutionKey, ExecutionRecord, Origin, TenantEngine};
use crate::rule::Causation;

pub const DEAD_LETTERS: Collection = Collection("workflow.dead_letters");

/// What a schedule or a rule wants started.
#[derive(Debug)]
pub struct Wanted {
    /// What wants it, as `schedule/nightly`.
    pub source: String,
    /// The execution.
    pub execution: ExecutionKey,
    /// Its input.
    pub input: Value,
    /// What it comes from.
    pub origin: Origin,
}

/// A start that failed, or a webhook that was called in vain: kept until somebody sees to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its name.
    pub id: String,
    /// What wanted it, as `schedule/nightly`.
    pub source: String,
    /// The execution that was to be started, or that called the webhook.
    pub execution: ExecutionKey,
    /// Its input.
    pub input: Value,
    /// Whoever made the schedule or rule, and so may not approve what it starts.
    pub author: Option<PrincipalId>,
    /// The rules that led to it.
    pub caused_by: Causation,
    /// What went wrong.
    pub error: String,
    /// When it was given up.
    pub at: Timestamp,
}

impl TenantEngine {
    /// The dead letters, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, EngineError> {
        self.all(DEAD_LETTERS).await
    }

    /// Starts what a dead letter is about, or calls its webhook again, and removes the letter.
    ///
    /// # Errors
    /// If there is none, or it cannot be started yet: then the letter stays.
    pub async fn deliver(&self, id: &str) -> Result<ExecutionRecord, EngineError> {
        let row = self.store().get(DEAD_LETTERS, id).await?;
        let row = row.ok_or_else(|| EngineError::UnknownDeadLetter(id.to_owned()))?;
        let letter: DeadLetter = row.read()?;
        let DeadLetter { author, caused_by, .. } = letter.clone();
        let origin = Origin { author, caused_by, ..Origin::default() };
        let record = match self.begin(&letter.execution, letter.input.clone(), origin).await {
            Err(EngineError::Exists(key)) if key.machine == WEBHOOK => {
                match self.redrive(&key).await {
                    // Somebody has redriven it already.
                    Err(EngineError::Status { .. }) => self.execution(&key).await?,
                    redriven => redriven?,
                }
            }
            // It was started, and the letter outlived it.
            Err(EngineError::Exists(key)) => self.execution(&key).await?,
            started => started?,
        };
        self.forget((DEAD_LETTERS, id), "dead_letter.delivered", &letter).await?;
        Ok(record)
    }

    /// Adds a dead letter to `transaction` if a start has failed for good; gives whether it has not.
    ///
    /// # Errors
    /// If the store failed: then it is tried again.
    pub(super) fn settle(
        &self,
        started: Result<ExecutionRecord, EngineError>,
        Wanted { source, execution, input, origin }: Wanted,
        transaction: Transaction,
    ) -> Result<(Transaction, bool), EngineError> {
        let error = match started {
            // It may have been started before a crash, or by another server.
            Ok(_) | Err(EngineError::Exists(_)) => return Ok((transaction, true)),
            Err(EngineError::Store(error)) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        let at = self.engine.shared.clock.now();
        // The moment comes first in the name, so that they are listed in the order of their time.
        let id = format!("{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), execution.name);
        let Origin { author, caused_by, .. } = origin;
        let letter = DeadLetter { id, source, execution, input, author, caused_by, error, at };
        let transaction = transaction.put(DEAD_LETTERS, &letter.id, &letter, Expect::Any)?;
        Ok((transaction.emit("workflow", "dead_letter.kept", &letter)?, false))
    }
}
