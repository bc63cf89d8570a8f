//! Retention: which old releases, batches and artifacts are not kept any more.
//!
//! What is live, what a rollback leads to, what was live or made within the time that is kept, what is
//! held, and the newest of everything stays whatever its age. The records of the others go in one
//! transaction with the event that tells it; their blobs are garbage then, and are swept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use release::{ArtifactState, ArtifactVersion, Digest, Environment, ReleaseDigest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::Expect;

use crate::catalog::{
    APPS, ARTIFACTS, AppRecord, BATCHES, BatchRecord, ENVIRONMENTS, Filled, KNOWLEDGE,
    KnowledgeRecord, RELEASES, ReleaseRecord, Versioned, artifact_key, batch_key, environment_key,
    release_key,
};
use crate::gates::{DECISIONS, VERDICTS, WAIVERS, kept_of};
use crate::moves::restore_point;
use crate::{DeliveryError, TenantDelivery};

/// How many records one retention drops at most; the next one goes on.
const MOST: usize = 1_000;

/// For how long things are kept that are not in use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// For how many days after they were made, or live for the last time, releases and batches are
    /// kept (default 90).
    #[schemars(range(min = 1))]
    pub keep_days: u32,
    /// How many releases of an app and batches of a knowledge base are kept at least (default 20).
    #[schemars(range(min = 1))]
    pub keep_at_least: u32,
    /// How many hours a content must have been unneeded before it is set aside, and how many it then
    /// stays there before it is deleted (default 24). No refresh may take longer.
    #[schemars(range(min = 1))]
    pub grace_hours: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_days: 90, keep_at_least: 20, grace_hours: 24 }
    }
}

impl Retention {
    /// How long contents wait.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(3_600 * u64::from(self.grace_hours.max(1)))
    }

    /// What was before is old.
    fn until(&self, now: Timestamp) -> Timestamp {
        let days = Duration::from_secs(24 * 3_600 * u64::from(self.keep_days.max(1)));
        now.checked_sub(days).unwrap_or(Timestamp::MIN)
    }
}

/// What is not kept any more, or would not be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Releases, each with its app.
    pub releases: Vec<String>,
    /// Batches, each with its knowledge base.
    pub batches: Vec<String>,
    /// Artifact versions: their records stay, and say that their bytes are gone.
    pub artifacts: Vec<String>,
}

/// The records that go, by key.
#[derive(Debug, Default)]
pub(crate) struct Doomed {
    pub releases: BTreeMap<String, Versioned<ReleaseRecord>>,
    pub batches: BTreeMap<String, Versioned<BatchRecord>>,
    pub artifacts: BTreeMap<String, Versioned<ArtifactVersion>>,
    /// Apps and environments as they were looked at.
    apps: Vec<Versioned<AppRecord>>,
    environments: Vec<Versioned<Environment>>,
}

impl Doomed {
    fn room(&self) -> usize {
        MOST.saturating_sub(self.releases.len() + self.batches.len() + self.artifacts.len())
    }

    /// What is told of them.
    pub fn told(&self) -> Dropped {
        let mut releases: Vec<_> = self.releases.values().map(|found| &found.value).collect();
        releases.sort_by_key(|release| (&release.app, release.sequence));
        let releases = releases.into_iter();
        let batches = self.batches.values().map(|batch| &batch.value);
        let artifacts = self.artifacts.values().map(|version| &version.value);
        Dropped {
            releases: releases.map(|one| format!("#{} of {}", one.sequence, one.app)).collect(),
            batches: batches.map(|one| format!("{} of {}", one.number, one.knowledge)).collect(),
            artifacts: artifacts.map(|one| one.artifact.to_string()).collect(),
        }
    }
}

impl TenantDelivery {
    /// Decides which releases and batches are not kept any more; artifacts are decided on once it is
    /// known what the others name: see [`TenantDelivery::doom_artifacts`].
    pub(crate) async fn doom(&self, retention: &Retention) -> Result<Doomed, DeliveryError> {
        let until = retention.until(self.clock.now());
        let mut doomed = Doomed {
            apps: self.all(APPS, "").await?,
            environments: self.all(ENVIRONMENTS, "").await?,
            ..Doomed::default()
        };
        let holds = self.holds().await?;
        let held: BTreeSet<Digest> = holds.iter().map(|hold| hold.digest).collect();
        let needed = self.needed(&doomed, until).await?;
        let mut snapshots = held.clone();
        let mut newest = Newest::new(retention);
        let mut releases: Vec<Versioned<ReleaseRecord>> = self.all(RELEASES, "").await?;
        releases.sort_by_key(|release| std::cmp::Reverse(release.value.sequence));
        for found in releases {
            let release = &found.value;
            let pins = || release.slots.values().map(|artifact| artifact.digest);
            let own = release.release.digest();
            let kept = newest.takes(release.app.as_str())
                || release.created_at >= until
                || needed.contains(&release.release)
                || held.contains(&own)
                || pins().any(|digest| held.contains(&digest))
                || doomed.room() == 0;
            if kept {
                snapshots.extend(pins());
            } else {
                doomed.releases.insert(release_key(&release.app, release.release), found);
            }
        }
        let bases: Vec<Versioned<KnowledgeRecord>> = self.all(KNOWLEDGE, "").await?;
        snapshots.extend(bases.iter().filter_map(|base| base.value.snapshot));
        let mut newest = Newest::new(retention);
        let mut batches: Vec<Versioned<BatchRecord>> = self.all(BATCHES, "").await?;
        batches.sort_by_key(|batch| std::cmp::Reverse(batch.value.number));
        for found in batches {
            let batch = &found.value;
            let kept = newest.takes(batch.knowledge.as_str())
                || batch.at >= until
                || snapshots.contains(&batch.snapshot)
                || doomed.room() == 0;
            if !kept {
                doomed.batches.insert(batch_key(&batch.knowledge, batch.number), found);
            }
        }
        Ok(doomed)
    }

    /// Adds old artifacts that nothing names.
    pub(crate) async fn doom_artifacts(
        &self,
        retention: &Retention,
        named: &BTreeSet<Digest>,
        doomed: &mut Doomed,
    ) -> Result<(), DeliveryError> {
        let until = retention.until(self.clock.now());
        let slots = doomed.apps.iter().flat_map(|app| app.value.slots.values());
        let filled = slots.filter_map(|filled| match filled {
            Filled::Artifact(artifact) => Some(artifact.digest),
            Filled::Knowledge(_) => None,
        });
        let filled: BTreeSet<Digest> = filled.collect();
        for found in self.all::<ArtifactVersion>(ARTIFACTS, "").await? {
            let ArtifactVersion { artifact, state, created_at, .. } = &found.value;
            let goes = *state != ArtifactState::Deleted
                && *created_at < until
                && !named.contains(&artifact.digest)
                && !filled.contains(&artifact.digest)
                && doomed.room() > 0;
            if goes {
                doomed.artifacts.insert(artifact_key(artifact), found);
            }
        }
        Ok(())
    }

    /// Drops the records. Whoever proposed or moved something meanwhile has it decided anew: then
    /// nothing is dropped.
    pub(crate) async fn drop_doomed(&self, doomed: &Doomed) -> Result<(), DeliveryError> {
        let told = doomed.told();
        if told == Dropped::default() {
            return Ok(());
        }
        let mut transaction = self.transaction();
        // Written as they are: whoever writes one at the same time and may need what goes, conflicts.
        for app in &doomed.apps {
            transaction =
                transaction.put(APPS, app.value.name.as_str(), &app.value, app.expect())?;
        }
        for environment in &doomed.environments {
            let key = environment_key(&environment.value.app, &environment.value.name);
            let expect = environment.expect();
            transaction = transaction.put(ENVIRONMENTS, &key, &environment.value, expect)?;
        }
        for (key, release) in &doomed.releases {
            transaction = transaction.delete(RELEASES, key, release.expect());
            // What gates said of it goes with it.
            for collection in [VERDICTS, DECISIONS, WAIVERS] {
                let kept = kept_of(&release.value.app, release.value.release);
                for record in self.store.all(collection, &kept).await? {
                    transaction = transaction.delete(collection, &record.key, Expect::Any);
                }
            }
        }
        for (key, batch) in &doomed.batches {
            transaction = transaction.delete(BATCHES, key, batch.expect());
        }
        for (key, version) in &doomed.artifacts {
            let gone = ArtifactVersion { state: ArtifactState::Deleted, ..version.value.clone() };
            transaction = transaction.put(ARTIFACTS, key, &gone, version.expect())?;
        }
        let transaction = transaction.emit("storage", "storage.dropped", &told)?;
        self.store.commit(transaction).await?;
        Ok(())
    }

    /// The releases that are in use, that a rollback leads to, or that were live since `until`.
    async fn needed(
        &self,
        doomed: &Doomed,
        until: Timestamp,
    ) -> Result<BTreeSet<ReleaseDigest>, DeliveryError> {
        let heads = doomed.apps.iter().filter_map(|app| app.value.head);
        let mut needed: BTreeSet<_> = heads.collect();
        for found in &doomed.environments {
            let environment = &found.value;
            needed.extend(environment.releases());
            let log = self.deployments(&environment.app, &environment.name).await?;
            needed.extend(restore_point(&log));
            let (app, name) = (environment.app.clone(), environment.name.clone());
            let mut pointer = Environment::empty(app, name);
            for entry in log {
                // What was there until this move was live until then.
                let before: Vec<_> = pointer.releases().collect();
                pointer.apply(&entry);
                if entry.at >= until {
                    needed.extend(before.into_iter().chain(pointer.releases()));
                }
            }
        }
        Ok(needed)
    }
}

/// Counts the newest of each name.
struct Newest {
    most: u32,
    seen: BTreeMap<String, u32>,
}

impl Newest {
    fn new(retention: &Retention) -> Self {
        Self { most: retention.keep_at_least.max(1), seen: BTreeMap::new() }
    }

    /// Whether this is among the newest of its name: told from the newest on.
    fn takes(&mut self, name: &str) -> bool {
        let seen = self.seen.entry(name.to_owned()).or_default();
        *seen += 1;
        *seen <= self.most
    }
}

#[cfg(test)]
pub(crate) mod tests;
