//! The versions of a knowledge base.

use axum::http::Method;
use delivery::{BatchRecord, Excised, Refreshed};
use release::{ArtifactName, Timestamp};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handlers::{Handler, moves};
use super::{Call, Problem, Route, json as to_json};

/// What is to be taken out: one of the two.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExciseBody {
    /// A document, by its path.
    pub document: Option<String>,
    /// Everything that a batch brought, by its number.
    pub batch: Option<u64>,
}

/// What is to be the newest snapshot again: that of one of the two.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreBody {
    /// A batch, by its number.
    pub batch: Option<u64>,
    /// The batch that was the newest at this moment (RFC 3339).
    pub at: Option<String>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/batches",
            Action::ReadKnowledge,
            "A knowledge base's batches, the newest first.",
        )
        .to(batches),
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/at",
            Action::ReadKnowledge,
            "The batch whose snapshot was the newest at a moment.",
        )
        .query(&["time"])
        .to(at),
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/diff",
            Action::ReadKnowledge,
            "What is different between the snapshots of two batches; without `to`, since `from`.",
        )
        .query(&["from", "to"])
        .to(diff),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/excise",
            Action::WriteKnowledge,
            "Make a snapshot without a document or a batch the newest.",
        )
        .body::<ExciseBody>()
        .to(excise),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/restore",
            Action::WriteKnowledge,
            "Make the snapshot of an earlier batch or moment the newest again.",
        )
        .body::<RestoreBody>()
        .to(restore),
    ]
}

async fn batches(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().batches(&call.path("name")?).await?)
}

async fn at(call: Call) -> Result<Value, Problem> {
    let time = call.query("time")?;
    let time = time.ok_or_else(|| Problem::bad_request("`time` is missing: when (RFC 3339)"))?;
    to_json(&newest_at(&call, &call.path("name")?, time).await?)
}

async fn newest_at(
    call: &Call,
    name: &ArtifactName,
    at: Timestamp,
) -> Result<BatchRecord, Problem> {
    let found = call.delivery().knowledge_at(name, at).await?;
    found.ok_or_else(|| Problem::not_found(format!("`{name}` had no snapshot at {at}")))
}

async fn diff(call: Call) -> Result<Value, Problem> {
    let from: Option<u64> = call.query("from")?;
    let from = from.ok_or_else(|| Problem::bad_request("`from` is missing: a batch's number"))?;
    let range = (from, call.query("to")?);
    to_json(&call.delivery().knowledge_diff(&call.path("name")?, range).await?)
}

async fn excise(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let excised = match call.body::<ExciseBody>()? {
        ExciseBody { document: Some(document), batch: None } => Excised::Document(document),
        ExciseBody { document: None, batch: Some(batch) } => Excised::Batch(batch),
        _ => return Err(Problem::bad_request("the body needs either `document` or `batch`")),
    };
    landed(&call, &call.delivery().excise(&name, &excised).await?).await
}

async fn restore(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let batch = match call.body::<RestoreBody>()? {
        RestoreBody { batch: Some(batch), at: None } => batch,
        RestoreBody { batch: None, at: Some(at) } => {
            let wrong = |error| Problem::bad_request(format!("`at`: {error}"));
            newest_at(&call, &name, at.parse().map_err(wrong)?).await?.number
        }
        _ => return Err(Problem::bad_request("the body needs either `batch` or `at`")),
    };
    landed(&call, &call.delivery().restore_knowledge(&name, batch).await?).await
}

/// What a batch led to, once this server serves it.
async fn landed(call: &Call, refreshed: &Refreshed) -> Result<Value, Problem> {
    let refreshed = to_json(refreshed)?;
    call.serving(&moves(refreshed["promoted"].as_array().into_iter().flatten())?).await;
    Ok(refreshed)
}
