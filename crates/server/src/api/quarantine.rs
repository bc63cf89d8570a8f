//! Quarantine: what is bad leaves every environment.

use axum::http::Method;
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};

/// What is bad, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineBody {
    /// The artifact: six digits of its digest at least, or `kind/name@digits`.
    pub artifact: String,
    /// Why.
    pub reason: String,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/quarantine",
            Action::ReadReleases,
            "What a quarantine of an artifact would reach: what was made from it, and the releases \
             and environments that use any of it.",
        )
        .query(&["artifact"])
        .to(reach),
        Route::new(
            Method::POST,
            "/api/v1/quarantine",
            Action::RollBack,
            "Take an artifact, what was made from it, and every release that uses these out of use. \
             There is no way back.",
        )
        .body::<QuarantineBody>()
        .to(quarantine),
    ]
}

async fn reach(call: Call) -> Result<Value, Problem> {
    let artifact: Option<String> = call.query("artifact")?;
    let artifact = artifact.ok_or_else(|| Problem::bad_request("`artifact` is missing"))?;
    to_json(&call.delivery().quarantine_reach(&artifact).await?)
}

async fn quarantine(call: Call) -> Result<Value, Problem> {
    let QuarantineBody { artifact, reason } = call.body()?;
    if reason.trim().is_empty() {
        return Err(Problem::bad_request("say why: `reason` is empty"));
    }
    to_json(&call.delivery().quarantine(&artifact, &reason).await?)
}
