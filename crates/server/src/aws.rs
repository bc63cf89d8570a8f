//! The AWS JSON API of Step Functions, at `POST /`, so that boto3 and the AWS CLI work with
//! `--endpoint-url`. Requests are signed (SigV4) with a key of `groundcrew key create --aws`.
//!
//! Shapes and error codes are those of the service's API reference. Any account and region in an
//! ARN are taken; only the name counts.

mod states;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use release::Timestamp;
use security::{Identity, Resource, authorize, sigv4};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::Api;

/// The most bytes of a request: the largest definition and the largest payload fit twice.
const MAX_BODY: usize = 4 << 20;

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
    pub api: Arc<Api>,
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
    if service != states::SERVICE {
        return Err(unknown());
    }
    let action = states::action(operation).ok_or_else(unknown)?;
    let tenant = states::tenant(&signed.identity);
    authorize(&signed.identity, action, Resource::Tenant(&tenant))
        .map_err(|denied| Exception::new("AccessDeniedException", denied.to_string()))?;
    let call = Call { api, identity: signed.identity, now, body };
    states::perform(operation, &call).await
}

async fn read(body: Body) -> Result<Vec<u8>, Exception> {
    let bytes = to_bytes(body, MAX_BODY).await;
    let large = format!("the body exceeds {MAX_BODY} bytes");
    Ok(bytes.map_err(|_| Exception::new("RequestEntityTooLargeException", large))?.to_vec())
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
