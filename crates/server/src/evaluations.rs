//! Evaluations: a suite is asked of a release, the way clients ask, and what comes back is scored.
//!
//! ```text
//!  eval.run ─► plan, ledger (delivery) ─► evaluation::run ─┬─► Candidate ─► the request path
//!                                                          ├─► Judging, Embedding, Personal, Outside
//!                                                          └─► record, blob (delivery)
//! ```

mod answerer;
mod engines;
mod judge;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use cost::PriceBook;
use delivery::{Delivery, EvaluationPlan, EvaluationRecord, NewEvaluation, TenantDelivery};
use evaluation::run::{Handles, Plan, Progress, run};
use evaluation::scorers::Engines;
use evaluation::suite::EmbedderSpec;
use gateway::{Gateway, Loader};
use knowledge::{EmbeddingSpec, KnowledgeModels};
use models::{ModelSpec, Providers};
use release::{ArtifactRef, CanonicalJson, Clock};
use serde_json::{Value, json};
use tokio::sync::watch;
use workflow::Fault;
use workflow::engine::{Task, TaskCall, output};

use crate::connections::Connections;
use crate::functions::Functions;
use answerer::Candidate;
use engines::{Embedding, Outside, Personal};
use judge::Judging;

/// `eval.run`: asks a suite of a release and keeps what comes of it. Begun again after a crash it
/// goes on with what was not paid for yet.
pub struct EvaluateTask {
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
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for EvaluateTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvaluateTask").finish_non_exhaustive()
    }
}

#[async_trait]
impl Task for EvaluateTask {
    fn name(&self) -> &'static str {
        "eval.run"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let wish: NewEvaluation = call.read()?;
        let delivery = self.delivery.tenant(&call.tenant, call.actor.clone());
        let record = match delivery.begin_evaluation(&wish, (&call.key, call.since)).await? {
            Some(plan) => self.evaluate(&call, &delivery, &plan).await?,
            // It was over, and the server was stopped before that was told.
            None => delivery.evaluation_of(&wish.suite, &call.key).await?,
        };
        output(&record)
    }
}

impl EvaluateTask {
    async fn evaluate(
        &self,
        call: &TaskCall,
        delivery: &TenantDelivery,
        plan: &EvaluationPlan,
    ) -> Result<EvaluationRecord, Fault> {
        let suite = delivery.open_suite(plan.suite.digest).await?;
        let suite = suite.with_repeats(plan.repeats).map_err(|wrong| bad(wrong.message))?;
        // Whoever is missing is told before anything is paid for.
        let judge = match &plan.suite.judge {
            Some(artifact) => Some(self.judge(delivery, (plan, call), artifact).await?),
            None => None,
        };
        let embedder = match &suite.file.embedder {
            Some(spec) => Some(self.embedder(call, spec).await?),
            None => None,
        };
        let loaded = self.loader.load(&call.tenant, plan.release).await;
        let loaded = loaded.map_err(|why| {
            let why = format!("release `{}` cannot answer: {why}", plan.release);
            Fault::new("Groundcrew.Unusable", why)
        })?;
        let asking = (Arc::clone(&self.gateway), self.loader.clone());
        let answerer = Candidate::new(asking, plan, (&call.tenant, &call.actor), loaded);
        let outside = Outside {
            functions: Arc::clone(&self.functions),
            connections: Arc::clone(&self.connections),
            tenant: call.tenant.clone(),
        };
        let instructions = delivery.instructions(plan.release).await?;
        let engines = Engines {
            instructions: Some(&instructions),
            judge: judge.as_ref().map(|judge| judge as _),
            embeds: embedder.as_ref().map(|embedder| embedder as _),
            personal: Some(&Personal),
            external: Some(&outside),
        };
        let ledger = delivery.evaluation_ledger(plan);
        let (told, far) = watch::channel(None);
        let progress = |progress: Progress| {
            told.send_replace(Some(progress));
        };
        let handles = Handles {
            answerer: &answerer,
            engines,
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

    async fn judge(
        &self,
        delivery: &TenantDelivery,
        (plan, call): (&EvaluationPlan, &TaskCall),
        artifact: &ArtifactRef,
    ) -> Result<Judging, Fault> {
        let bytes = delivery.artifact_bytes(&artifact.digest).await?;
        let spec = CanonicalJson::from_stored(bytes.to_vec()).map_err(|error| error.to_string());
        let spec =
            spec.and_then(|json| json.read::<ModelSpec>().map_err(|error| error.to_string()));
        let spec = spec.map_err(|why| bad(format!("the judge `{artifact}`: {why}")))?;
        let provider = spec.provider.as_str();
        let bound = self.providers.resolve(&call.tenant, &plan.environment, provider);
        let bound = bound.map_err(|error| bad(format!("the judge: {error}")))?;
        Ok(Judging::new(bound, spec, artifact, (self.prices.clone(), Arc::clone(&self.clock))))
    }

    async fn embedder(&self, call: &TaskCall, spec: &EmbedderSpec) -> Result<Embedding, Fault> {
        let EmbedderSpec { provider, model } = spec;
        let spec: EmbeddingSpec = serde_json::from_value(json!({
            "provider": provider, "model": model,
        }))
        .map_err(|error| bad(format!("the embedder: {error}")))?;
        let opened = self.models.embedder(&call.tenant, &spec, None).await;
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
