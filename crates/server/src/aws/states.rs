//! Step Functions.

mod executions;
mod machines;
mod map_runs;
mod tasks;
mod versions;

use std::collections::BTreeMap;

use security::Action;
use serde::Deserialize;
use serde_json::Value;
use workflow::engine::{
    Defining, EngineError, ExecutionKey, MachineType, Tagged, TenantEngine, check_tags, qualified,
};

use super::{Call, Exception, PAGE, page};

/// What the names of its operations begin with.
pub const SERVICE: &str = "AWSStepFunctions";

/// What an operation is about.
#[derive(Debug, Clone, Copy)]
enum Part {
    Machines,
    Versions,
    Executions,
    MapRuns,
    Tasks,
}

/// The operations, and what their callers must be allowed to do.
const OPERATIONS: &[(&str, Action, Part)] = &[
    ("CreateActivity", Action::DefineWorkflows, Part::Tasks),
    ("CreateStateMachine", Action::DefineWorkflows, Part::Machines),
    ("CreateStateMachineAlias", Action::DefineWorkflows, Part::Versions),
    ("DeleteActivity", Action::DefineWorkflows, Part::Tasks),
    ("DeleteStateMachine", Action::DefineWorkflows, Part::Machines),
    ("DeleteStateMachineAlias", Action::DefineWorkflows, Part::Versions),
    ("DeleteStateMachineVersion", Action::DefineWorkflows, Part::Versions),
    ("DescribeActivity", Action::ReadWorkflows, Part::Tasks),
    ("DescribeExecution", Action::ReadWorkflows, Part::Executions),
    ("DescribeMapRun", Action::ReadWorkflows, Part::MapRuns),
    ("DescribeStateMachine", Action::ReadWorkflows, Part::Machines),
    ("DescribeStateMachineAlias", Action::ReadWorkflows, Part::Versions),
    ("DescribeStateMachineForExecution", Action::ReadWorkflows, Part::Executions),
    ("GetActivityTask", Action::RunWorkflows, Part::Tasks),
    ("GetExecutionHistory", Action::ReadWorkflows, Part::Executions),
    ("ListActivities", Action::ReadWorkflows, Part::Tasks),
    ("ListExecutions", Action::ReadWorkflows, Part::Executions),
    ("ListMapRuns", Action::ReadWorkflows, Part::MapRuns),
    ("ListStateMachineAliases", Action::ReadWorkflows, Part::Versions),
    ("ListStateMachineVersions", Action::ReadWorkflows, Part::Versions),
    ("ListStateMachines", Action::ReadWorkflows, Part::Machines),
    ("ListTagsForResource", Action::ReadWorkflows, Part::Machines),
    ("PublishStateMachineVersion", Action::DefineWorkflows, Part::Versions),
    ("RedriveExecution", Action::RunWorkflows, Part::Executions),
    ("SendTaskFailure", Action::RunWorkflows, Part::Tasks),
    ("SendTaskHeartbeat", Action::RunWorkflows, Part::Tasks),
    ("SendTaskSuccess", Action::RunWorkflows, Part::Tasks),
    ("StartExecution", Action::RunWorkflows, Part::Executions),
    ("StartSyncExecution", Action::RunWorkflows, Part::Executions),
    ("StopExecution", Action::RunWorkflows, Part::Executions),
    ("TagResource", Action::DefineWorkflows, Part::Machines),
    ("TestState", Action::ReadWorkflows, Part::Machines),
    ("UntagResource", Action::DefineWorkflows, Part::Machines),
    ("UpdateMapRun", Action::RunWorkflows, Part::MapRuns),
    ("UpdateStateMachine", Action::DefineWorkflows, Part::Machines),
    ("UpdateStateMachineAlias", Action::DefineWorkflows, Part::Versions),
    ("ValidateStateMachineDefinition", Action::ReadWorkflows, Part::Machines),
];

fn find(operation: &str) -> Option<(Action, Part)> {
    let found = OPERATIONS.iter().find(|(name, ..)| *name == operation);
    found.map(|(_, action, part)| (*action, *part))
}

/// What the caller of an operation must be allowed to do; `None` if there is no such operation.
pub fn action(operation: &str) -> Option<Action> {
    find(operation).map(|(action, _)| action)
}

/// All fields of all requests; each operation looks at its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    activity_arn: String,
    cause: Option<String>,
    definition: Option<String>,
    description: Option<String>,
    error: Option<String>,
    execution_arn: String,
    include_execution_data: Option<bool>,
    input: Option<String>,
    map_run_arn: Option<String>,
    max_results: Option<usize>,
    name: Option<String>,
    next_token: Option<String>,
    output: String,
    publish: bool,
    resource_arn: String,
    reverse_order: bool,
    revision_id: Option<String>,
    role_arn: Option<String>,
    routing_configuration: Option<Vec<versions::Routed>>,
    state_machine_alias_arn: String,
    state_machine_arn: String,
    state_machine_version_arn: String,
    status_filter: Option<String>,
    tag_keys: Vec<String>,
    tags: Vec<Tag>,
    task_token: String,
    r#type: Option<MachineType>,
    version_description: Option<String>,
    worker_name: Option<String>,
}

/// A tag of a state machine or an activity.
#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    call: &Call,
) -> Result<Value, Exception> {
    // Its request is read by itself.
    let asked = if operation == "TestState" { Asked::default() } else { call.body()? };
    match find(operation) {
        Some((_, Part::Machines)) => machines::perform(operation, engine, call, asked).await,
        Some((_, Part::Versions)) => versions::perform(operation, engine, asked).await,
        Some((_, Part::Executions)) => executions::perform(operation, engine, call, asked).await,
        Some((_, Part::MapRuns)) => map_runs::perform(operation, engine, call, asked).await,
        Some((_, Part::Tasks)) => tasks::perform(operation, engine, asked).await,
        None => Err(unperformed(operation)),
    }
}

/// An error of an operation that reads no definition and looks for more than state machines.
fn invalid(error: EngineError) -> Exception {
    match error {
        EngineError::Refused(why) => Exception::new("ValidationException", why),
        EngineError::UnknownMachine(_) | EngineError::UnknownActivity(_) => {
            Exception::new("ResourceNotFound", error.to_string())
        }
        error => error.into(),
    }
}

/// An error about tags.
fn untaggable(error: EngineError) -> Exception {
    match error {
        EngineError::Limit(why) => Exception::new("TooManyTags", why),
        error => invalid(error),
    }
}

fn unperformed(operation: &str) -> Exception {
    Exception::internal(format!("`{operation}` is listed and not performed"))
}

impl Asked {
    fn name(&self) -> Result<String, Exception> {
        self.name.clone().ok_or_else(|| Exception::new("InvalidName", "`name` is missing"))
    }

    fn activity(&self) -> Result<&str, Exception> {
        named(&self.activity_arn, "activity")
    }

    /// The state machine, maybe with a version or an alias.
    fn machine(&self) -> Result<&str, Exception> {
        named(&self.state_machine_arn, "stateMachine")
    }

    /// The state machine alone.
    fn unqualified(&self) -> Result<&str, Exception> {
        match qualified(self.machine()?) {
            (name, None) => Ok(name),
            _ => {
                let why = "this is done to a state machine, not to a version or an alias of it";
                Err(Exception::new("ValidationException", why))
            }
        }
    }

    /// What is said about a definition beside its text.
    fn defining(&self) -> Result<Defining, Exception> {
        if self.version_description.is_some() && !self.publish {
            let why = "`versionDescription` is only for what is published: set `publish`";
            return Err(Exception::new("ValidationException", why));
        }
        let (publish, description) = (self.publish, self.version_description.clone());
        Ok(Defining { kind: self.r#type, publish, description })
    }

    fn input(&self) -> Result<Value, Exception> {
        serde_json::from_str(self.input.as_deref().unwrap_or("{}"))
            .map_err(|error| Exception::new("InvalidExecutionInput", error.to_string()))
    }

    fn tagged(&self) -> Result<Tagged, Exception> {
        let arn = &self.resource_arn;
        named(arn, "activity")
            .map(|name| Tagged::Activity(name.to_owned()))
            .or_else(|_| Ok(Tagged::Machine(named(arn, "stateMachine")?.to_owned())))
    }

    fn tags(&self) -> Result<BTreeMap<String, String>, Exception> {
        let tags = self.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        check_tags(&tags).map_err(untaggable)?;
        Ok(tags)
    }

    fn execution(&self) -> Result<ExecutionKey, Exception> {
        let (machine, name) =
            named(&self.execution_arn, "execution")?.split_once(':').unwrap_or_default();
        // Executions of a Map run stand apart from their workflow's own.
        Ok(ExecutionKey { machine: machine.replacen('/', ":", 1), name: name.to_owned() })
    }

    fn map_run(&self) -> &str {
        self.map_run_arn.as_deref().unwrap_or_default()
    }

    fn limit(&self) -> usize {
        self.max_results.filter(|limit| *limit > 0).unwrap_or(PAGE.0).min(PAGE.1)
    }

    /// The rows from `nextToken` on, and the token of those after them.
    fn page(&self, name: &str, rows: Vec<Value>) -> Result<Value, Exception> {
        page((name, "nextToken"), rows, (self.next_token.as_deref(), self.max_results))
    }
}

/// The name in an ARN of that kind.
pub fn named<'a>(arn: &'a str, kind: &str) -> Result<&'a str, Exception> {
    let invalid = || Exception::new("InvalidArn", format!("Invalid Arn: '{arn}'"));
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", _, "states", _, _, found, name] if *found == kind && !name.is_empty() => Ok(*name),
        ["arn", _, "states", _, _, "express", _] if kind == "execution" => {
            let why = "Invalid Arn: 'Resource type not valid in this context: express'";
            Err(Exception::new("InvalidArn", why))
        }
        _ => Err(invalid()),
    }
}

/// The ARN of a workflow.
pub fn machine_arn(engine: &TenantEngine, name: &str) -> String {
    format!("{}:stateMachine:{name}", engine.arn())
}

impl From<EngineError> for Exception {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            EngineError::Refused(_) => "InvalidDefinition",
            EngineError::Name(_) => "InvalidName",
            EngineError::UnknownMachine(_) => "StateMachineDoesNotExist",
            EngineError::UnknownExecution(_) => "ExecutionDoesNotExist",
            EngineError::UnknownActivity(_) => "ActivityDoesNotExist",
            EngineError::UnknownSchedule(_)
            | EngineError::UnknownRule(_)
            | EngineError::UnknownDeadLetter(_) => "ResourceNotFoundException",
            EngineError::Exists(_) => "ExecutionAlreadyExists",
            EngineError::Status { .. } | EngineError::OfMapRun(_) => "ExecutionNotRedrivable",
            EngineError::UnknownMapRun(_) => "ResourceNotFound",
            EngineError::MapRunOver(_) => "ValidationException",
            EngineError::TooLarge => "InvalidExecutionInput",
            EngineError::Token => "InvalidToken",
            EngineError::TaskOver => "TaskTimedOut",
            EngineError::Type { .. } => "StateMachineTypeNotSupported",
            EngineError::Limit(_) => "ServiceQuotaExceededException",
            EngineError::Conflict(_)
            | EngineError::Taken { .. }
            | EngineError::NoApproval(_)
            | EngineError::SeveralApprovals { .. }
            | EngineError::Contended(_) => "ConflictException",
            EngineError::MayNotDecide(_) => "AccessDeniedException",
            EngineError::Store(_) => return Self::internal(error.to_string()),
        };
        Self::new(code, error.to_string())
    }
}
