//! The operations of Step Functions on Map runs.

use serde::Deserialize;
use serde_json::{Value, json};
use workflow::engine::{MapRunRecord, MapRunUpdate, TenantEngine};
use workflow::seconds;

use super::super::{Call, Exception};
use super::executions::listed;
use super::{Asked, named, unperformed};

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    call: &Call,
    asked: Asked,
) -> Result<Value, Exception> {
    match operation {
        "DescribeMapRun" => describe(engine, asked.map_run()).await,
        "UpdateMapRun" => update(engine, asked.map_run(), &call.body()?).await,
        "ListMapRuns" => {
            let all = engine.map_runs(&asked.execution()?).await?;
            asked.page("mapRuns", all.iter().map(|record| told(engine, record)).collect())
        }
        other => Err(unperformed(other)),
    }
}

/// The bounds that `UpdateMapRun` sets.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bounds {
    max_concurrency: Option<u64>,
    tolerated_failure_count: Option<u64>,
    tolerated_failure_percentage: Option<f64>,
}

/// The name of the run in its ARN.
fn name(arn: &str) -> Result<&str, Exception> {
    Ok(named(arn, "mapRun")?.rsplit(':').next().unwrap_or_default())
}

/// `DescribeMapRun`.
async fn describe(engine: &TenantEngine, arn: &str) -> Result<Value, Exception> {
    let record = engine.map_run(name(arn)?).await?;
    let map_run = &record.map_run;
    let mut told = told(engine, &record);
    let counts = record.counts();
    for field in ["itemCounts", "executionCounts"] {
        told[field] = counts[field].clone();
    }
    told["maxConcurrency"] = map_run.max_concurrency.into();
    told["toleratedFailureCount"] = (map_run.tolerated_count.unwrap_or(0.0) as u64).into();
    told["toleratedFailurePercentage"] = map_run.tolerated_percentage.unwrap_or(0.0).into();
    told["redriveCount"] = record.redrives.into();
    if let Some(at) = record.redriven_at {
        told["redriveDate"] = seconds(at);
    }
    told["status"] = record.status.as_str().into();
    Ok(told)
}

/// What `ListMapRuns` tells of one.
fn told(engine: &TenantEngine, record: &MapRunRecord) -> Value {
    let parent = &record.execution;
    let machine = parent.machine.replacen(':', "/", 1);
    let mut told = json!({
        "mapRunArn": record.map_run.arn,
        "executionArn": format!("{}:execution:{machine}:{}", engine.arn(), parent.name),
        "stateMachineArn": format!("{}:stateMachine:{machine}", engine.arn()),
        "startDate": seconds(record.started_at),
    });
    if let Some(at) = record.stopped_at {
        told["stopDate"] = seconds(at);
    }
    told
}

/// `UpdateMapRun`.
async fn update(engine: &TenantEngine, arn: &str, bounds: &Bounds) -> Result<Value, Exception> {
    if bounds.tolerated_failure_percentage.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
        let why = "toleratedFailurePercentage is a number from 0 to 100";
        return Err(Exception::new("ValidationException", why));
    }
    let update = MapRunUpdate {
        max_concurrency: bounds.max_concurrency,
        tolerated_count: bounds.tolerated_failure_count,
        tolerated_percentage: bounds.tolerated_failure_percentage,
    };
    engine.update_map_run(name(arn)?, update).await?;
    Ok(json!({}))
}

/// `ListExecutions` of a Map run: a page of them, in the order of its items.
pub async fn executions(
    engine: &TenantEngine,
    arn: &str,
    (after, limit): (Option<&str>, usize),
    status: Option<&str>,
) -> Result<Value, Exception> {
    let (all, more) = engine.map_run_executions(name(arn)?, after, limit).await?;
    let wanted = all.iter().filter(|one| status.is_none_or(|s| one.run.status.as_str() == s));
    let mut page = json!({"executions": wanted.map(listed).collect::<Vec<_>>()});
    if let Some(more) = more {
        page["nextToken"] = more.into();
    }
    Ok(page)
}
