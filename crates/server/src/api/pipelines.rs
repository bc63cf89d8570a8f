//! Pipelines: a candidate goes from environment to environment, as far as the gates let it.

use axum::http::Method;
use delivery::NewPipeline;
use security::{Action, Resource, authorize};
use serde_json::Value;

use super::handlers::Handler;
use super::workflows::told;
use super::{Call, Problem, Route};

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::POST,
            "/api/v1/pipelines",
            Action::Promote,
            "Have a candidate go from environment to environment; the execution that does it. One of \
             the same release to the same environment that is under way is joined.",
        )
        .body::<NewPipeline>()
        .to(begin),
    ]
}

async fn begin(call: Call) -> Result<Value, Problem> {
    // It has suites asked where gates want that.
    authorize(&call.identity, Action::Evaluate, Resource::Tenant(&call.tenant))?;
    let wish: NewPipeline = call.body()?;
    Ok(told(&call.delivery().begin_pipeline(&call.workflows(), &wish).await?))
}
