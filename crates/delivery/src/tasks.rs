//! The release path's long pieces of work, as workflows have them done.

use async_trait::async_trait;
use release::{AppName, ArtifactName, EnvironmentName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::Fault;
use workflow::engine::{Task, TaskCall};

use crate::{Delivery, DeliveryError, Promotion};

/// `knowledge.refresh`: reads a knowledge base's sources anew. Content decides what comes of it, so
/// doing it twice changes nothing more.
#[derive(Debug)]
pub struct RefreshTask(pub Delivery);

/// `release.promote`: makes a release the stable one of an environment. If it is that already,
/// nothing moves.
#[derive(Debug)]
pub struct PromoteTask(pub Delivery);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    knowledge: ArtifactName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    app: AppName,
    environment: EnvironmentName,
    /// A change, a sequence number or a digest; the newest candidate if absent.
    release: Option<String>,
}

#[async_trait]
impl Task for RefreshTask {
    fn name(&self) -> &'static str {
        "knowledge.refresh"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Refresh { knowledge } = input(&call)?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        output(&delivery.refresh(&knowledge).await.map_err(failed)?)
    }
}

#[async_trait]
impl Task for PromoteTask {
    fn name(&self) -> &'static str {
        "release.promote"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Promote { app, environment, release } = input(&call)?;
        let delivery = self.0.tenant(&call.tenant, call.actor);
        let wish = Promotion { app, environment, release, expected: None };
        output(&delivery.promote_once(&wish).await.map_err(failed)?)
    }
}

fn input<T: DeserializeOwned>(call: &TaskCall) -> Result<T, Fault> {
    serde_json::from_value(call.input.clone()).map_err(|error| {
        Fault::new("Groundcrew.BadInput", format!("the input does not fit: {error}"))
    })
}

fn output(value: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|error| Fault::new("Groundcrew.Failed", error.to_string()))
}

/// The failure as Retry and Catch see it: what waiting may cure is told apart.
fn failed(error: DeliveryError) -> Fault {
    let name = match &error {
        DeliveryError::UnknownApp(_)
        | DeliveryError::UnknownEnvironment { .. }
        | DeliveryError::UnknownRelease { .. }
        | DeliveryError::UnknownKnowledge(_) => "Groundcrew.NotFound",
        DeliveryError::Environment(_) | DeliveryError::Unusable { .. } => "Groundcrew.Refused",
        _ => "Groundcrew.Failed",
    };
    Fault::new(name, error.to_string())
}
