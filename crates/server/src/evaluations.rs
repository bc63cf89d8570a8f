//! Evaluations: a suite is asked of a release, the way clients ask, and what comes back is scored.
//!
//! ```text
//!  eval.run ─► plan, ledger (delivery) ─► evaluation::run ─┬─► Candidate ─► the request path
//!                                                          ├─► Judging, Embedding, Personal, Outside
//!                                                          └─► record, blob (delivery)
//! ```
//!
//! A [`replay`] asks one recorded request again, with the same parts.

mod answerer;
mod draw;
mod engines;
mod judge;
pub mod recorded;
pub mod replay;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use cost::PriceBook;
use delivery::{
    Delivery, EvaluationPlan, EvaluationRecord, NewEvaluation, SavedSuite, TenantDelivery,
};
use evaluation::run::{Handles, Plan, Progress, run};
use evaluation::scorers::Engines;
use evaluation::suite::{EmbedderSpec, Suite};
use gateway::{Gateway, Loaded, Loader};
use knowledge::{EmbeddingSpec, KnowledgeModels};
use models::{ModelSpec, Providers};
use monitoring::query::Queries;
use release::{ArtifactRef, CanonicalJson, Clock, EnvironmentName, ReleaseDigest, TenantId};
use serde_json::{Value, json};
use tokio::sync::watch;
use workflow::Fault;
use workflow::engine::{Task, TaskCall, output};

use crate::connections::Connections;
use crate::functions::Functions;
use answerer::Candidate;
use engines::{Embedding, Outside, Personal};
use judge::Judging;

/// Who answers and who scores, for evaluations and replays.
pub struct Evaluations {
    /// Where suites, ledgers and results are kept.
    pub delivery: Delivery,
    /// Answers.
    pub gateway: Arc<Gateway>,
    /// Loads releases that need not be live.
    pub loader: Loader,
    /// Who judges.
    pub providers: Arc<Providers>,
    /// What judges cost.
    pub prices: PriceBook,
    /// Who embeds.
    pub models: Arc<dyn KnowledgeModels>,
    /// Scorers outside, as commands and addresses.
    pub functions: Arc<Functions>,
    /// Scorers outside, as connections.
    pub connections: Arc<Connections>,
    /// Where answers are recorded.
    pub queries: Queries,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Evaluations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluations").finish_non_exhaustive()
    }
}

/// `eval.run`: asks a suite of a release and keeps what comes of it. Begun again after a crash it
/// goes on with what was not paid for yet.
#[derive(Debug)]
pub struct EvaluateTask(pub Arc<Evaluations>);

/// What the scorers of a suite ask, ready.
pub struct Bench {
    judge: Option<Judging>,
    embedder: Option<Embedding>,
    outside: Outside,
}

impl Bench {
    /// As scorers see it, of a release that was told these instructions.
    pub fn engines<'a>(&'a self, instructions: &'a str) -> Engines<'a> {
        Engines {
            judge: self.judge.as_ref().map(|judge| judge as _),
            embeds: self.embedder.as_ref().map(|embedder| embedder as _),
            personal: Some(&Personal),
            external: Some(&self.outside),
            instructions: Some(instructions),
        }
    }
}

#[async_trait]
impl Task for EvaluateTask {
    fn name(&self) -> &'static str {
        "eval.run"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let wish: NewEvaluation = call.read()?;
        let delivery = self.0.delivery.tenant(&call.tenant, call.actor.clone());
        let draw = match &wish.traces {
            Some(from) if !delivery.has_begun(&wish, &call.key).await? => {
                let environment = delivery.place_of(&wish.app, wish.environment.clone()).await?;
                let place = (&call.tenant, &wish.app, &environment);
                Some(self.0.draw(place, (from, call.since)).await?)
            }
            _ => None,
        };
        let record = match delivery.begin_evaluation(&wish, draw, (&call.key, call.since)).await? {
            Some(plan) => self.0.evaluate(&call, &delivery, &plan).await?,
            // It was over, and the server was stopped before that was told.
            None => delivery.evaluation_of(&wish.suite, &call.key).await?,
        };
        output(&record)
    }
}

impl Evaluations {
    async fn evaluate(
        &self,
        call: &TaskCall,
        delivery: &TenantDelivery,
        plan: &EvaluationPlan,
    ) -> Result<EvaluationRecord, Fault> {
        let suite = delivery.planned_suite(plan).await?;
        // Whoever is missing is told before anything is paid for.
        let place = (&call.tenant, &plan.environment);
        let bench = self.bench(delivery, place, (&plan.suite, &suite)).await?;
        let loaded = self.load(&call.tenant, plan.release).await?;
        let asking = (Arc::clone(&self.gateway), self.loader.clone());
        let answerer = Candidate::new(asking, plan, (&call.tenant, &call.actor), loaded);
        let instructions = delivery.instructions(plan.release).await?;
        let ledger = delivery.evaluation_ledger(plan);
        let (told, far) = watch::channel(None);
        let progress = |progress: Progress| {
            told.send_replace(Some(progress));
        };
        let handles = Handles {
            answerer: &answerer,
            engines: bench.engines(&instructions),
            ledger: &ledger,
            progress: &progress,
            // Whoever does not want it any more drops this future.
            cancelled: &AtomicBool::new(false),
        };
        let name = plan.suite.name.as_str();
        let running = run(Plan { name, suite: &suite, subject: &plan.release }, handles);
        let found = call.progress.telling(|| words(name, *far.borrow()), running).await;
        Ok(delivery.keep_evaluation(plan, found).await?)
    }

    /// A release, ready to answer.
    ///
    /// # Errors
    /// If something of it cannot be had.
    pub async fn load(&self, tenant: &TenantId, release: ReleaseDigest) -> Result<Loaded, Fault> {
        let loaded = self.loader.load(tenant, release).await;
        loaded.map_err(|why| {
            let why = format!("release `{release}` cannot answer: {why}");
            Fault::new("Groundcrew.Unusable", why)
        })
    }

    /// What the scorers of a suite ask; the judge by the providers of `environment`.
    ///
    /// # Errors
    /// If the judge or the embedder is not there.
    pub async fn bench(
        &self,
        delivery: &TenantDelivery,
        (tenant, environment): (&TenantId, &EnvironmentName),
        (saved, suite): (&SavedSuite, &Suite),
    ) -> Result<Bench, Fault> {
        let judge = match &saved.judge {
            Some(judge) => Some(self.judge(delivery, (tenant, environment), judge).await?),
            None => None,
        };
        let embedder = match &suite.file.embedder {
            Some(spec) => Some(self.embedder(tenant, spec).await?),
            None => None,
        };
        let outside = Outside {
            functions: Arc::clone(&self.functions),
            connections: Arc::clone(&self.connections),
            tenant: tenant.clone(),
        };
        Ok(Bench { judge, embedder, outside })
    }

    async fn judge(
        &self,
        delivery: &TenantDelivery,
        (tenant, environment): (&TenantId, &EnvironmentName),
        artifact: &ArtifactRef,
    ) -> Result<Judging, Fault> {
        let bytes = delivery.artifact_bytes(&artifact.digest).await?;
        let spec = CanonicalJson::from_stored(bytes.to_vec()).map_err(|error| error.to_string());
        let spec =
            spec.and_then(|json| json.read::<ModelSpec>().map_err(|error| error.to_string()));
        let spec = spec.map_err(|why| bad(format!("the judge `{artifact}`: {why}")))?;
        let provider = spec.provider.as_str();
        let bound = self.providers.resolve(tenant, environment, provider);
        let bound = bound.map_err(|error| bad(format!("the judge: {error}")))?;
        Ok(Judging::new(bound, spec, artifact, (self.prices.clone(), Arc::clone(&self.clock))))
    }

    async fn embedder(&self, tenant: &TenantId, spec: &EmbedderSpec) -> Result<Embedding, Fault> {
        let EmbedderSpec { provider, model } = spec;
        let spec: EmbeddingSpec = serde_json::from_value(json!({
            "provider": provider, "model": model,
        }))
        .map_err(|error| bad(format!("the embedder: {error}")))?;
        let opened = self.models.embedder(tenant, &spec, None).await;
        let opened = opened.map_err(|error| bad(format!("the embedder: {error}")))?;
        Ok(Embedding(opened.embedder))
    }
}

/// How far a run is, in a line.
fn words(name: &str, progress: Option<Progress>) -> String {
    let Some(Progress { done, planned, failed, spend }) = progress else {
        return format!("asking {name}");
    };
    let cost = spend.cost.map_or_else(String::new, |cost| format!(", {cost}"));
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {failed} with errors"),
    };
    format!("asking {name}: {done} of {planned} answers{failed}{cost}")
}

fn bad(why: String) -> Fault {
    Fault::new("Groundcrew.BadInput", why)
}

#[cfg(test)]
mod tests;
