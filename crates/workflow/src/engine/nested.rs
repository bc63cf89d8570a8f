//! Executions that tasks of other executions start: `states:startExecution`.
//!
//! The child's record says which task of which execution started it, and its name, where the
//! definition gives none, is the task's key. So a task that is begun again after a crash finds the
//! child it has started. Where the task waits for the child's end (`.sync`), the end is reported
//! after the child's commit and again whenever the task is begun again; a child whose task is over
//! is stopped after the parent's commit and again when the child is taken up.

use std::future::Future;

use release::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::List;

use super::start::{Origin, qualified};
use super::{
    EXECUTIONS, Engine, EngineError, ExecutionKey, ExecutionRecord, OpenTask, PAGE, TenantEngine,
};
use crate::definition::{Resource, Waiting};
use crate::fault::{Fault, name};
use crate::interpreter::{Input, Report, Status};

/// The index of executions by the tasks that wait for them.
pub const PARENT: &str = "parent";
/// How many executions may have started each other.
const DEEPEST: u32 = 16;
/// How much of an execution's cause and input the failure of the one above it quotes.
const QUOTED: usize = 8_192;

/// The task of another execution that started an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The other execution.
    pub execution: ExecutionKey,
    /// The task.
    pub task: String,
    /// Whether it waits for the end.
    pub waits: bool,
    /// How many executions are above this one.
    pub depth: u32,
}

/// What a task asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Asked {
    state_machine_arn: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    name: Option<String>,
    /// Nothing here is traced by it.
    #[serde(default, rename = "TraceHeader")]
    _trace_header: Option<String>,
}

/// How a resource that starts executions waits for them.
pub fn waiting(resource: &str) -> Option<Waiting> {
    match Resource::parse(resource)? {
        Resource::Service { service, action, waiting }
            if service == "states" && action == "startExecution" =>
        {
            Some(waiting)
        }
        _ => None,
    }
}

/// Whether the child's end is waited for.
fn waits(waiting: Waiting) -> bool {
    matches!(waiting, Waiting::Job | Waiting::JobJson)
}

impl Engine {
    /// Starts the execution that a task asks for, if that is what it asks.
    pub(super) fn begin_nested(
        &self,
        tenant: &TenantId,
        record: &ExecutionRecord,
        open: &OpenTask,
    ) -> bool {
        let Some(waiting) = waiting(&open.resource) else { return false };
        let engine = self.tenant(tenant, record.actor.clone());
        let (key, task) = (record.key.clone(), open.task.clone());
        let started = engine.start_nested(record, open, waiting);
        // It is not cut off: what it starts must be known to whoever stops it.
        tokio::spawn(async move {
            if let Err(error) = engine.nest(&key, &task, waiting, started).await {
                // The record still holds the task: the next start begins it again.
                tracing::error!(%error, execution = %key, "a nested execution was not started");
            }
        });
        true
    }

    /// Tells the task that waits for an execution that it is over.
    pub(super) fn tell_parent(&self, tenant: &TenantId, child: &ExecutionRecord) {
        let Some(parent) = child.parent.clone().filter(|parent| parent.waits) else { return };
        let (engine, child) = (self.tenant(tenant, child.actor.clone()), child.clone());
        tokio::spawn(async move {
            if let Err(error) = engine.tell_end(&parent.execution, &parent.task, &child).await {
                // The parent's record still holds the task: the next start begins it again.
                tracing::error!(%error, execution = %child.key, "its end could not be reported");
            }
        });
    }

    /// Stops what a task that is no longer waited for has started.
    pub(super) fn stop_nested(&self, tenant: &TenantId, record: &ExecutionRecord, task: String) {
        let engine = self.tenant(tenant, record.actor.clone());
        tokio::spawn(async move {
            if let Err(error) = engine.stop_children(&task).await {
                // It is stopped when it is taken up.
                tracing::error!(%error, task, "a nested execution could not be stopped");
            }
        });
    }

    /// Stops an execution that is taken up although the task that waited for it is over.
    pub(super) fn stop_if_orphaned(&self, tenant: &TenantId, record: &ExecutionRecord) {
        let Some(parent) = record.parent.clone().filter(|parent| parent.waits) else { return };
        let (engine, key) = (self.tenant(tenant, record.actor.clone()), record.key.clone());
        tokio::spawn(async move {
            let checked = async {
                if engine.is_waited_for(&parent.execution, &parent.task).await? {
                    return Ok(());
                }
                engine.cut_off(&key).await
            };
            if let Err(error) = checked.await {
                tracing::error!(%error, execution = %key, "a nested execution was not looked at");
            }
        });
    }
}

impl TenantEngine {
    /// Starts the execution that a task asks for, or finds the one it has started.
    ///
    /// The outer error is the store's: then it is tried again.
    pub(super) fn start_nested(
        &self,
        record: &ExecutionRecord,
        open: &OpenTask,
        waiting: Waiting,
    ) -> impl Future<Output = Result<Result<ExecutionRecord, Fault>, EngineError>> + Send + use<>
    {
        let depth = record.parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        let (execution, task) = (record.key.clone(), open.task.clone());
        let parent = Parent { execution, task, waits: waits(waiting), depth };
        let (author, caused_by) = (record.author.clone(), record.caused_by.clone());
        let origin = Origin { author, caused_by, parent: Some(parent.clone()) };
        let (engine, arguments) = (self.clone(), open.arguments.clone());
        async move {
            let (key, arn, input) = match asked(arguments, &parent) {
                Ok(asked) => asked,
                Err(fault) => return Ok(Err(fault)),
            };
            let begun = engine.begin(&key, input, origin).await;
            let (child, error) = match begun {
                Ok(child) => (child, None),
                Err(EngineError::Exists(key)) => {
                    (engine.execution(&key).await?, Some(EngineError::Exists(key)))
                }
                Err(error) => return refused(error, &arn, &parent.task).map(Err),
            };
            let own = child.parent.as_ref().is_some_and(|own| {
                (&own.execution, &own.task) == (&parent.execution, &parent.task)
            });
            match error {
                _ if own => Ok(Ok(child)),
                None if !parent.waits => Ok(Ok(child)),
                // Somebody else has started it, and is told its end.
                _ => refused(EngineError::Exists(child.key), &arn, &parent.task).map(Err),
            }
        }
    }

    /// Reports what a task has started, and its end if it is over already.
    async fn nest(
        &self,
        key: &ExecutionKey,
        task: &str,
        waiting: Waiting,
        started: impl Future<Output = Result<Result<ExecutionRecord, Fault>, EngineError>> + Send,
    ) -> Result<(), EngineError> {
        self.tell(key, task, Report::Started { worker: None }).await?;
        let child = match started.await? {
            Ok(child) => child,
            Err(fault) => return self.tell(key, task, Report::Failed(fault)).await.map(|_| ()),
        };
        let answer = answer(&child);
        if waiting == Waiting::Response {
            return self.tell(key, task, Report::Succeeded(answer)).await.map(|_| ());
        }
        let record = self.tell(key, task, Report::Submitted(answer)).await?;
        if !waits(waiting) {
            return Ok(());
        }
        if !record.run.waits_for(task) {
            return self.cut_off(&child.key).await;
        }
        // It may have ended before the task was known to wait.
        let child = self.execution(&child.key).await?;
        match child.run.status {
            Status::Running => Ok(()),
            _ => self.tell_end(key, task, &child).await,
        }
    }

    /// Reports a child's end. What comes before it in the history is told first, if it is not yet.
    async fn tell_end(
        &self,
        key: &ExecutionKey,
        task: &str,
        child: &ExecutionRecord,
    ) -> Result<(), EngineError> {
        let parent = self.execution(key).await?;
        let Some(open) = parent.tasks.get(task) else { return Ok(()) };
        let Some(waiting) = waiting(&open.resource) else { return Ok(()) };
        let end = match child.run.status {
            Status::Succeeded => Report::Succeeded(described(child, waiting)),
            _ => {
                let cause = described(child, waiting).to_string();
                Report::Failed(Fault::new(name::TASK_FAILED, cause))
            }
        };
        self.tell(key, task, Report::Started { worker: None }).await?;
        self.tell(key, task, Report::Submitted(answer(child))).await?;
        self.tell(key, task, end).await.map(|_| ())
    }

    async fn tell(
        &self,
        key: &ExecutionKey,
        task: &str,
        report: Report,
    ) -> Result<ExecutionRecord, EngineError> {
        let input = Input::Reported { task: task.to_owned(), report };
        self.engine.advance(&self.tenant, key, &input).await
    }

    async fn is_waited_for(&self, key: &ExecutionKey, task: &str) -> Result<bool, EngineError> {
        match self.execution(key).await {
            Ok(parent) => Ok(parent.run.waits_for(task)),
            Err(EngineError::UnknownExecution(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn stop_children(&self, task: &str) -> Result<(), EngineError> {
        let index = Some((PARENT, task.to_owned()));
        let list = List { prefix: String::new(), index, after: None, limit: PAGE };
        for row in self.store().list(EXECUTIONS, list).await? {
            self.cut_off(&row.read::<ExecutionRecord>()?.key).await?;
        }
        Ok(())
    }

    /// Stops an execution, unless it is over.
    async fn cut_off(&self, key: &ExecutionKey) -> Result<(), EngineError> {
        match self.stop(key, Fault::default()).await {
            Ok(_) | Err(EngineError::Status { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Which execution a task asks for, the ARN it names, and the input.
fn asked(arguments: Value, parent: &Parent) -> Result<(ExecutionKey, String, Value), Fault> {
    let wrong = |why: String| Fault::new(name::RUNTIME, why);
    let asked: Asked = serde_json::from_value(arguments)
        .map_err(|error| wrong(format!("The arguments of startExecution do not fit: {error}.")))?;
    let arn = asked.state_machine_arn;
    let machine = match arn.splitn(7, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "states", _, _, "stateMachine", machine] => (*machine).to_owned(),
        _ => {
            let message = format!("Invalid Arn: '{arn}'");
            return Err(service_fault("InvalidArn", &message, &parent.task));
        }
    };
    if parent.depth > DEEPEST {
        let (machine, _) = qualified(&machine);
        let message = format!(
            "`{machine}` is not started: {DEEPEST} executions have started each other already"
        );
        return Err(service_fault("ExecutionLimitExceeded", &message, &parent.task));
    }
    let input = match asked.input {
        Value::Null => json!({}),
        Value::String(text) => serde_json::from_str(&text).map_err(|error| {
            let message = format!("Invalid State Machine Execution Input: '{error}'");
            service_fault("InvalidExecutionInput", &message, &parent.task)
        })?,
        input => input,
    };
    let name = asked.name.unwrap_or_else(|| parent.task.clone());
    Ok((ExecutionKey { machine, name }, arn, input))
}

/// Why an execution could not be started, as the service tells a task. What the store could not do
/// is tried again instead.
fn refused(error: EngineError, arn: &str, request: &str) -> Result<Fault, EngineError> {
    let (code, message) = match &error {
        EngineError::UnknownMachine(_) => {
            ("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
        }
        EngineError::Exists(key) => {
            ("ExecutionAlreadyExists", format!("Execution Already Exists: '{key}'"))
        }
        EngineError::Name(name) => ("InvalidName", format!("Invalid Name: '{name}'")),
        EngineError::TooLarge => ("InvalidExecutionInput", error.to_string()),
        EngineError::Type { .. } => ("StateMachineTypeNotSupported", error.to_string()),
        EngineError::Limit(_) => ("ExecutionLimitExceeded", error.to_string()),
        _ => return Err(error),
    };
    Ok(service_fault(code, &message, request))
}

/// A failure as the service's own integration words it.
fn service_fault(code: &str, message: &str, request: &str) -> Fault {
    let cause = format!(
        "{message} (Service: AWSStepFunctions; Status Code: 400; Error Code: {code}; \
         Request ID: {request}; Proxy: null)"
    );
    Fault::new(&format!("StepFunctions.{code}Exception"), cause)
}

/// What comes of a task that waits for the answer to its start only.
pub fn report(started: Result<Result<ExecutionRecord, Fault>, EngineError>) -> Report {
    match started {
        Ok(Ok(child)) => Report::Succeeded(answer(&child)),
        Ok(Err(fault)) => Report::Failed(fault),
        Err(error) => Report::Failed(Fault::new(name::TASK_FAILED, error.to_string())),
    }
}

/// What the service answers to a start.
fn answer(child: &ExecutionRecord) -> Value {
    let about = &child.run.about;
    json!({"ExecutionArn": about.execution_arn, "StartDate": moment(about.started_at)})
}

/// An execution that is over, as the task that waited for it is told.
fn described(child: &ExecutionRecord, waiting: Waiting) -> Value {
    let (about, outcome) = (&child.run.about, child.run.outcome.as_ref());
    let output = outcome.and_then(|outcome| outcome.output.as_ref());
    let fault = outcome.and_then(|outcome| outcome.fault.as_ref());
    // A failure quotes those of the executions below it, each quoted once more: it is kept short.
    let failed = fault.is_some();
    let text = |text: &String| Value::from(text.as_str());
    let cut = |text: &String| Value::from(text.chars().take(QUOTED).collect::<String>());
    let input = about.input.to_string();
    let input_included = !failed || input.len() <= QUOTED;
    let output_shown = |output: &Value| match waiting {
        Waiting::JobJson => output.clone(),
        _ => output.to_string().into(),
    };
    let version = child.version.map(|version| format!("{}:{version}", about.machine_arn).into());
    let alias = child.alias.as_ref().map(|alias| format!("{}:{alias}", about.machine_arn).into());
    let fields = [
        ("Cause", fault.and_then(|fault| fault.cause.as_ref()).map(cut)),
        ("Error", fault.and_then(|fault| fault.error.as_ref()).map(text)),
        ("ExecutionArn", Some(text(&about.execution_arn))),
        ("Input", input_included.then(|| input.into())),
        ("InputDetails", Some(json!({"Included": input_included}))),
        ("Name", Some(text(&about.name))),
        ("Output", output.map(output_shown)),
        ("OutputDetails", output.map(|_| json!({"Included": true}))),
        ("StartDate", Some(moment(about.started_at))),
        ("StateMachineAliasArn", alias),
        ("StateMachineArn", Some(text(&about.machine_arn))),
        ("StateMachineVersionArn", version),
        ("Status", Some(child.run.status.as_str().into())),
        ("StopDate", child.stopped_at.map(moment)),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn moment(at: Timestamp) -> Value {
    format!("{at:.3}").into()
}

#[cfg(test)]
mod tests;
