//! The AWS JSON APIs of Step Functions and, for posting events, EventBridge, at `POST /`, so that
//! boto3 and the AWS CLI work with `--endpoint-url`. Requests are signed (SigV4) with a key of
//! `groundcrew key create --aws`.
//!
//! Shapes and error codes are those of the service's API reference. Any account and region in an
//! ARN are taken; only the name counts.

mod events;
mod states;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use release::{TenantId, Timestamp};
use security::{Identity, Resource, authorize, sigv4};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::Api;

/// The most bytes of a request: the largest definition and the largest payload fit twice.
const MAX_BODY: usize = 4 << 20;
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

    /// Our mistake.
    pub fn internal(message: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, ..Self::new("InternalServerError", message) }
    }
}

impl IntoResponse for Exception {
    fn into_response(self) -> Response {
        let body = json!({"__type": self.code, "message": self.message});
        answer(self.status, &body)
    }
}

/// A request whose caller may make it.
pub struct Call {
    pub identity: Arc<Identity>,
    pub now: Timestamp,
    pub body: Vec<u8>,
}

impl Call {
    /// The body, as `T`.
    pub fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Exception> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { &self.body };
        serde_json::from_slice(body)
            .map_err(|error| Exception::new("ValidationException", error.to_string()))
    }
}

/// The route of all AWS JSON APIs.
pub fn router(api: Arc<Api>) -> Router {
    Router::new().route("/", post(call)).with_state(api)
}

async fn call(State(api): State<Arc<Api>>, request: Request) -> Response {
    match serve(api, request).await {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(exception) => exception.into_response(),
    }
}

async fn serve(api: Arc<Api>, request: Request) -> Result<Value, Exception> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let now = api.clock.now();
    let signed = sigv4::verify(&parts, &body, now, |id| api.keys.access_key(id))
        .map_err(|error| Exception::new(error.code(), error.to_string()))?;
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
    let action = action.ok_or_else(unknown)?;
    let tenant = signed.identity.tenant.clone().unwrap_or(TenantId::DEFAULT);
    authorize(&signed.identity, action, Resource::Tenant(&tenant))
        .map_err(|denied| Exception::new("AccessDeniedException", denied.to_string()))?;
    let engine = api.workflows.tenant(&tenant, signed.identity.principal.clone());
    let call = Call { identity: signed.identity, now, body };
    match service {
        events::SERVICE => events::put_events(&engine, &call).await,
        _ => states::perform(operation, &engine, &call).await,
    }
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
