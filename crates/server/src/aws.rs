//! The AWS JSON APIs of Step Functions and EventBridge at `POST /`, and the REST API of EventBridge
//! Scheduler below `/schedules`, so that boto3 and the AWS CLI work with `--endpoint-url`. Requests
//! are signed (SigV4) with a key of
//! `groundcrew key create --aws`.
//!
//! Shapes and error codes are those of the service's API reference. Any account and region in an
//! ARN are taken; only the name counts.

mod events;
mod scheduler;
mod states;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use release::{TenantId, Timestamp};
use security::{Action, Identity, Resource, authorize, sigv4};
use serde::Serialize;
use serde_json::{Value, json};
use workflow::engine::TenantEngine;

use crate::api::Api;

/// The most bytes of a request: the largest definition and the largest payload fit twice.
const MAX_BODY: usize = 4 << 20;
/// How many rows a page has where nothing is said, and at most.
const PAGE: (usize, usize) = (100, 1_000);
/// How long a request's body may take to arrive: it is read before anybody knows who asks.
const BODY: Duration = Duration::from_secs(60);

/// An error as the service tells it.
#[derive(Debug)]
pub struct Exception {
    status: StatusCode,
    code: String,
    message: String,
}

impl Exception {
    /// A client's mistake.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.to_owned(), message: message.into() }
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Our mistake.
    pub fn internal(message: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, ..Self::new("InternalServerError", message) }
    }
}

impl IntoResponse for Exception {
    fn into_response(self) -> Response {
        let body = json!({"__type": self.code, "message": self.message});
        let mut response = answer(self.status, &body);
        if let Ok(code) = HeaderValue::from_str(&self.code) {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        response
    }
}

/// A request whose caller may make it.
pub struct Call {
    pub identity: Arc<Identity>,
    pub now: Timestamp,
    pub body: Vec<u8>,
}

impl Call {
    /// The workflows of the caller's tenant, if they may do `action` there.
    fn engine(&self, api: &Api, action: Action) -> Result<TenantEngine, Exception> {
        let tenant = self.identity.tenant.clone().unwrap_or(TenantId::DEFAULT);
        authorize(&self.identity, action, Resource::Tenant(&tenant))
            .map_err(|denied| Exception::new("AccessDeniedException", denied.to_string()))?;
        Ok(api.workflows.tenant(&tenant, self.identity.principal.clone()))
    }

    /// The body, as `T`.
    pub fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Exception> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { &self.body };
        serde_json::from_slice(body)
            .map_err(|error| Exception::new("ValidationException", error.to_string()))
    }
}

/// The routes of all AWS APIs.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/", post(call))
        .route("/schedules", get(schedule))
        .route("/schedules/{name}", any(schedule))
        .route("/schedule-groups", get(schedule))
        .route("/schedule-groups/{name}", any(schedule))
        .with_state(api)
}

async fn call(State(api): State<Arc<Api>>, request: Request) -> Response {
    told(serve(&api, request).await)
}

async fn schedule(State(api): State<Arc<Api>>, request: Request) -> Response {
    told(scheduler::serve(&api, request).await)
}

fn told(answered: Result<Value, Exception>) -> Response {
    match answered {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(exception) => exception.into_response(),
    }
}

async fn serve(api: &Api, request: Request) -> Result<Value, Exception> {
    let (parts, call) = admit(api, request).await?;
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let unknown = || {
        let said = format!("there is no operation `{}` here", target.unwrap_or_default());
        Exception::new("UnknownOperationException", said)
    };
    let (service, operation) = target.and_then(|t| t.split_once('.')).ok_or_else(unknown)?;
    let action = match service {
        states::SERVICE => states::action(operation),
        events::SERVICE => events::action(operation),
        _ => None,
    };
    let engine = call.engine(api, action.ok_or_else(unknown)?)?;
    match service {
        events::SERVICE => events::perform(operation, &engine, &call).await,
        _ => states::perform(operation, &engine, &call).await,
    }
}

/// Reads a request and checks its signature.
async fn admit(api: &Api, request: Request) -> Result<(Parts, Call), Exception> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let now = api.clock.now();
    let signed = sigv4::verify(&parts, &body, now, |id| api.keys.access_key(id))
        .map_err(|error| Exception::new(error.code(), error.to_string()))?;
    Ok((parts, Call { identity: signed.identity, now, body }))
}

/// The moment that is so many seconds after 1970, if there is one.
fn moment(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond((seconds * 1e3) as i64).ok()
}

/// The rows of one page, and the token of those after them, under these names; `from` is such a
/// token, and `limit` how many rows are wanted.
fn page(
    (name, token): (&str, &str),
    rows: Vec<Value>,
    (from, limit): (Option<&str>, Option<usize>),
) -> Result<Value, Exception> {
    let from = match from {
        Some(from) => from
            .parse::<usize>()
            .map_err(|_| Exception::new("InvalidToken", format!("Invalid Token: '{from}'")))?,
        None => 0,
    };
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(PAGE.0).min(PAGE.1);
    let more = rows.len() > from.saturating_add(limit);
    let rows: Vec<_> = rows.into_iter().skip(from).take(limit).collect();
    let mut page = json!({});
    page[name] = rows.into();
    if more {
        page[token] = (from + limit).to_string().into();
    }
    Ok(page)
}

async fn read(body: Body) -> Result<Vec<u8>, Exception> {
    let slow = || {
        let why = format!("the body took more than {} s", BODY.as_secs());
        Exception::new("RequestTimeoutException", why)
    };
    let large = || {
        let why = format!("the body exceeds {MAX_BODY} bytes");
        Exception::new("RequestEntityTooLargeException", why)
    };
    let bytes = tokio::time::timeout(BODY, to_bytes(body, MAX_BODY)).await.map_err(|_| slow())?;
    Ok(bytes.map_err(|_| large())?.to_vec())
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    let kind = HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert("content-type", kind);
    let id = uuid::Uuid::new_v4().to_string();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
