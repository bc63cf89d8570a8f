//! Gates: how a release stands before them, and what people decide.

use axum::http::Method;
use delivery::gate::Choice;
use delivery::{Approval, Waiving};
use release::{Digest, Timestamp};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};

/// What a person decides about a release.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// The release: a change, a sequence number or a digest.
    pub release: String,
    /// Whether it is denied. An approval of the same person is withdrawn by it.
    #[serde(default)]
    pub deny: bool,
    /// The `evidence` of the report that was looked at; what there is now if absent.
    #[serde(default)]
    pub evidence: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Which gate does not count, until when and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiveBody {
    /// The release: a change, a sequence number or a digest.
    pub release: String,
    /// The gate's name.
    pub gate: String,
    /// Until when (RFC 3339), at most 30 days from now.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/environments/{environment}/gates",
            Action::ReadReleases,
            "How a release (the newest candidate if none is named) stands before the gates of an \
             environment.",
        )
        .query(&["release"])
        .to(gates),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/approve",
            Action::Approve,
            "Say that a release is good, or not. Nobody decides on what is their own.",
        )
        .body::<ApproveBody>()
        .to(approve),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/waive",
            Action::Waive,
            "Let a gate not count for a release, until a moment.",
        )
        .body::<WaiveBody>()
        .to(waive),
    ]
}

async fn gates(call: Call) -> Result<Value, Problem> {
    let release: Option<String> = call.query("release")?;
    let (app, environment) = (call.path("app")?, call.path("environment")?);
    to_json(&call.delivery().gates(&app, &environment, release.as_deref()).await?)
}

async fn approve(call: Call) -> Result<Value, Problem> {
    let ApproveBody { release, deny, evidence, reason } = call.body()?;
    let evidence = evidence.map(|digest| digest.parse::<Digest>()).transpose();
    let wish = Approval {
        app: call.path("app")?,
        environment: call.path("environment")?,
        release,
        choice: if deny { Choice::Deny } else { Choice::Approve },
        evidence: evidence.map_err(|error| Problem::bad_request(error.to_string()))?,
        reason,
    };
    to_json(&call.delivery().approve(&wish, call.identity.role).await?)
}

async fn waive(call: Call) -> Result<Value, Problem> {
    let WaiveBody { release, gate, until, reason } = call.body()?;
    let until = until.parse::<Timestamp>();
    let wish = Waiving {
        app: call.path("app")?,
        environment: call.path("environment")?,
        release,
        gate,
        until: until.map_err(|error| Problem::bad_request(format!("`until`: {error}")))?,
        reason,
    };
    to_json(&call.delivery().waive(&wish).await?)
}
