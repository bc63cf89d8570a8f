//! EventBridge Scheduler: schedules that start executions, in its REST API.
//!
//! There is one group, `default`. What cannot be started is always kept as a dead letter here, so a
//! `DeadLetterConfig` and a count of attempts are taken and change nothing. Of moments that were
//! missed while no server ran, the latest begins.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use release::Timestamp;
use security::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use workflow::engine::{EngineError, Keep, ScheduleFile, ScheduleRecord, TenantEngine};
use workflow::schedule::{CatchUp, Overlap, ScheduleSpec};
use workflow::seconds;

use super::events::RetryPolicy;
use super::states::{machine_arn, named};
use super::{Call, Exception, admit, moment, page};
use crate::api::Api;

/// The only group.
const GROUP: &str = "default";

/// A schedule as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Asked {
    /// Said in the path.
    #[serde(rename = "Name")]
    _name: Option<String>,
    group_name: Option<String>,
    schedule_expression: String,
    schedule_expression_timezone: Option<String>,
    start_date: Option<f64>,
    end_date: Option<f64>,
    #[serde(default)]
    description: String,
    state: Option<String>,
    target: Target,
    flexible_time_window: Window,
    action_after_completion: Option<String>,
    client_token: Option<String>,
    kms_key_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Target {
    arn: String,
    input: Option<String>,
    retry_policy: Option<RetryPolicy>,
    #[serde(rename = "RoleArn")]
    _role_arn: Option<String>,
    #[serde(rename = "DeadLetterConfig")]
    _dead_letter_config: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Window {
    mode: String,
    maximum_window_in_minutes: Option<u32>,
}

/// Answers a request.
pub async fn serve(api: &Api, request: Request) -> Result<Value, Exception> {
    let (parts, call) = admit(api, request).await?;
    let read = parts.method == Method::GET;
    let action = if read { Action::ReadWorkflows } else { Action::DefineWorkflows };
    let engine = call.engine(api, action)?;
    let query = parts.uri.query().unwrap_or_default();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let query = |name: &str| {
        let found = query.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    match (&parts.method, path.as_slice()) {
        // A signature counts for the path that these would resolve to.
        (_, [_, "." | ".."]) => Err(invalid("a name is not `.` or `..`")),
        (&Method::GET, ["schedules"]) => {
            in_group(query("ScheduleGroup"))?;
            list(&engine, query).await
        }
        (&Method::GET, ["schedules", name]) => {
            in_group(query("groupName"))?;
            let record = engine.schedule_named(name).await.map_err(refused)?;
            Ok(described(&engine, &record))
        }
        (&Method::DELETE, ["schedules", name]) => {
            in_group(query("groupName"))?;
            engine.unschedule(name).await.map_err(refused)?;
            Ok(json!({}))
        }
        (&Method::POST | &Method::PUT, ["schedules", name]) => {
            let made = parts.method == Method::POST;
            keep(&engine, &call, (name, made)).await
        }
        (&Method::GET, ["schedule-groups"]) => {
            let groups = Some(group(&engine));
            let wanted = query("NamePrefix").unwrap_or_default();
            let groups = groups.into_iter().filter(|_| GROUP.starts_with(wanted));
            page(("ScheduleGroups", "NextToken"), groups.collect(), (None, None))
        }
        (&Method::GET, ["schedule-groups", name]) => {
            in_group(Some(name))?;
            Ok(group(&engine))
        }
        (_, ["schedule-groups", _]) => {
            Err(invalid("the group `default` is the only one, and stays"))
        }
        (method, _) => Err(Exception::new(
            "UnknownOperationException",
            format!("there is no {method} {} here", parts.uri.path()),
        )),
    }
}

/// Makes a schedule, or changes one that is there.
async fn keep(
    engine: &TenantEngine,
    call: &Call,
    (name, made): (&str, bool),
) -> Result<Value, Exception> {
    let asked: Asked = call.body()?;
    in_group(asked.group_name.as_deref())?;
    let token = asked.client_token.clone();
    let keep = if made { Keep::New(token.as_deref()) } else { Keep::Known };
    let record = engine.keep_schedule(name, asked.schedule()?, keep).await.map_err(refused)?;
    Ok(json!({"ScheduleArn": arn(engine, &record.name)}))
}

async fn list<'a>(
    engine: &TenantEngine,
    query: impl Fn(&str) -> Option<&'a str>,
) -> Result<Value, Exception> {
    let mut all = engine.schedules().await.map_err(refused)?;
    let prefix = query("NamePrefix").unwrap_or_default();
    all.retain(|record| {
        let state = query("State").is_none_or(|wanted| wanted == state(record));
        state && record.name.starts_with(prefix)
    });
    let limit = query("MaxResults").map(str::parse::<usize>).transpose();
    let limit = limit.map_err(|error| invalid(format!("`MaxResults`: {error}")))?;
    let told = all.iter().map(|record| {
        let mut told = described(engine, record);
        told["Target"] = json!({"Arn": told["Target"]["Arn"]});
        told
    });
    page(("Schedules", "NextToken"), told.collect(), (query("NextToken"), limit))
}

impl Asked {
    fn schedule(self) -> Result<ScheduleFile, Exception> {
        if self.kms_key_arn.is_some() {
            return Err(invalid("`KmsKeyArn`: there are no keys of KMS here; leave it out"));
        }
        let enabled = one_of("State", self.state.as_deref(), ["ENABLED", "DISABLED"])?;
        let action = self.action_after_completion.as_deref();
        let stays = one_of("ActionAfterCompletion", action, ["NONE", "DELETE"])?;
        let fixed = one_of("Mode", Some(&self.flexible_time_window.mode), ["OFF", "FLEXIBLE"])?;
        let flexible_window_minutes = match self.flexible_time_window.maximum_window_in_minutes {
            None if fixed => 0,
            Some(minutes) if !fixed && minutes > 0 => minutes,
            _ => {
                return Err(invalid(
                    "`MaximumWindowInMinutes` is 1 to 1440 where the mode is FLEXIBLE, and left \
                     out where it is OFF",
                ));
            }
        };
        let Target { arn, input, retry_policy, .. } = self.target;
        let workflow = named(&arn, "stateMachine").map_err(|_| {
            invalid(format!("`{arn}` is not the ARN of a state machine: only those are targets"))
        })?;
        let input = serde_json::from_str(input.as_deref().unwrap_or("{}"));
        let max_age_seconds = match retry_policy {
            Some(policy) => policy.max_age().map_err(invalid)?,
            None => None,
        };
        let when = ScheduleSpec {
            expression: self.schedule_expression,
            time_zone: self.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned()),
            start: self.start_date.map(dated).transpose()?,
            end: self.end_date.map(dated).transpose()?,
            flexible_window_minutes,
            catch_up: CatchUp::default(),
            // The service starts what is due, whatever runs.
            overlap: Overlap::Allow,
        };
        Ok(ScheduleFile {
            description: self.description,
            workflow: Some(workflow.parse().map_err(|error| invalid(format!("{error}")))?),
            webhook: None,
            input: input.map_err(|error| invalid(format!("`Input` is not JSON: {error}")))?,
            enabled,
            max_age_seconds,
            remove_when_done: !stays,
            when,
        })
    }
}

/// Whether a field has the first of two values, which it has if it is absent.
fn one_of(field: &str, said: Option<&str>, values: [&str; 2]) -> Result<bool, Exception> {
    match said {
        None => Ok(true),
        Some(said) if said == values[0] => Ok(true),
        Some(said) if said == values[1] => Ok(false),
        Some(said) => {
            Err(invalid(format!("`{field}` is {} or {}, not `{said}`", values[0], values[1])))
        }
    }
}

fn dated(seconds: f64) -> Result<Timestamp, Exception> {
    moment(seconds).ok_or_else(|| invalid(format!("{seconds} is no moment")))
}

/// Refuses any other group than the one there is.
fn in_group(name: Option<&str>) -> Result<(), Exception> {
    match name {
        Some(name) if name != GROUP => {
            let why = format!("Schedule group {name} does not exist.");
            let missing = Exception::new("ResourceNotFoundException", why);
            Err(missing.with_status(StatusCode::NOT_FOUND))
        }
        _ => Ok(()),
    }
}

fn group(engine: &TenantEngine) -> Value {
    let arn = format!("{}:schedule-group/{GROUP}", service(engine));
    json!({"Arn": arn, "Name": GROUP, "State": "ACTIVE"})
}

fn state(record: &ScheduleRecord) -> &'static str {
    if record.schedule.enabled { "ENABLED" } else { "DISABLED" }
}

fn described(engine: &TenantEngine, record: &ScheduleRecord) -> Value {
    let ScheduleFile { description, workflow, webhook, input, when, .. } = &record.schedule;
    let workflow = workflow.as_ref().map(|workflow| machine_arn(engine, workflow.as_str()));
    let webhook = webhook.as_ref().map(|webhook| {
        let events = engine.arn().replace(":states:", ":events:");
        format!("{events}:api-destination/{}", webhook.connection)
    });
    let mut target = json!({"Arn": workflow.or(webhook),
        "RoleArn": format!("arn:aws:iam::000000000000:role/{}", record.author),
        "Input": input.to_string()});
    if let Some(age) = record.schedule.max_age_seconds {
        target["RetryPolicy"] = json!({"MaximumEventAgeInSeconds": age});
    }
    let window = match when.flexible_window_minutes {
        0 => json!({"Mode": "OFF"}),
        minutes => json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}),
    };
    let after = if record.schedule.remove_when_done { "DELETE" } else { "NONE" };
    let mut told = json!({
        "Arn": arn(engine, &record.name), "GroupName": GROUP, "Name": record.name,
        "ScheduleExpression": when.expression, "ScheduleExpressionTimezone": when.time_zone,
        "State": state(record), "Target": target, "FlexibleTimeWindow": window,
        "ActionAfterCompletion": after, "CreationDate": seconds(record.created_at),
        "LastModificationDate": seconds(record.changed_at),
    });
    if !description.is_empty() {
        told["Description"] = description.as_str().into();
    }
    for (name, at) in [("StartDate", when.start), ("EndDate", when.end)] {
        if let Some(at) = at {
            told[name] = seconds(at);
        }
    }
    told
}

fn arn(engine: &TenantEngine, name: &str) -> String {
    format!("{}:schedule/{GROUP}/{name}", service(engine))
}

fn service(engine: &TenantEngine) -> String {
    engine.arn().replace(":states:", ":scheduler:")
}

fn invalid(why: impl Into<String>) -> Exception {
    Exception::new("ValidationException", why)
}

/// What the engine refuses, in the service's codes.
fn refused(error: EngineError) -> Exception {
    let why = error.to_string();
    match error {
        EngineError::UnknownSchedule(name) => {
            let why = format!("Schedule {name} does not exist.");
            let missing = Exception::new("ResourceNotFoundException", why);
            missing.with_status(StatusCode::NOT_FOUND)
        }
        EngineError::Conflict(_) => {
            Exception::new("ConflictException", why).with_status(StatusCode::CONFLICT)
        }
        EngineError::Store(_) => Exception::internal(why),
        _ => invalid(why),
    }
}
