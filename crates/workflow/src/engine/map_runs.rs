//! Map runs: the items of a distributed Map as executions of their own.
//!
//! ```text
//!  parent's run ── Distribute ─► driver: plan ─► work ─► end ── MapRunEnded ─► parent's run
//!                                         │       │       └─ results from the executions' records
//!                                    portions   starts and watches executions, so many at once
//! ```
//!
//! The parent's run holds a Map run's settings and nothing of its items. A driver, one task in this
//! process, takes a run from stage to stage. Each stage can be begun again from the records alone:
//! what an execution is given is written before the first one starts, an execution's name follows
//! from the run and its place in it, and what it came to stands in its own record.

mod drive;
mod export;
mod forget;
mod plan;

use std::sync::Arc;

use release::{Digest, PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Collection, Expect, List, Record, StoreError, Transaction};

use super::Objects;
use super::rows::{Which, rows};
use super::{
    ATTEMPTS, EXECUTIONS, Engine, EngineError, ExecutionKey, ExecutionRecord, NODE, NodeId,
    TenantEngine,
};
use crate::fault::Fault;
use crate::interpreter::{Input, MapRun, Status};
use crate::results::Tally;
use crate::rule::Causation;

pub(super) use drive::{Drivers, Told};

const MAP_RUNS: Collection = Collection("workflow.map_runs");
/// The index of Map runs by the execution that began them.
const BY_EXECUTION: &str = "execution";
/// The index of executions by the Map run they are of.
pub(super) const BY_MAP_RUN: &str = "map_run";
/// How many executions of a Map run are looked at together.
const LOOKED_AT: usize = 100;

/// A Map run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapRunRecord {
    /// What its state's fields say.
    pub map_run: MapRun,
    /// The execution that began it.
    pub execution: ExecutionKey,
    /// How it stands; it never times out.
    pub status: Status,
    /// Why it failed.
    pub fault: Option<Fault>,
    /// How many executions it has, once that is known.
    pub total: u64,
    /// How many items they are for.
    pub total_items: u64,
    /// Executions that are under way.
    pub running: u64,
    /// Items they are for.
    pub running_items: u64,
    /// How executions ended.
    pub ended: Tally,
    /// The same, in items.
    pub ended_items: Tally,
    /// How many executions' results were written to a bucket.
    pub results_written: u64,
    /// How often it was redriven.
    pub redrives: u32,
    /// When it was last redriven.
    pub redriven_at: Option<Timestamp>,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// The server that drives it.
    node: NodeId,
    stage: Stage,
    /// The redrive of the parent that it answers.
    answers: u32,
    /// Executions before this one are over, and never looked at again.
    settled: u64,
    /// How those ended.
    settled_tally: Tally,
    /// The same, in items.
    settled_items: Tally,
    origin: Origin,
    /// Whether the execution that began it is deleted: it goes too, with all that is its own.
    #[serde(default)]
    orphan: bool,
}

/// What is to be done next for a Map run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Finding out which executions there are.
    Planning,
    /// Running them.
    Working,
    /// Putting the results together, and telling the parent.
    Ending,
    /// Nothing.
    Over,
}

/// What its executions take from the one that began it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Origin {
    actor: PrincipalId,
    author: Option<PrincipalId>,
    caused_by: Causation,
    definition: Digest,
    role_arn: String,
}

/// Which place of which Map run an execution has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The Map run.
    pub map_run: String,
    /// The place, from 0.
    pub index: u64,
    /// How many items it is for.
    pub items: u64,
    /// The redrive of the Map run that it was begun in.
    pub round: u32,
}

/// What is changed of a Map run that is under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapRunUpdate {
    /// How many run at once.
    pub max_concurrency: Option<u64>,
    /// How many items may fail.
    pub tolerated_count: Option<u64>,
    /// How many items in a hundred may fail.
    pub tolerated_percentage: Option<f64>,
}

impl MapRunRecord {
    /// What `parent` begins as `map_run`.
    pub(super) fn new(parent: &ExecutionRecord, map_run: MapRun, now: Timestamp) -> Self {
        Self {
            map_run,
            execution: parent.key.clone(),
            status: Status::Running,
            fault: None,
            total: 0,
            total_items: 0,
            running: 0,
            running_items: 0,
            ended: Tally::default(),
            ended_items: Tally::default(),
            results_written: 0,
            redrives: 0,
            redriven_at: None,
            started_at: now,
            stopped_at: None,
            node: parent.node.clone(),
            stage: Stage::Planning,
            answers: parent.run.about.redrives,
            settled: 0,
            settled_tally: Tally::default(),
            settled_items: Tally::default(),
            orphan: false,
            origin: Origin {
                actor: parent.actor.clone(),
                author: parent.author.clone(),
                caused_by: parent.caused_by.clone(),
                definition: parent.definition,
                role_arn: parent.run.about.role_arn.clone(),
            },
        }
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let open = (self.stage != Stage::Over).then(|| (NODE, self.node.to_string()));
        let execution = match self.orphan {
            true => (forget::ORPHAN, String::new()),
            false => (BY_EXECUTION, self.execution.to_string()),
        };
        open.into_iter().chain([execution]).collect()
    }

    /// Writes it in `transaction`, if it is still what `expect` says.
    pub(super) fn put(
        &self,
        transaction: Transaction,
        expect: Expect,
    ) -> Result<Transaction, StoreError> {
        let at = (MAP_RUNS, self.map_run.id.as_str());
        transaction.put_indexed(at, self, expect, &self.indexes())
    }

    /// The key of one of its executions. No workflow's name has a colon, so that those of its own
    /// executions are apart.
    fn key(&self, index: u64) -> ExecutionKey {
        let workflow = self.execution.machine.split(':').next().unwrap_or_default();
        let machine = format!("{workflow}:{}", self.map_run.label);
        ExecutionKey { machine, name: self.map_run.name(index) }
    }

    /// The run as the service's API describes it, moments aside.
    pub fn counts(&self) -> Value {
        let counts = |total: u64, running: u64, ended: &Tally| {
            json!({
                "total": total,
                "pending": total.saturating_sub(running + ended.over()),
                "running": running,
                "succeeded": ended.succeeded,
                "failed": ended.failed,
                "timedOut": ended.timed_out,
                "aborted": ended.aborted,
                "resultsWritten": 0,
            })
        };
        let mut executions = counts(self.total, self.running, &self.ended);
        executions["resultsWritten"] = self.results_written.into();
        let mut items = counts(self.total_items, self.running_items, &self.ended_items);
        if self.results_written > 0 {
            items["resultsWritten"] = self.ended_items.over().into();
        }
        json!({"executionCounts": executions, "itemCounts": items})
    }
}

impl Engine {
    /// Has the Map runs driven that this server held when it was left, those too whose parents are
    /// over meanwhile.
    pub(super) async fn drive_held(
        &self,
        tenant: &TenantId,
        own: &NodeId,
    ) -> Result<(), EngineError> {
        for (_, record) in self.held_map_runs(tenant, own).await? {
            self.drive(tenant, &record.map_run.id);
        }
        Ok(())
    }

    /// Moves the Map runs that stand under another server's name to this one.
    pub(super) async fn take_over_map_runs(
        &self,
        tenant: &TenantId,
        from: &NodeId,
    ) -> Result<(), EngineError> {
        for (version, mut record) in self.held_map_runs(tenant, from).await? {
            record.node = self.node();
            let now = self.shared.clock.now();
            let put = Transaction::new(record.origin.actor.clone(), now);
            let put = record.put(put, Expect::Version(version))?;
            match self.shared.store.tenant(tenant).commit(put).await {
                // Another server was faster.
                Err(StoreError::Conflict { .. }) => {}
                done => {
                    done?;
                    self.drive(tenant, &record.map_run.id);
                }
            }
        }
        Ok(())
    }

    /// The Map runs under way that stand under a server's name, each with its record's version.
    async fn held_map_runs(
        &self,
        tenant: &TenantId,
        node: &NodeId,
    ) -> Result<Vec<(u64, MapRunRecord)>, EngineError> {
        let which = Which { prefix: "", index: Some((NODE, node.to_string())) };
        let rows = rows(&self.shared.store.tenant(tenant), MAP_RUNS, which).await?;
        let read = |row: &Record| Ok((row.version, row.read()?));
        Ok(rows.iter().map(read).collect::<Result<_, StoreError>>()?)
    }

    /// The executions of a Map run that have begun, from the place `from` on.
    async fn executions_from(
        &self,
        tenant: &TenantId,
        record: &MapRunRecord,
        from: u64,
    ) -> Result<Vec<ExecutionRecord>, EngineError> {
        let after = from.checked_sub(1).map(|before| record.key(before).to_string());
        let index = Some((BY_MAP_RUN, record.map_run.id.clone()));
        let list = List { prefix: String::new(), index, after, limit: LOOKED_AT };
        let rows = self.shared.store.tenant(tenant).list(EXECUTIONS, list).await?;
        Ok(rows.iter().map(|row| row.read()).collect::<Result<_, _>>()?)
    }
}

impl TenantEngine {
    /// The Map runs that an execution began.
    ///
    /// # Errors
    /// If there is no such execution.
    pub async fn map_runs(&self, key: &ExecutionKey) -> Result<Vec<MapRunRecord>, EngineError> {
        self.execution(key).await?;
        let index = Some((BY_EXECUTION, key.to_string()));
        self.read(MAP_RUNS, Which { prefix: "", index }).await
    }

    /// One Map run.
    ///
    /// # Errors
    /// If there is none.
    pub async fn map_run(&self, id: &str) -> Result<MapRunRecord, EngineError> {
        let row = self.store().get(MAP_RUNS, id).await?;
        let row = row.ok_or_else(|| EngineError::UnknownMapRun(id.to_owned()))?;
        Ok(row.read()?)
    }

    /// Changes the bounds of a Map run that is under way.
    ///
    /// # Errors
    /// If there is none, or it is over.
    pub async fn update_map_run(&self, id: &str, update: MapRunUpdate) -> Result<(), EngineError> {
        for _ in 0..ATTEMPTS {
            let row = self.store().get(MAP_RUNS, id).await?;
            let row = row.ok_or_else(|| EngineError::UnknownMapRun(id.to_owned()))?;
            let mut record: MapRunRecord = row.read()?;
            if record.status != Status::Running {
                return Err(EngineError::MapRunOver(id.to_owned()));
            }
            let MapRunUpdate { max_concurrency, tolerated_count, tolerated_percentage } = update;
            let map_run = &mut record.map_run;
            map_run.max_concurrency = max_concurrency.unwrap_or(map_run.max_concurrency);
            let count = tolerated_count.map(|count| count as f64);
            map_run.tolerated_count = count.or(map_run.tolerated_count);
            map_run.tolerated_percentage = tolerated_percentage.or(map_run.tolerated_percentage);
            let put = record.put(self.transaction(), Expect::Version(row.version))?;
            match self.store().commit(put).await {
                Err(StoreError::Conflict { .. }) => {}
                done => {
                    done?;
                    self.engine.tell_driver(&self.tenant, id, Told::Look);
                    return Ok(());
                }
            }
        }
        Err(EngineError::UnknownMapRun(id.to_owned()))
    }

    /// Executions of a Map run in the order of its items, after the one of that name, and the name
    /// to go on after.
    ///
    /// # Errors
    /// If there is no such Map run.
    pub async fn map_run_executions(
        &self,
        id: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ExecutionRecord>, Option<String>), EngineError> {
        let record = self.map_run(id).await?;
        let after = after.map(|name| {
            ExecutionKey { machine: record.key(0).machine, name: name.to_owned() }.to_string()
        });
        let index = Some((BY_MAP_RUN, id.to_owned()));
        let list = List { prefix: String::new(), index, after, limit };
        let rows = self.store().list(EXECUTIONS, list).await?;
        let all: Vec<ExecutionRecord> =
            rows.iter().map(|row| row.read()).collect::<Result<_, _>>()?;
        let more = all.last().filter(|_| all.len() == limit).map(|last| last.key.name.clone());
        Ok((all, more))
    }
}

impl MapRunRecord {
    /// The execution at a place, before it begins.
    fn execution(&self, place: Place, input: Value, now: Timestamp) -> ExecutionRecord {
        let Origin { actor, author, caused_by, definition, role_arn } = &self.origin;
        let about = self.map_run.about(role_arn, place.index, input, now);
        let key = self.key(place.index);
        let mut record =
            ExecutionRecord::new(key, actor.clone(), (*definition, self.node.clone()), about);
        (record.author, record.caused_by) = (author.clone(), caused_by.clone());
        record.run.scope = self.map_run.scope.clone();
        record.place = Some(place);
        record
    }
}

impl Engine {
    /// The execution that waits for a Map run, if it does.
    async fn waiting_parent(
        &self,
        tenant: &TenantId,
        parent: &ExecutionKey,
        id: &str,
    ) -> Result<Option<ExecutionRecord>, EngineError> {
        let row = self.shared.store.tenant(tenant).get(EXECUTIONS, &parent.to_string()).await?;
        let parent: Option<ExecutionRecord> = row.map(|row| row.read()).transpose()?;
        Ok(parent.filter(|parent| parent.run.map_runs().any(|map_run| map_run.id == id)))
    }

    /// Begins an execution of a Map run; one that has begun already is left as it is.
    async fn begin_item(
        &self,
        tenant: &TenantId,
        record: ExecutionRecord,
    ) -> Result<Arc<ExecutionRecord>, EngineError> {
        let key = record.key.clone();
        match self.first(tenant, record).await {
            Err(EngineError::Store(StoreError::Conflict { .. })) => {
                Ok(self.load(tenant, &key).await?.1)
            }
            begun => begun,
        }
    }

    /// Tries again what failed in an execution of a Map run.
    async fn redrive_item(
        &self,
        tenant: &TenantId,
        key: &ExecutionKey,
        round: u32,
    ) -> Result<Arc<ExecutionRecord>, EngineError> {
        let redriven = self.change(tenant, key, |record| {
            if let Some(place) = &mut record.place {
                place.round = round;
            }
            Ok(Input::Redriven.into())
        });
        redriven.await
    }

    /// The buckets that are offered here.
    fn objects(&self) -> Result<&dyn Objects, Fault> {
        let none = || Fault::new("S3.NoSuchBucket", "no bucket is offered here");
        self.shared.objects.get().map(Box::as_ref).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests;
