//! Workflows that every tenant has: each of the product's own tasks alone, and the call of a
//! webhook.
//!
//! Each task has a workflow of one state named after it, `groundcrew.` and the task. Nobody makes
//! it: it is there wherever it is asked for, listed with the others, and its executions are
//! executions like all.

use release::PrincipalId;
use serde_json::{Value, json};
use store::StoreError;

use super::perform::OWN;
use super::webhook::{self, WEBHOOK};
use super::{
    ACCOUNT, EngineError, ExecutionKey, ExecutionRecord, MachineRecord, Origin, TenantEngine,
};
use crate::Status;

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

    /// Has a task done in an execution of that name: asked for again, it is the same execution.
    ///
    /// # Errors
    /// [`EngineError::Exists`] if it was done or is given up already; if nothing here does it, or
    /// the input is too large.
    pub async fn do_task_once(
        &self,
        task: &str,
        name: String,
        input: Value,
    ) -> Result<ExecutionRecord, EngineError> {
        let key = ExecutionKey { machine: format!("{OWN}{task}"), name };
        self.begin(&key, input, Origin::default()).await
    }

    /// Has a task done in an execution of that name. Asked for again it is the same execution, whether
    /// it is under way or done; one that was given up goes on.
    ///
    /// # Errors
    /// If nothing here does it, or the input is too large.
    pub async fn do_task_or_go_on(
        &self,
        task: &str,
        name: String,
        input: Value,
    ) -> Result<ExecutionRecord, EngineError> {
        match self.do_task_once(task, name, input).await {
            Err(EngineError::Exists(key)) => {
                let known = self.execution(&key).await?;
                match known.run.status {
                    Status::Running | Status::Succeeded => Ok(known),
                    _ => self.redrive(&key).await,
                }
            }
            begun => begun,
        }
    }

    /// The names of the workflows that every tenant has.
    pub(super) fn own_machines(&self) -> Vec<String> {
        let tasks = self.engine.shared.tasks.keys().filter(|task| is_own(task));
        let alone = tasks.map(|task| format!("{OWN}{task}"));
        alone.chain([WEBHOOK.to_owned()]).collect()
    }

    /// The definition of a workflow that every tenant has, if this is the name of one.
    pub(super) fn own_definition(&self, machine: &str) -> Option<String> {
        if machine == WEBHOOK {
            return Some(webhook::DEFINITION.to_owned());
        }
        let task = machine.strip_prefix(OWN).filter(|task| is_own(task))?;
        let offered = self.engine.shared.tasks.get(task)?;
        Some(definition(task, offered.is_retried()))
    }

    /// A workflow that every tenant has, defined as this version does it.
    pub(super) async fn own_machine(
        &self,
        name: &str,
        text: &str,
    ) -> Result<MachineRecord, EngineError> {
        let own = self.engine.tenant(&self.tenant, PrincipalId::system("workflows"));
        let (transaction, defined) =
            own.definitions().workflow(name, text, own.transaction()).await?;
        let record = defined.record.clone();
        match own.made((transaction, defined)).await {
            // Somebody else asked for it at the same moment.
            Err(EngineError::Store(StoreError::Conflict { .. })) => Ok(record),
            made => made,
        }
    }
}

/// Whether a task is the product's own (`knowledge.refresh`), and not the call of a service.
fn is_own(task: &str) -> bool {
    task.contains('.')
}

fn definition(task: &str, retried: bool) -> String {
    let resource = format!("arn:aws:states:local:{ACCOUNT}:activity:{OWN}{task}");
    let mut state = json!({"Type": "Task", "Resource": resource, "End": true});
    if retried {
        let webhook: Value = serde_json::from_str(webhook::DEFINITION).unwrap_or_default();
        state["Retry"] = webhook["States"]["Call"]["Retry"].clone();
    }
    json!({
        "Comment": format!("The task {task}, alone."),
        "StartAt": task,
        "States": {task: state},
    })
    .to_string()
}
