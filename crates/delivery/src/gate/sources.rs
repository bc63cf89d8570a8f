//! What gates ask of the rest of the installation.

use async_trait::async_trait;
use monitoring::spent::Spent;
use release::{AppName, Currency, EnvironmentName, ReleaseDigest, TenantId, Timestamp};
use serde_json::Value;

/// A drill of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The backup.
    pub backup: String,
    /// When the drill ended.
    pub ended_at: Timestamp,
    /// How many faults it found.
    pub faults: usize,
}

/// What came of asking a function.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// It gave this.
    Value(Value),
    /// It failed, and said this.
    Failed(String),
}

/// What gates ask of the rest of the installation.
#[async_trait]
pub trait GateSources: std::fmt::Debug + Send + Sync {
    /// What the answers of a release in an environment cost since a moment.
    ///
    /// # Errors
    /// Why it is not known.
    async fn spent(
        &self,
        tenant: &TenantId,
        of: (&AppName, &EnvironmentName, ReleaseDigest),
        since: Timestamp,
        currency: Currency,
    ) -> Result<Spent, String>;

    /// The newest drill of a backup.
    ///
    /// # Errors
    /// Why it is not known.
    async fn drill(&self) -> Result<Option<Drill>, String>;

    /// Asks a function that the operator offers to the tenant.
    ///
    /// # Errors
    /// Why it could not be asked.
    async fn ask(
        &self,
        tenant: &TenantId,
        function: &str,
        payload: &Value,
    ) -> Result<Answered, String>;
}

/// Knows nothing.
#[derive(Debug)]
pub struct NoSources;

#[async_trait]
impl GateSources for NoSources {
    async fn spent(
        &self,
        _: &TenantId,
        _: (&AppName, &EnvironmentName, ReleaseDigest),
        _: Timestamp,
        _: Currency,
    ) -> Result<Spent, String> {
        Err("nothing is known of costs here".to_owned())
    }

    async fn drill(&self) -> Result<Option<Drill>, String> {
        Err("nothing is known of drills here".to_owned())
    }

    async fn ask(&self, _: &TenantId, name: &str, _: &Value) -> Result<Answered, String> {
        Err(format!("there is no function `{name}` here"))
    }
}
