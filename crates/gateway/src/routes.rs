//! The routes below `/v1`: paths to handlers, and nothing else of substance.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use models::{Answer, EmbedRequest};
use release::TenantId;
use security::{Action, Identity, Resource, authorize};
use serde_json::{Map, Value, json};

use crate::answer::{self, Client, Out, Responding, answer};
use crate::dialect::anthropic::Anthropic;
use crate::dialect::openai::OpenAi;
use crate::dialect::{
    Dialect, EVENT_STREAM, Encoder, Fields, Reply, arrived, bound_headers, error_response, key,
    tenant,
};
use crate::{Gateway, GatewayError};

/// How long a request's body may take to arrive.
const BODY: Duration = Duration::from_secs(60);

type Shared = State<Arc<Gateway>>;

/// The routes below `/v1`.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::<OpenAi>))
        .route("/v1/messages", post(chat::<Anthropic>))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models))
        .route("/v1/{*path}", any(unknown))
        .method_not_allowed_fallback(unknown)
        .with_state(gateway)
}

/// There is no such route, or not with this method: in the shape of the dialect that asks.
async fn unknown(request: Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    refused(request.headers(), &GatewayError::UnknownRoute(what))
}

/// Whether a caller of a route that both dialects share speaks Anthropic's.
fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

/// An error of a route that both dialects share.
fn refused(headers: &HeaderMap, error: &GatewayError) -> Response {
    match is_anthropic(headers) {
        true => error_response::<Anthropic>(error, None),
        false => error_response::<OpenAi>(error, None),
    }
}

/// Starts the request in its own task and turns what comes back into a response.
async fn chat<D: Dialect>(State(gateway): Shared, request: Request) -> Response {
    let (headers, body) = match read(&gateway, request).await {
        Ok(read) => read,
        Err(error) => return error_response::<D>(&error, None),
    };
    let parsed = match D::parse(body) {
        Ok(parsed) => parsed,
        Err(error) => return error_response::<D>(&error, None),
    };
    let (stream, include_usage) = (parsed.request.stream, parsed.include_usage);
    let target = parsed.target.clone();
    let created = gateway.parts.clock.now().as_second();
    let reply = |bound| Reply { bound, target, created };
    let (client, mut back) = Client::pair();
    let arrived = match arrived(parsed, headers) {
        Ok(arrived) => arrived,
        Err(error) => return error_response::<D>(&error, None),
    };
    let under_way = gateway.under_way();
    tokio::spawn(async move {
        answer(gateway, arrived, client).await;
        drop(under_way);
    });

    let mut whole = Answer::default();
    // Until the first piece of a stream, and to the end otherwise, a failure is a plain error.
    while let Some((bound, out)) = back.recv().await {
        match out {
            Out::Failed(error) => return error_response::<D>(&error, bound),
            Out::Finished(finish) if !stream => {
                whole.finish = Some(finish);
                let mut response = axum::Json(D::answer(&reply(bound), &whole)).into_response();
                bound_headers(bound, response.headers_mut());
                return response;
            }
            Out::Events(events) if !stream => events.iter().for_each(|event| whole.push(event)),
            first => {
                let encoder = D::encoder(reply(bound), include_usage);
                return streamed(bound, encoder, first, back);
            }
        }
    }
    error_response::<D>(&GatewayError::Stopped, None)
}

/// A response that goes on as long as the answer does.
fn streamed(
    bound: Option<Responding>,
    encoder: impl Encoder,
    first: Out,
    back: tokio::sync::mpsc::Receiver<(Option<Responding>, Out)>,
) -> Response {
    let writing = Some((encoder, Some(first), back));
    let pieces = stream::unfold(writing, |writing| async {
        let (mut encoder, ready, mut back) = writing?;
        let out = match ready {
            Some(out) => out,
            // Whoever answered is gone without a word: that is no end.
            None => back.recv().await.map_or(Out::Failed(GatewayError::Stopped), |(_, out)| out),
        };
        let mut bytes = Vec::new();
        let rest = match &out {
            Out::Events(events) => {
                events.iter().for_each(|event| encoder.event(event, &mut bytes));
                Some((encoder, None, back))
            }
            Out::Finished(finish) => {
                encoder.finish(finish, &mut bytes);
                None
            }
            Out::Failed(error) => {
                encoder.fail(error, &mut bytes);
                None
            }
        };
        Some((Ok::<_, Infallible>(Bytes::from(bytes)), rest))
    });
    let pieces = futures::StreamExt::filter(pieces, |piece| {
        std::future::ready(piece.as_ref().is_ok_and(|bytes| !bytes.is_empty()))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let (name, value) = EVENT_STREAM;
    let headers = response.headers_mut();
    headers.insert(name, value);
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    bound_headers(bound, headers);
    response
}

/// Reads a request's body within bounds. The key is looked at first: who has none may not make us
/// read.
async fn read(
    gateway: &Gateway,
    request: Request,
) -> Result<(HeaderMap, Map<String, Value>), GatewayError> {
    let (parts, body) = request.into_parts();
    identify(gateway, &parts.headers)?;
    let json = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !json.is_some_and(|value| value.trim_start().starts_with("application/json")) {
        return Err(GatewayError::ContentType);
    }
    let limit = gateway.parts.limits.body_bytes;
    let bytes = tokio::time::timeout(BODY, to_bytes(body, limit)).await;
    let slow = || GatewayError::bad("", format!("the body took more than {} s", BODY.as_secs()));
    let bytes = bytes.map_err(|_| slow())?.map_err(|_| GatewayError::TooLarge { limit })?;
    // Values are separated by commas: counting them bounds what parsing can take.
    let most = gateway.parts.limits.json_values;
    if commas(&bytes) > most {
        return Err(GatewayError::bad("", format!("the body has more than {most} values")));
    }
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(body)) => Ok((parts.headers, body)),
        Ok(_) => Err(GatewayError::bad("", "the body must be a JSON object")),
        Err(error) => Err(GatewayError::bad("", format!("the body is not valid JSON: {error}"))),
    }
}

/// The commas of a JSON text, those in its strings left out.
fn commas(json: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

fn identify(gateway: &Gateway, headers: &HeaderMap) -> Result<Arc<Identity>, GatewayError> {
    let key = key(headers).ok_or(GatewayError::Unauthorized)?;
    gateway.parts.keys.authenticate(key).map_err(|_| GatewayError::Unauthorized)
}

/// The apps that are live, in the shape of the dialect that asks.
async fn models(State(gateway): Shared, headers: HeaderMap) -> Response {
    let anthropic = is_anthropic(&headers);
    let refuse = |error: GatewayError| refused(&headers, &error);
    let identity = match identify(&gateway, &headers) {
        Ok(identity) => identity,
        Err(error) => return refuse(error),
    };
    let asked = match tenant(&headers) {
        Ok(asked) => asked,
        Err(error) => return refuse(error),
    };
    let tenant = identity.tenant.clone().or(asked).unwrap_or(TenantId::DEFAULT);
    if let Err(denied) = authorize(&identity, Action::Answer, Resource::Tenant(&tenant)) {
        return refuse(denied.into());
    }
    let live = Arc::clone(&gateway.parts.live.borrow());
    let apps = live.table.apps(&tenant, &gateway.parts.environment);
    let data: Vec<_> = apps
        .iter()
        .map(|app| match anthropic {
            true => json!({
                "type": "model", "id": app, "display_name": app,
                "created_at": "1970-01-01T00:00:00Z",
            }),
            false => json!({"id": app, "object": "model", "created": 0, "owned_by": tenant}),
        })
        .collect();
    if anthropic {
        let (first, last) = (apps.first(), apps.last());
        let body = json!({"data": data, "has_more": false, "first_id": first, "last_id": last});
        axum::Json(body).into_response()
    } else {
        axum::Json(json!({"object": "list", "data": data})).into_response()
    }
}

/// Vectors by the app's model.
async fn embeddings(State(gateway): Shared, request: Request) -> Response {
    let mut bound = None;
    match embed(gateway, request, &mut bound).await {
        Ok(body) => {
            let mut response = axum::Json(body).into_response();
            bound_headers(bound, response.headers_mut());
            response
        }
        Err(error) => error_response::<OpenAi>(&error, bound),
    }
}

async fn embed(
    gateway: Arc<Gateway>,
    request: Request,
    bound: &mut Option<Responding>,
) -> Result<Value, GatewayError> {
    let (headers, body) = read(&gateway, request).await?;
    let mut fields = Fields(body);
    let target = fields.text("model")?;
    let target = target.ok_or_else(|| GatewayError::bad("model", "`model` is missing"))?;
    let wrong = || GatewayError::bad("input", "`input` must be a string or strings");
    let input = match fields.take("input").ok_or_else(wrong)? {
        Value::String(text) => vec![text],
        Value::Array(items) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    let base64 = fields.text("encoding_format")?.as_deref() == Some("base64");
    let dimensions = fields.count("dimensions")?;
    let session = fields.text("user")?;
    if let Some(name) = fields.0.keys().next() {
        let why = format!("`{name}` is not supported for embeddings");
        return Err(GatewayError::bad(name, why));
    }
    let request = EmbedRequest { input, dimensions };
    let under_way = gateway.under_way();
    let (waiting, gone) = tokio::sync::oneshot::channel::<Infallible>();
    let work = async move {
        let wanted = (request, gone);
        let embedded = answer::embed(&gateway, headers, (target, session), wanted).await;
        drop(under_way);
        embedded
    };
    let (responding, embedded) = tokio::spawn(work).await.map_err(|_| GatewayError::Stopped)?;
    drop(waiting);
    *bound = responding;
    let embeddings = embedded?;
    let data = embeddings.vectors.iter().enumerate().map(|(index, vector)| {
        let vector = if base64 { encoded(vector) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": vector})
    });
    let tokens = embeddings.usage.input_tokens;
    Ok(json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": embeddings.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
}

/// Little-endian floats in base 64, as OpenAI's SDKs ask for by default.
fn encoded(vector: &[f32]) -> Value {
    use base64::Engine;
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes).into()
}
