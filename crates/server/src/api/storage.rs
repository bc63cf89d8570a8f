//! What is kept, why, and what goes.

use axum::http::Method;
use release::{ArtifactName, Digest};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::{Handler, moves};
use super::tasks::Done;
use super::{Call, Problem, Route, json as to_json};

/// What is to be kept, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// A release, a snapshot, or any content, by its digest.
    pub digest: String,
    /// Why.
    pub reason: String,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/compact",
            Action::RefreshKnowledge,
            "Rewrite a knowledge base's segments without what counts no more; `dry_run` only tells.",
        )
        .query(&["wait", "dry_run"])
        .to(compact),
        Route::new(
            Method::POST,
            "/api/v1/storage/prune",
            Action::PruneStorage,
            "Drop what is not kept any more; `dry_run` only tells what that is.",
        )
        .query(&["wait", "dry_run"])
        .to(prune),
        Route::new(
            Method::GET,
            "/api/v1/storage/contents/{digest}",
            Action::ReadReleases,
            "Why a content is kept.",
        )
        .to(explain),
        Route::new(
            Method::GET,
            "/api/v1/storage/holds",
            Action::ReadReleases,
            "What is kept because somebody asked for it.",
        )
        .to(holds),
        Route::new(
            Method::POST,
            "/api/v1/storage/holds",
            Action::ManageHolds,
            "Have a content kept, with all that it is made of.",
        )
        .body::<HoldBody>()
        .to(hold),
        Route::new(
            Method::DELETE,
            "/api/v1/storage/holds/{digest}",
            Action::ManageHolds,
            "End a hold.",
        )
        .to(release),
    ]
}

async fn compact(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let dry_run = call.query::<bool>("dry_run")?.unwrap_or(false);
    let input = json!({"knowledge": name, "dry_run": dry_run});
    match call.done("knowledge.compact", input).await? {
        Done::Begun(execution) => Ok(execution),
        Done::Result(compacted) => {
            let promoted = compacted["batch"]["promoted"].as_array();
            call.serving(&moves(promoted.into_iter().flatten())?).await;
            Ok(compacted)
        }
    }
}

async fn prune(call: Call) -> Result<Value, Problem> {
    let dry_run = call.query::<bool>("dry_run")?.unwrap_or(false);
    match call.done("storage.prune", json!({"dry_run": dry_run})).await? {
        Done::Begun(told) | Done::Result(told) => Ok(told),
    }
}

async fn explain(call: Call) -> Result<Value, Problem> {
    let digest: Digest = call.path("digest")?;
    to_json(&call.delivery().explain_pins(digest).await?)
}

async fn holds(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().holds().await?)
}

async fn hold(call: Call) -> Result<Value, Problem> {
    let HoldBody { digest, reason } = call.body()?;
    let digest: Digest =
        digest.parse().map_err(|error| Problem::bad_request(format!("`digest`: {error}")))?;
    if !call.delivery().explain_pins(digest).await?.there {
        return Err(Problem::not_found(format!("there is no content `{digest}`")));
    }
    to_json(&call.delivery().hold(digest, &reason).await?)
}

async fn release(call: Call) -> Result<Value, Problem> {
    let digest: Digest = call.path("digest")?;
    match call.delivery().release_hold(digest).await? {
        true => Ok(json!({"released": digest})),
        false => Err(Problem::not_found(format!("`{digest}` is not held"))),
    }
}
