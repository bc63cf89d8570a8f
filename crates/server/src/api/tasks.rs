//! The product's long pieces of work: each is an execution of its own, in the caller's name.

use serde_json::Value;
use workflow::Status;
use workflow::engine::{ExecutionRecord, TenantEngine};

use super::workflows::told;
use super::{Call, Problem};

/// What came of a task.
pub enum Done {
    /// Its result.
    Result(Value),
    /// The execution that does it, for a caller who does not wait.
    Begun(Value),
}

impl Call {
    /// The workflows of the caller's tenant, in the caller's name.
    pub fn workflows(&self) -> TenantEngine {
        self.api.workflows.tenant(&self.tenant, self.identity.principal.clone())
    }

    /// Has a task done as the caller's own deed, and waits for it unless the query says
    /// `wait=false`. It goes on if the caller does not stay.
    pub async fn done(&self, task: &str, input: Value) -> Result<Done, Problem> {
        let engine = self.workflows();
        let begun = engine.do_task(task, input).await?;
        if self.query("wait")? == Some(false) {
            return Ok(Done::Begun(told(&begun)));
        }
        let ended = engine.ended(&begun.key).await?;
        match &ended.run.outcome {
            Some(outcome) if ended.run.status == Status::Succeeded => {
                Ok(Done::Result(outcome.output.clone().unwrap_or_default()))
            }
            _ => Err(failed(&ended)),
        }
    }
}

/// Why a task has no result, as if it had been asked without an execution around it.
fn failed(ended: &ExecutionRecord) -> Problem {
    let fault = ended.run.outcome.as_ref().and_then(|outcome| outcome.fault.clone());
    let fault = fault.unwrap_or_default();
    match ended.run.status {
        Status::Failed => fault.into(),
        status => {
            let message = format!("the execution `{}` is {}", ended.key, status.as_str());
            let cause = fault.cause.unwrap_or_default();
            Problem::conflict(format!("{message} {cause}").trim_end())
        }
    }
}
