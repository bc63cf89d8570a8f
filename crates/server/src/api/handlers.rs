//! The routes and what each does.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::Method;
use delivery::{Rollback, Upload};
use monitoring::{Filter, TraceId, answers};
use release::{
    AppName, ArtifactName, DeploymentEntry, EnvironmentName, PrincipalId, SlotName, TenantId,
    Timestamp,
};
use schemars::{JsonSchema, schema_for};
use security::{Action, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tasks::Done;
use super::{
    Call, MAX_BODY, Problem, Route, alarms, backups, batches, diagnosis, documents, erasures,
    evaluations, experiments, freshness, gates, json as to_json, measures, openapi, pipelines,
    quarantine, queries, replays, retrieval, rollouts, series, spans, storage, subjects, versions,
    workflows,
};

/// What a handler answers.
pub enum Answer {
    Json(Value),
    Svg(String),
    /// Rows in another form than JSON: its content type, the bytes, and what else is to be known.
    File(&'static str, Vec<u8>, Vec<String>),
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// What a handler gives.
pub type Answered = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;
/// A handler.
pub type Handler = Arc<dyn Fn(Call) -> Answered + Send + Sync>;

/// A project's files, to be applied.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyBody {
    /// Contents by path, as base 64 so that any byte survives.
    pub files: BTreeMap<String, String>,
    /// The generation the files were read against.
    pub generation: Option<u64>,
    /// The commit they were read from.
    pub commit: Option<String>,
    /// Who wrote that commit, as git has it.
    #[serde(default)]
    pub commit_author: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Whether what the files no longer define is removed.
    #[serde(default)]
    pub prune: bool,
}

/// What to promote.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromoteBody {
    /// The release: a change, a sequence number or a digest; the newest candidate if absent.
    pub release: Option<String>,
    /// The environment's generation that the caller looked at.
    pub expected: Option<u64>,
    /// Whether it goes live at once, whatever the app's rules say.
    pub now: bool,
}

/// Why a candidate is proposed.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProposeBody {
    /// Why.
    pub reason: String,
}

/// What to return to, and why.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackBody {
    /// The release; the one that was stable before if absent.
    pub release: Option<String>,
    /// The generation of the environment the caller looked at, if it insists on it.
    pub expected: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Which release to hold, or not to hold any more, and why.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HoldBody {
    /// The release.
    pub release: Option<String>,
    /// Why.
    pub reason: String,
}

/// A key to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    /// Whose: `user:NAME` or `service:NAME`.
    pub principal: String,
    /// When it ends (RFC 3339); never if absent.
    pub expires_at: Option<String>,
    /// Whether it is an access-key pair, to sign requests to the AWS JSON APIs with.
    #[serde(default)]
    pub aws: bool,
}

/// A user or service account to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// `user:NAME` or `service:NAME`.
    pub principal: String,
    /// What it is there for: admin, engineer, operator, viewer or client.
    pub role: String,
    /// Whether it belongs to the whole installation rather than to the tenant.
    #[serde(default)]
    pub installation: bool,
}

/// A tenant to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantBody {
    /// Its name.
    pub name: TenantId,
}

/// Every route of the API.
pub fn routes() -> Vec<(Route, Handler)> {
    let mut routes = vec![
        Route::new(Method::GET, "/api/v1/openapi.json", Action::ReadStatus, "This document.")
            .to(openapi),
        Route::new(
            Method::GET,
            "/api/v1/status",
            Action::ReadStatus,
            "How the server and the tenant's apps are.",
        )
        .to(status),
        Route::new(Method::POST, "/api/v1/projects", Action::Apply, "Apply a project.")
            .body::<ApplyBody>()
            .to(apply),
        Route::new(Method::GET, "/api/v1/apps", Action::ReadReleases, "The tenant's apps.")
            .to(apps),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/releases",
            Action::ReadReleases,
            "An app's releases, newest first.",
        )
        .to(releases),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/releases/{release}",
            Action::ReadReleases,
            "One release, with its change.",
        )
        .to(release_show),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/changes",
            Action::ReadReleases,
            "An app's changes, newest first.",
        )
        .to(changes),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/diff",
            Action::ReadReleases,
            "What differs between two releases.",
        )
        .query(&["from", "to"])
        .to(diff),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/releases/{release}/record",
            Action::ReadReleases,
            "What became of a release: who changed what, its rollouts, when it was live where.",
        )
        .to(record),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/environments/{environment}/history",
            Action::ReadReleases,
            "What was live when.",
        )
        .query(&["at"])
        .to(history),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/propose",
            Action::Promote,
            "Make what fills an app's slots a candidate.",
        )
        .query(&["wait"])
        .body::<ProposeBody>()
        .to(propose),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/promote",
            Action::Promote,
            "Make a release the stable one, or begin to roll it out where the app's rules say how.",
        )
        .query(&["wait"])
        .body::<PromoteBody>()
        .to(promote),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/rollback",
            Action::RollBack,
            "Return to an earlier release.",
        )
        .body::<RollbackBody>()
        .to(rollback),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/hold",
            Action::RollBack,
            "Hold a release: automation does not promote it until a person clears that.",
        )
        .body::<HoldBody>()
        .to(hold),
        Route::new(
            Method::POST,
            "/api/v1/apps/{app}/environments/{environment}/clear-hold",
            Action::ClearHold,
            "Allow automation to promote a held release again.",
        )
        .body::<HoldBody>()
        .to(clear_hold),
        Route::new(
            Method::GET,
            "/api/v1/knowledge",
            Action::ReadKnowledge,
            "The tenant's knowledge bases.",
        )
        .to(knowledge),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/refresh",
            Action::RefreshKnowledge,
            "Read a knowledge base's sources anew, or each `source` that is named; `approved` says \
             that as many documents as are gone are to go.",
        )
        .query(&["wait", "approved", "source"])
        .to(refresh),
        Route::new(Method::GET, "/api/v1/traces", Action::ReadTraces, "The newest answers.")
            .query(&["app", "environment", "release", "outcome", "since", "document", "limit"])
            .to(traces),
        Route::new(
            Method::GET,
            "/api/v1/traces/{trace}",
            Action::ReadTraces,
            "One answer: what produced it.",
        )
        .to(trace),
        Route::new(Method::GET, "/api/v1/keys", Action::ManageKeys, "The tenant's keys.").to(keys),
        Route::new(Method::POST, "/api/v1/keys", Action::ManageKeys, "Make a key.")
            .body::<KeyBody>()
            .to(key_create),
        Route::new(Method::DELETE, "/api/v1/keys/{key}", Action::ManageKeys, "Revoke a key.")
            .to(key_revoke),
        Route::new(
            Method::GET,
            "/api/v1/users",
            Action::ManageUsers,
            "The tenant's users and service accounts.",
        )
        .to(users),
        Route::new(
            Method::POST,
            "/api/v1/users",
            Action::ManageUsers,
            "Make a user or a service account.",
        )
        .body::<UserBody>()
        .to(user_create),
        Route::new(
            Method::GET,
            "/api/v1/tenants",
            Action::ManageTenants,
            "The installation's tenants.",
        )
        .installation()
        .to(tenants),
        Route::new(Method::POST, "/api/v1/tenants", Action::ManageTenants, "Make a tenant.")
            .body::<TenantBody>()
            .installation()
            .to(tenant_create),
    ];
    routes.extend(documents::routes());
    routes.extend(backups::routes());
    routes.extend(batches::routes());
    routes.extend(erasures::routes());
    routes.extend(evaluations::routes());
    routes.extend(freshness::routes());
    routes.extend(gates::routes());
    routes.extend(pipelines::routes());
    routes.extend(alarms::routes());
    routes.extend(measures::routes());
    routes.extend(series::routes());
    routes.extend(diagnosis::routes());
    routes.extend(replays::routes());
    routes.extend(retrieval::routes());
    routes.extend(rollouts::routes());
    routes.extend(experiments::routes());
    routes.extend(quarantine::routes());
    routes.extend(queries::routes());
    routes.extend(storage::routes());
    routes.extend(subjects::routes());
    routes.extend(workflows::routes());
    routes.extend(versions::routes());
    routes
}

impl Route {
    pub(super) fn new(
        method: Method,
        path: &'static str,
        action: Action,
        summary: &'static str,
    ) -> Self {
        let (installation, query, limit) = (false, &[][..], MAX_BODY);
        Self { method, path, action, installation, summary, query, limit, body: None }
    }

    pub(super) fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    pub(super) fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(|| schema_for!(T)), ..self }
    }

    /// With a body of up to `limit` bytes.
    pub(super) fn up_to(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn installation(self) -> Self {
        Self { installation: true, ..self }
    }

    pub(super) fn to<F, A: Into<Answer>>(
        self,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> (Self, Handler)
    where
        F: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let handle = move |call| -> Answered {
            let answered = handler(call);
            Box::pin(async { answered.await.map(Into::into) })
        };
        (self, Arc::new(handle))
    }
}

async fn openapi(_: Call) -> Result<Value, Problem> {
    Ok(openapi_document())
}

/// The OpenAPI document of every route.
pub fn openapi_document() -> Value {
    openapi::document(routes().iter().map(|(route, _)| route))
}

async fn status(call: Call) -> Result<Value, Problem> {
    let apps = call.delivery().status().await?;
    let live = Arc::clone(&call.api.live.borrow());
    let mut broken = Vec::new();
    for (tenant, environment) in live.table.environments().filter(|(of, _)| **of == call.tenant) {
        for release in environment.releases() {
            if let Err(why) = live.release(tenant, release) {
                let (app, environment) = (&environment.app, &environment.name);
                broken.push(
                    json!({"app": app, "environment": environment, "release": release, "why": why}),
                );
            }
        }
    }
    // The log is the installation's: what a tenant may not know of the others is not in its counts.
    let operator = call.identity.tenant.is_none();
    let log = operator.then(|| call.api.telemetry.log.stats());
    let tables = operator.then(|| call.api.telemetry.tables.stats());
    let exporter = call.api.exporter.as_ref().filter(|_| operator);
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "tenant": call.tenant,
        "apps": apps,
        "knowledge": call.delivery().knowledge_bases().await?,
        "cannot_answer": broken,
        "log": log,
        "tables": tables,
        "export": exporter.map(|exporter| exporter.status()),
        "telemetry": call.api.receiver.tenant_counts(&call.tenant),
        "routing_position": live.table.position(),
    }))
}

async fn apply(call: Call) -> Result<Value, Problem> {
    use base64::Engine;
    let body: ApplyBody = call.body()?;
    let mut files = BTreeMap::new();
    for (path, content) in body.files {
        let bytes = base64::engine::general_purpose::STANDARD.decode(content);
        let bytes = bytes.map_err(|error| {
            Problem::bad_request(format!("file `{path}` is not base 64: {error}"))
        })?;
        files.insert(path, bytes);
    }
    let upload = Upload {
        files,
        generation: body.generation,
        commit: body.commit,
        commit_author: body.commit_author,
        reason: body.reason,
        prune: body.prune,
    };
    let applied = call.delivery().apply(&upload).await?;
    // This server need not wait until it looks for itself.
    let rules = call.delivery().contributor_rules().await?;
    call.api.contributors.watch(&call.tenant, rules, call.api.clock.now());
    call.serving(&applied.promoted).await;
    to_json(&applied)
}

async fn apps(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().apps().await?)
}

async fn releases(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().releases(&call.path("app")?).await?)
}

async fn release_show(call: Call) -> Result<Value, Problem> {
    let app: AppName = call.path("app")?;
    let selector: String = call.path("release")?;
    let delivery = call.delivery();
    let record = delivery.find_release(&app, &selector).await?;
    let release = delivery.open_release(record.release).await?;
    let changes = delivery.changes(&app).await?;
    let changes: Vec<_> = changes.into_iter().filter(|c| c.release == record.release).collect();
    let canonical = String::from_utf8_lossy(release.bytes()).into_owned();
    let snapshot = record.slots.get(&SlotName::KNOWLEDGE).map(|artifact| artifact.digest);
    let redacted = erasures::redacted(&call, snapshot.into_iter()).await?;
    let held = delivery.held(&app, record.release).await?;
    Ok(json!({
        "release": record, "changes": changes, "canonical": canonical, "redacted": redacted,
        "held": held,
    }))
}

async fn changes(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().changes(&call.path("app")?).await?)
}

async fn diff(call: Call) -> Result<Value, Problem> {
    let required = |name: &str| {
        call.query::<String>(name)?
            .ok_or_else(|| Problem::bad_request(format!("`{name}` is missing")))
    };
    let (from, to) = (required("from")?, required("to")?);
    to_json(&call.delivery().diff(&call.path("app")?, &from, &to).await?)
}

async fn record(call: Call) -> Result<Value, Problem> {
    let release: String = call.path("release")?;
    to_json(&call.delivery().provenance(&call.path("app")?, &release).await?)
}

async fn history(call: Call) -> Result<Value, Problem> {
    let at: Option<Timestamp> = call.query("at")?;
    let (app, environment) = (call.path("app")?, call.path("environment")?);
    let (log, pointer) = call.delivery().history(&app, &environment, at).await?;
    Ok(json!({"log": log, "pointer": pointer}))
}

async fn promote(call: Call) -> Result<Value, Problem> {
    let PromoteBody { release, expected, now } = call.body()?;
    let (app, environment): (AppName, EnvironmentName) =
        (call.path("app")?, call.path("environment")?);
    let input = json!({
        "app": app, "environment": environment, "release": release, "expected": expected,
        "now": now,
    });
    match call.done("release.promote", input).await? {
        Done::Begun(execution) => Ok(execution),
        Done::Result(entry) => {
            call.serving(&moves(std::slice::from_ref(&entry))?).await;
            Ok(entry)
        }
    }
}

async fn propose(call: Call) -> Result<Value, Problem> {
    let ProposeBody { reason } = call.body()?;
    let app: AppName = call.path("app")?;
    match call.done("release.propose", json!({"app": app, "reason": reason})).await? {
        Done::Begun(execution) => Ok(execution),
        Done::Result(proposed) => {
            let promoted = Some(&proposed["promoted"]).filter(|entry| !entry.is_null());
            call.serving(&moves(promoted)?).await;
            Ok(proposed)
        }
    }
}

/// The moves of environments that a task tells.
pub(super) fn moves<'a>(
    told: impl IntoIterator<Item = &'a Value>,
) -> Result<Vec<DeploymentEntry>, Problem> {
    let read = |entry: &Value| serde_json::from_value(entry.clone());
    let moves: Result<_, _> = told.into_iter().map(read).collect();
    moves.map_err(|error| Problem::internal(error.to_string()))
}

async fn rollback(call: Call) -> Result<Value, Problem> {
    let RollbackBody { release, expected, reason } = call.body()?;
    let (app, environment) = (call.path("app")?, call.path("environment")?);
    let wish = Rollback { app, environment, release, expected, reason };
    let entry = call.delivery().roll_back(&wish).await?;
    call.serving(std::slice::from_ref(&entry)).await;
    to_json(&entry)
}

async fn hold(call: Call) -> Result<Value, Problem> {
    let (release, reason) = held(&call)?;
    let (app, environment) = (call.path("app")?, call.path("environment")?);
    to_json(&call.delivery().hold_back(&app, &environment, &release, &reason).await?)
}

/// Which release is meant, and why.
fn held(call: &Call) -> Result<(String, String), Problem> {
    let HoldBody { release, reason } = call.body()?;
    Ok((release.ok_or_else(|| Problem::bad_request("`release` is missing"))?, reason))
}

async fn clear_hold(call: Call) -> Result<Value, Problem> {
    let (release, reason) = held(&call)?;
    let (app, environment) = (call.path("app")?, call.path("environment")?);
    to_json(&call.delivery().clear_hold(&app, &environment, &release, &reason).await?)
}

async fn knowledge(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().knowledge_bases().await?)
}

async fn refresh(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let approved = call.query::<bool>("approved")?.unwrap_or(false);
    let sources: Vec<_> = call.every("source").collect();
    let input = json!({"knowledge": name, "sources": sources, "approved": approved});
    match call.done("knowledge.refresh", input).await? {
        Done::Begun(execution) => Ok(execution),
        Done::Result(refreshed) => {
            call.serving(&moves(refreshed["promoted"].as_array().into_iter().flatten())?).await;
            Ok(refreshed)
        }
    }
}

async fn traces(call: Call) -> Result<Value, Problem> {
    let filter = Filter {
        app: call.query("app")?,
        environment: call.query("environment")?,
        release: call.query("release")?,
        outcome: call.query("outcome")?,
        since: call.query("since")?,
        document: call.query("document")?,
    };
    let limit: usize = call.query("limit")?.unwrap_or(20).min(1_000);
    let queries = &call.api.telemetry.queries;
    to_json(&answers::list(queries, &call.tenant, (&filter, limit)).await?)
}

async fn trace(call: Call) -> Result<Value, Problem> {
    let id: TraceId = call.path("trace")?;
    let queries = &call.api.telemetry.queries;
    let all = answers::spans(queries, &call.tenant, id).await?;
    let mut shown = match answers::answer(queries, &call.tenant, &all).await? {
        Some(answer) => erasures::masked(&call, answer).await?,
        // A trace of other services.
        None if !all.is_empty() => json!({"trace": id}),
        None => return Err(Problem::not_found(format!("there is no trace `{id}`"))),
    };
    let bare = shown["redacted"] == true;
    shown["spans"] = spans::shown(&all, bare);
    let scores = answers::scores(queries, &call.tenant, id).await?;
    if !scores.is_empty() {
        shown["scores"] = spans::scores(&scores, bare);
    }
    Ok(shown)
}

/// Whether a principal is one the caller manages: of the same tenant, or any for the installation.
pub fn manages(call: &Call, tenant: Option<&TenantId>) -> bool {
    call.identity.tenant.is_none() || tenant == Some(&call.tenant)
}

async fn keys(call: Call) -> Result<Value, Problem> {
    let principals = call.api.keys.principals().await?;
    let managed: Vec<_> = principals
        .into_iter()
        .filter(|principal| manages(&call, principal.tenant.as_ref()))
        .map(|principal| principal.id)
        .collect();
    let keys = call.api.keys.keys().await?.into_iter();
    let keys = keys.filter(|key| managed.contains(&key.principal));
    let shown = keys.map(|key| {
        json!({
            "id": key.id, "principal": key.principal, "created_at": key.created_at,
            "expires_at": key.expires_at, "revoked_at": key.revoked_at,
        })
    });
    Ok(shown.collect())
}

async fn key_create(call: Call) -> Result<Value, Problem> {
    let body: KeyBody = call.body()?;
    let wrong = |error: &dyn std::fmt::Display| Problem::bad_request(error.to_string());
    let principal: PrincipalId = body.principal.parse().map_err(|error| wrong(&error))?;
    let expires = body.expires_at.map(|at| at.parse::<Timestamp>()).transpose();
    let expires = expires.map_err(|error| wrong(&error))?;
    let record = call.api.keys.principal(&principal).await?;
    if !manages(&call, record.tenant.as_ref()) {
        return Err(Problem::not_found(format!("there is no principal `{principal}`")));
    }
    let (keys, actor) = (&call.api.keys, &call.identity.principal);
    if body.aws {
        let issued = keys.issue_access_key(actor, &principal, expires).await?;
        let secret = issued.secret.expose();
        return Ok(json!({"id": issued.id, "principal": principal, "secret": secret}));
    }
    let issued = keys.issue(actor, &principal, expires).await?;
    Ok(json!({"id": issued.id, "principal": principal, "key": issued.key.expose()}))
}

async fn key_revoke(call: Call) -> Result<Value, Problem> {
    let id: String = call.path("key")?;
    let key = call.api.keys.key(&id).await?;
    let record = call.api.keys.principal(&key.principal).await?;
    if !manages(&call, record.tenant.as_ref()) {
        return Err(Problem::not_found(format!("there is no key `{id}`")));
    }
    let revoked = call.api.keys.revoke(&call.identity.principal, &id).await?;
    Ok(json!({"id": revoked.id, "revoked_at": revoked.revoked_at}))
}

async fn users(call: Call) -> Result<Value, Problem> {
    let principals = call.api.keys.principals().await?.into_iter();
    let shown: Vec<_> = principals.filter(|p| manages(&call, p.tenant.as_ref())).collect();
    to_json(&shown)
}

async fn user_create(call: Call) -> Result<Value, Problem> {
    let body: UserBody = call.body()?;
    let principal: PrincipalId =
        body.principal.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let role: Role = body.role.parse().map_err(Problem::bad_request)?;
    if principal.kind() == release::PrincipalKind::System {
        return Err(Problem::bad_request("`system:` names are Groundcrew's own"));
    }
    let tenant = match (body.installation, &call.identity.tenant) {
        (true, Some(_)) => {
            return Err(Problem::bad_request(
                "only the installation's admin makes others of its kind",
            ));
        }
        (true, None) => None,
        (false, _) => Some(call.tenant.clone()),
    };
    let actor = &call.identity.principal;
    to_json(&call.api.keys.create_principal(actor, principal, tenant, role).await?)
}

async fn tenants(call: Call) -> Result<Value, Problem> {
    to_json(&call.api.keys.tenants().await?)
}

async fn tenant_create(call: Call) -> Result<Value, Problem> {
    let TenantBody { name } = call.body()?;
    to_json(&call.api.keys.create_tenant(&call.identity.principal, name).await?)
}
