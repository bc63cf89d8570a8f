//! How fresh knowledge is, what batches did, and links that have it read.

use std::time::Duration;

use axum::http::Method;
use release::ArtifactName;
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};
use crate::hooks::{self, RefreshLink};

/// What a link starts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshLinkBody {
    /// The sources that are read; all if none are named.
    #[serde(default)]
    pub sources: Vec<String>,
    /// How long it may be used, in seconds (default a year, at most ten).
    pub expires_seconds: Option<u32>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/freshness",
            Action::ReadKnowledge,
            "How fresh a knowledge base is wherever it serves.",
        )
        .to(freshness),
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/report",
            Action::ReadKnowledge,
            "What a batch did, with each document and why; the newest if none is named.",
        )
        .query(&["batch"])
        .to(report),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/refresh-link",
            Action::RefreshKnowledge,
            "Make a link that starts a refresh in the caller's name, for whoever can send no key.",
        )
        .body::<RefreshLinkBody>()
        .to(refresh_link),
    ]
}

async fn freshness(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().freshness(&call.path("name")?).await?)
}

async fn report(call: Call) -> Result<Value, Problem> {
    let number = call.query("batch")?;
    to_json(&call.delivery().batch_report(&call.path("name")?, number).await?)
}

async fn refresh_link(call: Call) -> Result<Value, Problem> {
    let knowledge: ArtifactName = call.path("name")?;
    let RefreshLinkBody { sources, expires_seconds } = call.body()?;
    let seconds = expires_seconds.unwrap_or(hooks::DEFAULT_SECONDS);
    if !(1..=hooks::MAX_SECONDS).contains(&seconds) {
        let why = format!("`expires_seconds` is 1 to {}, not {seconds}", hooks::MAX_SECONDS);
        return Err(Problem::bad_request(why));
    }
    let known = call.delivery().freshness(&knowledge).await?.sources;
    if let Some(unknown) = sources.iter().find(|name| !known.iter().any(|it| it.source == **name)) {
        return Err(Problem::not_found(format!("`{knowledge}` has no source `{unknown}`")));
    }
    let end = call.api.clock.now().checked_add(Duration::from_secs(seconds.into()));
    let expires_at = end.map_err(|error| Problem::bad_request(error.to_string()))?;
    let (tenant, principal) = (call.tenant.clone(), call.identity.principal.clone());
    let link = RefreshLink { tenant, knowledge, sources, principal, expires_at };
    let path = hooks::path(&call.api, &link)?;
    Ok(json!({"path": path, "principal": link.principal, "expires_at": expires_at}))
}
