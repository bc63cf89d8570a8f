//! The routes about workflows.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use release::PrincipalId;
use schemars::JsonSchema;
use security::{Action, Resource, authorize};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::engine::{
    Decision, Defining, ExecutionKey, ExecutionRecord, Listed, MachineType, MapRunRecord, Newest,
    PostedEvent, ScheduleFile, qualified,
};
use workflow::graph::Graph;
use workflow::rule::RuleSpec;
use workflow::{Event, Fault};

use super::handlers::{Answer, Handler, manages};
use super::{Call, Problem, Route, json as to_json};
use crate::links;

/// How long a request waits for an execution at most.
const WAIT: Duration = Duration::from_secs(30);
/// How many executions are listed unless asked otherwise, and at most.
const LISTED: (usize, usize) = (100, 1_000);

/// A workflow to define.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineBody {
    /// Its name.
    pub name: String,
    /// Its definition in the Amazon States Language, as JSON text.
    pub definition: String,
    /// Its type: `STANDARD` or `EXPRESS`. A workflow keeps its type; a new one is standard if
    /// absent.
    #[serde(default, rename = "type")]
    pub kind: Option<MachineType>,
    /// Whether the definition is published as a version.
    #[serde(default)]
    pub publish: bool,
    /// What the version is, for people.
    #[serde(default)]
    pub description: Option<String>,
}

/// An execution to start.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartBody {
    /// Its name: a second start with it is the same execution. Made up if absent.
    pub name: Option<String>,
    /// Its input.
    pub input: Value,
    /// Whether the answer is given when it is over, or after 30 s at most; for a workflow of type
    /// Express, whose executions nobody can look at later, always when it is over.
    pub wait: bool,
}

/// Why an execution is stopped.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopBody {
    /// The error's name.
    pub error: Option<String>,
    /// Why.
    pub cause: Option<String>,
}

/// What somebody decides about an approval.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideBody {
    /// Whether it is approved; else it is rejected.
    pub approve: bool,
    /// The state that waits; may be left out where only one does.
    #[serde(default)]
    pub state: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Whom a link to decide an approval is for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkBody {
    /// In whose name it decides: `user:NAME` or `service:NAME`.
    pub principal: String,
    /// The state that waits; may be left out where only one does.
    #[serde(default)]
    pub state: Option<String>,
    /// How long it may be used, in seconds (default a day, at most 30); no longer than the approval
    /// is waited for.
    #[serde(default)]
    pub expires_seconds: Option<u32>,
}

/// A schedule to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// Its name.
    pub name: String,
    /// What is started, and when.
    pub schedule: ScheduleFile,
}

/// A rule to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// Its name.
    pub name: String,
    /// Which events, and what to do with them.
    pub rule: RuleSpec,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    const ALL: &str = "/api/v1/workflows";
    const EXECUTIONS: &str = "/api/v1/workflows/{workflow}/executions";
    const ONE: &str = "/api/v1/workflows/{workflow}/executions/{execution}";
    let (read, run) = (Action::ReadWorkflows, Action::RunWorkflows);
    vec![
        Route::new(Method::GET, ALL, read, "The tenant's workflows.").to(list),
        Route::new(Method::POST, ALL, Action::DefineWorkflows, "Define a workflow.")
            .body::<DefineBody>()
            .to(define),
        Route::new(
            Method::GET,
            EXECUTIONS,
            read,
            "The executions of a workflow, the newest first: `limit` of them (default 100, at most \
             1,000), of one `status`, after the one named `after`.",
        )
        .query(&["status", "after", "limit"])
        .to(executions),
        Route::new(Method::POST, EXECUTIONS, run, "Start an execution.")
            .body::<StartBody>()
            .to(start),
        Route::new(Method::GET, ONE, read, "One execution with its history.")
            .query(&["wait"])
            .to(show),
        Route::new(
            Method::POST,
            "/api/v1/workflows/{workflow}/executions/{execution}/stop",
            run,
            "Stop an execution.",
        )
        .body::<StopBody>()
        .to(stop),
        Route::new(
            Method::POST,
            "/api/v1/workflows/{workflow}/executions/{execution}/redrive",
            run,
            "Try again what failed in an execution.",
        )
        .to(redrive),
        Route::new(
            Method::POST,
            "/api/v1/workflows/{workflow}/executions/{execution}/decision",
            Action::DecideApprovals,
            "Approve or reject what an execution waits for.",
        )
        .body::<DecideBody>()
        .to(decide),
        Route::new(
            Method::POST,
            "/api/v1/workflows/{workflow}/executions/{execution}/approval-link",
            Action::DecideApprovals,
            "Make a link to decide with what an execution waits for: for oneself, or as an \
             administrator for others.",
        )
        .body::<LinkBody>()
        .to(approval_link),
        Route::new(
            Method::GET,
            "/api/v1/workflows/{workflow}/executions/{execution}/graph",
            read,
            "An execution as a graph, with how each state stands; as JSON or, with `format=svg`, \
             as a picture.",
        )
        .query(&["format"])
        .to(execution_graph),
        Route::new(
            Method::GET,
            "/api/v1/workflows/{workflow}/graph",
            read,
            "A workflow as a graph; as JSON or, with `format=svg`, as a picture.",
        )
        .query(&["format"])
        .to(graph),
        Route::new(Method::GET, "/api/v1/schedules", read, "The schedules.").to(schedules),
        Route::new(Method::POST, "/api/v1/schedules", Action::DefineWorkflows, "Make a schedule.")
            .body::<ScheduleBody>()
            .to(schedule),
        Route::new(
            Method::DELETE,
            "/api/v1/schedules/{schedule}",
            Action::DefineWorkflows,
            "Remove a schedule.",
        )
        .to(unschedule),
        Route::new(Method::GET, "/api/v1/rules", read, "The event rules.").to(rules),
        Route::new(Method::POST, "/api/v1/rules", Action::DefineWorkflows, "Make an event rule.")
            .body::<RuleBody>()
            .to(rule),
        Route::new(
            Method::DELETE,
            "/api/v1/rules/{rule}",
            Action::DefineWorkflows,
            "Remove an event rule.",
        )
        .to(remove_rule),
        Route::new(Method::POST, "/api/v1/events", run, "Post an event for rules to act on.")
            .body::<PostedEvent>()
            .to(post_event),
        Route::new(
            Method::GET,
            "/api/v1/dead-letters",
            read,
            "The dead letters: starts that failed and webhooks called in vain.",
        )
        .to(dead_letters),
        Route::new(
            Method::POST,
            "/api/v1/dead-letters/{letter}/deliver",
            run,
            "Start what a dead letter is about, or call its webhook again.",
        )
        .to(deliver),
        Route::new(Method::GET, "/api/v1/approvals", read, "The approvals that are waited for.")
            .to(approvals),
    ]
}

fn key(call: &Call) -> Result<ExecutionKey, Problem> {
    Ok(ExecutionKey { machine: call.path("workflow")?, name: call.path("execution")? })
}

async fn list(call: Call) -> Result<Value, Problem> {
    to_json(&call.workflows().machines().await?)
}

async fn define(call: Call) -> Result<Value, Problem> {
    let DefineBody { name, definition, kind, publish, description } = call.body()?;
    let defining = Defining { kind, publish, description };
    let (machine, version) = call.workflows().define_as(&name, &definition, &defining).await?;
    let mut told = to_json(&machine)?;
    if let Some(version) = version {
        told["version"] = version.version.into();
    }
    Ok(told)
}

async fn executions(call: Call) -> Result<Value, Problem> {
    let workflow: String = call.path("workflow")?;
    let engine = call.workflows();
    let after = match call.query::<String>("after")? {
        Some(name) => {
            let machine = qualified(&workflow).0.to_owned();
            Some(Listed::of(&engine.execution(&ExecutionKey { machine, name }).await?))
        }
        None => None,
    };
    let limit = call.query("limit")?.unwrap_or(LISTED.0).clamp(1, LISTED.1);
    let newest = Newest { status: call.query("status")?, after, limit };
    let (all, _) = engine.executions(&workflow, newest).await?;
    Ok(all.iter().map(told).collect())
}

async fn start(call: Call) -> Result<Value, Problem> {
    let StartBody { name, input, wait } = call.body()?;
    let (engine, workflow): (_, String) = (call.workflows(), call.path("workflow")?);
    let name = name.as_deref();
    if !wait {
        return Ok(told(&engine.start(&workflow, name, input).await?));
    }
    let (machine, _) = qualified(&workflow);
    if engine.machine(machine).await?.kind == MachineType::Express {
        return Ok(told(&engine.start_sync(&workflow, name, input).await?));
    }
    let started = engine.start(&workflow, name, input).await?;
    let ended = tokio::time::timeout(WAIT, engine.ended(&started.key)).await;
    Ok(told(&ended.unwrap_or(Ok(started))?))
}

async fn show(call: Call) -> Result<Value, Problem> {
    let (engine, key) = (call.workflows(), key(&call)?);
    if call.query("wait")? == Some(true) {
        // Whoever waits longer asks again.
        if let Ok(ended) = tokio::time::timeout(WAIT, engine.ended(&key)).await {
            ended?;
        }
    }
    let mut shown = told(&engine.execution(&key).await?);
    let map_runs = engine.map_runs(&key).await?;
    shown["map_runs"] = map_runs.iter().map(map_run).collect();
    shown["history"] = engine.history(&key).await?.iter().map(Event::shown).collect();
    Ok(shown)
}

async fn stop(call: Call) -> Result<Value, Problem> {
    let StopBody { error, cause } = call.body()?;
    Ok(told(&call.workflows().stop(&key(&call)?, Fault { error, cause }).await?))
}

async fn schedules(call: Call) -> Result<Value, Problem> {
    to_json(&call.workflows().schedules().await?)
}

async fn schedule(call: Call) -> Result<Value, Problem> {
    let ScheduleBody { name, schedule } = call.body()?;
    to_json(&call.workflows().schedule(&name, schedule).await?)
}

async fn unschedule(call: Call) -> Result<Value, Problem> {
    let name: String = call.path("schedule")?;
    call.workflows().unschedule(&name).await?;
    Ok(json!({"removed": name}))
}

async fn rules(call: Call) -> Result<Value, Problem> {
    to_json(&call.workflows().rules().await?)
}

async fn rule(call: Call) -> Result<Value, Problem> {
    let RuleBody { name, rule } = call.body()?;
    to_json(&call.workflows().rule(&name, rule).await?)
}

async fn remove_rule(call: Call) -> Result<Value, Problem> {
    let name: String = call.path("rule")?;
    call.workflows().remove_rule(&name).await?;
    Ok(json!({"removed": name}))
}

async fn post_event(call: Call) -> Result<Value, Problem> {
    call.workflows().post(&call.body()?).await?;
    Ok(json!({"kept": true}))
}

async fn dead_letters(call: Call) -> Result<Value, Problem> {
    to_json(&call.workflows().dead_letters().await?)
}

async fn deliver(call: Call) -> Result<Value, Problem> {
    let id: String = call.path("letter")?;
    Ok(told(&call.workflows().deliver(&id).await?))
}

async fn approvals(call: Call) -> Result<Value, Problem> {
    to_json(&call.workflows().approvals().await?)
}

async fn decide(call: Call) -> Result<Value, Problem> {
    let DecideBody { approve: approved, state, reason } = call.body()?;
    let role = call.identity.role.to_string();
    let decision = Decision { state, approved, reason, role, link: None };
    Ok(told(&call.workflows().decide(&key(&call)?, &decision).await?))
}

async fn approval_link(call: Call) -> Result<Value, Problem> {
    let LinkBody { principal, state, expires_seconds } = call.body()?;
    let principal: PrincipalId =
        principal.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let own = principal == call.identity.principal;
    if !own {
        // Who has the link can decide in the other's name, as with a key.
        authorize(&call.identity, Action::ManageKeys, Resource::Tenant(&call.tenant))?;
    }
    let identity = links::approver(&call.api, &call.tenant, &principal).await?;
    if !own && !manages(&call, identity.tenant.as_ref()) {
        return Err(Problem::not_found(format!("there is no principal `{principal}`")));
    }
    let seconds = expires_seconds.unwrap_or(links::DEFAULT_SECONDS);
    if !(1..=links::MAX_SECONDS).contains(&seconds) {
        let why = format!("`expires_seconds` is 1 to {}, not {seconds}", links::MAX_SECONDS);
        return Err(Problem::bad_request(why));
    }
    let end = call.api.clock.now().checked_add(std::time::Duration::from_secs(seconds.into()));
    let end = end.map_err(|error| Problem::bad_request(error.to_string()))?;
    let (key, role) = (key(&call)?, identity.role.to_string());
    let asked = (&key, state.as_deref());
    let link = call.workflows().approval_link(asked, (&principal, &role), end).await?;
    let path = links::path(&call.api, &link)?;
    Ok(json!({"path": path, "principal": principal, "expires_at": link.expires_at}))
}

async fn execution_graph(call: Call) -> Result<Answer, Problem> {
    drawn(&call, call.workflows().execution_graph(&key(&call)?).await?)
}

async fn graph(call: Call) -> Result<Answer, Problem> {
    let workflow: String = call.path("workflow")?;
    drawn(&call, call.workflows().graph(&workflow).await?)
}

/// A graph in the form that is asked for.
fn drawn(call: &Call, graph: Graph) -> Result<Answer, Problem> {
    match call.query::<String>("format")?.as_deref() {
        None | Some("json") => Ok(Answer::Json(to_json(&graph)?)),
        Some("svg") => Ok(Answer::Svg(graph.svg())),
        Some(other) => Err(Problem::bad_request(format!("`format` is json or svg, not `{other}`"))),
    }
}

async fn redrive(call: Call) -> Result<Value, Problem> {
    Ok(told(&call.workflows().redrive(&key(&call)?).await?))
}

/// A Map run as the API tells it.
fn map_run(record: &MapRunRecord) -> Value {
    let mut told = record.counts();
    told["map_run"] = record.map_run.arn.clone().into();
    told["label"] = record.map_run.label.clone().into();
    told["status"] = record.status.as_str().into();
    told["redrives"] = record.redrives.into();
    told
}

/// An execution as the API tells it.
pub(super) fn told(record: &ExecutionRecord) -> Value {
    let outcome = record.run.outcome.as_ref();
    let fault = outcome.and_then(|outcome| outcome.fault.as_ref());
    let states = outcome.is_none().then(|| record.run.active_states());
    let told =
        record.tasks.values().filter_map(|open| Some((&open.state, open.progress.as_ref()?)));
    let progress: BTreeMap<_, _> = told.collect();
    json!({
        "execution": record.key,
        "status": record.run.status,
        "actor": record.actor,
        "definition": record.definition,
        "version": record.version,
        "alias": record.alias,
        "parent": record.parent.as_ref().map(|parent| &parent.execution),
        "input": record.run.about.input,
        "started_at": record.run.about.started_at,
        "stopped_at": record.stopped_at,
        "states": states,
        "progress": Some(progress).filter(|told| !told.is_empty()),
        "output": outcome.and_then(|outcome| outcome.output.as_ref()),
        "error": fault.and_then(|fault| fault.error.as_ref()),
        "cause": fault.and_then(|fault| fault.cause.as_ref()),
    })
}
