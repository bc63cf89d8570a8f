//! Several servers on one store: which of them does what, and who takes over from one that is gone.
//!
//! A server holds the executions it moved last and the tasks it began, under a name of its own, and
//! gives signs of life. Whoever sees none of another's for the time of a lease, by its own clock,
//! strikes that name by compare-and-swap and then moves what stood under it to itself, one execution
//! at a time. A server that was only slow finds its name struck: it lets go of its tasks and goes on
//! under a new one. What it still reports is refused, since the records name another server by then.
//! No two servers' clocks are compared, and a task that is begun again has the same key.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use release::{PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, List, StoreError, SystemStore, Transaction};
use tokio::time::Instant;

use super::nested::WAITED_FOR;
use super::transition::Change;
use super::{EXECUTIONS, Engine, EngineError, ExecutionRecord, NODE, PAGE};
use crate::interpreter::later;

const NODES: Collection = Collection("workflow.nodes");
/// How often a server gives a sign of life.
const BEAT: Duration = Duration::from_secs(2);
/// How long a server may be silent.
const LEASE: Duration = Duration::from_secs(10);
/// How often what stands under struck names is looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// How often a server looks whether what it holds for tasks of others is still waited for.
const LOOK: Duration = Duration::from_secs(60);
/// How long a struck name is kept, so that what its server still wrote is found: a day, in seconds.
const STRUCK: f64 = 86_400.0;
/// In whose name servers take over from each other.
const ACTOR: &str = "node";

/// What a server is called among those that share a store: its name, and how often it had to take a
/// new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(String);

impl NodeId {
    /// The first of a server's names.
    pub(super) fn first(name: &str) -> Self {
        Self(format!("{name}.1"))
    }

    /// The name and its number.
    fn parts(&self) -> (&str, u64) {
        let (name, number) = self.0.rsplit_once('.').unwrap_or((&self.0, ""));
        (name, number.parse().unwrap_or_default())
    }

    fn next(&self) -> Self {
        let (name, number) = self.parts();
        Self(format!("{name}.{}", number + 1))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A server's name, as all that share the store see it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct NodeRecord {
    beats: u64,
    struck: Option<Struck>,
}

/// Who took over from a server, and when by that one's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Struck {
    by: NodeId,
    at: Timestamp,
}

fn is_due(last: Option<Instant>, pace: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now >= last + pace)
}

/// What a server has seen of the others and of itself.
#[derive(Debug, Default)]
pub struct Seen {
    /// The version of its own record.
    version: u64,
    beaten: Option<Instant>,
    swept: Option<Instant>,
    /// When it last looked at what it holds for tasks of others.
    looked: Option<Instant>,
    /// The version of each other's record, and since when it is the same.
    others: HashMap<NodeId, (u64, Instant)>,
}

impl Engine {
    /// Joins the servers that share the store, and takes up what this one held when it was left.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn recover(&self, tenants: &[TenantId]) -> Result<usize, EngineError> {
        let mut seen = self.shared.seen.lock().await;
        self.join(&mut seen).await?;
        let own = self.node();
        let mut count = 0;
        for tenant in tenants {
            let mut after = None;
            while let Some(page) = self.held(tenant, &own, after).await? {
                page.iter().for_each(|record| self.take_up(tenant, record));
                self.live(&mut seen, Instant::now()).await?;
                count += page.len();
                after = page.last().map(|record| record.key.to_string());
            }
            self.drive_held(tenant, &own).await?;
        }
        Ok(count)
    }

    /// Gives a sign of life, lets go of tasks that nobody waits for any more, and takes over from
    /// servers that have been silent for too long at `now`. To be called every second or so.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn keep_nodes(&self, tenants: &[TenantId], now: Instant) -> Result<(), EngineError> {
        let mut seen = self.shared.seen.lock().await;
        let begun = Instant::now();
        self.live(&mut seen, now).await?;
        let (gone, struck) = self.look(&mut seen, now).await?;
        let sweep = is_due(seen.swept, SWEEP, now);
        let names = gone.iter().chain(struck.iter().filter(|_| sweep));
        for name in names {
            for tenant in tenants {
                let mut after = None;
                while let Some(reached) = self.take_over(tenant, name, after).await? {
                    after = Some(reached);
                    // There may be so much to do that this server would be taken for silent.
                    self.live(&mut seen, now + begun.elapsed()).await?;
                }
                self.take_over_map_runs(tenant, name).await?;
            }
        }
        if sweep {
            seen.swept = Some(now);
        }
        if is_due(seen.looked, LOOK, now) {
            for tenant in tenants {
                let mut after = None;
                while let Some(reached) = self.look_to_parents(tenant, after).await? {
                    after = Some(reached);
                    self.live(&mut seen, now + begun.elapsed()).await?;
                }
            }
            seen.looked = Some(now);
        }
        Ok(())
    }

    /// Gives a sign of life and lets go of what is over, if that is due.
    async fn live(&self, seen: &mut Seen, now: Instant) -> Result<(), EngineError> {
        if is_due(seen.beaten, BEAT, now) {
            self.beat(seen).await?;
            seen.beaten = Some(now);
            self.let_go().await?;
        }
        Ok(())
    }

    /// What this server is called.
    pub(super) fn node(&self) -> NodeId {
        self.shared.node.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Takes the last of this server's names, or a new one if that was struck.
    async fn join(&self, seen: &mut Seen) -> Result<(), EngineError> {
        let mut own = self.node();
        loop {
            let system = self.shared.store.system();
            let row = system.get(NODES, &own.0).await?;
            let mut record: NodeRecord =
                row.as_ref().map(|row| row.read()).transpose()?.unwrap_or_default();
            if record.struck.is_some() {
                own = own.next();
                continue;
            }
            record.beats += 1;
            let version = row.map_or(0, |row| row.version);
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            match self.write(&system, (&own, &record), expect).await {
                Err(StoreError::Conflict { .. }) => continue,
                written => written?,
            }
            (seen.version, seen.beaten) = (version + 1, Some(Instant::now()));
            *self.shared.node.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = own;
            return Ok(());
        }
    }

    /// Gives a sign of life. If the name was struck, others do by now what this server did.
    async fn beat(&self, seen: &mut Seen) -> Result<(), EngineError> {
        let (system, own) = (self.shared.store.system(), self.node());
        let record = NodeRecord { beats: seen.version + 1, struck: None };
        let beaten = self.write(&system, (&own, &record), Expect::Version(seen.version)).await;
        match beaten {
            Ok(()) => seen.version += 1,
            Err(StoreError::Conflict { .. }) => {
                tracing::warn!(node = %own, "this server was silent for too long and others have taken over");
                for (_, running) in self.running().drain() {
                    running.work.abort();
                }
                self.stop_driving();
                self.timers().clear();
                self.slots().clear();
                self.join(seen).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Lets go of tasks of this server that are over: another one moved their executions.
    async fn let_go(&self) -> Result<(), EngineError> {
        let own = self.node();
        let running: Vec<_> = self
            .running()
            .iter()
            .map(|(task, running)| (task.clone(), running.execution.clone()))
            .collect();
        for ((tenant, task), key) in running {
            let wanted = match self.load(&tenant, &key).await {
                Ok((_, record)) => record.tasks.get(&task).is_some_and(|open| open.node == own),
                Err(EngineError::UnknownExecution(_)) => false,
                Err(error) => return Err(error),
            };
            if !wanted {
                self.cancel(&tenant, &task);
            }
        }
        Ok(())
    }

    /// Looks at the other servers: those that this one strikes now, and those that were struck.
    async fn look(
        &self,
        seen: &mut Seen,
        now: Instant,
    ) -> Result<(Vec<NodeId>, Vec<NodeId>), EngineError> {
        let (system, own) = (self.shared.store.system(), self.node());
        let list = List { prefix: String::new(), index: None, after: None, limit: PAGE };
        let (mut gone, mut struck) = (Vec::new(), Vec::new());
        for row in system.list(NODES, list).await? {
            let name = NodeId(row.key.clone());
            let mut record: NodeRecord = row.read()?;
            if name == own {
                continue;
            }
            if let Some(by) = &record.struck {
                if later(by.at, STRUCK) < self.shared.clock.now() {
                    let transaction =
                        self.said().delete(NODES, &name.0, Expect::Version(row.version));
                    self.shared.store.system().commit(transaction).await?;
                }
                struck.push(name);
                continue;
            }
            let (version, since) = *seen.others.entry(name.clone()).or_insert((row.version, now));
            if version != row.version {
                seen.others.insert(name, (row.version, now));
            } else if now >= since + LEASE {
                record.struck = Some(Struck { by: own.clone(), at: self.shared.clock.now() });
                match self.write(&system, (&name, &record), Expect::Version(version)).await {
                    // It is alive after all, or another server was faster.
                    Err(StoreError::Conflict { .. }) => continue,
                    written => written?,
                }
                tracing::warn!(node = %name, "a server is silent; taking over what it did");
                seen.others.remove(&name);
                gone.push(name);
            }
        }
        Ok((gone, struck))
    }

    /// Moves a page of what stands under another server's name to this one; how far it went, unless
    /// that was all.
    async fn take_over(
        &self,
        tenant: &TenantId,
        from: &NodeId,
        after: Option<String>,
    ) -> Result<Option<String>, EngineError> {
        let own = self.node();
        let Some(page) = self.held(tenant, from, after).await? else { return Ok(None) };
        for ExecutionRecord { key, .. } in &page {
            let moved = self.change(tenant, key, |record| {
                record.hand_over(from, &own);
                Ok(Change { input: None, told: None })
            });
            match moved.await {
                Ok(record) => self.take_up(tenant, &record),
                // It is moving: whoever moves it holds it.
                Err(EngineError::Contended(_) | EngineError::UnknownExecution(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(page.last().map(|record| record.key.to_string()))
    }

    /// A page of the executions that stand under a server's name; none after the last.
    async fn held(
        &self,
        tenant: &TenantId,
        node: &NodeId,
        after: Option<String>,
    ) -> Result<Option<Vec<ExecutionRecord>>, EngineError> {
        self.page_of(tenant, (NODE, node.to_string()), after).await
    }

    /// A page of the executions with an index entry; none after the last.
    async fn page_of(
        &self,
        tenant: &TenantId,
        index: (&'static str, String),
        after: Option<String>,
    ) -> Result<Option<Vec<ExecutionRecord>>, EngineError> {
        let list = List { prefix: String::new(), index: Some(index), after, limit: PAGE };
        let rows = self.shared.store.tenant(tenant).list(EXECUTIONS, list).await?;
        let page = rows.iter().map(|row| row.read()).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    /// Looks whether the executions that this server holds for tasks of others are still waited for,
    /// and whether their ends were told: a server may have been cut off before it said so.
    async fn look_to_parents(
        &self,
        tenant: &TenantId,
        after: Option<String>,
    ) -> Result<Option<String>, EngineError> {
        let index = (WAITED_FOR, self.node().to_string());
        let Some(page) = self.page_of(tenant, index, after).await? else { return Ok(None) };
        for record in &page {
            let child = self.tenant(tenant, record.actor.clone());
            child.settle_with_parent(record).await?;
        }
        Ok(page.last().map(|record| record.key.to_string()))
    }

    /// Carries out what the record of an execution says is to be done here, but for tasks that are
    /// being done.
    pub(super) fn take_up(&self, tenant: &TenantId, record: &ExecutionRecord) {
        let own = self.node();
        if record.node == own {
            self.set_timers(tenant, &record.key, record.due());
            for map_run in record.run.map_runs() {
                self.drive(tenant, &map_run.id);
            }
            self.look_to_parent(tenant, record);
        }
        for open in record.tasks.values().filter(|open| open.node == own) {
            if !self.running().contains_key(&(tenant.clone(), open.task.clone())) {
                self.begin(tenant, record, open);
            }
        }
    }

    async fn write(
        &self,
        system: &SystemStore,
        (name, record): (&NodeId, &NodeRecord),
        expect: Expect,
    ) -> Result<(), StoreError> {
        let transaction = self.said().put(NODES, &name.0, record, expect)?;
        system.commit(transaction).await.map(|_| ())
    }

    fn said(&self) -> Transaction {
        Transaction::new(PrincipalId::system(ACTOR), self.shared.clock.now())
    }
}

#[cfg(test)]
mod tests;
