//! Executions: starting, looking at and ending them.

use serde_json::{Value, json};
use workflow::engine::{
    EngineError, ExecutionRecord, MachineRecord, MachineType, Newest, TenantEngine, qualified,
};
use workflow::{Event, Fault, Status, seconds};

use super::super::{Call, Exception};
use super::{Asked, map_runs, unperformed};

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    call: &Call,
    asked: Asked,
) -> Result<Value, Exception> {
    match operation {
        "StartExecution" => {
            let (machine, input) = (asked.machine()?, asked.input()?);
            let started = engine.start(machine, asked.name.as_deref(), input).await;
            let about = started.map_err(not_started)?.run.about;
            let at = seconds(about.started_at);
            Ok(json!({"executionArn": about.execution_arn, "startDate": at}))
        }
        "StartSyncExecution" => {
            let (machine, input) = (asked.machine()?, asked.input()?);
            let ended = engine.start_sync(machine, asked.name.as_deref(), input).await;
            Ok(described(&ended.map_err(not_started)?))
        }
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
        "DescribeExecution" => {
            let record = engine.execution(&asked.execution()?).await?;
            let mut told = described(&record);
            told["redriveCount"] = record.run.about.redrives.into();
            let redrivable = !matches!(record.run.status, Status::Running | Status::Succeeded);
            let redrivable = if redrivable { "REDRIVABLE" } else { "NOT_REDRIVABLE" };
            told["redriveStatus"] = redrivable.into();
            Ok(told)
        }
        "ListExecutions" if asked.map_run_arn.is_some() => {
            let page = (asked.next_token.as_deref(), asked.limit());
            let status = asked.status_filter.as_deref();
            map_runs::executions(engine, asked.map_run(), page, status).await
        }
        "ListExecutions" => {
            let (name, _) = qualified(asked.machine()?);
            let MachineRecord { kind, .. } = engine.machine(name).await?;
            if kind == MachineType::Express {
                return Err(EngineError::Type { machine: name.to_owned(), kind }.into());
            }
            let invalid = |why| Exception::new("InvalidToken", why);
            let after = asked.next_token.as_deref().map(str::parse).transpose().map_err(invalid)?;
            let (status, limit) = (asked.status_filter.clone(), asked.limit());
            let newest = Newest { status, after, limit };
            let (all, more) = engine.executions(asked.machine()?, newest).await?;
            let mut page = json!({"executions": all.iter().map(listed).collect::<Vec<_>>()});
            if let Some(more) = more {
                page["nextToken"] = more.to_string().into();
            }
            Ok(page)
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
        "DescribeStateMachineForExecution" => {
            let record = engine.execution(&asked.execution()?).await?;
            let text = engine.definition(record.definition).await?;
            Ok(json!({"stateMachineArn": record.run.about.machine_arn,
                "name": record.key.machine, "definition": text,
                "roleArn": record.run.about.role_arn,
                "updateDate": seconds(record.run.about.started_at)}))
        }
        other => Err(unperformed(other)),
    }
}

/// Why an execution was not started.
fn not_started(error: EngineError) -> Exception {
    match error {
        EngineError::Limit(why) => Exception::new("ExecutionLimitExceeded", why),
        error => error.into(),
    }
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
    if let Some(version) = record.version {
        told["stateMachineVersionArn"] = format!("{}:{version}", about.machine_arn).into();
    }
    if let Some(alias) = &record.alias {
        told["stateMachineAliasArn"] = format!("{}:{alias}", about.machine_arn).into();
    }
    told
}

fn described(record: &ExecutionRecord) -> Value {
    let mut told = listed(record);
    told["input"] = record.run.about.input.to_string().into();
    told["inputDetails"] = json!({"included": true});
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
