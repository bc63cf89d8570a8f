//! The pipeline: a candidate goes from environment to environment, as far as the gates let it.
//!
//! ```text
//!  for each environment, first to last:
//!    standing ──► live, held, overtaken, rolling out, or before the gates
//!    gates ─────► step::decide: evaluate, wait, enter, or an end
//!    enter ─────► a move or a rollout, which is waited for
//! ```
//!
//! Nothing is kept for it: how far a candidate is stands in deployment logs, gates, rollouts and
//! evaluations. So one that is begun again, after a crash or for the same commit, goes on from there,
//! and pays for no evaluation twice.

mod report;
mod standing;
mod step;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use release::{AppName, DeploymentEntry, Digest, EnvironmentError, EnvironmentName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::engine::{
    Engine, EngineError, ExecutionRecord, Task, TaskCall, TenantEngine, output,
};
use workflow::{Fault, Status};

use crate::catalog::{AppRecord, ReleaseRecord};
use crate::tasks::{AbortOnDrop, OFTEN, how_far};
use crate::{Delivery, DeliveryError, Promotion, TenantDelivery};

pub use report::{Outcome, PipelineReport, Stage, StageState};
use standing::{MissingRun, Standing};
use step::Step;

/// The task's name.
pub const PIPELINE: &str = "pipeline.run";
/// How often gates that need time are looked at.
const LOOK: Duration = Duration::from_secs(3);
/// After how many looks in a row at gates that cannot be looked at it ends.
const TROUBLES: u32 = 5;
/// How often one release's pipelines to one environment are counted at most.
const MOST: u32 = 10_000;
/// The most seconds that one may wait: 30 days.
pub const MOST_SECONDS: u64 = 30 * 86_400;
/// How many characters of an app's or a suite's name stand in the name of an execution.
const SHOWN: usize = 32;

/// A candidate that is to go through the environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPipeline {
    /// The app.
    pub app: AppName,
    /// The release: a change, a sequence number or a digest; the newest candidate if absent.
    #[serde(default)]
    pub release: Option<String>,
    /// The last environment that it is to enter; the app's last if absent.
    #[serde(default)]
    pub to: Option<EnvironmentName>,
    /// For how many seconds it waits for what needs time, at most 30 days.
    #[serde(default = "half_an_hour")]
    #[schemars(range(max = 2_592_000))]
    pub wait_seconds: u64,
}

const fn half_an_hour() -> u64 {
    1_800
}

impl TenantDelivery {
    /// Has a candidate go through the environments: the execution that does it. One of the same
    /// release to the same environment that is under way is joined.
    ///
    /// # Errors
    /// If the app, release or environment is unknown, or it cannot be started.
    pub async fn begin_pipeline(
        &self,
        engine: &TenantEngine,
        wish: &NewPipeline,
    ) -> Result<ExecutionRecord, DeliveryError> {
        let app = self.app(&wish.app).await?.value;
        let release = self.wanted(&app, wish.release.as_deref()).await?.release;
        let to = last(&app, wish.to.as_ref())?;
        let wait_seconds = wish.wait_seconds.min(MOST_SECONDS);
        let input = json!({
            "app": app.name, "release": release, "to": to, "wait_seconds": wait_seconds,
        });
        let fields = [release.digest().to_hex(), to.to_string()];
        let which = Digest::of_fields(fields.iter().map(String::as_bytes)).short();
        for number in 1..MOST {
            let name = format!("{}-{which}-{number}", cut(app.name.as_str()));
            match engine.do_task_once(PIPELINE, name, input.clone()).await {
                Err(EngineError::Exists(key)) => {
                    // It may wait for another time.
                    let known = engine.execution(&key).await?;
                    if known.run.status == Status::Running {
                        return Ok(known);
                    }
                }
                begun => return Ok(begun?),
            }
        }
        Err(DeliveryError::Busy("a pipeline"))
    }
}

/// `pipeline.run`: has a candidate go through the environments. What it waits for needs only time;
/// where a person must act it ends, and says what is to be done.
#[derive(Debug)]
pub struct PipelineTask {
    delivery: Delivery,
    /// Does the evaluations.
    engine: OnceLock<Engine>,
}

/// A candidate on its way.
struct Run<'a> {
    call: &'a TaskCall,
    delivery: TenantDelivery,
    app: AppRecord,
    release: ReleaseRecord,
    until: Timestamp,
}

impl PipelineTask {
    /// The task; [`PipelineTask::engine`] says who does evaluations.
    pub fn new(delivery: Delivery) -> Self {
        Self { delivery, engine: OnceLock::new() }
    }

    /// Evaluations are executions of this engine, which has this task.
    pub fn engine(&self, engine: Engine) {
        self.engine.get_or_init(|| engine);
    }

    /// Waits until the release is live in `environment`, or cannot be.
    async fn pass(&self, run: &Run<'_>, environment: &EnvironmentName) -> Result<Stage, Fault> {
        let mut stage = Stage::new(environment.clone());
        let mut troubles = 0;
        let mut _aborts = None;
        loop {
            let pause = match run.delivery.standing(run, environment).await? {
                Standing::Live { since } => {
                    return Ok(stage.live(since));
                }
                Standing::Ended { state, why, next } => return Ok(stage.ended(state, why, next)),
                Standing::RollingOut(rollout) => {
                    stage.rollout = Some(rollout.id.clone());
                    stage.why = how_far(&rollout);
                    OFTEN
                }
                Standing::Occupied(why) => {
                    stage.why = why;
                    LOOK
                }
                Standing::Before(looked, missing) => {
                    stage.gates.clone_from(&looked.report.gates);
                    match step::decide(&looked.report, missing) {
                        Step::Enter => match run.enter(environment).await? {
                            Some(moved) => {
                                _aborts = AbortOnDrop::of(&moved, run.call, &run.delivery);
                                continue;
                            }
                            None => LOOK,
                        },
                        Step::Evaluate(wanted) => {
                            for missing in wanted {
                                let told = self.evaluate(run, environment, &missing).await;
                                stage.evaluations.push(told?);
                            }
                            continue;
                        }
                        Step::Wait(why) => {
                            (stage.why, troubles) = (why, 0);
                            LOOK
                        }
                        Step::Trouble(why) if troubles < TROUBLES => {
                            (stage.why, troubles) = (why, troubles + 1);
                            LOOK
                        }
                        Step::Trouble(why) | Step::Fail(why) => {
                            return Ok(stage.ended(StageState::Failed, why, None));
                        }
                        Step::Ask(why, next) => {
                            return Ok(stage.ended(StageState::Waiting, why, Some(next)));
                        }
                    }
                }
            };
            if run.delivery.clock.now() >= run.until {
                let why = format!("the time ran out: {}", stage.why);
                return Ok(stage.ended(StageState::Waiting, why, None));
            }
            run.call.progress.tell(&format!("{environment}: {}", stage.why)).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Has a suite asked, in an execution of its own that others may wait for too; the name of the
    /// evaluation.
    async fn evaluate(
        &self,
        run: &Run<'_>,
        environment: &EnvironmentName,
        missing: &MissingRun,
    ) -> Result<String, Fault> {
        let engine =
            self.engine.get().ok_or_else(|| failed("nothing evaluates here".to_owned()))?;
        let engine = engine.tenant(&run.call.tenant, run.call.actor.clone());
        let MissingRun { suite, version, release, attempt, .. } = missing;
        let fields = [version.to_hex(), release.digest().to_hex(), attempt.to_string()];
        let which = Digest::of_fields(fields.iter().map(String::as_bytes)).short();
        let name = format!("{}-{}-{which}", cut(suite.as_str()), release.short());
        let input = json!({
            "suite": suite, "app": run.app.name, "release": release, "environment": environment,
        });
        let broken = |error: EngineError| failed(error.to_string());
        // What was paid for is not paid for again.
        let begun = engine.do_task_or_go_on("eval.run", name, input).await.map_err(broken)?;
        let ended = async {
            let ended = engine.ended(&begun.key).await.map_err(broken)?;
            let outcome = ended.run.outcome.as_ref();
            if ended.run.status == Status::Succeeded {
                let id = outcome.and_then(|outcome| outcome.output.as_ref()?["id"].as_str());
                return Ok(id.unwrap_or_default().to_owned());
            }
            let cause = outcome.and_then(|outcome| outcome.fault.as_ref()?.cause.as_deref());
            let what = format!("execution `{}` is {}", ended.key, ended.run.status.as_str());
            Err(failed(format!("{what}: {}", cause.unwrap_or_default())))
        };
        let telling = format!("{environment}: asking {suite} of {}", release.short());
        run.call.progress.telling(|| telling.clone(), ended).await
    }
}

#[async_trait]
impl Task for PipelineTask {
    fn name(&self) -> &'static str {
        PIPELINE
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let wish: NewPipeline = call.read()?;
        let delivery = self.delivery.tenant(&call.tenant, call.actor.clone());
        let app = delivery.app(&wish.app).await?.value;
        let release = delivery.wanted(&app, wish.release.as_deref()).await?;
        let to = last(&app, wish.to.as_ref())?;
        let change = delivery.change(&release.change).await?;
        let wait = Duration::from_secs(wish.wait_seconds.min(MOST_SECONDS));
        let until = call.since.checked_add(wait).unwrap_or(Timestamp::MAX);
        let mut environments = app.environments.clone();
        let place = environments.iter().position(|environment| *environment == to);
        environments.truncate(place.map_or(0, |place| place + 1));
        let mut report = PipelineReport::new(&change, &release, to);
        let run = Run { call: &call, delivery, app, release, until };
        for environment in environments {
            let stage = match report.outcome {
                Outcome::Live => self.pass(&run, &environment).await?,
                _ => Stage::new(environment),
            };
            report.add(stage);
        }
        output(&report)
    }
}

impl Run<'_> {
    /// Promotes; none if something came between.
    async fn enter(&self, environment: &EnvironmentName) -> Result<Option<DeploymentEntry>, Fault> {
        let wish = Promotion {
            app: self.app.name.clone(),
            environment: environment.clone(),
            release: Some(self.release.release.to_string()),
            expected: None,
            now: false,
        };
        match self.delivery.promote_once(&wish).await {
            Ok(moved) => Ok(Some(moved)),
            // It is looked at again how it stands.
            Err(
                DeliveryError::NotEligible { .. }
                | DeliveryError::RolloutUnderWay(_)
                | DeliveryError::ExperimentUnderWay(_)
                | DeliveryError::Environment(
                    EnvironmentError::Held { .. } | EnvironmentError::Occupied { .. },
                ),
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The environment that a pipeline ends in.
fn last(app: &AppRecord, to: Option<&EnvironmentName>) -> Result<EnvironmentName, DeliveryError> {
    let wanted = match to {
        Some(to) => app.environments.iter().find(|environment| *environment == to),
        None => app.environments.last(),
    };
    let unknown = || {
        let environment = to.cloned().or_else(|| app.environments.first().cloned());
        match environment {
            Some(environment) => {
                DeliveryError::UnknownEnvironment { app: app.name.clone(), environment }
            }
            None => DeliveryError::UnknownApp(app.name.clone()),
        }
    };
    wanted.cloned().ok_or_else(unknown)
}

/// The beginning of a name.
fn cut(name: &str) -> &str {
    name.get(..SHOWN).unwrap_or(name)
}

fn failed(why: String) -> Fault {
    Fault::new("Groundcrew.Failed", why)
}

#[cfg(test)]
mod tests;
