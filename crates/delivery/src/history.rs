//! Looking back: what was live when, what differs between releases, and how an app stands now.

use std::collections::BTreeMap;

use release::{
    AppName, ArtifactKind, ArtifactRef, DeploymentEntry, Environment, EnvironmentName, Move,
    ReleaseDigest, SlotName, Timestamp, fold,
};
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::catalog::{APPS, AppRecord, ReleaseRecord};
use crate::{DeliveryError, TenantDelivery};

/// What differs between two releases of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseDiff {
    /// The release compared from.
    pub from: ReleaseDigest,
    /// The release compared to.
    pub to: ReleaseDigest,
    /// The slots that differ.
    pub slots: Vec<ArtifactDiff>,
}

/// What differs in one slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArtifactDiff {
    /// The slot.
    pub slot: SlotName,
    /// What filled it before.
    pub from: Option<ArtifactRef>,
    /// What fills it now.
    pub to: Option<ArtifactRef>,
    /// The difference of their contents as a unified diff.
    pub text: String,
}

/// How an app stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The app.
    pub app: AppRecord,
    /// Its environments, first to last.
    pub environments: Vec<Environment>,
    /// The releases that are live or newest, by digest.
    pub releases: BTreeMap<ReleaseDigest, ReleaseRecord>,
}

impl TenantDelivery {
    /// The moves of an environment, oldest first, and what it pointed to at `at` (now if none).
    ///
    /// # Errors
    /// If the app or environment is unknown.
    pub async fn history(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
        at: Option<Timestamp>,
    ) -> Result<(Vec<DeploymentEntry>, Environment), DeliveryError> {
        let record = self.app(app).await?.value;
        self.environment(&record, environment).await?;
        let mut log = self.deployments(app, environment).await?;
        if let Some(at) = at {
            log.retain(|entry| entry.at <= at);
        }
        let pointer = fold(app.clone(), environment.clone(), &log);
        Ok((log, pointer))
    }

    /// The moves that hold a release, one for each environment where it is held.
    ///
    /// # Errors
    /// If the app is unknown, or a log cannot be read.
    pub async fn held(
        &self,
        app: &AppName,
        release: ReleaseDigest,
    ) -> Result<Vec<DeploymentEntry>, DeliveryError> {
        let record = self.app(app).await?.value;
        let mut holding = Vec::new();
        for name in &record.environments {
            if !self.environment(&record, name).await?.0.held.contains(&release) {
                continue;
            }
            let log = self.deployments(app, name).await?;
            holding.extend(log.into_iter().rfind(|entry| match entry.r#move {
                Move::Hold { release: held } => held == release,
                Move::Stable { hold, .. } => hold == Some(release),
                Move::Plan { .. } | Move::Clear { .. } => false,
            }));
        }
        Ok(holding)
    }

    /// Compares two releases of an app, slot by slot and down to the text.
    ///
    /// # Errors
    /// If a release is unknown or its artifacts cannot be read.
    pub async fn diff(
        &self,
        app: &AppName,
        from: &str,
        to: &str,
    ) -> Result<ReleaseDiff, DeliveryError> {
        let from = self.find_release(app, from).await?;
        let to = self.find_release(app, to).await?;
        let names: std::collections::BTreeSet<_> =
            from.slots.keys().chain(to.slots.keys()).cloned().collect();
        let mut slots = Vec::new();
        for slot in names {
            let (before, after) = (from.slots.get(&slot), to.slots.get(&slot));
            if before.map(|a| a.digest) == after.map(|a| a.digest) {
                continue;
            }
            let old = self.readable(before).await?;
            let new = self.readable(after).await?;
            let text =
                TextDiff::from_lines(&old, &new).unified_diff().context_radius(2).to_string();
            slots.push(ArtifactDiff { slot, from: before.cloned(), to: after.cloned(), text });
        }
        Ok(ReleaseDiff { from: from.release, to: to.release, slots })
    }

    /// How the tenant's apps stand.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn status(&self) -> Result<Vec<Status>, DeliveryError> {
        let mut statuses = Vec::new();
        for found in self.all::<AppRecord>(APPS, "").await? {
            let app = found.value;
            let mut environments = Vec::new();
            for name in &app.environments {
                environments.push(self.environment(&app, name).await?.0);
            }
            let shown: Vec<_> =
                environments.iter().flat_map(Environment::releases).chain(app.head).collect();
            let releases = self.releases(&app.name).await?.into_iter();
            let releases = releases.filter(|record| shown.contains(&record.release));
            let releases = releases.map(|record| (record.release, record)).collect();
            statuses.push(Status { app, environments, releases });
        }
        Ok(statuses)
    }

    /// An artifact as lines of text: prompts as they are, the rest as indented JSON.
    async fn readable(&self, artifact: Option<&ArtifactRef>) -> Result<String, DeliveryError> {
        let Some(artifact) = artifact else { return Ok(String::new()) };
        let bytes = self.artifact_bytes(&artifact.digest).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if artifact.kind == ArtifactKind::Prompt {
            return Ok(text);
        }
        let json = serde_json::from_str::<serde_json::Value>(&text);
        Ok(json.and_then(|json| serde_json::to_string_pretty(&json)).unwrap_or(text) + "\n")
    }
}
