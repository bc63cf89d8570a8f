//! Functions that workflows invoke as they would invoke those of AWS Lambda: commands and addresses
//! that the operator offers.
//!
//! A definition names a function, as `arn:aws:states:::lambda:invoke` or directly by its ARN; what
//! stands behind the name is written in `server.toml`. So the definition runs on AWS as it is.

mod command;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use release::{Digest, TenantId};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use security::outside::{self, Answer, Outside, Unanswered};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use workflow::Fault;
use workflow::engine::{Progress, Task, TaskCall};

pub use command::Command;

/// The most characters of an error's name, and of its cause.
const ERROR: usize = 256;
const CAUSE: usize = 32_768;

/// The functions that are offered, by name.
#[derive(Debug)]
pub struct Functions {
    offered: BTreeMap<String, Function>,
    http: Outside,
}

/// A function.
#[derive(Debug)]
pub struct Function {
    handler: Handler,
    timeout: Duration,
    slots: Semaphore,
    /// Its tenants. One call of each is next for a slot, so that slots go round among them.
    tenants: BTreeMap<TenantId, Mutex<()>>,
}

/// What stands behind a function's name.
#[derive(Debug)]
pub enum Handler {
    /// A command.
    Command(Command),
    /// An address.
    Url {
        /// Where the payload is posted.
        url: Url,
        /// The `Authorization` header.
        credential: Option<HeaderValue>,
    },
}

/// What `lambda:invoke` is called with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invocation {
    function_name: String,
    #[serde(default = "nothing")]
    payload: Value,
    invocation_type: Option<String>,
}

fn nothing() -> Value {
    json!({})
}

/// A call of a function.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// For whom.
    pub tenant: &'a TenantId,
    /// Names it, however often it is made.
    pub key: &'a str,
    /// What the function reports with, if that is waited for.
    pub token: Option<&'a str>,
    /// Where it tells how far it is.
    pub progress: &'a Progress,
    /// What it is given.
    pub payload: &'a Value,
    /// The most bytes of its result.
    pub most: usize,
}

/// Why there is no result.
#[derive(Debug)]
pub enum Failure {
    /// The function itself failed.
    Function(FunctionError),
    /// It could not be asked.
    Service(Fault),
}

/// A failure of a function itself, as Lambda tells it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionError {
    /// What happened.
    pub error_message: String,
    /// Its name, as Retry and Catch see it.
    pub error_type: String,
    /// The call.
    pub request_id: String,
    /// Where, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stack_trace: Vec<String>,
}

impl Functions {
    /// These functions.
    pub fn new(offered: BTreeMap<String, Function>, http: Outside) -> Self {
        Self { offered, http }
    }

    /// Asks a function for at most so many bytes. The same payload is the same call.
    ///
    /// # Errors
    /// As [`Functions::invoke`].
    pub async fn ask(
        &self,
        name: &str,
        tenant: &TenantId,
        payload: &Value,
        most: usize,
    ) -> Result<Value, Fault> {
        let key = Digest::of(payload.to_string().as_bytes()).to_string();
        let progress = &Progress::default();
        self.invoke(name, Call { tenant, key: &key, token: None, progress, payload, most }).await
    }

    /// Invokes a function, as soon as it has a slot and it is the tenant's turn.
    ///
    /// # Errors
    /// If the tenant has no such function, or it fails.
    pub async fn invoke(&self, name: &str, call: Call<'_>) -> Result<Value, Fault> {
        let offered = self.offered.get(name);
        let found = offered.and_then(|offered| Some((offered, offered.tenants.get(call.tenant)?)));
        let (function, next) = found.ok_or_else(|| unknown(name, call.key))?;
        let turn = next.lock().await;
        let slot = function.slots.acquire().await;
        drop(turn);
        let Ok(_slot) = slot else {
            return Err(Fault::new("Lambda.ServiceException", "the server is stopping"));
        };
        let timeout = function.timeout;
        let invoked = tokio::time::timeout(timeout, async {
            match &function.handler {
                Handler::Command(command) => command.invoke(call).await,
                Handler::Url { url, credential } => {
                    self.post((url, credential.as_ref()), call, timeout).await
                }
            }
        });
        let invoked = invoked.await.unwrap_or_else(|_| Err(timed_out(timeout)));
        invoked.map_err(|failure| failure.told(call.key))
    }

    async fn post(
        &self,
        (url, credential): (&Url, Option<&HeaderValue>),
        call: Call<'_>,
        timeout: Duration,
    ) -> Result<Value, Failure> {
        let service = |why| Failure::Service(Fault::new("Lambda.ServiceException", why));
        let request = self.http.request(Method::POST, url.clone());
        let mut request = request
            .map_err(|refused| service(refused.to_string()))?
            .header("idempotency-key", call.key)
            .header("groundcrew-tenant", call.tenant.as_str())
            .json(call.payload);
        if let Some(credential) = credential {
            request = request.header(AUTHORIZATION, credential);
        }
        if let Some(token) = call.token {
            request = request.header("groundcrew-task-token", token);
        }
        match outside::send(request, timeout, call.most).await {
            Ok(answer) => result(&answer),
            Err(Unanswered::TimedOut) => Err(timed_out(timeout)),
            Err(Unanswered::TooLarge) => Err(too_large(call.most)),
            Err(Unanswered::Failed(why) | Unanswered::Refused(why)) => Err(service(why)),
        }
    }
}

impl Function {
    /// A function that `tenants` may invoke, `concurrency` calls at once.
    pub fn new(
        handler: Handler,
        timeout: Duration,
        concurrency: usize,
        tenants: Vec<TenantId>,
    ) -> Self {
        let tenants = tenants.into_iter().map(|tenant| (tenant, Mutex::default())).collect();
        Self { handler, timeout, slots: Semaphore::new(concurrency), tenants }
    }
}

#[async_trait]
impl Task for Functions {
    fn name(&self) -> &'static str {
        "lambda:invoke"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let bad = |why: String| Fault::new("Lambda.InvalidParameterValueException", why);
        let Invocation { function_name, payload, invocation_type } =
            serde_json::from_value(call.input.clone()).map_err(|error| bad(error.to_string()))?;
        if let Some(kind) = invocation_type.filter(|kind| kind != "RequestResponse") {
            return Err(bad(format!(
                "functions are invoked here as RequestResponse, not as {kind}"
            )));
        }
        let made = Call {
            tenant: &call.tenant,
            key: &call.key,
            token: call.token.as_deref(),
            progress: &call.progress,
            payload: &payload,
            most: workflow::MAX_PAYLOAD,
        };
        let payload = self.invoke(name(&function_name), made).await?;
        Ok(json!({
            "ExecutedVersion": "$LATEST",
            "Payload": payload,
            "SdkResponseMetadata": {"RequestId": call.key},
            "StatusCode": 200,
        }))
    }
}

impl Failure {
    /// A failure of the function, named as the runtimes of Lambda name it.
    pub fn function(error_type: &str, error_message: impl Into<String>) -> Self {
        let (error_type, error_message) = (error_type.to_owned(), error_message.into());
        Self::Function(FunctionError { error_message, error_type, ..FunctionError::default() })
    }

    /// The failure as an execution reports it.
    fn told(self, key: &str) -> Fault {
        match self {
            Self::Service(fault) => fault,
            Self::Function(mut error) => {
                key.clone_into(&mut error.request_id);
                let name: String = error.error_type.chars().take(ERROR).collect();
                let cause = json!(error).to_string();
                Fault::new(&name, cause.chars().take(CAUSE).collect::<String>())
            }
        }
    }
}

/// The name in whatever names a function: itself, a partial or a whole ARN, a version behind it.
fn name(function: &str) -> &str {
    let name = function.rsplit_once("function:").map_or(function, |(_, name)| name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

fn unknown(name: &str, key: &str) -> Fault {
    let cause = format!(
        "Function not found: arn:aws:lambda:local:000000000000:function:{name}:$LATEST (Service: \
         AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: {key}; \
         Proxy: null)"
    );
    Fault::new("Lambda.ResourceNotFoundException", cause)
}

fn timed_out(timeout: Duration) -> Failure {
    let message = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
    Failure::function("Sandbox.Timedout", message)
}

/// The failure of a function that gives too much.
pub fn too_large(most: usize) -> Failure {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({most} bytes).");
    Failure::function("Function.ResponseSizeTooLarge", message)
}

/// What a function gave, as bytes. Nothing is `null`.
///
/// # Errors
/// If it is no JSON.
pub fn parsed(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::function("Runtime.MarshalError", format!("the result is no JSON: {error}"))
    })
}

/// The failure that a function itself told, if it told one.
pub fn told(bytes: &[u8]) -> Option<FunctionError> {
    let error: FunctionError = serde_json::from_slice(bytes).ok()?;
    Some(error).filter(|error| !error.error_type.is_empty())
}

/// What an address answered.
fn result(answer: &Answer) -> Result<Value, Failure> {
    let Answer { status, headers, body } = answer;
    if status.is_success() && !headers.contains_key("x-amz-function-error") {
        return parsed(body);
    }
    if let Some(error) = told(body) {
        return Err(Failure::Function(error));
    }
    let name = match *status {
        StatusCode::TOO_MANY_REQUESTS => "Lambda.TooManyRequestsException",
        status if status.is_server_error() => "Lambda.ServiceException",
        _ => "Lambda.Unknown",
    };
    let start: String = String::from_utf8_lossy(body).chars().take(1_000).collect();
    Err(Failure::Service(Fault::new(name, format!("the function answers {status}: {start}"))))
}

#[cfg(test)]
mod tests;
