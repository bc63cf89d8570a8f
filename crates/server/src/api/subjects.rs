//! Who was told what, and taking a person out of what was recorded.

use axum::http::Method;
use delivery::ReleaseRecord;
use monitoring::blast::{self, Cause};
use monitoring::tables::{Span, Subject};
use release::{AppName, PrincipalId};
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Transaction;

use super::handlers::Handler;
use super::series::span_of_time;
use super::{Call, Problem, Route, json as to_json};

/// Whose traces are taken out of what was recorded, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetBody {
    /// Users, as traces name them.
    #[serde(default)]
    pub users: Vec<String>,
    /// Conversations.
    #[serde(default)]
    pub conversations: Vec<String>,
    /// Why; never whom it is about, since it stays in the event log.
    pub reason: String,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/blast-radius",
            Action::ReadTraces,
            "Every answer, user and conversation that a document, passage, snapshot, release or \
             prompt touched: `of` names it, `kind` says what it is where that is not plain.",
        )
        .query(&["of", "kind", "since", "until"])
        .to(radius),
        Route::new(
            Method::POST,
            "/api/v1/telemetry/forget",
            Action::EraseTelemetry,
            "Take a user or a conversation out of what was recorded: their texts go, and what is \
             left of their traces names nobody.",
        )
        .body::<ForgetBody>()
        .to(forget),
    ]
}

async fn radius(call: Call) -> Result<Value, Problem> {
    let of: String =
        call.query("of")?.ok_or_else(|| Problem::bad_request("`of` is missing: what was wrong"))?;
    let kind: Option<String> = call.query("kind")?;
    let cause = cause(&call, &of, kind.as_deref()).await?;
    let (from, until) = span_of_time(&call)?;
    let span = Span { from, until };
    let found = blast::radius(&call.api.telemetry.queries, &call.tenant, (&cause, span)).await?;
    let mut told = to_json(&found)?;
    told["cause"] = to_json(&cause)?;
    Ok(told)
}

/// What `of` is: as `kind` says, else a release or what one pins, else a passage if it is a digest,
/// else a document.
async fn cause(call: &Call, of: &str, kind: Option<&str>) -> Result<Cause, Problem> {
    match kind {
        Some("document") => return Ok(Cause::Document(of.to_owned())),
        Some("chunk") => return Ok(Cause::Chunk(of.to_owned())),
        Some("snapshot") => return Ok(Cause::Snapshot(of.to_owned())),
        None | Some("release" | "prompt") => {}
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "`kind` is `{other}`: it may be document, chunk, snapshot, release or prompt"
            )));
        }
    }
    let mut releases: Vec<ReleaseRecord> = Vec::new();
    for app in call.delivery().apps().await? {
        releases.extend(call.delivery().releases(&app.name).await?);
    }
    let digits = of.strip_prefix("sha256:").unwrap_or(of);
    let long = digits.len() >= 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let fits = |digest: &str| long && digest.starts_with(digits);
    let own = releases.iter().filter(|record| fits(&record.release.digest().to_hex()));
    let mut named: Vec<String> = own.map(|record| record.release.to_string()).collect();
    if let Some((app, _)) = of.rsplit_once('-')
        && let Ok(app) = app.parse::<AppName>()
        && let Ok(record) = call.delivery().find_release(&app, of).await
    {
        named.push(record.release.to_string());
    }
    if !named.is_empty() && kind != Some("prompt") {
        return Ok(Cause::Releases(named));
    }
    let slots = |record: &&ReleaseRecord| {
        record.slots.values().any(|artifact| {
            let by_name = kind == Some("prompt")
                && artifact.kind.to_string() == "prompt"
                && artifact.name.as_str() == of;
            by_name || fits(&artifact.digest.to_hex())
        })
    };
    let pinning: Vec<_> = releases.iter().filter(slots).collect();
    if !pinning.is_empty() {
        return Ok(Cause::Releases(
            pinning.into_iter().map(|record| record.release.to_string()).collect(),
        ));
    }
    match kind {
        Some(kind) => Err(Problem::not_found(format!("there is no {kind} `{of}`"))),
        None if of.starts_with("sha256:") => Ok(Cause::Chunk(of.to_owned())),
        None => Ok(Cause::Document(of.to_owned())),
    }
}

async fn forget(call: Call) -> Result<Value, Problem> {
    let ForgetBody { users, conversations, reason } = call.body()?;
    if users.is_empty() && conversations.is_empty() {
        return Err(Problem::bad_request("the body needs `users` or `conversations`"));
    }
    if reason.trim().is_empty() {
        return Err(Problem::bad_request("`reason` is missing: who asked for it, and why"));
    }
    let subject = Subject {
        users: users.into_iter().collect(),
        conversations: conversations.into_iter().collect(),
    };
    let (telemetry, store) = (&call.api.telemetry, &call.api.store);
    let holder = PrincipalId::system("telemetry").to_string();
    let lease = store.system().take("telemetry", &holder, call.api.clock.as_ref()).await?;
    let lease = lease.ok_or_else(|| {
        Problem::conflict("the tables of telemetry are being kept: ask again in a minute")
    })?;
    let work = telemetry.tables.erase(&call.tenant, &subject);
    let done = store.system().holding(&[lease], call.api.clock.as_ref(), work).await?;
    let erased = done.ok_or_else(|| Problem::internal("the lease was lost: ask again"))?;
    let erased = erased.map_err(|error| Problem::internal(error.to_string()))?;
    let told = json!({"erased": erased, "reason": reason});
    let event = Transaction::new(call.identity.principal.clone(), call.api.clock.now());
    let event = event.emit("telemetry", "telemetry.erased", &told)?;
    store.tenant(&call.tenant).commit(event).await?;
    to_json(&erased)
}
