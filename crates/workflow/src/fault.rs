//! Why a state fails.

use serde::{Deserialize, Serialize};

use crate::weight::TooMuch;

/// An error's name, as Retry and Catch match it.
pub mod name {
    pub const ALL: &str = "States.ALL";
    pub const RUNTIME: &str = "States.Runtime";
    pub const TIMEOUT: &str = "States.Timeout";
    pub const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
    pub const TASK_FAILED: &str = "States.TaskFailed";
    pub const DATA_LIMIT: &str = "States.DataLimitExceeded";
    pub const QUERY: &str = "States.QueryEvaluationError";
    pub const INTRINSIC: &str = "States.IntrinsicFailure";
    pub const NO_CHOICE: &str = "States.NoChoiceMatched";
    pub const RESULT_PATH: &str = "States.ResultPathMatchFailure";
    pub const ITEM_READER: &str = "States.ItemReaderFailed";
    pub const RESULT_WRITER: &str = "States.ResultWriterFailed";
    pub const THRESHOLD: &str = "States.ExceedToleratedFailureThreshold";
}

/// A failure as executions report it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its name; a Fail state and a failing worker may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What happened, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Fault {
    /// A failure with a name and a cause.
    pub fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: Some(error.to_owned()), cause: Some(cause.into()) }
    }

    /// Whether `names` of a retrier or catcher mean this failure. A result that is too large is
    /// meant by `States.ALL` only where it is a task's.
    pub fn is_among(&self, names: &[String], origin: Origin) -> bool {
        let own = self.error.as_deref().unwrap_or_default();
        names.iter().any(|wanted| match wanted.as_str() {
            name::ALL => {
                own != name::RUNTIME && (own != name::DATA_LIMIT || origin == Origin::Task)
            }
            name::TASK_FAILED => {
                own == name::TASK_FAILED || !own.starts_with("States.") || own.is_empty()
            }
            name::TIMEOUT => own == name::TIMEOUT || own == name::HEARTBEAT_TIMEOUT,
            name::HEARTBEAT_TIMEOUT => own == name::HEARTBEAT_TIMEOUT,
            wanted => own == wanted,
        })
    }
}

/// Where a failure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The state itself, or the states within it.
    State,
    /// The task it had done.
    Task,
}

/// A field of a state that has no value, before it is known where in the history the state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unevaluated {
    /// The error's name.
    pub error: &'static str,
    /// What is wrong.
    pub cause: String,
    /// The field, where the history names it.
    pub location: Option<String>,
}

impl From<Unevaluated> for Fault {
    fn from(error: Unevaluated) -> Self {
        Self::new(error.error, error.cause)
    }
}

impl From<TooMuch> for Unevaluated {
    fn from(error: TooMuch) -> Self {
        Self::runtime(format!("What is computed here was stopped: {error}."))
    }
}

impl Unevaluated {
    /// A failure that no retrier helps.
    pub fn runtime(cause: impl Into<String>) -> Self {
        Self { error: name::RUNTIME, cause: cause.into(), location: None }
    }

    /// A failure of a query at `location`.
    pub fn query(location: Option<&str>, cause: impl Into<String>) -> Self {
        let location = location.map(str::to_owned);
        Self { error: name::QUERY, cause: cause.into(), location }
    }
}
