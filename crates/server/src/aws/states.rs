//! Step Functions.

use std::time::Duration;

use release::Timestamp;
use security::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use workflow::definition::Severity;
use workflow::engine::{EngineError, ExecutionKey, ExecutionRecord, MachineRecord, TenantEngine};
use workflow::{Event, Fault, Machine, Report, Status, seconds, teststate};

use super::{Call, Exception, map_runs};

/// What the names of its operations begin with.
pub const SERVICE: &str = "AWSStepFunctions";

/// How long a worker that asks for a task is held.
const HOLD: Duration = Duration::from_secs(60);
/// How many rows a page has where nothing is said, and at most.
const PAGE: (usize, usize) = (100, 1_000);

/// The operations, and what their callers must be allowed to do.
const OPERATIONS: &[(&str, Action)] = &[
    ("CreateActivity", Action::DefineWorkflows),
    ("CreateStateMachine", Action::DefineWorkflows),
    ("DeleteActivity", Action::DefineWorkflows),
    ("DeleteStateMachine", Action::DefineWorkflows),
    ("DescribeActivity", Action::ReadWorkflows),
    ("DescribeExecution", Action::ReadWorkflows),
    ("DescribeMapRun", Action::ReadWorkflows),
    ("DescribeStateMachine", Action::ReadWorkflows),
    ("DescribeStateMachineForExecution", Action::ReadWorkflows),
    ("GetActivityTask", Action::RunWorkflows),
    ("GetExecutionHistory", Action::ReadWorkflows),
    ("ListActivities", Action::ReadWorkflows),
    ("ListExecutions", Action::ReadWorkflows),
    ("ListMapRuns", Action::ReadWorkflows),
    ("ListStateMachines", Action::ReadWorkflows),
    ("ListTagsForResource", Action::ReadWorkflows),
    ("RedriveExecution", Action::RunWorkflows),
    ("SendTaskFailure", Action::RunWorkflows),
    ("SendTaskHeartbeat", Action::RunWorkflows),
    ("SendTaskSuccess", Action::RunWorkflows),
    ("StartExecution", Action::RunWorkflows),
    ("StopExecution", Action::RunWorkflows),
    ("TestState", Action::ReadWorkflows),
    ("UpdateMapRun", Action::RunWorkflows),
    ("UpdateStateMachine", Action::DefineWorkflows),
    ("ValidateStateMachineDefinition", Action::ReadWorkflows),
    ("ListStateMachineVersions", Action::ReadWorkflows),
];

/// What the caller of an operation must be allowed to do; `None` if there is no such operation.
pub fn action(operation: &str) -> Option<Action> {
    OPERATIONS.iter().find(|(name, _)| *name == operation).map(|(_, action)| *action)
}

/// All fields of all requests; each operation looks at its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    activity_arn: String,
    cause: Option<String>,
    definition: Option<String>,
    error: Option<String>,
    execution_arn: String,
    include_execution_data: Option<bool>,
    input: Option<String>,
    map_run_arn: Option<String>,
    max_results: Option<usize>,
    name: Option<String>,
    next_token: Option<String>,
    output: String,
    reverse_order: bool,
    state_machine_arn: String,
    status_filter: Option<String>,
    task_token: String,
    r#type: Option<String>,
    worker_name: Option<String>,
}

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    call: &Call,
) -> Result<Value, Exception> {
    if operation == "TestState" {
        return test_state(call);
    }
    let asked: Asked = call.body()?;
    match operation {
        "CreateActivity" => {
            let made = engine.create_activity(&asked.name()?).await?;
            let arn = activity_arn(engine, &made.name);
            Ok(json!({"activityArn": arn, "creationDate": seconds(made.created_at)}))
        }
        "DeleteActivity" => {
            engine.remove_activity(asked.activity()?).await?;
            Ok(json!({}))
        }
        "DescribeActivity" => {
            let found = engine.activity(asked.activity()?).await?;
            Ok(activity(engine, &found.name, found.created_at))
        }
        "ListActivities" => {
            let all = engine.activities().await?;
            let all = all.iter().map(|found| activity(engine, &found.name, found.created_at));
            asked.page("activities", all.collect())
        }
        "GetActivityTask" => {
            let worker = asked.worker_name.as_deref();
            let given = engine.take_task(asked.activity()?, worker, HOLD).await?;
            Ok(given.map_or_else(
                || json!({}),
                |given| json!({"taskToken": given.token, "input": given.input.to_string()}),
            ))
        }
        "SendTaskSuccess" => {
            let output = serde_json::from_str(&asked.output)
                .map_err(|error| Exception::new("InvalidOutput", error.to_string()))?;
            engine.report(&asked.task_token, Report::Succeeded(output)).await?;
            Ok(json!({}))
        }
        "SendTaskFailure" => {
            let fault = Fault { error: asked.error, cause: asked.cause };
            engine.report(&asked.task_token, Report::Failed(fault)).await?;
            Ok(json!({}))
        }
        "SendTaskHeartbeat" => {
            engine.heartbeat(&asked.task_token).await?;
            Ok(json!({}))
        }
        "CreateStateMachine" => create(engine, &asked).await,
        "UpdateStateMachine" => {
            let machine = engine.machine(asked.machine()?).await?;
            let definition = match &asked.definition {
                Some(text) => engine.define(&machine.name, text).await?,
                None => machine,
            };
            Ok(json!({"updateDate": seconds(definition.changed_at),
                "revisionId": definition.definition}))
        }
        "DescribeStateMachine" => {
            let machine = engine.machine(asked.machine()?).await?;
            let text = engine.definition(machine.definition).await?;
            Ok(described(engine, call, &machine, &text))
        }
        "DescribeStateMachineForExecution" => {
            let record = engine.execution(&asked.execution()?).await?;
            let text = engine.definition(record.definition).await?;
            Ok(json!({"stateMachineArn": record.run.about.machine_arn,
                "name": record.key.machine, "definition": text,
                "roleArn": record.run.about.role_arn,
                "updateDate": seconds(record.run.about.started_at)}))
        }
        "DeleteStateMachine" => {
            // The service says nothing about one that is not there.
            match engine.remove(asked.machine()?).await {
                Ok(()) | Err(EngineError::UnknownMachine(_)) => Ok(json!({})),
                Err(error) => Err(error.into()),
            }
        }
        "ListStateMachines" => {
            let all = engine.machines().await?;
            let all = all.iter().map(|machine| {
                json!({"stateMachineArn": machine_arn(engine, &machine.name),
                    "name": machine.name, "type": "STANDARD",
                    "creationDate": seconds(machine.created_at)})
            });
            asked.page("stateMachines", all.collect())
        }
        // A definition is replaced whole; there are neither versions nor tags.
        "ListStateMachineVersions" => Ok(json!({"stateMachineVersions": []})),
        "ListTagsForResource" => Ok(json!({"tags": []})),
        "ValidateStateMachineDefinition" => Ok(validated(&asked.definition.unwrap_or_default())),
        "StartExecution" => start(engine, &asked).await,
        "StopExecution" => {
            let key = asked.execution()?;
            let fault = Fault { error: asked.error, cause: asked.cause };
            let record = match engine.stop(&key, fault).await {
                // It was over already: the service says when.
                Err(EngineError::Status { .. }) => engine.execution(&key).await?,
                stopped => stopped?,
            };
            Ok(json!({"stopDate": record.stopped_at.map(seconds)}))
        }
        "RedriveExecution" => {
            engine.redrive(&asked.execution()?).await?;
            Ok(json!({"redriveDate": seconds(call.now)}))
        }
        "DescribeExecution" => Ok(execution(&engine.execution(&asked.execution()?).await?)),
        "DescribeMapRun" => map_runs::describe(engine, asked.map_run()).await,
        "UpdateMapRun" => map_runs::update(engine, asked.map_run(), &call.body()?).await,
        "ListMapRuns" => {
            let all = engine.map_runs(&asked.execution()?).await?;
            let all = all.iter().map(|record| map_runs::told(engine, record));
            asked.page("mapRuns", all.collect())
        }
        "ListExecutions" if asked.map_run_arn.is_some() => {
            let page = (asked.next_token.as_deref(), asked.limit());
            let status = asked.status_filter.as_deref();
            map_runs::executions(engine, asked.map_run(), page, status).await
        }
        "ListExecutions" => {
            let machine = engine.machine(asked.machine()?).await?;
            let mut all = engine.executions(&machine.name).await?;
            let wanted = asked.status_filter.as_deref();
            all.retain(|record| wanted.is_none_or(|wanted| record.run.status.as_str() == wanted));
            // The newest first, as the service has them.
            all.sort_by_key(|record| std::cmp::Reverse(record.run.about.started_at));
            asked.page("executions", all.iter().map(listed).collect())
        }
        "GetExecutionHistory" => {
            let mut events = engine.history(&asked.execution()?).await?;
            if asked.reverse_order {
                events.reverse();
            }
            let shown = events.iter().map(Event::shown).map(|mut event| {
                if asked.include_execution_data == Some(false) {
                    without_data(&mut event);
                }
                event
            });
            asked.page("events", shown.collect())
        }
        other => Err(Exception::internal(format!("`{other}` is listed and not performed"))),
    }
}

impl Asked {
    fn name(&self) -> Result<String, Exception> {
        self.name.clone().ok_or_else(|| Exception::new("InvalidName", "`name` is missing"))
    }

    fn activity(&self) -> Result<&str, Exception> {
        named(&self.activity_arn, "activity")
    }

    fn machine(&self) -> Result<&str, Exception> {
        named(&self.state_machine_arn, "stateMachine")
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
        let from = match &self.next_token {
            Some(token) => token
                .parse::<usize>()
                .map_err(|_| Exception::new("InvalidToken", format!("Invalid Token: '{token}'")))?,
            None => 0,
        };
        let limit = self.limit();
        let more = rows.len() > from.saturating_add(limit);
        let rows: Vec<_> = rows.into_iter().skip(from).take(limit).collect();
        let mut page = json!({});
        page[name] = rows.into();
        if more {
            page["nextToken"] = (from + limit).to_string().into();
        }
        Ok(page)
    }
}

/// The name in an ARN of that kind.
pub fn named<'a>(arn: &'a str, kind: &str) -> Result<&'a str, Exception> {
    let invalid = || Exception::new("InvalidArn", format!("Invalid Arn: '{arn}'"));
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", _, "states", _, _, found, name] if *found == kind && !name.is_empty() => Ok(*name),
        _ => Err(invalid()),
    }
}

async fn create(engine: &TenantEngine, asked: &Asked) -> Result<Value, Exception> {
    let name = asked.name()?;
    if asked.r#type.as_deref().is_some_and(|kind| kind != "STANDARD") {
        let why = "only workflows of type STANDARD are offered here";
        return Err(Exception::new("ValidationException", why));
    }
    let text = asked.definition.as_deref().unwrap_or_default();
    if let Ok(known) = engine.machine(&name).await
        && engine.definition(known.definition).await? != text
    {
        let why = format!("State Machine Already Exists: '{}'", machine_arn(engine, &name));
        return Err(Exception::new("StateMachineAlreadyExists", why));
    }
    let made = engine.define(&name, text).await?;
    let arn = machine_arn(engine, &name);
    Ok(json!({"stateMachineArn": arn, "creationDate": seconds(made.created_at)}))
}

async fn start(engine: &TenantEngine, asked: &Asked) -> Result<Value, Exception> {
    let text = asked.input.as_deref().unwrap_or("{}");
    let input = serde_json::from_str(text)
        .map_err(|error| Exception::new("InvalidExecutionInput", error.to_string()))?;
    let record = engine.start(asked.machine()?, asked.name.as_deref(), input).await?;
    let about = &record.run.about;
    Ok(json!({"executionArn": about.execution_arn, "startDate": seconds(about.started_at)}))
}

fn test_state(call: &Call) -> Result<Value, Exception> {
    let request: teststate::Request = call.body()?;
    // What a test draws at random need not be drawn again.
    let seed = call.now.as_nanosecond() as u64;
    let answer = teststate::test_state(&request, call.now, seed)
        .map_err(|refused| Exception::new(refused.code, refused.message))?;
    serde_json::to_value(answer).map_err(|error| Exception::internal(error.to_string()))
}

fn validated(text: &str) -> Value {
    let (findings, result) = match Machine::parse(text) {
        Ok((_, warnings)) => (warnings, "OK"),
        Err(findings) => (findings, "FAIL"),
    };
    let findings = findings.iter().map(|finding| {
        let severity = match finding.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        };
        json!({"severity": severity, "code": finding.code, "message": finding.message,
            "location": finding.location})
    });
    json!({"result": result, "diagnostics": findings.collect::<Vec<_>>(), "truncated": false})
}

fn described(engine: &TenantEngine, call: &Call, machine: &MachineRecord, text: &str) -> Value {
    json!({"stateMachineArn": machine_arn(engine, &machine.name), "name": machine.name,
        "status": "ACTIVE", "definition": text, "type": "STANDARD",
        "roleArn": format!("arn:aws:iam::000000000000:role/{}", call.identity.principal),
        "creationDate": seconds(machine.created_at), "revisionId": machine.definition})
}

/// An execution as lists tell it.
pub fn listed(record: &ExecutionRecord) -> Value {
    let about = &record.run.about;
    let mut told = json!({"executionArn": about.execution_arn,
        "stateMachineArn": about.machine_arn, "name": about.name,
        "status": record.run.status.as_str(), "startDate": seconds(about.started_at)});
    if let Some(at) = record.stopped_at {
        told["stopDate"] = seconds(at);
    }
    if let Some(place) = &record.place {
        let machine = about.machine_arn.replacen(":stateMachine:", ":mapRun:", 1);
        told["mapRunArn"] = format!("{machine}:{}", place.map_run).into();
    }
    told
}

fn execution(record: &ExecutionRecord) -> Value {
    let mut told = listed(record);
    told["input"] = record.run.about.input.to_string().into();
    told["inputDetails"] = json!({"included": true});
    told["redriveCount"] = record.run.about.redrives.into();
    let redrivable = !matches!(record.run.status, Status::Running | Status::Succeeded);
    told["redriveStatus"] = if redrivable { "REDRIVABLE" } else { "NOT_REDRIVABLE" }.into();
    let outcome = record.run.outcome.as_ref();
    if let Some(output) = outcome.and_then(|outcome| outcome.output.as_ref()) {
        told["output"] = output.to_string().into();
        told["outputDetails"] = json!({"included": true});
    }
    if let Some(Fault { error, cause }) = outcome.and_then(|outcome| outcome.fault.as_ref()) {
        let fields = [("error", error), ("cause", cause)];
        for (name, text) in
            fields.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)))
        {
            told[name] = text.as_str().into();
        }
    }
    told
}

/// Takes the payloads out of an event.
fn without_data(event: &mut Value) {
    let details = event.as_object_mut().into_iter().flatten().map(|(_, value)| value);
    for details in details.filter_map(Value::as_object_mut) {
        for name in ["input", "output", "parameters"] {
            details.remove(name);
        }
    }
}

fn activity(engine: &TenantEngine, name: &str, created_at: Timestamp) -> Value {
    json!({"activityArn": activity_arn(engine, name), "name": name,
        "creationDate": seconds(created_at)})
}

fn activity_arn(engine: &TenantEngine, name: &str) -> String {
    format!("{}:activity:{name}", engine.arn())
}

fn machine_arn(engine: &TenantEngine, name: &str) -> String {
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
            EngineError::NoApproval(_)
            | EngineError::SeveralApprovals { .. }
            | EngineError::Contended(_) => "ConflictException",
            EngineError::MayNotDecide(_) => "AccessDeniedException",
            EngineError::Store(_) => return Self::internal(error.to_string()),
        };
        Self::new(code, error.to_string())
    }
}
