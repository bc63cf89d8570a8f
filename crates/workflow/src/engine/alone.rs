//! One of the product's own tasks, done alone: an execution of a single state.
//!
//! Each task has a workflow named after it, `groundcrew.` and the task. Nobody makes it: it is there
//! wherever it is asked for, listed with the others, and its executions are executions like all.

use release::PrincipalId;
use serde_json::{Value, json};
use store::StoreError;

use super::{
    ACCOUNT, EngineError, ExecutionKey, ExecutionRecord, MachineRecord, OWN, Origin, TenantEngine,
};

impl TenantEngine {
    /// Has a task done in an execution of its own, by hand: it is the deed of whoever asks, and not
    /// automation.
    ///
    /// # Errors
    /// If nothing here does it, or the input is too large.
    pub async fn do_task(&self, task: &str, input: Value) -> Result<ExecutionRecord, EngineError> {
        let name = uuid::Uuid::new_v4().to_string();
        let key = ExecutionKey { machine: format!("{OWN}{task}"), name };
        self.begin(&key, input, Origin { by_hand: true, ..Origin::default() }).await
    }

    /// The task that the workflow of this name does and nothing else.
    pub(super) fn own_task<'a>(&self, machine: &'a str) -> Option<&'a str> {
        let task = machine.strip_prefix(OWN)?;
        self.engine.shared.tasks.contains_key(task).then_some(task)
    }

    /// The workflow that does a task and nothing else, defined as this version does it.
    pub(super) async fn machine_of(&self, task: &str) -> Result<MachineRecord, EngineError> {
        let own = self.engine.tenant(&self.tenant, PrincipalId::system("workflows"));
        let (name, text) = (format!("{OWN}{task}"), definition(task));
        let (transaction, defined) =
            own.definitions().workflow(&name, &text, own.transaction()).await?;
        let record = defined.record.clone();
        match own.made((transaction, defined)).await {
            // Somebody else asked for it at the same moment.
            Err(EngineError::Store(StoreError::Conflict { .. })) => Ok(record),
            made => made,
        }
    }
}

fn definition(task: &str) -> String {
    let resource = format!("arn:aws:states:local:{ACCOUNT}:activity:{OWN}{task}");
    json!({
        "Comment": format!("The task {task}, alone."),
        "StartAt": task,
        "States": {task: {"Type": "Task", "Resource": resource, "End": true}},
    })
    .to_string()
}
