//! Experiments: which release is better, drafted, steered and concluded by people.

use axum::http::Method;
use delivery::NewExperiment;
use delivery::experiment::Event;
use release::{AppName, ArtifactName, EnvironmentName};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handlers::Handler;
use super::rollouts::{SteerBody, steer_route};
use super::{Call, Problem, Route, json as to_json};

/// What follows from an experiment.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcludeBody {
    /// Whether the variant that won is rolled out.
    pub adopt: bool,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/environments/{environment}/experiments",
            Action::ReadReleases,
            "The experiments of an environment, newest first.",
        )
        .to(list),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/experiments",
            Action::Promote,
            "Draft an experiment. Nothing is assigned before it is started.",
        )
        .body::<NewExperiment>()
        .to(draft),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/environments/{environment}/experiments/{name}",
            Action::ReadReleases,
            "One experiment: what it is to find out, what was seen of it, and what it went through.",
        )
        .to(show),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/experiments/{name}/start",
            Action::Promote,
            "Split the environment's traffic among an experiment's variants.",
        )
        .to(start),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/experiments/{name}/pause",
            Action::RollBack,
            "Let the stable release answer everything until the experiment is resumed.",
        )
        .to(pause),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/experiments/{name}/resume",
            Action::Promote,
            "Let a paused experiment go on.",
        )
        .to(resume),
        steer_route(
            "/api/v1/apps/{app}/environments/{environment}/experiments/{name}/stop",
            Action::RollBack,
            "End an experiment: it says what was seen last.",
        )
        .to(stop),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/experiments/{name}/conclude",
            Action::Promote,
            "Draw the conclusion of an experiment that has stopped: roll the winner out, or leave all \
             as it is.",
        )
        .body::<ConcludeBody>()
        .to(conclude),
    ]
}

fn place(call: &Call) -> Result<(AppName, EnvironmentName), Problem> {
    Ok((call.path("app")?, call.path("environment")?))
}

async fn list(call: Call) -> Result<Value, Problem> {
    let (app, environment) = place(&call)?;
    to_json(&call.delivery().experiments(&app, &environment).await?)
}

async fn draft(call: Call) -> Result<Value, Problem> {
    let (app, environment) = place(&call)?;
    let wish: NewExperiment = call.body()?;
    to_json(&call.delivery().draft_experiment((&app, &environment), &wish).await?)
}

fn id(call: &Call) -> Result<String, Problem> {
    let ((app, environment), name) = (place(call)?, call.path::<ArtifactName>("name")?);
    Ok(format!("{app}/{environment}/{name}"))
}

async fn show(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().experiment(&id(&call)?).await?)
}

async fn start(call: Call) -> Result<Value, Problem> {
    let SteerBody { .. } = call.body()?;
    steer(call, |_| Event::Start).await
}

async fn pause(call: Call) -> Result<Value, Problem> {
    let SteerBody { reason } = call.body()?;
    steer(call, |_| Event::Pause(reason.clone())).await
}

async fn resume(call: Call) -> Result<Value, Problem> {
    let SteerBody { .. } = call.body()?;
    steer(call, |_| Event::Resume).await
}

async fn stop(call: Call) -> Result<Value, Problem> {
    let SteerBody { .. } = call.body()?;
    steer(call, |record| {
        Event::Stop(record.looked.as_ref().map(|looked| looked.seen.clone()).unwrap_or_default())
    })
    .await
}

async fn conclude(call: Call) -> Result<Value, Problem> {
    let ConcludeBody { adopt } = call.body()?;
    steer(call, |_| Event::Conclude { adopt }).await
}

async fn steer(
    call: Call,
    deed: impl Fn(&delivery::ExperimentRecord) -> Event,
) -> Result<Value, Problem> {
    let (record, moved) = call.delivery().steer_experiment(&id(&call)?, deed).await?;
    if let Some(moved) = moved {
        call.serving(&[moved]).await;
    }
    to_json(&record)
}
