//! Workflows: what is defined under a name, and of which type it is.

use release::{ArtifactName, Digest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, StoreError, Transaction};

use super::versions::VersionRecord;
use super::{DEFINITIONS, EngineError, TenantEngine, check_machine_name};
use crate::definition::{Machine, refusal};

pub const MACHINES: Collection = Collection("workflow.machines");

/// Of which type a workflow is; it keeps its type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MachineType {
    /// Its executions are durable and have a history.
    #[default]
    Standard,
    /// Its executions run in memory, for five minutes at most, and leave nothing behind.
    Express,
}

impl MachineType {
    /// The type as the service's API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Express => "EXPRESS",
        }
    }

    /// What cannot be done to its executions.
    pub(super) fn lacks(self) -> &'static str {
        match self {
            Self::Standard => "only executions of type EXPRESS are answered with their end",
            Self::Express => "its executions are not kept, so nobody can look at them later",
        }
    }
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(default, rename = "type")]
    pub kind: MachineType,
    /// The digest of its definition's text.
    pub definition: Digest,
    /// Names this definition among all that it had; the first has no such name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The number of the version that this definition was published as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<u32>,
    /// The last number that a version of it got.
    #[serde(default)]
    pub last_version: u32,
    /// When it was first defined.
    pub created_at: Timestamp,
    /// When it was last defined anew.
    pub changed_at: Timestamp,
    /// The project whose files define it; none if it was defined by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ArtifactName>,
}

impl MachineRecord {
    /// What is kept of a workflow that gets this definition: `known`, changed if it has another.
    pub(super) fn defined(
        known: Option<Self>,
        (name, kind): (&str, MachineType),
        definition: Digest,
        now: Timestamp,
    ) -> Self {
        match known {
            Some(known) if known.definition == definition => known,
            Some(known) => Self {
                definition,
                revision: Some(uuid::Uuid::new_v4().to_string()),
                published: None,
                changed_at: now,
                ..known
            },
            None => Self {
                name: name.to_owned(),
                kind,
                definition,
                revision: None,
                published: None,
                last_version: 0,
                created_at: now,
                changed_at: now,
                project: None,
            },
        }
    }
}

/// What is to be defined besides the definition's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defining {
    /// Its type; the one that it has, or standard, if absent.
    pub kind: Option<MachineType>,
    /// Whether it is published as a version in the same transaction.
    pub publish: bool,
    /// What the version is, for people.
    pub description: Option<String>,
}

/// Refuses a definition that a workflow of type `kind` cannot have.
pub(super) fn check(text: &str, kind: MachineType) -> Result<(), EngineError> {
    let refused = |found: &[_]| EngineError::Refused(refusal(found));
    let (machine, _) = Machine::parse(text).map_err(|found| refused(&found))?;
    let unfit = match kind {
        MachineType::Standard => Vec::new(),
        MachineType::Express => machine.unfit_for_express(),
    };
    if unfit.is_empty() { Ok(()) } else { Err(refused(&unfit)) }
}

impl TenantEngine {
    /// Defines a workflow, or a new definition of one: executions that are under way keep theirs.
    ///
    /// # Errors
    /// If the name or the definition is refused.
    pub async fn define(&self, name: &str, text: &str) -> Result<MachineRecord, EngineError> {
        Ok(self.define_as(name, text, &Defining::default()).await?.0)
    }

    /// As [`TenantEngine::define`], of a type and published if wanted; the version it was published
    /// as.
    ///
    /// # Errors
    /// As [`TenantEngine::define`], and if it has another type.
    pub async fn define_as(
        &self,
        name: &str,
        text: &str,
        defining: &Defining,
    ) -> Result<(MachineRecord, Option<VersionRecord>), EngineError> {
        check_machine_name(name)?;
        let now = self.engine.shared.clock.now();
        let definition = Digest::of(text.as_bytes());
        let row = self.store().get(MACHINES, name).await?;
        let known = row.as_ref().map(|row| row.read::<MachineRecord>()).transpose()?;
        let kind = known.as_ref().map_or(defining.kind.unwrap_or_default(), |known| known.kind);
        if defining.kind.is_some_and(|wanted| wanted != kind) {
            let why = format!("`{name}` is of type {} and stays so", kind.as_str());
            return Err(EngineError::Conflict(why));
        }
        check(text, kind)?;
        let same = known.as_ref().is_some_and(|known| known.definition == definition);
        let mut record = MachineRecord::defined(known, (name, kind), definition, now);
        let mut version = None;
        if defining.publish && record.published.is_none() {
            let description = defining.description.clone();
            version = Some(self.next_version(&mut record, description).await?);
        }
        if !same || version.is_some() {
            let mut transaction = self.transaction();
            if !same {
                transaction = transaction
                    .put(DEFINITIONS, &definition.to_string(), &text, Expect::Any)?
                    .emit("workflow", "workflow.defined", &record)?;
            }
            if let Some(version) = &version {
                transaction = version.publish(transaction)?;
            }
            let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
            self.save(transaction.put(MACHINES, name, &record, expect)?, name).await?;
        }
        if let Some(number) = record.published.filter(|_| defining.publish && version.is_none()) {
            version = Some(self.version(name, number).await?);
        }
        Ok((record, version))
    }

    /// Removes a workflow with its versions and aliases. Executions that are under way keep their
    /// definition and go on.
    ///
    /// # Errors
    /// If there is none.
    pub async fn remove(&self, name: &str) -> Result<(), EngineError> {
        check_machine_name(name)?;
        let (machine, expect) = self.machine_row(name).await?;
        let definitions = self.definitions();
        let removed = definitions.remove((&machine, expect), self.transaction()).await?;
        self.save(removed, name).await
    }

    /// One workflow.
    ///
    /// # Errors
    /// If there is none.
    pub async fn machine(&self, name: &str) -> Result<MachineRecord, EngineError> {
        match self.own_definition(name) {
            Some(text) => self.own_machine(name, &text).await,
            None => Ok(self.machine_row(name).await?.0),
        }
    }

    /// One workflow, and what a change of it must find.
    pub(super) async fn machine_row(
        &self,
        name: &str,
    ) -> Result<(MachineRecord, Expect), EngineError> {
        let row = self.store().get(MACHINES, name).await?;
        let row = row.ok_or_else(|| EngineError::UnknownMachine(name.to_owned()))?;
        Ok((row.read()?, Expect::Version(row.version)))
    }

    /// The text of a definition.
    ///
    /// # Errors
    /// If there is none.
    pub async fn definition(&self, digest: Digest) -> Result<String, EngineError> {
        self.engine.definition(&self.tenant, digest).await
    }

    /// The workflows, by name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn machines(&self) -> Result<Vec<MachineRecord>, EngineError> {
        for name in self.own_machines() {
            self.machine(&name).await?;
        }
        self.all(MACHINES).await
    }

    /// Commits a change of a workflow, if nobody else has changed it meanwhile.
    pub(super) async fn save(
        &self,
        transaction: Transaction,
        name: &str,
    ) -> Result<(), EngineError> {
        match self.store().commit(transaction).await {
            Err(StoreError::Conflict { .. }) => {
                let why = format!("`{name}` was changed by somebody else meanwhile: try again");
                Err(EngineError::Conflict(why))
            }
            saved => Ok(saved.map(|_| ())?),
        }
    }
}
