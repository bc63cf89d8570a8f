//! Erasing documents, and what is masked because they were.

use std::collections::BTreeSet;

use axum::http::Method;
use delivery::Erase;
use knowledge::Filter;
use monitoring::{AnswerRecord, Captured};
use release::{ArtifactName, Digest};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::Handler;
use super::{Call, LAG, Problem, Route, json as to_json};

/// What is shown in place of what an erased document grounded.
const REDACTED: &str = "[redacted]";

/// What is to be erased, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseBody {
    /// Documents, by their paths.
    #[serde(default)]
    pub documents: BTreeSet<String>,
    /// And those that pass all of these filters, as `customer=4711`.
    #[serde(default)]
    pub r#where: Vec<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Only tell what would be reached.
    #[serde(default)]
    pub dry_run: bool,
}

/// An erased document that may come back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmitBody {
    /// Its path.
    pub document: String,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/erase",
            Action::EraseKnowledge,
            "Erase documents from everything that was ever made of them. When this answers nothing \
             finds them; the rest goes on, and the erasure tells when it is completed.",
        )
        .body::<EraseBody>()
        .to(erase),
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/erasures",
            Action::ReadKnowledge,
            "A knowledge base's erasures, the newest first.",
        )
        .to(erasures),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/admit",
            Action::EraseKnowledge,
            "Let an erased document come back, when its source has it or it is put again.",
        )
        .body::<AdmitBody>()
        .to(admit),
    ]
}

async fn erase(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let EraseBody { documents, r#where, reason, dry_run } = call.body()?;
    let filters = r#where.iter().map(|text| text.parse::<Filter>());
    let filters = filters.collect::<Result<Vec<_>, _>>().map_err(Problem::bad_request)?;
    if documents.is_empty() && filters.is_empty() {
        return Err(Problem::bad_request("the body needs `documents` or `where`"));
    }
    let wish = Erase { documents, filters, reason };
    if dry_run {
        return to_json(&call.delivery().erasure_reach(&name, &wish).await?);
    }
    if wish.reason.trim().is_empty() {
        return Err(Problem::bad_request("`reason` is missing: who asked for it, and why"));
    }
    let (erasure, position) = call.delivery().erase(&name, &wish).await?;
    let mut live = call.api.live.clone();
    let reached = live.wait_for(|live| live.erasures >= position);
    if !matches!(tokio::time::timeout(LAG, reached).await, Ok(Ok(_))) {
        tracing::warn!("documents are erased, but this server does not answer without them yet");
    }
    to_json(&erasure)
}

async fn erasures(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().erasures(&call.path("name")?).await?)
}

async fn admit(call: Call) -> Result<Value, Problem> {
    let AdmitBody { document } = call.body()?;
    to_json(&call.delivery().admit(&call.path("name")?, &document).await?)
}

/// What was erased of the snapshots that a release pins: it keeps its name, and says so.
pub async fn redacted(
    call: &Call,
    snapshots: impl Iterator<Item = Digest>,
) -> Result<Vec<Value>, Problem> {
    let mut redacted = Vec::new();
    for snapshot in snapshots {
        let documents = call.delivery().erased_of(snapshot).await?.unwrap_or_default();
        if !documents.is_empty() {
            redacted.push(json!({"snapshot": snapshot, "documents": documents}));
        }
    }
    Ok(redacted)
}

/// A trace, without what erased documents grounded: the answer, which may quote them. What was asked
/// stays: it is the asker's.
pub async fn masked(call: &Call, mut trace: AnswerRecord) -> Result<Value, Problem> {
    let Some(retrieval) = &trace.retrieval else { return to_json(&trace) };
    let (snapshot, at) = (retrieval.snapshot, trace.started_at);
    let erased = call.delivery().erased_since(snapshot, at).await?;
    let hit = retrieval.chunks.iter().any(|chunk| erased.contains(&chunk.document));
    if hit && let Captured::Full { json } = &mut trace.output {
        REDACTED.clone_into(json);
    }
    let mut shown = to_json(&trace)?;
    if hit {
        shown["redacted"] = true.into();
        for chunk in shown["retrieval"]["chunks"].as_array_mut().into_iter().flatten() {
            let document = chunk["document"].as_str().unwrap_or_default();
            chunk["redacted"] = erased.contains(document).into();
        }
    }
    Ok(shown)
}
