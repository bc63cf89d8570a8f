//! Pushes to git: a forge tells of one, and the project is applied as that commit has it.
//!
//! ```text
//!  POST /hooks/git/NAME ─► proof ─► a push to the branch? ─► execution of git.apply
//!                                                              fetch, apply, begin pipelines
//! ```
//!
//! What the forge sends decides nothing but which commit is looked at: its files, its author and
//! whether it is the newest of the branch are asked of the repository. So an old delivery that is
//! sent again does not bring an old commit back.

mod proof;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use delivery::project::files::Folder;
use delivery::{Delivery, DeliveryError, NewPipeline, Upload};
use knowledge::source::{Branch, Committed};
use release::{Digest, EnvironmentName, PrincipalId, Secret, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::Fault;
use workflow::engine::{Engine, Task, TaskCall, output};

use crate::api::{Api, Problem};
pub use proof::Forge;
use proof::{Push, Told};

/// The task's name.
const APPLY: &str = "git.apply";
/// The most bytes of what a forge sends.
const MAX_BODY: usize = 8 << 20;
/// How long it may take to send that.
const BODY: Duration = Duration::from_secs(30);
/// How many mistakes of a project are told.
const TOLD: usize = 20;
/// How many characters of a name stand in the name of an execution.
const SHOWN: usize = 24;

/// The branches that are followed, by name.
#[derive(Debug)]
pub struct Pushes(BTreeMap<String, Pushed>);

/// A branch that is followed.
#[derive(Debug)]
pub struct Pushed {
    /// Who tells of pushes.
    pub forge: Forge,
    /// What it proves itself with.
    pub secret: Secret,
    /// The branch.
    pub branch: String,
    /// Where its commits are read.
    pub source: Branch,
    /// The tenant that the project is applied for.
    pub tenant: TenantId,
    /// The last environment that candidates go to by themselves.
    pub pipeline: Option<EnvironmentName>,
    /// For how long such a pipeline waits.
    pub wait_seconds: u64,
    /// One commit at a time.
    pub turn: tokio::sync::Mutex<()>,
}

/// `git.apply`: applies the project of a followed branch at a commit, if that is its newest.
#[derive(Debug)]
pub struct ApplyTask {
    /// The branches.
    pub pushes: Arc<Pushes>,
    /// Where projects are applied.
    pub delivery: Delivery,
    /// Does the pipelines.
    pub engine: OnceLock<Engine>,
}

/// What is applied.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    /// The branch, by its name in `server.toml`.
    name: String,
    /// The commit.
    commit: String,
}

impl Pushes {
    /// What is followed, by name.
    pub fn new(pushed: BTreeMap<String, Pushed>) -> Self {
        Self(pushed)
    }
}

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    Router::new().route("/hooks/git/{name}", post(pushed)).with_state(api)
}

async fn pushed(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match begin(&api, &name, &headers, body).await {
        Ok(begun) => (StatusCode::ACCEPTED, Json(begun)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Has a push applied, once however often it is told of.
async fn begin(api: &Api, name: &str, headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    let found = api.pushes.0.get(name);
    let followed = found.ok_or_else(|| Problem::not_found("there is no such hook"))?;
    let read = tokio::time::timeout(BODY, to_bytes(body, MAX_BODY)).await;
    let read = read.map_err(|_| Problem::bad_request("the body did not come in time"))?;
    let too_large = |_| Problem::bad_request(format!("the body exceeds {MAX_BODY} bytes"));
    let body = read.map_err(too_large)?;
    if !followed.forge.proves(&followed.secret, headers, &body) {
        return Err(Problem::unproven());
    }
    let push = match followed.forge.read(headers, &body).map_err(Problem::bad_request)? {
        Told::Push(push) if push.reference == format!("refs/heads/{}", followed.branch) => push,
        Told::Push(_) => return Ok(json!({"ignored": "it is another branch"})),
        Told::Gone => return Ok(json!({"ignored": "the branch is gone"})),
        Told::Other => return Ok(json!({"ignored": "it is no push"})),
    };
    let Push { before, after, .. } = push;
    let actor = PrincipalId::service(&format!("git.{name}"));
    let actor = actor.map_err(|error| Problem::internal(error.to_string()))?;
    let engine = api.workflows.tenant(&followed.tenant, actor);
    let which = Digest::of_fields([before.as_bytes(), after.as_bytes()]).short();
    let shown = name.get(..SHOWN).unwrap_or(name);
    let execution = format!("{shown}-{}-{which}", after.get(..12).unwrap_or(&after));
    let input = json!({"name": name, "commit": after});
    // Whoever sends it again wants it tried again.
    let begun = engine.do_task_or_go_on(APPLY, execution, input).await?;
    Ok(json!({"execution": begun.key}))
}

#[async_trait]
impl Task for ApplyTask {
    fn name(&self) -> &'static str {
        APPLY
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Apply { name, commit } = call.read()?;
        let followed = self.pushes.0.get(&name).filter(|it| it.tenant == call.tenant);
        let unknown = || Fault::new("Groundcrew.NotFound", format!("there is no `[git.{name}]`"));
        let followed = followed.ok_or_else(unknown)?;
        if !proof::is_commit(&commit) {
            return Err(Fault::new("Groundcrew.BadInput", format!("`{commit}` is no commit")));
        }
        let _turn = followed.turn.lock().await;
        let own = |path: &str| {
            let first = path.split('/').next().unwrap_or_default();
            path == "groundcrew.toml" || Folder::NAMES.contains(&first)
        };
        let wanted = |path: &str| Folder::of(path).is_some();
        let reading = followed.source.read(&commit, (own, wanted));
        let telling = format!("fetching {commit}");
        let read = call.progress.telling(|| telling.clone(), reading).await;
        let read =
            read.map_err(|why| Fault::new("Groundcrew.Failed", format!("`{name}`: {why}")))?;
        let Some(Committed { files, author, subject }) = read else {
            return Ok(json!({"commit": commit, "outcome": "overtaken",
                "why": format!("it is not the newest commit of `{}`", followed.branch)}));
        };
        let delivery = self.delivery.tenant(&call.tenant, call.actor.clone());
        let upload = Upload {
            files,
            commit: Some(commit.clone()),
            commit_author: Some(author),
            reason: subject,
            ..Upload::default()
        };
        let applied = delivery.apply(&upload).await.map_err(mistakes)?;
        let mut pipelines = Vec::new();
        if let Some(to) = &followed.pipeline {
            let engine = self.engine.get();
            let none = || Fault::new("Groundcrew.Failed", "nothing does pipelines here".to_owned());
            let engine = engine.ok_or_else(none)?.tenant(&call.tenant, call.actor.clone());
            let apps = delivery.apps().await?.into_iter();
            for app in apps.filter(|app| app.project == applied.project && app.head.is_some()) {
                let wish = NewPipeline {
                    app: app.name,
                    release: app.head.map(|head| head.to_string()),
                    to: Some(to.clone()),
                    wait_seconds: followed.wait_seconds,
                };
                pipelines.push(delivery.begin_pipeline(&engine, &wish).await?.key);
            }
        }
        let mut told = output(&applied)?;
        told["commit"] = commit.into();
        told["outcome"] = "applied".into();
        told["pipelines"] = output(&pipelines)?;
        Ok(told)
    }
}

/// A project's mistakes, each with its place.
fn mistakes(error: DeliveryError) -> Fault {
    let DeliveryError::Project(found) = &error else { return error.into() };
    let told = found.iter().take(TOLD).map(|finding| format!("\n{finding}"));
    let more = found.len().saturating_sub(TOLD);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    let cause = format!("{error}{}{more}", told.collect::<String>());
    Fault::new("Groundcrew.BadInput", cause)
}

#[cfg(test)]
mod tests;
