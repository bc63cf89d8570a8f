//! The control plane's API below `/api/v1`.
//!
//! Every route stands once in [`routes`], with the action its caller must be allowed to do; the
//! router, the check and the OpenAPI document are made from that one list.

mod alarms;
mod backups;
mod batches;
mod diagnosis;
mod documents;
mod erasures;
mod evaluations;
mod experiments;
mod freshness;
mod gates;
mod handlers;
mod measures;
mod openapi;
pub mod otlp;
mod pipelines;
mod problem;
mod quarantine;
mod queries;
mod replays;
mod retrieval;
mod rollouts;
pub mod series;
mod spans;
mod storage;
mod subjects;
mod tasks;
mod versions;
mod workflows;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use delivery::{Delivery, TenantDelivery};
use gateway::Live;
use knowledge::KnowledgeModels;
use monitoring::Telemetry;
use monitoring::alarm::engine::Alarms;
use monitoring::contributors::Contributors;
use monitoring::export::Exporter;
use monitoring::metrics::Rollups;
use monitoring::receive::Receiver;
use release::{Clock, DeploymentEntry, TenantId};
use security::{Action, Identity, KeyRing, Resource, authorize};
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{Blobs, Store};
use tokio::sync::watch;
use workflow::engine::Engine;

use crate::backups::Keeper;
use crate::evaluations::Evaluations;
use crate::pushes::Pushes;
use handlers::Answer;
pub use handlers::{ApplyBody, openapi_document};
pub use problem::Problem;
pub use queries::{Format, QueryBody};

/// The most bytes of a request: a whole project.
const MAX_BODY: usize = 64 << 20;

/// How long a request that moves an environment waits for this server to follow.
const LAG: Duration = Duration::from_secs(5);

/// What the API works with.
pub struct Api {
    pub keys: Arc<KeyRing>,
    pub delivery: Delivery,
    pub store: Store,
    pub blobs: Blobs,
    /// What was recorded and told.
    pub telemetry: Telemetry,
    /// Takes what others send.
    pub receiver: Arc<Receiver>,
    /// Sends telemetry on, where that is wanted.
    pub exporter: Option<Arc<Exporter>>,
    /// What is counted, of every tenant.
    pub rollups: Arc<Rollups>,
    /// Who contributes most, of every tenant.
    pub contributors: Arc<Contributors>,
    pub live: watch::Receiver<Arc<Live>>,
    /// What knowledge is embedded and ordered with.
    pub models: Arc<dyn KnowledgeModels>,
    pub workflows: Engine,
    /// The branches whose pushes are applied.
    pub pushes: Arc<Pushes>,
    pub backups: Keeper,
    pub alarms: Alarms,
    /// Who asks releases by hand.
    pub evaluations: Arc<Evaluations>,
    pub clock: Arc<dyn Clock>,
}

/// A request whose caller may make it.
pub struct Call {
    pub api: Arc<Api>,
    pub identity: Arc<Identity>,
    pub tenant: TenantId,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Vec<u8>,
}

/// One route.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub action: Action,
    /// Whether it concerns the installation rather than a tenant.
    pub installation: bool,
    pub summary: &'static str,
    /// Query parameters, for the OpenAPI document.
    pub query: &'static [&'static str],
    /// The most bytes of a request.
    pub limit: usize,
    /// The schema of the body, if it has one.
    pub body: Option<fn() -> schemars::Schema>,
}

impl Call {
    /// The release path of the caller's tenant, in the caller's name.
    pub fn delivery(&self) -> TenantDelivery {
        self.api.delivery.tenant(&self.tenant, self.identity.principal.clone())
    }

    /// A part of the path.
    pub fn path<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<T, Problem> {
        let value = self.path.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let value = value.map(String::as_str).unwrap_or_default();
        value.parse().map_err(|error| Problem::bad_request(format!("{error}")))
    }

    /// A query parameter.
    pub fn query<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let value = self.query.iter().find(|(key, value)| key == name && !value.is_empty());
        let parse = |value: &String| {
            value.parse().map_err(|error| Problem::bad_request(format!("`{name}`: {error}")))
        };
        value.map(|(_, value)| parse(value)).transpose()
    }

    /// Every value of a query parameter that may be given several times.
    pub fn every(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.query.iter().filter(move |(key, value)| key == name && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Waits until this server answers by `moves`, so that whoever moved an environment sees it
    /// moved. The moves are committed already; a server that lags behind says so in its log.
    pub async fn serving(&self, moves: &[DeploymentEntry]) {
        let mut live = self.api.live.clone();
        let reached = live.wait_for(|live| {
            moves.iter().all(|entry| {
                let found = live.table.environment(&self.tenant, &entry.app, &entry.environment);
                found.is_some_and(|found| found.generation >= entry.generation)
            })
        });
        if !matches!(tokio::time::timeout(LAG, reached).await, Ok(Ok(_))) {
            tracing::warn!("a move is committed, but this server does not answer by it yet");
        }
    }

    /// The body, as `T`.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::bad_request(format!("the body does not fit: {error}")))
    }
}

/// The router: every route of the list, behind a key and its action.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for (route, handler) in handlers::routes() {
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        let path = route.path;
        let route = Arc::new(route);
        let handle = move |State(api): State<Arc<Api>>, params: RawPathParams, request: Request| {
            let path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            answer(api, (Arc::clone(&route), Arc::clone(&handler)), path.collect(), request)
        };
        router = router.route(path, on(filter, handle));
    }
    router.fallback(missing).with_state(api)
}

async fn answer(
    api: Arc<Api>,
    (route, handler): (Arc<Route>, handlers::Handler),
    path: Vec<(String, String)>,
    request: Request,
) -> Response {
    let call = match admit(api, &route, path, request).await {
        Ok(call) => call,
        Err(problem) => return problem.into_response(),
    };
    match handler(call).await {
        Ok(Answer::Json(value)) => axum::Json(value).into_response(),
        // It holds no script, and would run none.
        Ok(Answer::Svg(text)) => {
            let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
            let head = [("content-type", "image/svg+xml"), ("content-security-policy", policy)];
            (head, text).into_response()
        }
        Ok(Answer::File(kind, bytes, notes)) => {
            let head =
                [("content-type", kind.to_owned()), ("x-groundcrew-notes", notes.join("; "))];
            (head, bytes).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn missing() -> Response {
    Problem::not_found("there is no such route").into_response()
}

/// Who calls, for whom, and whether they may.
async fn admit(
    api: Arc<Api>,
    route: &Route,
    path: Vec<(String, String)>,
    request: Request,
) -> Result<Call, Problem> {
    let (parts, body) = request.into_parts();
    let identity = identify(&api, &parts.headers)?;
    let tenant = tenant(&identity, &parts.headers)?;
    let resource =
        if route.installation { Resource::Installation } else { Resource::Tenant(&tenant) };
    authorize(&identity, route.action, resource)?;
    let query = parts.uri.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = read(body, route.limit).await?;
    Ok(Call { api, identity, tenant, path, query, body })
}

/// Whose key a request carries.
pub fn identify(api: &Api, headers: &HeaderMap) -> Result<Arc<Identity>, Problem> {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    let key =
        bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Problem::unauthorized())?;
    api.keys.authenticate(key.trim()).map_err(|_| Problem::unauthorized())
}

/// A principal of a tenant acts there; one of the installation says where.
fn tenant(identity: &Identity, headers: &HeaderMap) -> Result<TenantId, Problem> {
    if let Some(tenant) = &identity.tenant {
        return Ok(tenant.clone());
    }
    match headers.get("x-groundcrew-tenant").map(|value| value.to_str().unwrap_or_default()) {
        Some(name) => name.parse().map_err(|error| Problem::bad_request(format!("{error}"))),
        None => Ok(TenantId::DEFAULT),
    }
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let bytes = to_bytes(body, limit).await;
    let bytes =
        bytes.map_err(|_| Problem::bad_request(format!("the body exceeds {limit} bytes")))?;
    Ok(bytes.to_vec())
}

/// A value as the API answers it.
pub fn json(value: &impl serde::Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem::internal(error.to_string()))
}
