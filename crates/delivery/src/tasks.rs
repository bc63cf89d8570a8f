//! The release path's long pieces of work, as workflows have them done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use knowledge::Watch;
use release::{AppName, EnvironmentName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use workflow::Fault;
use workflow::engine::{Task, TaskCall};

use crate::{Delivery, DeliveryError, Promotion, Proposal, Refresh};

/// How many documents of a kind the result of a refresh names at most.
const NAMED: usize = 1_000;
/// How many bytes they have, about, at most: four kinds of them fit into a result.
const SHOWN: usize = 48 << 10;
/// How often it is told how far a refresh is.
const OFTEN: Duration = Duration::from_secs(1);

/// `knowledge.refresh`: reads a knowledge base's sources anew. Content decides what comes of it, so
/// doing it twice changes nothing more.
#[derive(Debug)]
pub struct RefreshTask(pub Delivery);

/// `release.propose`: makes what fills an app's slots a candidate, unless its newest one has exactly
/// these; either way it tells which release that is.
#[derive(Debug)]
pub struct ProposeTask(pub Delivery);

/// `release.promote`: makes a release the stable one of an environment. In a workflow it is
/// automation: if it is that already nothing moves, and what is held stays held.
#[derive(Debug)]
pub struct PromoteTask(pub Delivery);

/// Stops the work it looks at when it is dropped.
struct StopOnDrop(Arc<Watch>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
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
}

#[async_trait]
impl Task for RefreshTask {
    fn name(&self) -> &'static str {
        "knowledge.refresh"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let wish: Refresh = input(&call)?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        let watch = Arc::new(Watch::default());
        // A refresh that is not wanted any more does not read on in its own thread.
        let _stops = StopOnDrop(Arc::clone(&watch));
        let telling = async {
            loop {
                tokio::time::sleep(OFTEN).await;
                call.progress.tell(&watch.to_string()).await;
            }
        };
        let refreshed = tokio::select! {
            refreshed = delivery.refresh(&wish, &watch) => refreshed,
            never = telling => never,
        };
        let mut refreshed = refreshed.map_err(failed)?;
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
        let Propose { app, reason } = input(&call)?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        let proposal = Proposal { commit: None, reason };
        output(&delivery.propose_app(&app, &proposal).await.map_err(failed)?)
    }
}

#[async_trait]
impl Task for PromoteTask {
    fn name(&self) -> &'static str {
        "release.promote"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Promote { app, environment, release, expected } = input(&call)?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        let wish = Promotion { app, environment, release, expected };
        let moved = match call.by_hand {
            true => delivery.promote_since(&wish, call.since).await,
            false => delivery.promote_once(&wish).await,
        };
        output(&moved.map_err(failed)?)
    }
}

pub(crate) fn input<T: DeserializeOwned>(call: &TaskCall) -> Result<T, Fault> {
    serde_json::from_value(call.input.clone()).map_err(|error| {
        Fault::new("Groundcrew.BadInput", format!("the input does not fit: {error}"))
    })
}

pub(crate) fn output(value: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|error| Fault::new("Groundcrew.Failed", error.to_string()))
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

/// The failure as Retry and Catch see it: what waiting may cure is told apart.
pub(crate) fn failed(error: DeliveryError) -> Fault {
    Fault::new(error.name(), error.to_string())
}

#[cfg(test)]
mod tests;
