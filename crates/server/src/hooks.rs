//! Links that start a refresh, below `/hooks/refresh`: for whoever can call an address and can send
//! no key, as the push hook of a git forge.
//!
//! The link is the credential: a statement of what is read, in whose name and until when, signed
//! with the installation's key. It can start that refresh and nothing else, and is worth nothing once
//! its principal may not do so any more. What is sent to it is not read.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use release::{ArtifactName, PrincipalId, TenantId, Timestamp};
use security::{Action, Resource, SecurityError, authorize};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Api, Problem};

/// How long a link counts where nothing is said, and at most, in seconds.
pub const DEFAULT_SECONDS: u32 = 365 * 86_400;
/// How long a link counts at most, in seconds.
pub const MAX_SECONDS: u32 = 3_650 * 86_400;
/// What its statement is signed for.
const PURPOSE: &str = "refresh link";

/// What a link starts.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshLink {
    /// The tenant.
    pub tenant: TenantId,
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// The sources that are read; all if none are named.
    pub sources: Vec<String>,
    /// In whose name.
    pub principal: PrincipalId,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    Router::new().route("/hooks/refresh/{link}", post(refresh)).with_state(api)
}

/// The path of a link.
///
/// # Errors
/// If it cannot be written down.
pub fn path(api: &Api, link: &RefreshLink) -> Result<String, Problem> {
    let statement =
        serde_json::to_vec(link).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(format!("/hooks/refresh/{}", api.keys.sign(PURPOSE, &statement).expose()))
}

async fn refresh(State(api): State<Arc<Api>>, Path(text): Path<String>) -> Response {
    match start(&api, &text).await {
        Ok(begun) => (StatusCode::ACCEPTED, Json(begun)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Checks a link, from what costs least to what costs most, and starts what it says.
async fn start(api: &Api, text: &str) -> Result<Value, Problem> {
    let no_link = || Problem::forbidden("this is no link that was made here");
    let statement = api.keys.verify(PURPOSE, text).map_err(|_| no_link())?;
    let link: RefreshLink = serde_json::from_slice(&statement).map_err(|_| no_link())?;
    if link.expires_at <= api.clock.now() {
        return Err(Problem::forbidden("this link has expired"));
    }
    let identity = match api.keys.by_statement(&link.principal).await {
        Err(SecurityError::Store(error)) => return Err(SecurityError::Store(error).into()),
        found => found.map_err(|_| Problem::forbidden("this link does not count any more"))?,
    };
    authorize(&identity, Action::RefreshKnowledge, Resource::Tenant(&link.tenant))?;
    let engine = api.workflows.tenant(&link.tenant, link.principal);
    let input = json!({"knowledge": link.knowledge, "sources": link.sources});
    let begun = engine.start("groundcrew.knowledge.refresh", None, input).await?;
    Ok(json!({"execution": begun.key}))
}
