//! One provider's endpoint over HTTP: pooled connections, every wait and every read bounded.

mod retry_after;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use release::Secret;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use tokio::time::Instant;

use crate::{ProviderBinding, ProviderError, Stage, Timeouts};

/// The largest JSON body read, in bytes.
const MAX_BODY: usize = 32 << 20;
/// The most of an error's body read, in bytes.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How long an error's body may take to arrive.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);
/// The longest message of a provider passed on, in characters.
const MAX_MESSAGE: usize = 2_000;

/// One provider's endpoint, with its connections.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    client: Client,
    base: String,
    credential: Option<Secret>,
    pub(crate) timeouts: Timeouts,
    pub(crate) require_finish_reason: bool,
}

/// A header and what precedes the credential in it.
pub(crate) struct CredentialHeader {
    pub(crate) name: HeaderName,
    pub(crate) prefix: &'static str,
}

impl Target {
    /// Prepares the endpoint of `binding`; nothing is sent. The error says what is wrong with it.
    ///
    /// Connections are HTTP/1.1: each answer has one to itself, so no stream limit and no
    /// neighbour's flow control can stall it. Redirects are not followed (they would carry the
    /// credential elsewhere), bodies are never decompressed, and proxies come from the binding
    /// alone.
    pub(crate) fn new(binding: &ProviderBinding) -> Result<Self, String> {
        let base = binding.endpoint.trim_end_matches('/').to_owned();
        let url: Url = base.parse().map_err(|e| format!("endpoint `{base}` is no URL: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("endpoint `{base}` must begin with `https://` or `http://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the endpoint must not hold a user or password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("endpoint `{base}` must end with its path"));
        }
        let mut builder = Client::builder()
            .user_agent(concat!("groundcrew/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(binding.timeouts.connect())
            .pool_idle_timeout(Duration::from_secs(60));
        if let Some(proxy) = &binding.proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|_| "the proxy is no URL such as `http://proxy:3128`".to_owned())?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|e| format!("no HTTP client: {}", chain(&e)))?;
        Ok(Self {
            client,
            base,
            credential: binding.credential.clone(),
            timeouts: binding.timeouts,
            require_finish_reason: binding.require_finish_reason,
        })
    }

    /// The address of `path` below the endpoint.
    pub(crate) fn url(&self, path: &str) -> Result<Url, String> {
        let text = format!("{}{path}", self.base);
        text.parse().map_err(|e| format!("`{text}` is no URL: {e}"))
    }

    /// The endpoint as configured, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The headers of every request: JSON, and the credential in `header`.
    pub(crate) fn headers(&self, header: CredentialHeader) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(credential) = &self.credential {
            let text = format!("{}{}", header.prefix, credential.expose());
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| "the credential has characters that no header can hold".to_owned())?;
            value.set_sensitive(true);
            headers.insert(header.name, value);
        }
        Ok(headers)
    }

    /// When an answer that is asked for now must be complete.
    pub(crate) fn until(&self, deadline: Option<Instant>) -> Until {
        let total = self.timeouts.total();
        let now = Instant::now();
        let latest = now + total;
        match deadline {
            Some(deadline) if deadline < latest => {
                Until { at: deadline, limit: deadline.saturating_duration_since(now) }
            }
            _ => Until { at: latest, limit: total },
        }
    }

    /// Sends `body` once and waits for the response's head.
    pub(crate) async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
        until: Until,
    ) -> Result<Reply, ProviderError> {
        let sent = self.client.post(url).headers(headers).body(body).send();
        let limit = self.timeouts.first_byte();
        let (at, late) = until.or(Instant::now() + limit, Stage::FirstByte, limit);
        let response = match tokio::time::timeout_at(at, sent).await {
            Err(_) => return Err(late),
            Ok(Err(e)) => return Err(self.send_error(e)),
            Ok(Ok(response)) => response,
        };
        let idle = self.timeouts.idle();
        let compressed = response
            .headers()
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        if compressed {
            let what = "its body is compressed, which was not asked for".to_owned();
            return Err(ProviderError::Protocol { what });
        }
        Ok(Reply { form: Form::of(response.headers()), response, idle, until })
    }

    fn send_error(&self, error: reqwest::Error) -> ProviderError {
        if error.is_connect() && error.is_timeout() {
            let limit = self.timeouts.connect();
            return ProviderError::Timeout { stage: Stage::Connect, limit };
        }
        let sent = !error.is_connect() && !error.is_builder();
        ProviderError::Transport { sent, source: error.without_url().into() }
    }

    /// A provider's words, with our credential masked should it echo it, and cut.
    pub(crate) fn quote(&self, text: &str) -> String {
        let masked = match &self.credential {
            Some(secret) if !secret.expose().is_empty() => {
                text.replace(secret.expose(), "***").into()
            }
            _ => Cow::Borrowed(text),
        };
        masked.chars().take(MAX_MESSAGE).collect()
    }
}

/// When an answer must be complete, and the limit that set this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    at: Instant,
    limit: Duration,
}

impl Until {
    /// The earlier of the end and `other`, with the error that reaching it is.
    pub(crate) fn or(
        &self,
        other: Instant,
        stage: Stage,
        limit: Duration,
    ) -> (Instant, ProviderError) {
        if other <= self.at {
            (other, ProviderError::Timeout { stage, limit })
        } else {
            (self.at, ProviderError::Timeout { stage: Stage::Total, limit: self.limit })
        }
    }
}

/// What a body claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON.
    Json,
    /// Server-sent events.
    Events,
    /// A page for people.
    Html,
    /// Anything else, or nothing stated: judged by the first bytes.
    Unclear,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let stated = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = stated.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::Events,
            "text/html" => Self::Html,
            json if json.ends_with("/json") || json.ends_with("+json") => Self::Json,
            _ => Self::Unclear,
        }
    }

    /// What a body that begins with `first` is.
    pub(crate) fn guess(first: &[u8]) -> Option<Self> {
        match first.trim_ascii_start() {
            [] => None,
            [b'{' | b'[', ..] => Some(Self::Json),
            [b'<', ..] => Some(Self::Html),
            text => [&b"data:"[..], b"event:", b"id:", b"retry:", b":"]
                .iter()
                .any(|field| text.starts_with(field))
                .then_some(Self::Events),
        }
    }
}

/// A response whose head has come.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) form: Form,
    response: Response,
    idle: Duration,
    pub(crate) until: Until,
}

impl Reply {
    /// Its HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// How long it asks us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after::read(self.response.headers())
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ProviderError> {
        let idle = self.idle;
        self.chunk_by(Instant::now() + idle, Stage::Idle, idle).await
    }

    /// The next bytes of the body, waiting for them until `at`, which is `limit` after the
    /// beginning of `stage`, and no longer than the idle limit.
    pub(crate) async fn chunk_by(
        &mut self,
        at: Instant,
        stage: Stage,
        limit: Duration,
    ) -> Result<Option<Bytes>, ProviderError> {
        let idle_at = Instant::now() + self.idle;
        let (at, stage, limit) =
            if idle_at < at { (idle_at, Stage::Idle, self.idle) } else { (at, stage, limit) };
        let (at, late) = self.until.or(at, stage, limit);
        match tokio::time::timeout_at(at, self.response.chunk()).await {
            Err(_) => Err(late),
            Ok(Err(e)) => {
                Err(ProviderError::Transport { sent: true, source: e.without_url().into() })
            }
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    /// The rest of the body after `first`, all of it.
    pub(crate) async fn body(mut self, first: Bytes) -> Result<Vec<u8>, ProviderError> {
        let mut body = Vec::from(first);
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(ProviderError::TooLarge { what: "a body", limit: MAX_BODY });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The beginning of an error's body, as far as it comes soon.
    pub(crate) async fn error_body(mut self) -> Vec<u8> {
        let mut body = Vec::new();
        let at = Instant::now() + ERROR_BODY_WAIT;
        while body.len() < MAX_ERROR_BODY
            && let Ok(Some(chunk)) = self.chunk_by(at, Stage::Idle, ERROR_BODY_WAIT).await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_ERROR_BODY);
        body
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
