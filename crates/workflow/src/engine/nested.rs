//! Executions that tasks of other executions start: `states:startExecution`.
//!
//! The child's record says which task of which execution started it, and its name, where the
//! definition gives none, is the task's key. So a task that is begun again after a crash finds the
//! child it has started. Where the task waits for the child's end (`.sync`), the child's record says
//! so until the end is told, and with it that its server holds it: whoever takes it up tells the
//! end, or stops a child whose task is over.

use std::sync::Arc;

use release::{PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::List;

use super::perform::Doer;
use super::start::{Origin, qualified};
use super::transition::Change;
use super::webhook::WEBHOOK;
use super::{
    AGAIN, EXECUTIONS, Engine, EngineError, ExecutionKey, ExecutionRecord, OpenTask, PAGE,
    TenantEngine,
};
use crate::definition::{Resource, Waiting};
use crate::fault::{Fault, name};
use crate::interpreter::{Input, Report, Status};
use crate::rule::Causation;

/// The index of executions by the tasks that wait for them.
pub const PARENT: &str = "parent";
/// The index of executions that a task waits for, by the server that holds them.
pub const WAITED_FOR: &str = "waited_for";
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
    /// Whether it waits for the end, and was not told yet.
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

/// A task that starts an execution.
#[derive(Debug, Clone)]
pub struct Nested {
    waiting: Waiting,
    parent: Parent,
    author: Option<PrincipalId>,
    caused_by: Causation,
    arguments: Value,
}

impl Nested {
    /// What `open` starts with `arguments`, if it starts an execution.
    pub fn of(record: &ExecutionRecord, open: &OpenTask, arguments: Value) -> Option<Self> {
        let waiting = waiting(&open.resource)?;
        let parent = Parent {
            execution: record.key.clone(),
            task: open.task.clone(),
            waits: matches!(waiting, Waiting::Job | Waiting::JobJson),
            depth: record.parent.as_ref().map_or(0, |parent| parent.depth) + 1,
        };
        let (author, caused_by) = (record.author.clone(), record.caused_by.clone());
        Some(Self { waiting, parent, author, caused_by, arguments })
    }
}

/// How a resource that starts executions waits for them.
fn waiting(resource: &Resource) -> Option<Waiting> {
    match resource {
        Resource::Service { waiting, .. } if Doer::of(resource) == Doer::Execution => {
            Some(*waiting)
        }
        _ => None,
    }
}

impl Engine {
    /// Starts the execution that a task asks for, if that is what it asks. It is not cut off: what
    /// it starts must be known to whoever stops it.
    pub(super) fn begin_nested(
        &self,
        tenant: &TenantId,
        record: &ExecutionRecord,
        open: &OpenTask,
    ) {
        let (arguments, _) = self.arguments(tenant, record, open);
        let Some(nested) = Nested::of(record, open, arguments) else { return };
        let engine = self.tenant(tenant, record.actor.clone());
        let key = record.key.clone();
        tokio::spawn(async move { until_done(&key, || engine.nest(&nested)).await });
    }

    /// Tells the task that waits for an execution its end, or stops an execution whose task is over.
    /// Until that is done, the execution's record says that it waits.
    pub(super) fn look_to_parent(&self, tenant: &TenantId, child: &ExecutionRecord) {
        if child.parent.as_ref().is_some_and(|parent| parent.waits) {
            let (engine, child) = (self.tenant(tenant, child.actor.clone()), child.clone());
            tokio::spawn(async move {
                until_done(&child.key, || engine.settle_with_parent(&child)).await;
            });
        }
    }

    /// Stops what a task that is no longer waited for has started.
    pub(super) fn stop_nested(&self, tenant: &TenantId, record: &ExecutionRecord, task: String) {
        let (engine, key) = (self.tenant(tenant, record.actor.clone()), record.key.clone());
        tokio::spawn(async move { until_done(&key, || engine.stop_children(&task)).await });
    }
}

/// Does what nobody else here will do; what the store refuses is tried again.
async fn until_done<F: Future<Output = Result<(), EngineError>>>(
    key: &ExecutionKey,
    work: impl Fn() -> F,
) {
    loop {
        match work().await {
            Ok(()) => return,
            Err(error) if error.passes() => {
                tracing::error!(%error, execution = %key, "a nested execution waits; trying again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                tracing::error!(%error, execution = %key, "a nested execution was given up");
                return;
            }
        }
    }
}

impl TenantEngine {
    /// As [`Engine::look_to_parent`], once.
    pub(super) async fn settle_with_parent(
        &self,
        child: &ExecutionRecord,
    ) -> Result<(), EngineError> {
        let Some(parent) = child.parent.as_ref().filter(|parent| parent.waits) else {
            return Ok(());
        };
        if child.run.status == Status::Running {
            return match self.is_waited_for(parent).await? {
                true => Ok(()),
                false => self.cut_off(&child.key).await,
            };
        }
        self.tell_end(parent, child).await?;
        let settled = self.engine.change(&self.tenant, &child.key, |record| {
            record.parent.iter_mut().for_each(|parent| parent.waits = false);
            Ok(Change { input: None, told: None })
        });
        settled.await.map(|_| ())
    }

    /// Starts the execution that a task asks for, or finds the one it has started.
    ///
    /// The outer error is the store's: then it is tried again.
    async fn start_nested(
        &self,
        nested: &Nested,
    ) -> Result<Result<ExecutionRecord, Fault>, EngineError> {
        let Nested { parent, author, caused_by, arguments, .. } = nested.clone();
        let (key, arn, input) = match asked(arguments, &parent) {
            Ok(asked) => asked,
            Err(fault) => return Ok(Err(fault)),
        };
        let origin = Origin { author, caused_by, parent: Some(parent.clone()), by_hand: false };
        let (child, exists) = match self.begin(&key, input, origin).await {
            Ok(child) => (child, false),
            Err(EngineError::Exists(key)) => (self.execution(&key).await?, true),
            Err(error) => return refused(error, &arn, &parent.task).map(Err),
        };
        let own = child
            .parent
            .as_ref()
            .is_some_and(|own| (&own.execution, &own.task) == (&parent.execution, &parent.task));
        // One that somebody else has started tells its end to nobody here.
        if own || (!exists && !parent.waits) {
            return Ok(Ok(child));
        }
        refused(EngineError::Exists(child.key), &arn, &parent.task).map(Err)
    }

    /// What comes of a task that waits for the answer to its start only.
    pub(super) async fn report_start(&self, nested: &Nested) -> Report {
        match self.start_nested(nested).await {
            Ok(Ok(child)) => Report::Succeeded(answer(&child)),
            Ok(Err(fault)) => Report::Failed(fault),
            Err(error) => Report::Failed(Fault::new(name::TASK_FAILED, error.to_string())),
        }
    }

    /// Starts what a task asks for, and reports it; its end too, if it is over already.
    async fn nest(&self, nested: &Nested) -> Result<(), EngineError> {
        let Nested { waiting, parent, .. } = nested;
        self.tell(parent, Report::Started { worker: None }).await?;
        let child = match self.start_nested(nested).await? {
            Ok(child) => child,
            Err(fault) => return self.tell(parent, Report::Failed(fault)).await.map(|_| ()),
        };
        let answer = answer(&child);
        if *waiting == Waiting::Response {
            return self.tell(parent, Report::Succeeded(answer)).await.map(|_| ());
        }
        let record = self.tell(parent, Report::Submitted(answer)).await?;
        if !parent.waits {
            return Ok(());
        }
        if !record.run.waits_for(&parent.task) {
            return self.cut_off(&child.key).await;
        }
        // It may have ended, and told so, before this task was known to wait for it.
        let child = self.execution(&child.key).await?;
        match child.run.status {
            Status::Running => Ok(()),
            _ => self.tell_end(parent, &child).await,
        }
    }

    /// Reports a child's end. What comes before it in the history is told first, if it is not yet.
    async fn tell_end(&self, parent: &Parent, child: &ExecutionRecord) -> Result<(), EngineError> {
        let above = match self.execution(&parent.execution).await {
            Err(EngineError::UnknownExecution(_)) => return Ok(()),
            found => found?,
        };
        let Some(open) = above.tasks.get(&parent.task) else { return Ok(()) };
        let Some(waiting) = waiting(&open.resource) else { return Ok(()) };
        let end = match child.run.status {
            Status::Succeeded => Report::Succeeded(described(child, waiting)),
            _ => {
                let cause = described(child, waiting).to_string();
                Report::Failed(Fault::new(name::TASK_FAILED, cause))
            }
        };
        self.tell(parent, Report::Started { worker: None }).await?;
        self.tell(parent, Report::Submitted(answer(child))).await?;
        self.tell(parent, end).await.map(|_| ())
    }

    async fn tell(
        &self,
        parent: &Parent,
        report: Report,
    ) -> Result<Arc<ExecutionRecord>, EngineError> {
        let input = Input::Reported { task: parent.task.clone(), report };
        self.engine.advance(&self.tenant, &parent.execution, &input).await
    }

    async fn is_waited_for(&self, parent: &Parent) -> Result<bool, EngineError> {
        match self.execution(&parent.execution).await {
            Ok(above) => Ok(above.run.waits_for(&parent.task)),
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
    // Its input names whom it calls: nobody but schedules and rules starts it.
    if qualified(&machine).0 == WEBHOOK {
        let message = format!("State Machine Does Not Exist: '{arn}'");
        return Err(service_fault("StateMachineDoesNotExist", &message, &parent.task));
    }
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
