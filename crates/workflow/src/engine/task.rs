//! Long pieces of work that crates offer by name.

use std::fmt;

use async_trait::async_trait;
use release::{PrincipalId, TenantId, Timestamp};
use serde_json::Value;

use crate::fault::Fault;

/// A long piece of work. In a definition it is the activity `groundcrew.` and its name.
#[async_trait]
pub trait Task: fmt::Debug + Send + Sync {
    /// Its name, as `knowledge.refresh`.
    fn name(&self) -> &'static str;

    /// Does the work. After a crash it is called again with the same key, and must then take up or
    /// repeat what it began without doing it twice. When its result is no longer wanted it is
    /// dropped at its next await.
    ///
    /// # Errors
    /// What went wrong, as Retry and Catch see it.
    async fn run(&self, call: TaskCall) -> Result<Value, Fault>;
}

/// One call of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCall {
    /// For whom.
    pub tenant: TenantId,
    /// In whose name.
    pub actor: PrincipalId,
    /// Whether the actor asked for exactly this, as their own deed. Else it is automation, whoever
    /// started it.
    pub by_hand: bool,
    /// When it was scheduled: what it did since, it need not do again.
    pub since: Timestamp,
    /// Names this attempt.
    pub key: String,
    /// What it is called with.
    pub input: Value,
}
