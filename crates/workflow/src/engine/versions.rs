//! Versions: definitions of a workflow that were published, under numbers that never come again.
//!
//! Whatever changes a workflow's versions or aliases also swaps the workflow's own record, so that
//! two changes never pass each other: no alias leads to a version that is gone.

use release::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, StoreError, Transaction};

use super::machines::MACHINES;
use super::rows::Which;
use super::{EngineError, MachineRecord, TenantEngine};

pub const VERSIONS: Collection = Collection("workflow.versions");
/// How many versions a workflow may have.
const MOST: usize = 1_000;
/// The longest description of a version or an alias, in characters.
const DESCRIPTION: usize = 256;
/// What the first definition's revision is called.
const FIRST: &str = "INITIAL";

/// A published definition of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The workflow.
    pub machine: String,
    /// Its number, from 1.
    pub version: u32,
    /// The digest of its definition's text.
    pub definition: Digest,
    /// The revision it was published from; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was published.
    pub created_at: Timestamp,
}

impl VersionRecord {
    /// What it is stored under: so that the numbers are in order.
    pub(super) fn key(&self) -> String {
        key(&self.machine, self.version)
    }

    /// Adds it to `transaction`.
    pub(super) fn publish(&self, transaction: Transaction) -> Result<Transaction, StoreError> {
        let transaction = transaction.put(VERSIONS, &self.key(), self, Expect::Absent)?;
        transaction.emit("workflow", "workflow.published", self)
    }
}

fn key(machine: &str, version: u32) -> String {
    format!("{machine}/{version:010}")
}

/// Refuses a description that is too long.
pub fn check_description(description: Option<&str>) -> Result<(), EngineError> {
    match description.map(|text| text.chars().count()).filter(|count| *count > DESCRIPTION) {
        Some(count) => {
            let why = format!("a description has at most {DESCRIPTION} characters, not {count}");
            Err(EngineError::Refused(why))
        }
        None => Ok(()),
    }
}

impl TenantEngine {
    /// Publishes a workflow's definition as a version; one that is published already is the same
    /// version. With `revision`, only if that is the workflow's present one.
    ///
    /// # Errors
    /// If there is no such workflow, it has another revision, or it has too many versions.
    pub async fn publish(
        &self,
        name: &str,
        revision: Option<&str>,
        description: Option<String>,
    ) -> Result<VersionRecord, EngineError> {
        let (mut machine, expect) = self.machine_row(name).await?;
        let present = machine.revision.clone().unwrap_or_else(|| FIRST.to_owned());
        if revision.is_some_and(|wanted| wanted != present) {
            let why = format!("the revision of `{name}` is {present} by now");
            return Err(EngineError::Conflict(why));
        }
        if let Some(number) = machine.published {
            return self.version(name, number).await;
        }
        let version = self.next_version(&mut machine, description).await?;
        let transaction = version.publish(self.transaction())?;
        self.save(transaction.put(MACHINES, name, &machine, expect)?, name).await?;
        Ok(version)
    }

    /// The version that `machine`, which is not published, is to be published as; its record notes
    /// it.
    pub(super) async fn next_version(
        &self,
        machine: &mut MachineRecord,
        description: Option<String>,
    ) -> Result<VersionRecord, EngineError> {
        check_description(description.as_deref())?;
        if self.versions(&machine.name).await?.len() >= MOST {
            let why = format!("`{}` has {MOST} versions: delete some", machine.name);
            return Err(EngineError::Limit(why));
        }
        machine.last_version += 1;
        machine.published = Some(machine.last_version);
        Ok(VersionRecord {
            machine: machine.name.clone(),
            version: machine.last_version,
            definition: machine.definition,
            revision: machine.revision.clone(),
            description,
            created_at: self.engine.shared.clock.now(),
        })
    }

    /// One version.
    ///
    /// # Errors
    /// If there is none.
    pub async fn version(&self, name: &str, version: u32) -> Result<VersionRecord, EngineError> {
        let row = self.store().get(VERSIONS, &key(name, version)).await?;
        let unknown = || EngineError::UnknownMachine(format!("{name}:{version}"));
        Ok(row.ok_or_else(unknown)?.read()?)
    }

    /// The versions of a workflow, the newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn versions(&self, name: &str) -> Result<Vec<VersionRecord>, EngineError> {
        let which = Which { prefix: &format!("{name}/"), index: None };
        let mut all: Vec<VersionRecord> = self.read(VERSIONS, which).await?;
        all.reverse();
        Ok(all)
    }

    /// Deletes a version. What it has started goes on.
    ///
    /// # Errors
    /// If there is none, or an alias leads to it.
    pub async fn remove_version(&self, name: &str, version: u32) -> Result<(), EngineError> {
        let (mut machine, expect) = self.machine_row(name).await?;
        let gone = self.version(name, version).await?;
        let leads = |alias: &super::AliasRecord| alias.leads_to(version);
        if let Some(alias) = self.aliases(name).await?.into_iter().find(leads) {
            let why = format!("the alias `{}` leads to version {version}", alias.name);
            return Err(EngineError::Conflict(why));
        }
        machine.published = machine.published.filter(|published| *published != version);
        let transaction = self
            .transaction()
            .delete(VERSIONS, &gone.key(), Expect::Any)
            .put(MACHINES, name, &machine, expect)?
            .emit("workflow", "workflow.unpublished", &gone)?;
        self.save(transaction, name).await
    }
}

#[cfg(test)]
mod tests;
