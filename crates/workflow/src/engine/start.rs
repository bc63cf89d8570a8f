//! Starting executions: of which definition, and under which name.

use std::sync::Arc;

use release::{Digest, PrincipalId};
use serde_json::Value;
use store::StoreError;

use super::nested::Parent;
use super::webhook::WEBHOOK;
use super::{
    ACCOUNT, EngineError, ExecutionKey, ExecutionRecord, MachineRecord, MachineType, TenantEngine,
    check_name,
};
use crate::definition::Machine;
use crate::interpreter::{About, Status};
use crate::rule::Causation;
use crate::weight::too_large;

/// What an execution comes from, besides whoever starts it.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Whoever made the schedule or rule that starts it.
    pub author: Option<PrincipalId>,
    /// The rules that led to it.
    pub caused_by: Causation,
    /// The task of another execution that starts it.
    pub parent: Option<Parent>,
    /// Whether somebody asks for exactly its one task.
    pub by_hand: bool,
}

/// What a name that may have a version or an alias leads to.
struct Target {
    machine: MachineRecord,
    definition: Digest,
    version: Option<u32>,
    alias: Option<String>,
}

/// A name as `NAME`, `NAME:VERSION` or `NAME:ALIAS`, taken apart.
pub fn qualified(name: &str) -> (&str, Option<Qualifier<'_>>) {
    match name.split_once(':') {
        None => (name, None),
        Some((name, qualifier)) => match qualifier.parse() {
            Ok(version) => (name, Some(Qualifier::Version(version))),
            Err(_) => (name, Some(Qualifier::Alias(qualifier))),
        },
    }
}

/// What follows a workflow's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier<'a> {
    /// The number of a version.
    Version(u32),
    /// The name of an alias.
    Alias(&'a str),
}

impl TenantEngine {
    /// Starts an execution of a workflow (`NAME`), of a version of it (`NAME:3`) or of what an alias
    /// leads to (`NAME:PROD`). A second start of the same name with the same input, while the first
    /// is under way, is the same execution; not so for workflows of type Express, of which the
    /// execution is given as it begins.
    ///
    /// # Errors
    /// If there is no such workflow, the name is taken, or the input is too large.
    pub async fn start(
        &self,
        machine: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<ExecutionRecord, EngineError> {
        // Whoever may start workflows may not send whatever they like to whatever is connected.
        if qualified(machine).0 == WEBHOOK {
            let why = "webhooks are called by schedules and rules".to_owned();
            return Err(EngineError::Refused(why));
        }
        self.begin(&key(machine, name), input, Origin::default()).await
    }

    /// Starts an execution of a workflow of type Express, and waits for its end. It goes on if
    /// nobody waits any more.
    ///
    /// # Errors
    /// As [`TenantEngine::start`], and if the workflow is of another type.
    pub async fn start_sync(
        &self,
        machine: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<ExecutionRecord, EngineError> {
        let key = key(machine, name);
        let (record, machine, kind) = self.prepare(&key, input, Origin::default()).await?;
        if kind != MachineType::Express {
            return Err(EngineError::Type { machine: key.machine, kind });
        }
        self.run_express(record, machine).await
    }

    pub(super) async fn begin(
        &self,
        key: &ExecutionKey,
        input: Value,
        origin: Origin,
    ) -> Result<ExecutionRecord, EngineError> {
        let (record, machine, kind) = self.prepare(key, input, origin).await?;
        if kind == MachineType::Express {
            if record.parent.as_ref().is_some_and(|parent| parent.waits) {
                return Err(EngineError::Type { machine: record.key.machine, kind });
            }
            self.spawn_express(record.clone(), machine)?;
            return Ok(record);
        }
        let (key, input) = (record.key.clone(), record.run.about.input.clone());
        match self.engine.first(&self.tenant, record).await {
            Err(EngineError::Store(StoreError::Conflict { .. })) => {
                let known = self.execution(&key).await?;
                let same = known.run.about.input == input;
                if same && known.run.status == Status::Running {
                    Ok(known)
                } else {
                    Err(EngineError::Exists(key))
                }
            }
            started => started.map(Arc::unwrap_or_clone),
        }
    }

    /// An execution that has not begun, its definition, and the type of its workflow.
    async fn prepare(
        &self,
        ExecutionKey { machine, name }: &ExecutionKey,
        input: Value,
        origin: Origin,
    ) -> Result<(ExecutionRecord, Arc<Machine>, MachineType), EngineError> {
        check_name(name)?;
        if too_large(&input) {
            return Err(EngineError::TooLarge);
        }
        let Target { machine, definition, version, alias } = self.target(machine, name).await?;
        let parsed = self.engine.machine(&self.tenant, definition).await?;
        let (arn, kind, machine) = (self.arn(), machine.kind, machine.name);
        let about = About {
            execution_arn: match kind {
                MachineType::Standard => format!("{arn}:execution:{machine}:{name}"),
                MachineType::Express => {
                    format!("{arn}:express:{machine}:{name}:{}", uuid::Uuid::new_v4())
                }
            },
            name: name.clone(),
            input,
            role_arn: format!("arn:aws:iam::{ACCOUNT}:role/{}", self.actor),
            machine_arn: format!("{arn}:stateMachine:{machine}"),
            machine_name: machine.clone(),
            started_at: self.engine.shared.clock.now(),
            redrives: 0,
        };
        let key = ExecutionKey { machine, name: name.clone() };
        let of = (definition, self.engine.node());
        let mut record = ExecutionRecord::new(key, self.actor.clone(), of, about);
        (record.author, record.caused_by) = (origin.author, origin.caused_by);
        (record.parent, record.version, record.alias) = (origin.parent, version, alias);
        record.by_hand = origin.by_hand;
        Ok((record, parsed, kind))
    }

    /// What a name that may have a version or an alias leads an execution to.
    async fn target(&self, name: &str, execution: &str) -> Result<Target, EngineError> {
        let (machine, qualifier) = qualified(name);
        let (alias, version) = match qualifier {
            None => (None, None),
            Some(Qualifier::Version(version)) => (None, Some(version)),
            Some(Qualifier::Alias(alias)) => {
                let alias = self.alias(machine, alias).await?;
                (Some(alias.name.clone()), alias.draw(execution))
            }
        };
        let machine = self.machine(machine).await?;
        let definition = match version {
            Some(version) => self.version(&machine.name, version).await?.definition,
            None => machine.definition,
        };
        Ok(Target { machine, definition, version, alias })
    }
}

fn key(machine: &str, name: Option<&str>) -> ExecutionKey {
    let name = name.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    ExecutionKey { machine: machine.to_owned(), name }
}
