//! HTTP tasks: `arn:aws:states:::http:invoke`, through connections that the operator offers.
//!
//! A definition names a connection, by its ARN in EventBridge; the address that it may be used for
//! and the credential are written in `server.toml`. So a project reaches no host that it was not
//! offered, and the definition runs on AWS as it is. What a call may hold and what comes back is
//! described in AWS's guide to Step Functions under "Call HTTPS APIs".

mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use release::{Clock, Secret, TenantId};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use security::outside::{self, Answer, Outside, Unanswered};
use serde_json::{Map, Value, json};
use workflow::engine::{Task, TaskCall};
use workflow::{Fault, MAX_PAYLOAD};

use crate::clock::SystemClock;

/// The most characters of a failure's cause.
const CAUSE: usize = 32_768;
/// What is not text, and so cannot be a result.
const MEDIA: &[&str] = &["application/octet-stream", "audio/", "image/", "video/"];

/// The connections that are offered, by name.
#[derive(Debug)]
pub struct Connections {
    offered: BTreeMap<String, Connection>,
    http: Outside,
}

/// A connection to a service.
#[derive(Debug)]
pub struct Connection {
    /// Its address: only what lies below it can be called.
    pub url: Url,
    /// The header by which it knows who calls.
    pub authorization: Option<(HeaderName, HeaderValue)>,
    /// What else it is shown, which depends on what it is sent.
    pub proof: Option<Proof>,
    /// How long a call may take.
    pub timeout: Duration,
    /// The tenants that may use it.
    pub tenants: Vec<TenantId>,
}

/// What shows a service who calls, and is made anew for each call.
#[derive(Debug)]
pub enum Proof {
    /// A signature of what is sent, by the specification "Standard Webhooks" 1.0.
    Signature(Secret),
    /// PagerDuty's routing key, as a field of what is sent.
    RoutingKey(Secret),
}

impl Proof {
    /// Adds it to a call: to its headers, or to its body.
    fn show(
        &self,
        id: &str,
        (headers, body): (&mut HeaderMap, &mut Option<(&'static str, String)>),
    ) -> Result<(), Fault> {
        match self {
            Self::Signature(secret) => {
                let sent = body.as_ref().map_or("", |(_, text)| text.as_str());
                let at = SystemClock.now().as_second();
                let signature = security::webhook::sign(secret, (id, at), sent.as_bytes());
                headers.insert("webhook-id", header(id)?);
                headers.insert("webhook-timestamp", header(&at.to_string())?);
                headers.insert("webhook-signature", header(&signature)?);
            }
            Self::RoutingKey(key) => {
                let object = body.as_ref().and_then(|(_, text)| serde_json::from_str(text).ok());
                let Some(Value::Object(mut object)) = object else {
                    return Err(unusable("a routing key is shown in a JSON object only"));
                };
                object.insert("routing_key".to_owned(), key.expose().into());
                *body =
                    Some(("application/json; charset=utf-8", Value::Object(object).to_string()));
            }
        }
        Ok(())
    }
}

impl Connections {
    /// These connections.
    pub fn new(offered: BTreeMap<String, Connection>, http: Outside) -> Self {
        Self { offered, http }
    }

    /// Posts `body` to a path below a connection's address, and gives the JSON that comes back: at most
    /// `most` bytes.
    ///
    /// # Errors
    /// Why none comes.
    pub async fn post(
        &self,
        (name, path): (&str, &str),
        tenant: &TenantId,
        body: &Value,
        most: usize,
    ) -> Result<Value, String> {
        let told = |fault: Fault| fault.cause.unwrap_or_default();
        let connection = self.find(&format!(":connection/{name}"), tenant).map_err(told)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let endpoint = json!({"ApiEndpoint": format!("{slash}{path}"), "Method": "POST"});
        let url = request::read(&endpoint).and_then(|asked| asked.url(&connection.url));
        let request = self.http.request(Method::POST, url.map_err(told)?);
        let mut request = request.map_err(|refused| refused.to_string())?.json(body);
        if let Some((name, value)) = connection.authorization.clone() {
            request = request.header(name, value);
        }
        match outside::send(request, connection.timeout, most).await {
            Ok(answer) if answer.status.is_success() => {
                serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
            }
            Ok(answer) => Err(format!("it answers {}", answer.status)),
            Err(Unanswered::TimedOut) => {
                Err(format!("no answer came within {} seconds", connection.timeout.as_secs()))
            }
            Err(Unanswered::Failed(why) | Unanswered::Refused(why)) => Err(why),
            Err(Unanswered::TooLarge) => Err(format!("the answer has more than {most} bytes")),
        }
    }

    /// The connection that an ARN names, `…:connection/NAME` with or without more behind it.
    fn find(&self, arn: &str, tenant: &TenantId) -> Result<&Connection, Fault> {
        let name = arn.split_once(":connection/").map(|(_, name)| name);
        let name = name.map(|name| name.split_once('/').map_or(name, |(name, _)| name));
        let offered = name.and_then(|name| self.offered.get(name));
        offered.filter(|connection| connection.tenants.contains(tenant)).ok_or_else(|| {
            let why = format!("there is no connection `{}`", name.unwrap_or(arn));
            Fault::new("Events.ConnectionResource.ResourceNotFound", why)
        })
    }
}

#[async_trait]
impl Task for Connections {
    fn name(&self) -> &'static str {
        "http:invoke"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let asked = request::read(&call.input)?;
        let connection = self.find(asked.connection()?, &call.tenant)?;
        let url = asked.url(&connection.url)?;
        let mut headers = asked.headers()?;
        headers.entry("idempotency-key").or_insert(header(&call.key)?);
        // What the connection says of itself counts, whatever the definition says.
        headers.extend(connection.authorization.clone());
        let socket = |why| Fault::new("States.Http.Socket", why);
        let request = self.http.request(asked.method()?, url);
        let mut request = request.map_err(|refused| socket(refused.to_string()))?;
        let mut body = asked.body()?;
        if let Some(proof) = &connection.proof {
            // What is tried again is the same message, where it says so.
            let delivery = headers.get("x-groundcrew-delivery").and_then(|it| it.to_str().ok());
            let id = delivery.unwrap_or(&call.key).to_owned();
            proof.show(&id, (&mut headers, &mut body))?;
        }
        if let Some((kind, body)) = body {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
            request = request.body(body);
        }
        match outside::send(request.headers(headers), connection.timeout, workflow::MAX_PAYLOAD)
            .await
        {
            Ok(answer) => result(answer),
            Err(Unanswered::TimedOut) => {
                let seconds = connection.timeout.as_secs();
                let why = format!("no answer came within {seconds} seconds");
                Err(socket(why))
            }
            Err(Unanswered::Failed(why) | Unanswered::Refused(why)) => Err(socket(why)),
            Err(Unanswered::TooLarge) => {
                let why = format!("the answer has more than {MAX_PAYLOAD} bytes");
                Err(Fault::new("States.DataLimitExceeded", why))
            }
        }
    }
}

/// A call that cannot be made as it is asked for; no other try helps.
fn unusable(why: impl Into<String>) -> Fault {
    Fault::new("States.Runtime", why)
}

fn header(value: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(value).map_err(|_| unusable("a header has characters that none may have"))
}

/// The result of a task, or its failure.
fn result(answer: Answer) -> Result<Value, Fault> {
    let Answer { status, headers, body } = answer;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if MEDIA.iter().any(|media| kind.starts_with(media)) {
        return Err(unusable(format!("an answer of the type `{kind}` cannot be used")));
    }
    let body = String::from_utf8(body).map_err(|_| unusable("the answer is no text in UTF-8"))?;
    if !status.is_success() {
        let cause: String = body.chars().take(CAUSE).collect();
        return Err(Fault::new(&format!("States.Http.StatusCode.{}", status.as_u16()), cause));
    }
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    // What says that it is JSON and is none is told as it came.
    let parsed = is_json.then(|| serde_json::from_str(&body).ok()).flatten();
    Ok(json!({
        "Headers": told(&headers),
        "ResponseBody": parsed.unwrap_or(Value::String(body)),
        "StatusCode": status.as_u16(),
        "StatusText": status.canonical_reason().unwrap_or_default(),
    }))
}

/// Headers, each with all its values.
fn told(headers: &HeaderMap) -> Value {
    let mut told = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        told.insert(name.to_string(), values.collect());
    }
    told.into()
}

#[cfg(test)]
mod tests;
