//! What workflows can have done with backups.

use async_trait::async_trait;
use release::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use workflow::Fault;
use workflow::engine::{Task, TaskCall};

use super::{BackupTrouble, Keeper, Which};

/// How often it is told that work goes on.
const OFTEN: Duration = Duration::from_secs(1);

/// `backup.take`: takes a backup, copies it and deletes old ones. One that is done twice copies
/// little the second time.
#[derive(Debug)]
pub struct TakeTask(pub Keeper);

/// `backup.drill`: proves a backup. It fails when the backup does.
#[derive(Debug)]
pub struct DrillTask(pub Keeper);

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[async_trait]
impl Task for TakeTask {
    fn name(&self) -> &'static str {
        "backup.take"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let Nothing {} = input(&call)?;
        telling(&call, "backing up", self.0.take(&call.actor)).await
    }
}

#[async_trait]
impl Task for DrillTask {
    fn name(&self) -> &'static str {
        "backup.drill"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let which: Which = input(&call)?;
        telling(&call, "restoring and comparing", self.0.drill(&which, &call.actor)).await
    }
}

/// The input, if the tenant is the one that has the installation's tasks.
fn input<T: DeserializeOwned>(call: &TaskCall) -> Result<T, Fault> {
    let bad = |why: String| Fault::new("Groundcrew.BadInput", why);
    if call.tenant != TenantId::DEFAULT {
        let own = TenantId::DEFAULT;
        return Err(bad(format!("backups are the installation's, which the tenant `{own}` keeps")));
    }
    serde_json::from_value(call.input.clone())
        .map_err(|error| bad(format!("the input does not fit: {error}")))
}

async fn telling<T: Serialize>(
    call: &TaskCall,
    what: &str,
    work: impl Future<Output = Result<T, BackupTrouble>>,
) -> Result<Value, Fault> {
    let telling = async {
        loop {
            tokio::time::sleep(OFTEN).await;
            call.progress.tell(what).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        never = telling => never,
    };
    let done = done.map_err(|trouble| Fault::new(trouble.name(), trouble.to_string()))?;
    serde_json::to_value(done).map_err(|error| Fault::new("Groundcrew.Failed", error.to_string()))
}

impl BackupTrouble {
    /// The error that Retry and Catch see.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unconfigured | Self::NoReplica => "Groundcrew.BadInput",
            Self::None | Self::Backup(store::BackupError::Unknown(_)) => "Groundcrew.NotFound",
            Self::Busy => "Groundcrew.Conflict",
            Self::Drill(_) => "Groundcrew.DrillFailed",
            _ => "Groundcrew.Failed",
        }
    }
}
