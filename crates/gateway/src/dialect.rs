//! The APIs that clients speak: each reads requests, writes answers and words errors its own way.

pub mod anthropic;
pub mod openai;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use models::{Answer, Event, FinishReason, ProviderError, RefusalKind, RequestField};
use release::TenantId;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::GatewayError;
use crate::answer::{Arrived, Responding};

/// A request as a dialect reads it.
pub struct Parsed {
    /// What the client calls `model`.
    pub target: String,
    /// What the client says the request belongs to.
    pub session: Option<String>,
    /// The conversation.
    pub request: models::ChatRequest,
    /// The request fields that the client set itself.
    pub set: Vec<(RequestField, String)>,
    /// Whether a stream ends with usage.
    pub include_usage: bool,
}

/// What a response is made for.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The trace and the release.
    pub bound: Option<Responding>,
    /// What the client called `model`.
    pub target: String,
    /// Seconds since 1970.
    pub created: i64,
}

impl Reply {
    /// The answer's id.
    pub fn id(&self, prefix: &str) -> String {
        let trace = self.bound.map(|bound| bound.trace.to_string()).unwrap_or_default();
        format!("{prefix}{trace}")
    }

    /// The model that answered, or the app if the provider did not say.
    pub fn model<'a>(&'a self, answered: &'a str) -> &'a str {
        if answered.is_empty() { &self.target } else { answered }
    }
}

/// One API.
pub trait Dialect: Send + Sync + 'static {
    /// Writes streams.
    type Encoder: Encoder;

    /// Reads a request.
    fn parse(body: Map<String, Value>) -> Result<Parsed, GatewayError>;

    /// A whole answer.
    fn answer(reply: &Reply, answer: &Answer) -> Value;

    /// A stream.
    fn encoder(reply: Reply, include_usage: bool) -> Self::Encoder;

    /// An error's body.
    fn error(error: &GatewayError, reply: Option<&Responding>) -> Value;

    /// An error's status.
    fn status(error: &GatewayError) -> StatusCode {
        status(error)
    }
}

/// Writes one stream: the bytes of each piece go to the end of `out`.
pub trait Encoder: Send + 'static {
    /// An event.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>);

    /// The end.
    fn finish(&mut self, finish: &FinishReason, out: &mut Vec<u8>);

    /// A failure after the beginning: never a finish reason.
    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>);
}

/// Writes a value as JSON.
pub fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    #[expect(
        clippy::expect_used,
        reason = "texts, numbers and JSON written to memory cannot fail"
    )]
    serde_json::to_writer(out, value).expect("JSON is written");
}

/// An error as a response of dialect `D`.
pub fn error_response<D: Dialect>(error: &GatewayError, bound: Option<Responding>) -> Response {
    let mut response =
        (D::status(error), axum::Json(D::error(error, bound.as_ref()))).into_response();
    let headers = response.headers_mut();
    retry_headers(error, headers);
    bound_headers(bound, headers);
    response
}

/// Names the trace and the release.
pub fn bound_headers(bound: Option<Responding>, headers: &mut HeaderMap) {
    let Some(bound) = bound else { return };
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-groundcrew-trace", bound.trace.to_string());
    set("x-groundcrew-release", bound.release.to_string());
}

/// Tells SDKs whether trying again helps: they obey `x-should-retry` and `retry-after`.
fn retry_headers(error: &GatewayError, headers: &mut HeaderMap) {
    let wait = match error {
        GatewayError::Provider(ProviderError::Refused { refusal, .. })
            if refusal.kind != RefusalKind::QuotaExhausted =>
        {
            refusal.retry_after
        }
        _ => None,
    };
    match wait.map(|wait| wait.as_secs() + u64::from(wait > Duration::from_secs(wait.as_secs()))) {
        Some(seconds) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        None => {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
    }
}

/// The status that all dialects share.
fn status(error: &GatewayError) -> StatusCode {
    match error {
        GatewayError::Unauthorized => StatusCode::UNAUTHORIZED,
        GatewayError::Denied(_) => StatusCode::FORBIDDEN,
        GatewayError::BadRequest { .. }
        | GatewayError::NotOverridable(_)
        | GatewayError::Prompt(_)
        | GatewayError::Blocked { .. }
        | GatewayError::Provider(ProviderError::Unsupported { .. }) => StatusCode::BAD_REQUEST,
        GatewayError::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        GatewayError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        GatewayError::UnknownTarget(_) | GatewayError::UnknownRoute(_) => StatusCode::NOT_FOUND,
        GatewayError::NotLoaded { .. } | GatewayError::Unrecorded(_) | GatewayError::HungUp => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        GatewayError::Knowledge(_) | GatewayError::Stopped => StatusCode::INTERNAL_SERVER_ERROR,
        GatewayError::Provider(ProviderError::Timeout { .. }) => StatusCode::GATEWAY_TIMEOUT,
        GatewayError::Provider(ProviderError::Refused { refusal, .. }) => match refusal.kind {
            RefusalKind::InvalidRequest
            | RefusalKind::ContextLength
            | RefusalKind::ContentPolicy => StatusCode::BAD_REQUEST,
            RefusalKind::RateLimited | RefusalKind::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            // A credential of ours that is refused is never the client's fault.
            RefusalKind::Authentication
            | RefusalKind::Permission
            | RefusalKind::NotFound
            | RefusalKind::Server => StatusCode::BAD_GATEWAY,
        },
        GatewayError::Provider(_) => StatusCode::BAD_GATEWAY,
    }
}

/// Takes fields out of a request's body, with their types checked.
pub struct Fields(pub Map<String, Value>);

impl Fields {
    /// A field, unless it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, GatewayError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(GatewayError::bad(name, format!("`{name}` must be a string"))),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str) -> Result<Option<f64>, GatewayError> {
        let wrong = || GatewayError::bad(name, format!("`{name}` must be a number"));
        self.take(name).map(|value| value.as_f64().ok_or_else(wrong)).transpose()
    }

    /// A whole number from 0.
    pub fn count(&mut self, name: &str) -> Result<Option<u32>, GatewayError> {
        let wrong = || GatewayError::bad(name, format!("`{name}` must be a whole number"));
        let count = |value: Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        self.take(name).map(|value| count(value).ok_or_else(wrong)).transpose()
    }

    /// True or false.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, GatewayError> {
        let wrong = || GatewayError::bad(name, format!("`{name}` must be true or false"));
        self.take(name).map(|value| value.as_bool().ok_or_else(wrong)).transpose()
    }

    /// A list.
    pub fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, GatewayError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(GatewayError::bad(name, format!("`{name}` must be an array"))),
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, GatewayError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(GatewayError::bad(name, format!("`{name}` must be an object"))),
        }
    }
}

/// An object, or an error that says where it was expected.
pub fn object(value: Value, place: &str) -> Result<Fields, GatewayError> {
    match value {
        Value::Object(object) => Ok(Fields(object)),
        _ => Err(GatewayError::bad(place, format!("`{place}` must be an object"))),
    }
}

/// A request that has arrived, from what its dialect read and its headers.
///
/// # Errors
/// If a header names no tenant that could be.
pub fn arrived(parsed: Parsed, headers: HeaderMap) -> Result<Arrived, GatewayError> {
    let session = headers.get("x-groundcrew-session").and_then(|session| session.to_str().ok());
    Ok(Arrived {
        key: key(&headers).map(str::to_owned),
        tenant: tenant(&headers)?,
        target: parsed.target,
        session: session.filter(|s| !s.is_empty()).map(str::to_owned).or(parsed.session),
        request: parsed.request,
        set: parsed.set,
        headers,
    })
}

/// The key that a client shows, as a bearer token or in `x-api-key`.
pub fn key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer.map(str::trim).or_else(|| text("x-api-key"))
}

/// The tenant that a principal of the whole installation means.
///
/// # Errors
/// If it is no name of one: nobody else's apps may answer instead.
pub fn tenant(headers: &HeaderMap) -> Result<Option<TenantId>, GatewayError> {
    const NAME: &str = "x-groundcrew-tenant";
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    let name = value.to_str().unwrap_or_default();
    let tenant = name.parse::<TenantId>();
    tenant.map(Some).map_err(|error| GatewayError::bad(NAME, error.to_string()))
}

/// The content type of streams.
pub const EVENT_STREAM: (HeaderName, HeaderValue) =
    (CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
