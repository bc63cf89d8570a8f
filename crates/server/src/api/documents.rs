//! What comes to knowledge by itself: documents that are put, and notices of buckets.

use std::collections::BTreeMap;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use delivery::DeliveryError;
use knowledge::KnowledgeError;
use knowledge::source::{ObjectChange, Put};
use release::{ArtifactName, Timestamp};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::Handler;
use super::workflows::told;
use super::{Call, Problem, Route, json as to_json};

/// A document to be put.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentBody {
    /// Its path: what was put under it before is replaced.
    pub path: String,
    /// Its text; or `content`.
    pub text: Option<String>,
    /// Its bytes, as base 64; or `text`.
    pub content: Option<String>,
    /// What kind of content it is, as `text/html`; the path's ending tells else.
    pub media_type: Option<String>,
    /// When it was changed (RFC 3339); now, if absent.
    pub modified_at: Option<String>,
    /// What else is known of it, as `author`.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    let documents = "/api/v1/knowledge/{name}/documents";
    vec![
        Route::new(
            Method::POST,
            documents,
            Action::WriteKnowledge,
            "Put a document into a knowledge base, for its next refresh.",
        )
        .body::<DocumentBody>()
        .to(put),
        Route::new(
            Method::GET,
            documents,
            Action::ReadKnowledge,
            "The documents that were put into a knowledge base, without their bytes.",
        )
        .query(&["after"])
        .to(list),
        Route::new(
            Method::DELETE,
            documents,
            Action::WriteKnowledge,
            "Remove a document that was put into a knowledge base.",
        )
        .query(&["path"])
        .to(remove),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/events",
            Action::RefreshKnowledge,
            "Take a notice of S3, plain or through SNS or EventBridge, and refresh what reads the \
             objects it names.",
        )
        .to(events),
    ]
}

async fn put(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let body: DocumentBody = call.body()?;
    let bytes = match (body.text, body.content) {
        (Some(text), None) => text.into(),
        (None, Some(content)) => BASE64
            .decode(content)
            .map_err(|error| Problem::bad_request(format!("`content` is not base 64: {error}")))?,
        _ => return Err(Problem::bad_request("the body needs either `text` or `content`")),
    };
    let modified_at = body.modified_at.map(|at| at.parse::<Timestamp>()).transpose();
    let modified_at = modified_at
        .map_err(|error| Problem::bad_request(format!("`modified_at` is no moment: {error}")))?;
    let put = Put {
        path: body.path,
        bytes: bytes.into(),
        media_type: body.media_type,
        modified_at,
        metadata: body.metadata,
    };
    let (document, changed) = call.delivery().put_document(&name, put).await.map_err(refused)?;
    Ok(json!({"document": document, "changed": changed}))
}

async fn list(call: Call) -> Result<Value, Problem> {
    let after: Option<String> = call.query("after")?;
    let documents = call.delivery().pushed_documents(&call.path("name")?, after.as_deref()).await;
    to_json(&documents.map_err(refused)?)
}

async fn remove(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let path: Option<String> = call.query("path")?;
    let path = path.ok_or_else(|| Problem::bad_request("`path` is missing"))?;
    let removed = call.delivery().remove_document(&name, &path).await.map_err(refused)?;
    Ok(json!({"path": path, "removed": removed}))
}

async fn events(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let changes = ObjectChange::read(&call.body()?).map_err(Problem::bad_request)?;
    let sources = call.delivery().concerned(&name, &changes).await?;
    if sources.is_empty() {
        return Ok(json!({"sources": [], "execution": null}));
    }
    let input = json!({"knowledge": name, "sources": sources});
    let begun = call.workflows().do_task("knowledge.refresh", input).await?;
    let mut begun = told(&begun);
    begun["sources"] = sources.into();
    Ok(begun)
}

/// What the caller gave cannot be taken.
fn refused(error: DeliveryError) -> Problem {
    match error {
        DeliveryError::Knowledge(error @ KnowledgeError::Source { .. }) => {
            Problem::bad_request(error.to_string())
        }
        error => error.into(),
    }
}
