//! Backups of the installation.

use axum::http::Method;
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::Handler;
use super::tasks::Done;
use super::{Call, Problem, Route, json as to_json};
use crate::backups::BackupTrouble;

/// Which backup is to be proved.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrillBody {
    /// Its name; the newest if absent.
    pub backup: Option<String>,
    /// Whether the copy at the second place is meant.
    pub replica: bool,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    let route = |method, path, summary| {
        Route::new(method, path, Action::ManageBackups, summary).installation()
    };
    vec![
        route(
            Method::GET,
            "/api/v1/backups",
            "The installation's backups, the oldest first, and the last drills, the newest first.",
        )
        .to(list),
        route(Method::POST, "/api/v1/backups", "Take a backup.").query(&["wait"]).to(take),
        route(Method::POST, "/api/v1/backups/drill", "Restore a backup into scratch and prove it.")
            .query(&["wait"])
            .body::<DrillBody>()
            .to(drill),
        route(
            Method::POST,
            "/api/v1/backups/forget",
            "Delete backups that are older than they are kept.",
        )
        .query(&["dry_run"])
        .to(forget),
    ]
}

async fn list(call: Call) -> Result<Value, Problem> {
    let backups = &call.api.backups;
    Ok(json!({"backups": backups.list().await?, "drills": backups.drills().await?}))
}

async fn take(call: Call) -> Result<Value, Problem> {
    done(&call, "backup.take", json!({})).await
}

async fn drill(call: Call) -> Result<Value, Problem> {
    done(&call, "backup.drill", to_json(&call.body::<DrillBody>()?)?).await
}

async fn forget(call: Call) -> Result<Value, Problem> {
    let dry_run = call.query("dry_run")?.unwrap_or(false);
    to_json(&call.api.backups.forget(dry_run).await?)
}

async fn done(call: &Call, task: &str, input: Value) -> Result<Value, Problem> {
    match call.done(task, input).await? {
        Done::Begun(value) | Done::Result(value) => Ok(value),
    }
}

impl From<BackupTrouble> for Problem {
    fn from(trouble: BackupTrouble) -> Self {
        Self::of_task(trouble.name(), trouble.to_string())
    }
}
