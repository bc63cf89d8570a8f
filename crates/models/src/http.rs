//! Calling a provider over HTTP: timers, bounds, and the loop that turns bytes into events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::error::{Refusal, RefusalKind, Stage};
use crate::provider::{EventStream, ProviderBinding, Timers};
use crate::sse::{SseEvent, SseReader};
use crate::{Event, ProviderError};

/// The most bytes of an answer, streamed or not.
const MAX_BODY: usize = 32 << 20;
/// How long the end of a complete answer's body is waited for.
const DRAIN: Duration = Duration::from_millis(20);
/// The most bytes of an error's body that are looked at.
const MAX_ERROR: usize = 64 << 10;
/// The most characters of a provider's own words that are passed on.
const MAX_MESSAGE: usize = 2_000;

/// Where one provider is called.
#[derive(Debug)]
pub struct Endpoint {
    pub name: String,
    client: reqwest::Client,
    headers: HeaderMap,
    timers: Timers,
}

/// Turns a provider's events into ours.
pub trait Decoder: Send + 'static {
    /// Reads one server-sent event.
    fn event(&mut self, event: &SseEvent, out: &mut VecDeque<Event>) -> Result<(), ProviderError>;

    /// Reads a whole answer sent as one JSON document.
    fn document(&mut self, body: &Value, out: &mut VecDeque<Event>) -> Result<(), ProviderError>;

    /// The stream ended: completes the answer or says what is missing.
    fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), ProviderError>;

    /// Whether the provider said that nothing follows.
    fn done(&self) -> bool;
}

impl Endpoint {
    pub fn new(
        name: &str,
        binding: &ProviderBinding,
        headers: HeaderMap,
    ) -> Result<Self, ProviderError> {
        let client = reqwest::Client::builder()
            .connect_timeout(Timers::seconds(binding.timers.connect))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(256)
            .build()
            .map_err(|error| misconfigured(name, &error.to_string()))?;
        Ok(Self { name: name.to_owned(), client, headers, timers: binding.timers })
    }

    /// Sends `body` and waits for a successful head: for `patience` at most.
    async fn post(
        &self,
        (url, body): (&Url, Vec<u8>),
        patience: f64,
    ) -> Result<Reply, ProviderError> {
        let start = Instant::now();
        let total = start + Timers::seconds(self.timers.total);
        let first_byte = Timers::seconds(patience);
        let request = self
            .client
            .post(url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let limit = (start + first_byte).min(total);
        let response = timeout_at(limit, request.send())
            .await
            .map_err(|_| self.timeout(Stage::FirstByte, first_byte))?
            .map_err(|error| self.transport(error))?;
        let mut reply = Reply { response, total };
        if reply.response.status().is_success() {
            return Ok(reply);
        }
        let status = reply.response.status().as_u16();
        let headers = reply.response.headers().clone();
        // What cannot be read of an error's body only makes its message shorter.
        let body = self.read(&mut reply, MAX_ERROR).await.unwrap_or_default();
        let refusal = Box::new(refusal(status, &headers, &body));
        Err(ProviderError::Refused { provider: self.name.clone(), refusal })
    }

    /// Sends `body` and reads one JSON document.
    pub async fn json(&self, url: &Url, body: Vec<u8>) -> Result<Value, ProviderError> {
        let mut reply = self.post((url, body), self.timers.first_byte).await?;
        let body = self.read(&mut reply, MAX_BODY).await?;
        self.parse(&body)
    }

    /// Sends a request and returns the events of the answer. How the answer is read follows from what
    /// came back, not from what was asked for.
    pub async fn events(
        &self,
        request: (&Url, Vec<u8>),
        streamed: bool,
        mut decoder: impl Decoder,
    ) -> Result<EventStream, ProviderError> {
        // An answer that is not streamed begins when it is whole.
        let patience = if streamed { self.timers.first_byte } else { self.timers.total };
        let mut reply = self.post(request, patience).await?;
        let content_type = reply.response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if content_type.starts_with("text/event-stream") {
            return Ok(self.stream(reply, decoder));
        }
        if !content_type.is_empty() && !content_type.contains("json") {
            return Err(self.protocol(format!("content of type `{content_type}`")));
        }
        let body = self.read(&mut reply, MAX_BODY).await?;
        if body.is_empty() {
            return Err(self.protocol("an empty body".to_owned()));
        }
        let document = self.parse(&body)?;
        let mut events = VecDeque::new();
        decoder.document(&document, &mut events)?;
        decoder.end(&mut events)?;
        Ok(stream::iter(events.into_iter().map(Ok)).boxed())
    }

    fn stream(&self, reply: Reply, decoder: impl Decoder) -> EventStream {
        let streaming = Streaming {
            endpoint: Bounds { name: self.name.clone(), timers: self.timers },
            began: Instant::now(),
            reply,
            decoder,
            reader: SseReader::default(),
            ready: VecDeque::new(),
            received: 0,
            spoke: false,
            state: State::Open,
        };
        let stream = stream::unfold(streaming, |mut streaming| async {
            let next = streaming.next().await?;
            Some((next, streaming))
        });
        stream.boxed()
    }

    async fn read(&self, reply: &mut Reply, limit: usize) -> Result<Bytes, ProviderError> {
        let idle = Timers::seconds(self.timers.idle);
        let mut body = Vec::new();
        loop {
            let until = (Instant::now() + idle).min(reply.total);
            let piece = timeout_at(until, reply.response.chunk())
                .await
                .map_err(|_| self.timeout(Stage::Idle, idle))?
                .map_err(|error| self.transport(error))?;
            let Some(piece) = piece else { return Ok(body.into()) };
            if body.len() + piece.len() > limit {
                return Err(self.protocol(format!("a body of more than {limit} bytes")));
            }
            body.extend_from_slice(&piece);
        }
    }

    fn parse(&self, body: &[u8]) -> Result<Value, ProviderError> {
        let document: Value = serde_json::from_slice(body)
            .map_err(|error| self.protocol(format!("broken JSON ({error})")))?;
        match embedded_refusal(&document) {
            Some(refusal) => Err(ProviderError::Refused {
                provider: self.name.clone(),
                refusal: Box::new(refusal),
            }),
            None => Ok(document),
        }
    }

    fn timeout(&self, stage: Stage, limit: Duration) -> ProviderError {
        ProviderError::Timeout { provider: self.name.clone(), stage, limit }
    }

    fn transport(&self, source: reqwest::Error) -> ProviderError {
        if source.is_timeout() && source.is_connect() {
            return self.timeout(Stage::Connect, Timers::seconds(self.timers.connect));
        }
        // The address may carry a credential; nothing of it is passed on.
        ProviderError::Transport { provider: self.name.clone(), source: source.without_url() }
    }

    fn protocol(&self, what: String) -> ProviderError {
        ProviderError::Protocol { provider: self.name.clone(), what }
    }
}

struct Reply {
    response: reqwest::Response,
    total: Instant,
}

struct Bounds {
    name: String,
    timers: Timers,
}

#[derive(PartialEq)]
enum State {
    Open,
    Ended,
}

struct Streaming<D> {
    endpoint: Bounds,
    began: Instant,
    reply: Reply,
    decoder: D,
    reader: SseReader,
    ready: VecDeque<Event>,
    /// Bytes of the body so far.
    received: usize,
    spoke: bool,
    state: State,
}

impl<D: Decoder> Streaming<D> {
    /// The next event; `None` after the answer or its failure.
    async fn next(&mut self) -> Option<Result<Event, ProviderError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.state == State::Ended {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.state = State::Ended;
                self.ready.clear();
                return Some(Err(error));
            }
        }
    }

    async fn advance(&mut self) -> Result<(), ProviderError> {
        let idle = Timers::seconds(self.endpoint.timers.idle);
        let first_token = self.endpoint.timers.first_token.filter(|_| !self.spoke);
        let mut until = (Instant::now() + idle, Stage::Idle, idle);
        if let Some(limit) = first_token.map(Timers::seconds) {
            let deadline = self.began + limit;
            if deadline < until.0 {
                until = (deadline, Stage::FirstToken, limit);
            }
        }
        if self.reply.total < until.0 {
            let total = Timers::seconds(self.endpoint.timers.total);
            until = (self.reply.total, Stage::Total, total);
        }
        let provider = || self.endpoint.name.clone();
        let piece = match timeout_at(until.0, self.reply.response.chunk()).await {
            Err(_) => {
                let (_, stage, limit) = until;
                return Err(ProviderError::Timeout { provider: provider(), stage, limit });
            }
            // A connection that breaks after the answer's end has still delivered it.
            Ok(Err(_)) if self.decoder.done() => None,
            Ok(Err(_)) => return Err(ProviderError::Truncated { provider: provider() }),
            Ok(Ok(piece)) => piece,
        };
        self.received += piece.as_ref().map_or(0, Bytes::len);
        if self.received > MAX_BODY {
            let what = format!("a body of more than {MAX_BODY} bytes");
            return Err(ProviderError::Protocol { provider: provider(), what });
        }
        let events = match &piece {
            Some(piece) => self.reader.push(piece).map_err(|_| ProviderError::Protocol {
                provider: provider(),
                what: "an endless event".to_owned(),
            })?,
            None => self.reader.finish().into_iter().collect(),
        };
        for event in &events {
            if self.decoder.done() {
                break;
            }
            self.decoder.event(event, &mut self.ready)?;
        }
        self.spoke |= self.ready.iter().any(Event::says_something);
        if piece.is_none() || self.decoder.done() {
            self.decoder.end(&mut self.ready)?;
            self.state = State::Ended;
            if piece.is_some() {
                self.drain().await;
            }
        }
        Ok(())
    }

    /// Reads the end of a body whose answer is complete: only then is the connection used again.
    /// It is mostly here already; a provider that dawdles just loses its connection.
    async fn drain(&mut self) {
        let until = Instant::now() + DRAIN;
        while let Ok(Ok(Some(_))) = timeout_at(until, self.reply.response.chunk()).await {}
    }
}

/// Where `path` of a provider is.
pub fn url(name: &str, binding: &ProviderBinding, path: &str) -> Result<Url, ProviderError> {
    let url = format!("{}{path}", binding.endpoint.trim_end_matches('/'));
    Url::parse(&url).map_err(|error| misconfigured(name, &error.to_string()))
}

pub fn misconfigured(name: &str, why: &str) -> ProviderError {
    ProviderError::Misconfigured { provider: name.to_owned(), why: why.to_owned() }
}

/// A header that carries a credential.
pub fn secret_header(name: &str, value: &str) -> Result<HeaderValue, ProviderError> {
    let header = HeaderValue::from_str(value);
    let mut header = header
        .map_err(|_| misconfigured(name, "its credential has characters no header may have"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Reads a refusal from status, headers and body, whatever the dialect.
fn refusal(status: u16, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let document = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let error = document.get("error").unwrap_or(&document);
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let code =
        text("code").or_else(|| error.pointer("/details/error_code").and_then(Value::as_str));
    let message = text("message").map_or_else(|| "without a reason".to_owned(), shorten);
    let kind =
        kind_of(status, text("type").unwrap_or_default(), code.unwrap_or_default(), &message);
    let (code, param) = (code.map(str::to_owned), text("param").map(str::to_owned));
    let retry_after = retry_after(headers);
    discreet(Refusal { status, kind, message, code, param, retry_after })
}

/// A refusal that may be passed on: whoever asked cannot help a credential that is refused, and
/// the provider's words may hold part of it.
fn discreet(refusal: Refusal) -> Refusal {
    match refusal.kind {
        RefusalKind::Authentication | RefusalKind::Permission => {
            let Refusal { status, code, .. } = &refusal;
            tracing::error!(status, code, "a provider refuses the credential it is given");
            let message = "it refuses the credential it is given".to_owned();
            Refusal { message, code: None, param: None, ..refusal }
        }
        _ => refusal,
    }
}

/// An error object inside a successful response or stream.
pub fn embedded_refusal(document: &Value) -> Option<Refusal> {
    let error = document.get("error").filter(|error| error.is_object())?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = shorten(text("message"));
    let kind = kind_of(200, text("type"), text("code"), &message);
    let code = Some(text("code").to_owned()).filter(|code| !code.is_empty());
    Some(discreet(Refusal { status: 200, kind, message, code, param: None, retry_after: None }))
}

fn kind_of(status: u16, r#type: &str, code: &str, message: &str) -> RefusalKind {
    let says = |words: &str| message.to_ascii_lowercase().contains(words);
    match (status, r#type, code) {
        (_, _, "context_length_exceeded") => RefusalKind::ContextLength,
        (400 | 413, ..) if says("context length") || says("prompt is too long") => {
            RefusalKind::ContextLength
        }
        (_, _, "content_policy_violation" | "content_filter") => RefusalKind::ContentPolicy,
        (_, _, "insufficient_quota" | "enforced_spend_limit_reached")
        | (_, "insufficient_quota", _) => RefusalKind::QuotaExhausted,
        (401, ..) | (_, "authentication_error", _) => RefusalKind::Authentication,
        (403, ..) | (_, "permission_error", _) => RefusalKind::Permission,
        (404, ..) | (_, "not_found_error", _) => RefusalKind::NotFound,
        (429, ..) | (_, "rate_limit_error" | "rate_limit_exceeded", _) => RefusalKind::RateLimited,
        (503 | 529, ..) | (_, "overloaded_error", _) => RefusalKind::Overloaded,
        (408 | 500.., ..) | (_, "api_error" | "server_error", _) => RefusalKind::Server,
        (400..500, ..) | (_, "invalid_request_error", _) => RefusalKind::InvalidRequest,
        _ => RefusalKind::Server,
    }
}

/// `retry-after-ms`, or `retry-after` in seconds, whole or not, or as a date: that counts from the
/// provider's own `date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let date = |name: &str| jiff::fmt::rfc2822::parse(text(name)?).ok();
    let until = || Some(date("retry-after")?.timestamp().duration_since(date("date")?.timestamp()));
    let seconds = number("retry-after-ms").map(|ms| ms / 1e3).or_else(|| number("retry-after"));
    Duration::try_from_secs_f64(seconds.or_else(|| until().map(|wait| wait.as_secs_f64()))?).ok()
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}
