//! OpenTelemetry's protocol: `POST /v1/{traces,metrics,logs}`, and its services over gRPC.
//!
//! A sender is told of success once its message is on disk. What may be sent again is answered with
//! 429 or 503 and the time to wait (gRPC: `RESOURCE_EXHAUSTED` or `UNAVAILABLE` with `RetryInfo`);
//! any other refusal is for good.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use monitoring::Signal;
use monitoring::receive::{
    Accepted, Format, MAX_BODY, MAX_GRPC, NotTaken, Posted, Refused, Status, grpc,
};
use release::TenantId;
use security::{Action, Resource, authorize};

use super::{Api, tenant};

/// How long a body may take to arrive.
const BODY: Duration = Duration::from_secs(60);

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let http =
            move |State(api): State<Arc<Api>>, request: Request| posted(api, signal, request);
        let rpc = move |State(api): State<Arc<Api>>, request: Request| called(api, signal, request);
        let path = format!("/v1/{signal}");
        router = router.route(&path, post(http)).route(grpc::path(signal), post(rpc));
    }
    router.with_state(api)
}

/// Why a sender may not send.
enum Unsent {
    /// It has no valid key.
    Unknown,
    /// Its key does not allow it.
    Denied(String),
}

impl Unsent {
    fn message(&self) -> &str {
        match self {
            Self::Unknown => {
                "the request has no valid key: send it as `authorization: Bearer KEY` or `x-api-key: KEY`"
            }
            Self::Denied(why) => why,
        }
    }
}

/// Whose telemetry it is.
fn sender(api: &Api, headers: &HeaderMap) -> Result<TenantId, Unsent> {
    let key = gateway::key(headers).ok_or(Unsent::Unknown)?;
    let identity = api.keys.authenticate(key).map_err(|_| Unsent::Unknown)?;
    let tenant = tenant(&identity, headers);
    let tenant = tenant.map_err(|_| Unsent::Denied("there is no such tenant".to_owned()))?;
    authorize(&identity, Action::WriteTelemetry, Resource::Tenant(&tenant))
        .map_err(|denied| Unsent::Denied(denied.to_string()))?;
    Ok(tenant)
}

/// A message over HTTP.
async fn posted(api: Arc<Api>, signal: Signal, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name: header::HeaderName| parts.headers.get(name)?.to_str().ok();
    let format = Format::of(text(header::CONTENT_TYPE));
    // A sender that speaks neither form is told in JSON.
    let answered = *format.as_ref().unwrap_or(&Format::Json);
    let tenant = match sender(&api, &parts.headers) {
        Ok(tenant) => tenant,
        Err(unsent) => return unsent_response(&unsent, answered),
    };
    let taken = async {
        let format = format?;
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let _room = api.receiver.room(length).await?;
        let body = read(body).await?;
        let encoding = text(header::CONTENT_ENCODING).map(str::to_owned);
        api.receiver.take(&tenant, Posted { signal, format, encoding, body }).await
    };
    match taken.await {
        Ok(accepted) => accepted_response(&accepted, answered),
        Err(error) => refused(&error, answered),
    }
}

async fn read(body: Body) -> Result<bytes::Bytes, Refused> {
    let read = tokio::time::timeout(BODY, to_bytes(body, MAX_BODY)).await;
    let slow = || Refused::Malformed(format!("it took more than {} s to arrive", BODY.as_secs()));
    let too_large = |_| Refused::TooLarge { limit: MAX_BODY, unit: "bytes" };
    read.map_err(|_| slow())?.map_err(too_large)
}

fn accepted_response(accepted: &Accepted, format: Format) -> Response {
    ([(header::CONTENT_TYPE, format.media_type())], accepted.body(format)).into_response()
}

fn refused(error: &NotTaken, format: Format) -> Response {
    let status = StatusCode::from_u16(error.http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let delay = error.retry_after();
    let told = Status::new(error.code(), error.to_string(), delay);
    let mut response = status_response(status, &told, format);
    if let Some(delay) = delay {
        response.headers_mut().insert(header::RETRY_AFTER, delay.as_secs().into());
    }
    response
}

fn unsent_response(unsent: &Unsent, format: Format) -> Response {
    // gRPC's UNAUTHENTICATED and PERMISSION_DENIED.
    let (status, code) = match unsent {
        Unsent::Unknown => (StatusCode::UNAUTHORIZED, 16),
        Unsent::Denied(_) => (StatusCode::FORBIDDEN, 7),
    };
    status_response(status, &Status::new(code, unsent.message().to_owned(), None), format)
}

fn status_response(status: StatusCode, told: &Status, format: Format) -> Response {
    (status, [(header::CONTENT_TYPE, format.media_type())], told.body(format)).into_response()
}

/// A message over gRPC.
async fn called(api: Arc<Api>, signal: Signal, request: Request) -> Response {
    let tenant = match sender(&api, request.headers()) {
        Ok(tenant) => tenant,
        Err(unsent) => {
            let known = matches!(unsent, Unsent::Denied(_));
            return grpc::denied(known, unsent.message()).map(Body::new);
        }
    };
    match api.receiver.room(Some(MAX_GRPC as u64)).await {
        Ok(_room) => {
            let receiver = Arc::clone(&api.receiver);
            grpc::export(receiver, tenant, signal, request).await.map(Body::new)
        }
        Err(busy) => grpc::not_taken(&busy).map(Body::new),
    }
}
