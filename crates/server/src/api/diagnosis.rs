//! Why an app is slow or fails: changes of its metrics on one timeline with what happened, and what
//! its traces tell.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use monitoring::diagnose::{self, Happening, Piece};
use monitoring::metrics::MetricStat;
use monitoring::{AnswerRecord, Filter, LogError, Outcome};
use release::{AppName, DeploymentEntry, Move, Timestamp};
use security::Action;
use serde_json::{Value, json};
use store::Event;

use super::handlers::Handler;
use super::series::span_of_time;
use super::{Call, Problem, Route};

/// What is looked at for changes: name, statistic.
const WATCHED: [(&str, &str); 9] = [
    ("groundcrew.requests", "Sum"),
    ("groundcrew.errors", "Average"),
    ("groundcrew.request.duration", "p50"),
    ("groundcrew.request.duration", "p95"),
    ("groundcrew.time_to_first_chunk", "p95"),
    ("groundcrew.cost", "Average"),
    ("groundcrew.tokens.output", "Average"),
    ("groundcrew.retrieval.empty", "Average"),
    ("groundcrew.guardrail.blocked", "Average"),
];
/// The longest time that is looked at by the minute, in seconds.
const BY_THE_MINUTE: i64 = 6 * 3_600;
/// How many traces are looked at.
const TRACES: usize = 500;
/// The most lines of each list.
const TOP: usize = 15;

/// The route.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/diagnosis",
            Action::ReadTraces,
            "When an app's metrics changed and what happened just before; whom it calls, what its \
             traces wait for, and where errors begin.",
        )
        .query(&["environment", "since", "until"])
        .to(diagnosis),
    ]
}

async fn diagnosis(call: Call) -> Result<Value, Problem> {
    let app: AppName = call.path("app")?;
    let environment: Option<String> = call.query("environment")?;
    let (since, until) = span_of_time(&call)?;
    let changed = WATCHED
        .iter()
        .map(|watched| changed(&call, (&app, environment.as_deref()), watched, (since, until)));
    let changed = changed.collect::<Result<Vec<_>, Problem>>()?;
    let newest = call.api.live.borrow().table.position();
    let events = call.delivery().events_since(newest, since).await?;
    let happened = events.iter().filter(|event| event.at < until);
    let happened = happened.filter_map(|event| happening(event, &app, environment.as_deref()));
    let timeline = diagnose::timeline(changed, happened.collect());
    let pieces = spans(&call, &app, environment.as_deref(), (since, until)).await?;
    let mut graph = diagnose::graph(&pieces);
    let mut waiting = diagnose::waiting(&pieces);
    graph.services.truncate(TOP);
    graph.edges.truncate(TOP);
    graph.hot_spots.truncate(TOP);
    waiting.truncate(TOP);
    Ok(json!({
        "app": app, "environment": environment, "since": since, "until": until,
        "timeline": timeline, "graph": graph, "waiting": waiting,
    }))
}

/// A metric's changes, with its name as it is told.
fn changed(
    call: &Call,
    (app, environment): (&AppName, Option<&str>),
    (metric, statistic): &(&str, &str),
    (since, until): (Timestamp, Timestamp),
) -> Result<(String, Vec<diagnose::Change>), Problem> {
    let mut dimensions = BTreeMap::from([("app".to_owned(), app.to_string())]);
    dimensions.extend(environment.map(|name| ("environment".to_owned(), name.to_owned())));
    let seconds = until.as_second() - since.as_second();
    let period = if seconds > BY_THE_MINUTE { 300 } else { 60 };
    let statistic_ = statistic.parse().map_err(Problem::internal)?;
    let asked =
        MetricStat { metric: (*metric).to_owned(), dimensions, statistic: statistic_, period };
    // A level needs points before it, also for what changed right after `since`.
    let before = Duration::from_secs(u64::from(period) * 60);
    let from = since.checked_sub(before).unwrap_or(since);
    let points = call.api.rollups.datapoints(&call.tenant, &asked, from, until);
    let mut changes = diagnose::changes(&points);
    changes.retain(|change| change.at >= since);
    Ok((format!("{metric} {statistic}"), changes))
}

/// The spans of the app's newest answers.
async fn spans(
    call: &Call,
    app: &AppName,
    environment: Option<&str>,
    (since, until): (Timestamp, Timestamp),
) -> Result<Vec<Piece>, Problem> {
    let environment = environment.map(str::parse).transpose();
    let environment =
        environment.map_err(|error| Problem::bad_request(format!("`environment`: {error}")))?;
    let filter =
        Filter { app: Some(app.clone()), environment, since: Some(since), ..Filter::default() };
    let (log, tenant) = (call.api.traces.clone(), call.tenant.clone());
    let read = tokio::task::spawn_blocking(move || {
        let mut pieces = Vec::new();
        for answer in log.list(&tenant, &filter, TRACES)? {
            if let Some(answer) = log.show(&tenant, answer.trace)?
                && answer.started_at < until
            {
                pieces.extend(of_answer(&answer));
            }
        }
        Ok::<_, LogError>(pieces)
    });
    let read = read.await.map_err(|error| Problem::internal(error.to_string()))?;
    read.map_err(|error| Problem::internal(error.to_string()))
}

/// An answer's record as spans: itself, and its steps.
fn of_answer(answer: &AnswerRecord) -> Vec<Piece> {
    let begin = i64::try_from(answer.started_at.as_nanosecond()).unwrap_or_default();
    let nanoseconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let error = match &answer.outcome {
        Outcome::Failed { kind, .. } => Some(kind.clone()),
        Outcome::Answered | Outcome::Blocked { .. } | Outcome::Cancelled => None,
    };
    let root = Piece {
        trace_id: answer.trace.to_string(),
        span_id: "answer".to_owned(),
        name: "answer".to_owned(),
        service: answer.app.to_string(),
        start: begin,
        duration: nanoseconds(answer.steps.iter().map(|step| step.end_ns).max().unwrap_or(0)),
        failed: error.is_some(),
        error: error.clone().unwrap_or_default(),
        ..Piece::default()
    };
    let steps = (1..).zip(&answer.steps).map(|(number, step): (u32, _)| {
        let asks = answer.generation.as_ref().filter(|_| step.name == "generate");
        let dependency = asks.map(|asks| format!("{} {}", asks.provider, asks.request_model));
        // A model that was asked and did not come to an end is what failed.
        let failed = error.is_some() && asks.is_some_and(|asks| asks.finish.is_none());
        Piece {
            span_id: number.to_string(),
            parent_span_id: root.span_id.clone(),
            name: step.name.clone(),
            is_client: dependency.is_some(),
            dependency: dependency.unwrap_or_default(),
            start: begin + nanoseconds(step.begin_ns),
            duration: nanoseconds(step.end_ns.saturating_sub(step.begin_ns)),
            failed,
            error: error.clone().filter(|_| failed).unwrap_or_default(),
            ..root.clone()
        }
    });
    let steps: Vec<_> = steps.collect();
    std::iter::once(root).chain(steps).collect()
}

/// An event as it is told of, if it concerns the app.
fn happening(event: &Event, app: &AppName, environment: Option<&str>) -> Option<Happening> {
    let told: Value = event.read().unwrap_or_default();
    let of_app = |value: &Value| value.as_str() == Some(app.as_str());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (what, may_cause) = match event.kind.as_str() {
        "deployment.moved" => {
            let entry: DeploymentEntry = event.read().ok()?;
            let elsewhere =
                environment.is_some_and(|environment| entry.environment.as_str() != environment);
            if entry.app != *app || elsewhere {
                return None;
            }
            (moved(&entry), true)
        }
        "change.proposed" if of_app(&told["app"]) => {
            (format!("change {} was proposed", text(&told["id"])), false)
        }
        "knowledge.refreshed" => {
            (format!("knowledge `{}` was refreshed", text(&told["name"])), true)
        }
        "knowledge.rejected" => {
            (format!("a batch of knowledge `{}` was rejected", text(&told["name"])), false)
        }
        "knowledge.erased" => {
            (format!("documents of knowledge `{}` were erased", text(&told["knowledge"])), true)
        }
        "project.applied" => (format!("project `{}` was applied", text(&told["name"])), true),
        "alarm.state_changed" => {
            let (alarm, state) = (text(&told["alarm"]), text(&told["state"]));
            (format!("alarm `{alarm}` is {state}"), false)
        }
        _ => return None,
    };
    let (at, actor) = (event.at, event.actor.to_string());
    Some(Happening { at, kind: event.kind.clone(), what, actor, may_cause })
}

fn moved(entry: &DeploymentEntry) -> String {
    let DeploymentEntry { environment, r#move, .. } = entry;
    match r#move {
        Move::Stable { to, hold: Some(_), .. } => {
            format!("{environment} was rolled back to release {}", short(to))
        }
        Move::Stable { to, .. } => format!("release {} became stable in {environment}", short(to)),
        Move::Plan { to: Some(_) } => format!("traffic of {environment} was divided anew"),
        Move::Plan { to: None } => format!("the traffic plan of {environment} ended"),
        Move::Clear { release } => {
            format!("release {} may be promoted again in {environment}", short(release))
        }
    }
}

fn short(digest: &release::ReleaseDigest) -> String {
    digest.to_string().trim_start_matches("sha256:").chars().take(12).collect()
}
