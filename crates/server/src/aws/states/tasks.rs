//! Activities, and the tasks that workers do.

use std::time::Duration;

use release::Timestamp;
use serde_json::{Value, json};
use workflow::engine::{Tagged, TenantEngine};
use workflow::{Fault, Report, seconds};

use super::super::Exception;
use super::{Asked, unperformed, untaggable};

/// How long a worker that asks for a task is held.
const HOLD: Duration = Duration::from_secs(60);

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    asked: Asked,
) -> Result<Value, Exception> {
    match operation {
        "CreateActivity" => {
            let (name, tags) = (asked.name()?, asked.tags()?);
            let known = engine.activity(&name).await.is_ok();
            let made = engine.create_activity(&name).await?;
            // Tags of a second request are ignored.
            if !known {
                engine.tag(&Tagged::Activity(name), tags).await.map_err(untaggable)?;
            }
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
        other => Err(unperformed(other)),
    }
}

fn activity(engine: &TenantEngine, name: &str, created_at: Timestamp) -> Value {
    json!({"activityArn": activity_arn(engine, name), "name": name,
        "creationDate": seconds(created_at)})
}

fn activity_arn(engine: &TenantEngine, name: &str) -> String {
    format!("{}:activity:{name}", engine.arn())
}
