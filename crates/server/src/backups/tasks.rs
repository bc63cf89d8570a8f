//! What workflows can have done with backups.

use async_trait::async_trait;
use release::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use workflow::Fault;
use workflow::engine::{Task, TaskCall, output};

use super::{BackupTrouble, Keeper, Which};

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
    if call.tenant != TenantId::DEFAULT {
        let own = TenantId::DEFAULT;
        let why = format!("backups are the installation's, which the tenant `{own}` keeps");
        return Err(Fault::new("Groundcrew.BadInput", why));
    }
    call.read()
}

async fn telling<T: Serialize>(
    call: &TaskCall,
    what: &str,
    work: impl Future<Output = Result<T, BackupTrouble>>,
) -> Result<Value, Fault> {
    let done = call.progress.telling(|| what.to_owned(), work).await;
    output(&done.map_err(|trouble| Fault::new(trouble.name(), trouble.to_string()))?)
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
