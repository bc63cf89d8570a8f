//! The routes about versions of workflows, and aliases that lead to them.

use axum::http::Method;
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::engine::{AliasChange, EngineError, Route as AliasRoute};

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};

/// A version to publish.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishBody {
    /// The revision that the caller looked at; `INITIAL` for the first.
    pub revision: Option<String>,
    /// What it is, for people.
    pub description: Option<String>,
}

/// An alias to make or change.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasBody {
    /// Its name.
    pub name: String,
    /// Where it leads: to one version, or to two whose weights sum to 100.
    pub routes: Vec<AliasRoute>,
    /// What it is, for people.
    #[serde(default)]
    pub description: Option<String>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    const VERSIONS: &str = "/api/v1/workflows/{workflow}/versions";
    const ALIASES: &str = "/api/v1/workflows/{workflow}/aliases";
    let (read, define) = (Action::ReadWorkflows, Action::DefineWorkflows);
    vec![
        Route::new(Method::GET, VERSIONS, read, "The versions of a workflow.").to(versions),
        Route::new(Method::POST, VERSIONS, define, "Publish a workflow's definition.")
            .body::<PublishBody>()
            .to(publish),
        Route::new(
            Method::DELETE,
            "/api/v1/workflows/{workflow}/versions/{version}",
            define,
            "Delete a version that no alias leads to.",
        )
        .to(remove_version),
        Route::new(Method::GET, ALIASES, read, "The aliases of a workflow.").to(aliases),
        Route::new(Method::POST, ALIASES, define, "Make an alias, or change one.")
            .body::<AliasBody>()
            .to(alias),
        Route::new(
            Method::DELETE,
            "/api/v1/workflows/{workflow}/aliases/{alias}",
            define,
            "Delete an alias.",
        )
        .to(remove_alias),
    ]
}

fn workflow(call: &Call) -> Result<String, Problem> {
    call.path("workflow")
}

async fn versions(call: Call) -> Result<Value, Problem> {
    let (engine, workflow) = (call.workflows(), workflow(&call)?);
    engine.machine(&workflow).await?;
    to_json(&engine.versions(&workflow).await?)
}

async fn publish(call: Call) -> Result<Value, Problem> {
    let PublishBody { revision, description } = call.body()?;
    let workflow = workflow(&call)?;
    to_json(&call.workflows().publish(&workflow, revision.as_deref(), description).await?)
}

async fn remove_version(call: Call) -> Result<Value, Problem> {
    let (workflow, version) = (workflow(&call)?, call.path("version")?);
    call.workflows().remove_version(&workflow, version).await?;
    Ok(json!({"removed": format!("{workflow}:{version}")}))
}

async fn aliases(call: Call) -> Result<Value, Problem> {
    let (engine, workflow) = (call.workflows(), workflow(&call)?);
    engine.machine(&workflow).await?;
    to_json(&engine.aliases(&workflow).await?)
}

async fn alias(call: Call) -> Result<Value, Problem> {
    let AliasBody { name, routes, description } = call.body()?;
    let (engine, workflow) = (call.workflows(), workflow(&call)?);
    let change = AliasChange { description, routes: Some(routes) };
    match engine.alias(&workflow, &name).await {
        Ok(_) => to_json(&engine.update_alias(&workflow, &name, change).await?),
        Err(EngineError::UnknownMachine(_)) => {
            to_json(&engine.create_alias(&workflow, &name, change).await?)
        }
        Err(error) => Err(error.into()),
    }
}

async fn remove_alias(call: Call) -> Result<Value, Problem> {
    let (workflow, alias): (String, String) = (workflow(&call)?, call.path("alias")?);
    call.workflows().remove_alias(&workflow, &alias).await?;
    Ok(json!({"removed": format!("{workflow}:{alias}")}))
}
