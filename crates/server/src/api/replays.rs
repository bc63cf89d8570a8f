//! Recorded requests, answered again.

use axum::http::Method;
use delivery::DeliveryError;
use monitoring::TraceId;
use release::{AppName, ArtifactName, EnvironmentName, ReleaseDigest};
use schemars::JsonSchema;
use security::{Action, Resource, authorize};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};
use crate::evaluations::replay::Wish;

/// By what a recorded request is answered again.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayBody {
    /// The release: a change, a sequence number or a digest; the one that answered if absent.
    pub release: Option<String>,
    /// The environment whose providers answer; that of the trace if absent.
    #[schemars(with = "Option<String>")]
    pub environment: Option<EnvironmentName>,
    /// A suite of the app's project, whose scorers score both answers.
    #[schemars(with = "Option<String>")]
    pub suite: Option<ArtifactName>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::POST,
            "/api/v1/traces/{trace}/replay",
            Action::Evaluate,
            "Answer a recorded request again by a release, and show both answers side by side. It \
             needs the right to see traces too.",
        )
        .body::<ReplayBody>()
        .to(replay),
    ]
}

async fn replay(call: Call) -> Result<Value, Problem> {
    authorize(&call.identity, Action::ReadTraces, Resource::Tenant(&call.tenant))?;
    let trace: TraceId = call.path("trace")?;
    let body: ReplayBody = call.body()?;
    let (delivery, evaluations) = (call.delivery(), &call.api.evaluations);
    let recorded = evaluations.recorded(&delivery, (&call.tenant, trace)).await?;
    let app = &recorded.record.app;
    let release = match &body.release {
        Some(selector) => release(&call, app, selector).await?,
        None => recorded.record.release,
    };
    let environment = body.environment.unwrap_or_else(|| recorded.record.environment.clone());
    let environment = delivery.place_of(app, Some(environment)).await?;
    let wish = Wish {
        tenant: call.tenant.clone(),
        principal: call.identity.principal.clone(),
        release,
        environment,
        suite: body.suite,
    };
    to_json(&evaluations.replay(&delivery, &recorded, &wish).await?)
}

/// A release of the app that the trace is of.
async fn release(call: &Call, app: &AppName, selector: &str) -> Result<ReleaseDigest, Problem> {
    let delivery = call.delivery();
    let unknown = match delivery.find_release(app, selector).await {
        Ok(found) => return Ok(found.release),
        Err(error @ DeliveryError::UnknownRelease { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    for other in delivery.apps().await?.into_iter().filter(|other| other.name != *app) {
        // A number says nothing about another app's.
        let named = selector.parse::<u64>().is_err();
        if named && delivery.find_release(&other.name, selector).await.is_ok() {
            let other = other.name;
            return Err(Problem::bad_request(format!(
                "release `{selector}` is one of app `{other}`, and the trace is of app `{app}`"
            )));
        }
    }
    Err(unknown.into())
}
