//! Alarms and service-level objectives.

use axum::http::Method;
use monitoring::alarm::State;
use security::Action;
use serde_json::Value;

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};

/// How many changes are told if nobody says.
const CHANGES: usize = 100;

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/alarms",
            Action::ReadStatus,
            "The alarms, how they stand and why.",
        )
        .query(&["state"])
        .to(list),
        Route::new(Method::GET, "/api/v1/alarms/{name}", Action::ReadStatus, "One alarm.").to(show),
        Route::new(
            Method::GET,
            "/api/v1/alarms/{name}/history",
            Action::ReadStatus,
            "How an alarm changed, the newest first.",
        )
        .query(&["limit"])
        .to(history),
        Route::new(
            Method::GET,
            "/api/v1/slos",
            Action::ReadStatus,
            "The service-level objectives: what is left of their budgets, and how fast it burns.",
        )
        .to(objectives),
    ]
}

async fn list(call: Call) -> Result<Value, Problem> {
    let state: Option<State> = call.query("state")?;
    let mut alarms = call.api.alarms.tenant(&call.tenant).list().await?;
    alarms.retain(|alarm| state.is_none_or(|state| alarm.status.state == state));
    to_json(&alarms)
}

async fn show(call: Call) -> Result<Value, Problem> {
    let name: String = call.path("name")?;
    let alarm = call.api.alarms.tenant(&call.tenant).show(&name).await?;
    to_json(&alarm.ok_or_else(|| Problem::not_found(format!("there is no alarm `{name}`")))?)
}

async fn history(call: Call) -> Result<Value, Problem> {
    let (name, limit) = (call.path::<String>("name")?, call.query("limit")?);
    let alarms = call.api.alarms.tenant(&call.tenant);
    if alarms.show(&name).await?.is_none() {
        return Err(Problem::not_found(format!("there is no alarm `{name}`")));
    }
    to_json(&alarms.history(&name, limit.unwrap_or(CHANGES)).await?)
}

async fn objectives(call: Call) -> Result<Value, Problem> {
    to_json(&call.api.alarms.tenant(&call.tenant).objectives().await?)
}
