//! `/metrics` for Prometheus: what the server measured of itself, and what it counted for tenants.
//!
//! A key of the installation reads all of it; a tenant's reads the tenant's.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use monitoring::metrics::{Format, expose};
use security::{Action, Resource, authorize};

use crate::api::{self, Api, Problem};
use crate::platform;

/// The route.
pub fn router(api: Arc<Api>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(api)
}

async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    match page(&api, &headers) {
        Ok((format, text)) => ([(CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn page(api: &Api, headers: &HeaderMap) -> Result<(Format, String), Problem> {
    let identity = api::identify(api, headers)?;
    let (tenants, readings) = match &identity.tenant {
        Some(tenant) => {
            authorize(&identity, Action::ReadStatus, Resource::Tenant(tenant))?;
            (vec![tenant.clone()], Vec::new())
        }
        None => {
            authorize(&identity, Action::ReadStatus, Resource::Installation)?;
            (api.rollups.tenants(), platform::readings(api))
        }
    };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept);
    let totals: Vec<_> = tenants
        .into_iter()
        .map(|tenant| {
            let totals = api.rollups.totals(&tenant);
            (tenant, totals)
        })
        .collect();
    Ok((format, expose(format, &readings, &totals, api.rollups.started())))
}
