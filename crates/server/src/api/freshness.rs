//! How fresh knowledge is, and what batches did.

use axum::http::Method;
use security::Action;
use serde_json::Value;

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};

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
    ]
}

async fn freshness(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().freshness(&call.path("name")?).await?)
}

async fn report(call: Call) -> Result<Value, Problem> {
    let number = call.query("batch")?;
    to_json(&call.delivery().batch_report(&call.path("name")?, number).await?)
}
