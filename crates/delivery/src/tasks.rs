//! The release path's long pieces of work, as workflows have them done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use knowledge::Watch;
use release::{AppName, DeploymentEntry, EnvironmentName, Move};
use serde::Deserialize;
use serde_json::{Map, Value};
use workflow::Fault;
use workflow::engine::{Progress, Task, TaskCall, output};

use crate::rollout::{CannotSteer, Event, Rollout, State};
use crate::{Delivery, DeliveryError, Promotion, Proposal, Refresh, TenantDelivery};

/// How many documents of a kind the result of a refresh names at most.
const NAMED: usize = 1_000;
/// How many bytes they have, about, at most: four kinds of them fit into a result.
const SHOWN: usize = 48 << 10;
/// How often it is looked how far a rollout is.
pub(crate) const OFTEN: Duration = Duration::from_secs(1);

/// `knowledge.refresh`: reads a knowledge base's sources anew. Content decides what comes of it, so
/// doing it twice changes nothing more.
#[derive(Debug)]
pub struct RefreshTask(pub Delivery);

/// `release.propose`: makes what fills an app's slots a candidate, unless its newest one has exactly
/// these; either way it tells which release that is.
#[derive(Debug)]
pub struct ProposeTask(pub Delivery);

/// `release.promote`: makes a release the stable one of an environment. In a workflow it is
/// automation: if it is that already nothing moves, what is held stays held, and a rollout is waited
/// for to its end; one that it began is aborted if it is stopped. As a person's own deed it begins
/// one and is done.
#[derive(Debug)]
pub struct PromoteTask(pub Delivery);

/// Stops the work it looks at when it is dropped.
struct StopOnDrop(Arc<Watch>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Aborts the rollout that a task began when it is dropped, if that is since nobody wants the task
/// any more. A server that stops drops its tasks too: those are taken up again.
pub(crate) struct AbortOnDrop {
    delivery: TenantDelivery,
    progress: Progress,
    rollout: String,
}

impl AbortOnDrop {
    /// None if the move began no rollout, or somebody else made it.
    pub fn of(moved: &DeploymentEntry, call: &TaskCall, delivery: &TenantDelivery) -> Option<Self> {
        let Move::Plan { to: Some(plan) } = &moved.r#move else { return None };
        let own = moved.actor == call.actor && moved.at >= call.since;
        own.then(|| Self {
            delivery: delivery.clone(),
            progress: call.progress.clone(),
            rollout: plan.id.0.clone(),
        })
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        // Without a runtime the server has stopped.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Self { delivery, progress, rollout } = self;
        let (delivery, progress) = (delivery.clone(), progress.clone());
        let rollout = std::mem::take(rollout);
        runtime.spawn(async move {
            if progress.is_wanted().await {
                return;
            }
            let event = Event::Abort("the task that began it was stopped".to_owned());
            match delivery.steer(&rollout, &event).await {
                // It is over already.
                Ok(_) | Err(DeliveryError::CannotSteer(CannotSteer { .. })) => {}
                Err(error) => {
                    tracing::error!(rollout, %error, "a rollout could not be aborted with its task");
                }
            }
        });
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Propose {
    app: AppName,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    app: AppName,
    environment: EnvironmentName,
    /// A change, a sequence number or a digest; the newest candidate if absent.
    release: Option<String>,
    /// The environment's generation that the caller looked at, if it insists on it.
    expected: Option<u64>,
    /// Whether it goes live at once, whatever the app's rules say.
    #[serde(default)]
    now: bool,
}

#[async_trait]
impl Task for RefreshTask {
    fn name(&self) -> &'static str {
        "knowledge.refresh"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let wish: Refresh = call.read()?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        let watch = Arc::new(Watch::default());
        // A refresh that is not wanted any more does not read on in its own thread.
        let _stops = StopOnDrop(Arc::clone(&watch));
        let refreshing = delivery.refresh(&wish, &watch);
        let mut refreshed = call.progress.telling(|| watch.to_string(), refreshing).await?;
        delivery.compact_worn(&mut refreshed).await;
        let mut refreshed = output(&refreshed)?;
        shorten(&mut refreshed["report"]);
        Ok(refreshed)
    }
}

#[async_trait]
impl Task for ProposeTask {
    fn name(&self) -> &'static str {
        "release.propose"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Propose { app, reason } = call.read()?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        let proposal = Proposal { reason, ..Proposal::default() };
        output(&delivery.propose_app(&app, &proposal).await?)
    }
}

#[async_trait]
impl Task for PromoteTask {
    fn name(&self) -> &'static str {
        "release.promote"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Promote { app, environment, release, expected, now } = call.read()?;
        let delivery = self.0.tenant(&call.tenant, call.actor.clone());
        let wish = Promotion { app, environment, release, expected, now };
        if call.by_hand {
            return output(&delivery.promote_since(&wish, call.since).await?);
        }
        let moved = delivery.promote_once(&wish).await?;
        let _aborts = AbortOnDrop::of(&moved, &call, &delivery);
        let Move::Plan { to: Some(plan) } = &moved.r#move else { return output(&moved) };
        let rollout = loop {
            let rollout = delivery.rollout(&plan.id.0).await?;
            if rollout.state.is_over() {
                break rollout;
            }
            call.progress.tell(&how_far(&rollout)).await;
            tokio::time::sleep(OFTEN).await;
        };
        match rollout.state {
            State::Completed => {
                let release = Some(rollout.candidate.to_string());
                output(&delivery.promote_once(&Promotion { release, ..wish }).await?)
            }
            state => {
                let why = rollout.passed.last().map_or("", |passed| passed.why.as_str());
                let said = format!("rollout `{}` is {}: {why}", rollout.id, state.as_str());
                Err(Fault::new("Groundcrew.NotPromoted", said))
            }
        }
    }
}

/// How far a rollout is, in a line.
pub(crate) fn how_far(rollout: &Rollout) -> String {
    let (step, steps) = (rollout.state.step().unwrap_or_default() + 1, rollout.rules.steps.len());
    let state = rollout.state.as_str();
    match &rollout.looked {
        Some(looked) => format!("{}: {state}, step {step} of {steps}; {}", rollout.id, looked.why),
        None => format!("{}: {state}, step {step} of {steps}", rollout.id),
    }
}

/// Leaves names of documents out of a report that has more than a result can hold, and says how
/// many; the event log has them all.
fn shorten(report: &mut Value) {
    let mut left_off = Map::new();
    for list in ["added", "changed", "removed", "skipped"] {
        let Some(names) = report.get_mut(list).and_then(Value::as_array_mut) else { continue };
        let (mut kept, mut bytes) = (0, 0);
        while let Some(name) = names.get(kept).filter(|_| kept < NAMED && bytes < SHOWN) {
            bytes += name.to_string().len();
            kept += 1;
        }
        if kept < names.len() {
            left_off.insert(list.to_owned(), (names.len() - kept).into());
            names.truncate(kept);
        }
    }
    if !left_off.is_empty() {
        report["left_off"] = left_off.into();
    }
}

impl From<DeliveryError> for Fault {
    /// The failure as Retry and Catch see it: what waiting may cure is told apart.
    fn from(error: DeliveryError) -> Self {
        Self::new(error.name(), error.to_string())
    }
}

#[cfg(test)]
mod tests;
