//! Why an app is slow or fails: changes of its metrics on one timeline with what happened, and what
//! its traces tell.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use delivery::{AppRecord, Filled};
use monitoring::diagnose::{self, Happening};
use monitoring::metrics::MetricStat;
use monitoring::tables::Span;
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
    let known = call.delivery().apps().await?.into_iter().find(|known| known.name == app);
    let known = known.ok_or_else(|| Problem::not_found(format!("there is no app `{app}`")))?;
    let happened = events.iter().filter(|event| event.at < until);
    let happened = happened.filter_map(|event| happening(event, &known, environment.as_deref()));
    let timeline = diagnose::timeline(changed, happened.collect());
    let (queries, of) = (&call.api.telemetry.queries, (app.as_str(), environment.as_deref()));
    let span = Span { from: since, until };
    let (pieces, cut) = diagnose::newest(queries, &call.tenant, of, span, TRACES).await?;
    let mut graph = diagnose::graph(&pieces);
    let mut waiting = diagnose::waiting(&pieces);
    graph.services.truncate(TOP);
    graph.edges.truncate(TOP);
    graph.hot_spots.truncate(TOP);
    waiting.truncate(TOP);
    Ok(json!({
        "app": app, "environment": environment, "since": since, "until": until,
        "timeline": timeline, "graph": graph, "waiting": waiting, "cut": cut,
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

/// An event as it is told of, if it concerns the app.
fn happening(event: &Event, app: &AppRecord, environment: Option<&str>) -> Option<Happening> {
    let told: Value = event.read().unwrap_or_default();
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    let is_its_knowledge = |name: &str| {
        app.slots.values().any(|filled| match filled {
            Filled::Knowledge(knowledge) => knowledge.as_str() == name,
            Filled::Artifact(_) => false,
        })
    };
    let (what, may_cause) = match event.kind.as_str() {
        "deployment.moved" => {
            let entry: DeploymentEntry = event.read().ok()?;
            let elsewhere =
                environment.is_some_and(|environment| entry.environment.as_str() != environment);
            if entry.app != app.name || elsewhere {
                return None;
            }
            (moved(&entry), true)
        }
        "change.proposed" if text("app") == app.name.as_str() => {
            (format!("change {} was proposed", text("id")), false)
        }
        kind @ ("knowledge.refreshed" | "knowledge.rejected" | "knowledge.erased") => {
            let knowledge = text("knowledge");
            if !is_its_knowledge(knowledge) || told["unchanged"] == true {
                return None;
            }
            match kind {
                "knowledge.refreshed" => (format!("knowledge `{knowledge}` was refreshed"), true),
                "knowledge.erased" => {
                    (format!("documents of knowledge `{knowledge}` were erased"), true)
                }
                _ => (format!("a batch of knowledge `{knowledge}` was rejected"), false),
            }
        }
        "project.applied" if text("name") == app.project.as_str() => {
            (format!("project `{}` was applied", app.project), true)
        }
        "alarm.state_changed" => {
            // An alarm of no app may be about all of them.
            let of = told["dimensions"]["app"].as_str();
            if of.is_some_and(|of| of != app.name.as_str()) {
                return None;
            }
            (format!("alarm `{}` is {}", text("alarm"), text("state")), false)
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
        Move::Hold { release } => {
            format!("release {} is held in {environment}", short(release))
        }
        Move::Clear { release } => {
            format!("release {} may be promoted again in {environment}", short(release))
        }
    }
}

fn short(digest: &release::ReleaseDigest) -> String {
    digest.to_string().trim_start_matches("sha256:").chars().take(12).collect()
}
