//! The versions of a knowledge base.

use axum::http::Method;
use delivery::Excised;
use release::{ArtifactName, Timestamp};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    ]
}

async fn batches(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().batches(&call.path("name")?).await?)
}

async fn at(call: Call) -> Result<Value, Problem> {
    let (name, time): (ArtifactName, Option<Timestamp>) = (call.path("name")?, call.query("time")?);
    let time = time.ok_or_else(|| Problem::bad_request("`time` is missing: when (RFC 3339)"))?;
    let found = call.delivery().knowledge_at(&name, time).await?;
    let none = || Problem::not_found(format!("`{name}` had no snapshot at {time}"));
    to_json(&found.ok_or_else(none)?)
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
    let excised = json!(call.delivery().excise(&name, &excised).await?);
    call.serving(&moves(excised["promoted"].as_array().into_iter().flatten())?).await;
    Ok(excised)
}
