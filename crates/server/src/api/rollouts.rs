//! Rollouts: how far they are, what was seen of them, and what a person does to them.

use axum::http::Method;
use delivery::rollout::Event;
use delivery::rollout::evidence::Looked;
use release::{AppName, EnvironmentName};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};

/// Why a rollout is steered.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SteerBody {
    /// Why.
    pub reason: String,
}

/// A route by which something under way is steered.
pub fn steer_route(path: &'static str, action: Action, about: &'static str) -> Route {
    Route::new(Method::POST, path, action, about).body::<SteerBody>()
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/environments/{environment}/rollouts",
            Action::ReadReleases,
            "The rollouts of an environment, newest first.",
        )
        .to(list),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/environments/{environment}/rollouts/{number}",
            Action::ReadReleases,
            "One rollout: how far it is, what was seen of it, and what it went through.",
        )
        .to(show),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/rollouts/{number}/pause",
            Action::RollBack,
            "Keep a rollout's weights as they are.",
        )
        .to(pause),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/rollouts/{number}/resume",
            Action::Promote,
            "Let a paused rollout go on.",
        )
        .to(resume),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/rollouts/{number}/abort",
            Action::RollBack,
            "Stop a rollout. The stable release answers everything again; the candidate is not held.",
        )
        .to(abort),
    ]
}

async fn list(call: Call) -> Result<Value, Problem> {
    let (app, environment) = (call.path("app")?, call.path("environment")?);
    let mut rollouts = call.delivery().rollouts(&app, &environment).await?;
    // What was seen on the way is told of one rollout at a time.
    for passed in rollouts.iter_mut().flat_map(|rollout| &mut rollout.passed) {
        passed.looked = None::<Looked>;
    }
    to_json(&rollouts)
}

fn id(call: &Call) -> Result<String, Problem> {
    let (app, environment): (AppName, EnvironmentName) =
        (call.path("app")?, call.path("environment")?);
    let number: u64 = call.path("number")?;
    Ok(format!("{app}/{environment}/{number}"))
}

async fn show(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().rollout(&id(&call)?).await?)
}

async fn pause(call: Call) -> Result<Value, Problem> {
    let SteerBody { reason } = call.body()?;
    steer(call, Event::Pause(reason)).await
}

async fn resume(call: Call) -> Result<Value, Problem> {
    let SteerBody { .. } = call.body()?;
    steer(call, Event::Resume).await
}

async fn abort(call: Call) -> Result<Value, Problem> {
    let SteerBody { reason } = call.body()?;
    steer(call, Event::Abort(reason)).await
}

async fn steer(call: Call, event: Event) -> Result<Value, Problem> {
    let (rollout, moved) = call.delivery().steer(&id(&call)?, &event).await?;
    if let Some(moved) = moved {
        call.serving(&[moved]).await;
    }
    to_json(&rollout)
}
