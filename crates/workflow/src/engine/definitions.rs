//! What is kept of workflows, schedules and rules: made by hand, or by a project's files.
//!
//! Each is one record, so a project's are applied in the transaction of everything else it defines.
//! A record remembers its project: two projects cannot take each other's, and what was made by hand
//! is never removed with the files. A project takes over what was made by hand under the same name.

use std::collections::BTreeSet;

use release::{ArtifactName, Digest, PrincipalId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Collection, Expect, TenantStore, Transaction};

use super::aliases::ALIASES;
use super::machines::{MACHINES, MachineType, check};
use super::rows::{Which, rows};
use super::rules::RULES;
use super::schedules::{Keep, SCHEDULES};
use super::tags::TAGS;
use super::versions::VERSIONS;
use super::{
    DEFINITIONS, EngineError, MachineRecord, RuleRecord, ScheduleFile, ScheduleRecord,
    TenantEngine, check_machine_name, check_name,
};
use crate::rule::RuleSpec;
use crate::weight::too_large;

/// The definitions of one tenant, as one principal makes them at one moment.
#[derive(Debug)]
pub struct Definitions {
    store: TenantStore,
    actor: PrincipalId,
    now: Timestamp,
    project: Option<ArtifactName>,
}

/// What came of making a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined<T> {
    /// What is kept.
    pub record: T,
    /// Whether it is new, or another than before.
    pub changed: bool,
}

/// Workflows, schedules and rules, as a kind of definition.
pub trait Kept: Serialize + DeserializeOwned {
    /// Where they are kept.
    const COLLECTION: Collection;
    /// What one is called.
    const NOUN: &'static str;
    /// What the event log calls the making of one, and its removal.
    const KINDS: (&'static str, &'static str);
    /// What goes with one: all whose names begin with its own and a `/`.
    const BELOW: &'static [Collection] = &[];

    fn name(&self) -> &str;
    fn project(&self) -> Option<&ArtifactName>;
    /// Whether it does what `other` does, whoever made it.
    fn is_like(&self, other: &Self) -> bool;
}

impl Kept for MachineRecord {
    const COLLECTION: Collection = MACHINES;
    const NOUN: &'static str = "workflow";
    const KINDS: (&'static str, &'static str) = ("workflow.defined", "workflow.removed");
    const BELOW: &'static [Collection] = &[VERSIONS, ALIASES];

    fn name(&self) -> &str {
        &self.name
    }

    fn project(&self) -> Option<&ArtifactName> {
        self.project.as_ref()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

impl Kept for ScheduleRecord {
    const COLLECTION: Collection = SCHEDULES;
    const NOUN: &'static str = "schedule";
    const KINDS: (&'static str, &'static str) = ("schedule.made", "schedule.removed");

    fn name(&self) -> &str {
        &self.name
    }

    fn project(&self) -> Option<&ArtifactName> {
        self.project.as_ref()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.schedule == other.schedule
    }
}

impl Kept for RuleRecord {
    const COLLECTION: Collection = RULES;
    const NOUN: &'static str = "rule";
    const KINDS: (&'static str, &'static str) = ("rule.made", "rule.removed");

    fn name(&self) -> &str {
        &self.name
    }

    fn project(&self) -> Option<&ArtifactName> {
        self.project.as_ref()
    }

    fn is_like(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

impl TenantEngine {
    /// Definitions made by hand.
    pub(super) fn definitions(&self) -> Definitions {
        let now = self.engine.shared.clock.now();
        Definitions { store: self.store(), actor: self.actor.clone(), now, project: None }
    }

    /// Commits a definition, unless it was there already.
    pub(super) async fn made<T>(
        &self,
        (transaction, defined): (Transaction, Defined<T>),
    ) -> Result<T, EngineError> {
        if defined.changed {
            self.store().commit(transaction).await?;
        }
        Ok(defined.record)
    }
}

impl Definitions {
    /// The definitions that the files of `project` make.
    pub fn of_project(
        store: TenantStore,
        (actor, now): (PrincipalId, Timestamp),
        project: ArtifactName,
    ) -> Self {
        Self { store, actor, now, project: Some(project) }
    }

    /// Adds a workflow to `transaction`, if it is not defined so already.
    ///
    /// # Errors
    /// If the name or the definition is refused, or another project has the name.
    pub async fn workflow(
        &self,
        name: &str,
        text: &str,
        transaction: Transaction,
    ) -> Result<(Transaction, Defined<MachineRecord>), EngineError> {
        // Those that every tenant has are made here as well, by no project.
        match self.project {
            Some(_) => check_machine_name(name)?,
            None => check_name(name)?,
        }
        let definition = Digest::of(text.as_bytes());
        let make = |known: Option<&MachineRecord>| {
            let new = (name, MachineType::Standard);
            let project = self.owner(known);
            let record = MachineRecord::defined(known.cloned(), new, definition, self.now);
            Ok(MachineRecord { project, ..record })
        };
        let (transaction, defined) = self.keep(name, make, transaction).await?;
        if !defined.changed {
            return Ok((transaction, defined));
        }
        check(text, defined.record.kind)?;
        let digest = definition.to_string();
        Ok((transaction.put(DEFINITIONS, &digest, &text, Expect::Any)?, defined))
    }

    /// Adds a schedule to `transaction`, if it is not kept so already. It counts from now.
    ///
    /// # Errors
    /// If the name or the schedule is refused, or another project has the name.
    pub async fn schedule(
        &self,
        name: &str,
        schedule: ScheduleFile,
        transaction: Transaction,
    ) -> Result<(Transaction, Defined<ScheduleRecord>), EngineError> {
        self.keep_schedule(name, (schedule, Keep::Any), transaction).await
    }

    /// As [`Definitions::schedule`], where it is said whether there is one of the name.
    ///
    /// # Errors
    /// As [`Definitions::schedule`], and if there is one that must not be, or the other way.
    pub(super) async fn keep_schedule(
        &self,
        name: &str,
        (schedule, keep): (ScheduleFile, Keep<'_>),
        transaction: Transaction,
    ) -> Result<(Transaction, Defined<ScheduleRecord>), EngineError> {
        check_name(name)?;
        schedule.when.compile().map_err(|wrong| EngineError::refused(&wrong))?;
        schedule.machine()?;
        if too_large(&schedule.input) {
            return Err(EngineError::TooLarge);
        }
        let make = |known: Option<&ScheduleRecord>| {
            let request = match (keep, known) {
                (Keep::New(Some(request)), Some(known))
                    if known.request.as_deref() == Some(request) =>
                {
                    return Ok(known.clone());
                }
                (Keep::New(_), Some(_)) => {
                    let why = format!("there is a schedule `{name}` already");
                    return Err(EngineError::Conflict(why));
                }
                (Keep::Known, None) => return Err(EngineError::UnknownSchedule(name.to_owned())),
                (Keep::New(request), None) => request.map(str::to_owned),
                (Keep::Any | Keep::Known, _) => None,
            };
            Ok(ScheduleRecord {
                name: name.to_owned(),
                schedule,
                author: self.actor.clone(),
                project: self.owner(known),
                last: self.now,
                started: None,
                created_at: known.map_or(self.now, |known| known.created_at),
                changed_at: self.now,
                request,
            })
        };
        self.keep(name, make, transaction).await
    }

    /// Adds a rule to `transaction`, if it is not kept so already. It acts on events from now on.
    ///
    /// # Errors
    /// If the name or the rule is refused, or another project has the name.
    pub async fn rule(
        &self,
        name: &str,
        rule: RuleSpec,
        transaction: Transaction,
    ) -> Result<(Transaction, Defined<RuleRecord>), EngineError> {
        rule.compile().map_err(|wrong| EngineError::refused(&wrong))?;
        self.change_rule(name, |_| Ok(rule), transaction).await
    }

    /// As [`Definitions::rule`], of what was there before; it may have no targets.
    ///
    /// # Errors
    /// As [`Definitions::rule`], and what `change` says.
    pub(super) async fn change_rule(
        &self,
        name: &str,
        change: impl FnOnce(Option<RuleSpec>) -> Result<RuleSpec, EngineError>,
        transaction: Transaction,
    ) -> Result<(Transaction, Defined<RuleRecord>), EngineError> {
        check_name(name)?;
        let make = |known: Option<&RuleRecord>| {
            let rule = change(known.map(|known| known.rule.clone()))?;
            rule.compile_any().map_err(|wrong| EngineError::refused(&wrong))?;
            let (author, project) = (self.actor.clone(), self.owner(known));
            Ok(RuleRecord { name: name.to_owned(), rule, author, project })
        };
        self.keep(name, make, transaction).await
    }

    /// What the project's files defined before and do not name any more, as `workflow NAME`; with
    /// `remove` it is removed in `transaction`. Executions that are under way go on.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn beside(
        &self,
        named: &BTreeSet<String>,
        remove: bool,
        transaction: Transaction,
    ) -> Result<(Transaction, Vec<String>), EngineError> {
        let mut beside = Vec::new();
        let step = (named, remove);
        let transaction = self.beside_of::<MachineRecord>(step, transaction, &mut beside).await?;
        let transaction = self.beside_of::<ScheduleRecord>(step, transaction, &mut beside).await?;
        let transaction = self.beside_of::<RuleRecord>(step, transaction, &mut beside).await?;
        Ok((transaction, beside))
    }

    async fn beside_of<T: Kept>(
        &self,
        (named, remove): (&BTreeSet<String>, bool),
        mut transaction: Transaction,
        beside: &mut Vec<String>,
    ) -> Result<Transaction, EngineError> {
        for row in rows(&self.store, T::COLLECTION, Which::default()).await? {
            let record: T = row.read()?;
            let label = format!("{} {}", T::NOUN, record.name());
            let own = record.project().is_some() && record.project() == self.project.as_ref();
            if !own || named.contains(&label) {
                continue;
            }
            if remove {
                let expect = Expect::Version(row.version);
                transaction = self.remove((&record, expect), transaction).await?;
            }
            beside.push(label);
        }
        Ok(transaction)
    }

    /// Removes one in `transaction`, with its tags and all that goes with it.
    pub(super) async fn remove<T: Kept>(
        &self,
        (record, expect): (&T, Expect),
        mut transaction: Transaction,
    ) -> Result<Transaction, EngineError> {
        let name = record.name();
        for collection in T::BELOW {
            let which = Which { prefix: &format!("{name}/"), index: None };
            for row in rows(&self.store, *collection, which).await? {
                transaction = transaction.delete(*collection, &row.key, Expect::Any);
            }
        }
        let tags = format!("{}/{name}", T::NOUN);
        let transaction = transaction.delete(TAGS, &tags, Expect::Any);
        let transaction = transaction.delete(T::COLLECTION, name, expect);
        Ok(transaction.emit("workflow", T::KINDS.1, record)?)
    }

    /// Whose a record is from now on: by hand it stays its project's.
    fn owner<T: Kept>(&self, known: Option<&T>) -> Option<ArtifactName> {
        let known = known.and_then(T::project);
        self.project.as_ref().or(known).cloned()
    }

    /// Adds what `make` makes to `transaction`, unless the same is kept already.
    async fn keep<T: Kept>(
        &self,
        name: &str,
        make: impl FnOnce(Option<&T>) -> Result<T, EngineError>,
        transaction: Transaction,
    ) -> Result<(Transaction, Defined<T>), EngineError> {
        let row = self.store.get(T::COLLECTION, name).await?;
        let known = row.as_ref().map(|row| row.read::<T>()).transpose()?;
        let owner = known.as_ref().and_then(T::project);
        if let (Some(owner), Some(own)) = (owner, &self.project)
            && owner != own
        {
            let (what, project) = (format!("{} {name}", T::NOUN), owner.clone());
            return Err(EngineError::Taken { what, project });
        }
        let record = make(known.as_ref())?;
        if let Some(known) = known
            && known.is_like(&record)
            && known.project() == record.project()
        {
            return Ok((transaction, Defined { record: known, changed: false }));
        }
        let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
        let transaction = transaction.put(T::COLLECTION, name, &record, expect)?.emit(
            "workflow",
            T::KINDS.0,
            &record,
        )?;
        Ok((transaction, Defined { record, changed: true }))
    }
}
