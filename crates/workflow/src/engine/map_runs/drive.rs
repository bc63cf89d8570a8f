//! The driver of a Map run: takes it from stage to stage, and watches its executions.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use store::{Expect, StoreError, Transaction};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::plan::PAGE;
use super::{MAP_RUNS, MapRunRecord, Place, Stage, TenantId};
use crate::engine::{EXECUTIONS, Engine, EngineError, ExecutionRecord};
use crate::fault::Fault;
use crate::interpreter::{Input, MapRun, Portion, Status};

/// How many executions are being started at once.
const STARTS: usize = 128;
/// How long a driver waits without looking itself.
const GLANCE: Duration = Duration::from_secs(5);
/// How long counts may stay unwritten.
const UNWRITTEN: Duration = Duration::from_millis(500);

/// Who is told what happens to each Map run.
pub type Drivers = HashMap<(TenantId, String), Driving>;

/// A driver at work.
#[derive(Debug)]
pub struct Driving {
    told: UnboundedSender<Told>,
    work: AbortHandle,
}

/// What a driver is told.
#[derive(Debug)]
pub enum Told {
    /// One of its executions is over.
    Ended {
        /// Its place.
        index: u64,
        /// How.
        status: Status,
    },
    /// It was changed, or is no longer wanted, or is wanted again.
    Look,
}

impl Engine {
    /// Has a Map run driven, from wherever it stands.
    pub(in crate::engine) fn drive(&self, tenant: &TenantId, id: &str) {
        let at = (tenant.clone(), id.to_owned());
        let mut drivers = self.drivers();
        if let Some(driver) = drivers.get(&at)
            && driver.told.send(Told::Look).is_ok()
        {
            return;
        }
        let (sender, mut told) = unbounded_channel();
        let (engine, own) = (self.clone(), at.clone());
        let work = async move {
            loop {
                let driven = Driver::drive(&engine, &own, &mut told).await;
                match driven {
                    Ok(()) => {}
                    // Whatever was done stands in the records: it goes on from there.
                    Err(error) if error.passes() || matches!(error, EngineError::MapRunOver(_)) => {
                        tracing::warn!(%error, map_run = %own.1, "a Map run is taken up anew");
                        tokio::time::sleep(GLANCE).await;
                        continue;
                    }
                    // Its parent cannot move either: a restart tries again.
                    Err(error) => {
                        tracing::error!(%error, map_run = %own.1, "a Map run was given up");
                    }
                }
                let mut drivers = engine.drivers();
                if told.try_recv().is_err() {
                    drivers.remove(&own);
                    break;
                }
            }
        };
        let work = tokio::spawn(work).abort_handle();
        drivers.insert(at, Driving { told: sender, work });
    }

    /// Lets go of all Map runs: other servers drive them.
    pub(in crate::engine) fn stop_driving(&self) {
        for (_, driver) in self.drivers().drain() {
            driver.work.abort();
        }
    }

    /// Tells the driver of a Map run something, if it is driven here.
    pub(in crate::engine) fn tell_driver(&self, tenant: &TenantId, id: &str, told: Told) {
        if let Some(driver) = self.drivers().get(&(tenant.clone(), id.to_owned()))
            && driver.told.send(told).is_err()
        {
            tracing::debug!(map_run = id, "a Map run is not driven any more");
        }
    }

    /// An execution is over: the Map run it is of goes on.
    pub(in crate::engine) fn tell_of_end(&self, tenant: &TenantId, record: &ExecutionRecord) {
        if let Some(place) = &record.place {
            let told = Told::Ended { index: place.index, status: record.run.status };
            self.tell_driver(tenant, &place.map_run, told);
        }
    }
}

/// An execution that is to be begun.
enum Todo {
    /// For the first time.
    Start(u64),
    /// Once more, for so many items.
    Redrive(u64, u64),
}

type Begun = Result<Arc<ExecutionRecord>, EngineError>;

struct Driver<'a> {
    engine: &'a Engine,
    tenant: &'a TenantId,
    record: MapRunRecord,
    version: u64,
    told: &'a mut UnboundedReceiver<Told>,
    /// Executions that are under way or being begun, and for how many items each is.
    running: BTreeMap<u64, u64>,
    /// How those ended that others before them are waited for, and for how many items.
    ahead: BTreeMap<u64, (Status, u64)>,
    /// What is to be begun before `next`.
    todo: VecDeque<Todo>,
    next: u64,
    page: Option<(u64, Vec<Portion>)>,
    starting: JoinSet<Begun>,
    /// When every execution was last looked at, and counts were last written.
    looked: Instant,
    written: Instant,
    /// Whether counts have changed since.
    counted: bool,
}

impl<'a> Driver<'a> {
    /// Drives a Map run to its end; there may be nothing to do.
    async fn drive(
        engine: &'a Engine,
        (tenant, id): &'a (TenantId, String),
        told: &'a mut UnboundedReceiver<Told>,
    ) -> Result<(), EngineError> {
        let store = engine.shared.store.tenant(tenant);
        let row = store.get(MAP_RUNS, id).await?;
        let row = row.ok_or_else(|| EngineError::UnknownMapRun(id.clone()))?;
        let mut driver = Self {
            engine,
            tenant,
            record: row.read()?,
            version: row.version,
            told,
            running: BTreeMap::new(),
            ahead: BTreeMap::new(),
            todo: VecDeque::new(),
            next: 0,
            page: None,
            starting: JoinSet::new(),
            looked: Instant::now(),
            written: Instant::now(),
            counted: false,
        };
        if driver.record.stage != Stage::Over && driver.record.node != engine.node() {
            // Another server drives it.
            return Ok(());
        }
        loop {
            match driver.record.stage {
                Stage::Planning => driver.plan().await?,
                Stage::Working => driver.work().await?,
                Stage::Ending => driver.end().await?,
                Stage::Over => {
                    if !driver.reopen().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn parent(&self) -> Result<Option<ExecutionRecord>, EngineError> {
        let Self { engine, tenant, record, .. } = self;
        engine.waiting_parent(tenant, &record.execution, &record.map_run.id).await
    }

    /// Writes the record, if it is still the one that was read.
    async fn write(&mut self) -> Result<(), EngineError> {
        let record = &mut self.record;
        record.running = self.running.len() as u64;
        record.running_items = self.running.values().sum();
        record.node = self.engine.node();
        let now = self.engine.shared.clock.now();
        let put = Transaction::new(record.origin.actor.clone(), now);
        let put = record.put(put, Expect::Version(self.version))?;
        self.engine.shared.store.tenant(self.tenant).commit(put).await?;
        self.version += 1;
        (self.written, self.counted) = (Instant::now(), false);
        Ok(())
    }

    /// Goes to another stage.
    async fn turn(&mut self, stage: Stage) -> Result<(), EngineError> {
        self.record.stage = stage;
        self.save().await
    }

    /// Writes the record; bounds that somebody set meanwhile are kept.
    async fn save(&mut self) -> Result<(), EngineError> {
        loop {
            match self.write().await {
                Err(EngineError::Store(StoreError::Conflict { .. })) => self.adopt().await?,
                done => return done,
            }
        }
    }

    /// Takes over the bounds that somebody set meanwhile.
    async fn adopt(&mut self) -> Result<(), EngineError> {
        let id = self.record.map_run.id.clone();
        let row = self.engine.shared.store.tenant(self.tenant).get(MAP_RUNS, &id).await?;
        let row = row.ok_or(EngineError::UnknownMapRun(id))?;
        if row.version != self.version {
            let stored: MapRunRecord = row.read()?;
            if stored.node != self.engine.node() {
                // Another server drives it by now.
                return Err(EngineError::MapRunOver(stored.map_run.id));
            }
            (self.record.map_run, self.record.orphan) = (stored.map_run, stored.orphan);
            self.version = row.version;
        }
        Ok(())
    }

    async fn plan(&mut self) -> Result<(), EngineError> {
        let Some(parent) = self.parent().await? else {
            return self.fail(Status::Aborted, None).await;
        };
        match self.engine.plan(self.tenant, &self.record, parent).await? {
            Ok((total, items)) => {
                (self.record.total, self.record.total_items) = (total, items);
                self.turn(Stage::Working).await
            }
            Err(fault) => self.fail(Status::Failed, Some(fault)).await,
        }
    }

    /// The run ends without a result.
    async fn fail(&mut self, status: Status, fault: Option<Fault>) -> Result<(), EngineError> {
        (self.record.status, self.record.fault) = (status, fault);
        self.turn(Stage::Ending).await
    }

    /// Runs the executions until all are over, or the run fails or is no longer wanted.
    async fn work(&mut self) -> Result<(), EngineError> {
        self.catch_up().await?;
        let mut wanted = self.parent().await?.is_some();
        loop {
            let Self { record, running, .. } = self;
            let failed = !record.map_run.tolerates(record.ended_items.lost(), record.total_items);
            if failed || !wanted {
                self.stop_all().await?;
                return match wanted {
                    true => self.fail(Status::Failed, Some(MapRun::exceeded())).await,
                    false => self.fail(Status::Aborted, None).await,
                };
            }
            if running.is_empty() && self.todo.is_empty() && self.next == self.record.total {
                return self.turn(Stage::Ending).await;
            }
            self.fill().await?;
            let told_to_look = self.wait().await?;
            let due = self.looked.elapsed() >= GLANCE;
            if due {
                self.glance().await?;
                self.looked = Instant::now();
            }
            if told_to_look || due {
                self.adopt().await?;
                wanted = self.parent().await?.is_some();
            }
            if self.counted && self.written.elapsed() >= UNWRITTEN {
                self.save().await?;
            }
        }
    }

    /// Waits until something happens, and takes in all that has happened by then. Whether the run
    /// itself is to be looked at.
    async fn wait(&mut self) -> Result<bool, EngineError> {
        let patience = if self.counted { UNWRITTEN } else { GLANCE };
        let mut told = Vec::new();
        tokio::select! {
            Some(begun) = self.starting.join_next() => self.begun(begun)?,
            one = self.told.recv() => told.extend(one),
            () = tokio::time::sleep(patience) => {}
        }
        while let Ok(one) = self.told.try_recv() {
            told.push(one);
        }
        while let Some(begun) = self.starting.try_join_next() {
            self.begun(begun)?;
        }
        let mut look = false;
        for one in told {
            match one {
                Told::Ended { index, status } => self.ended(index, status),
                Told::Look => look = true,
            }
        }
        Ok(look)
    }

    /// Finds out which executions have begun already, and how they are.
    async fn catch_up(&mut self) -> Result<(), EngineError> {
        self.running.clear();
        self.ahead.clear();
        self.todo.clear();
        let record = &mut self.record;
        (record.ended, record.ended_items) = (record.settled_tally, record.settled_items);
        self.next = record.settled;
        loop {
            let page = self.engine.executions_from(self.tenant, &self.record, self.next).await?;
            if page.is_empty() {
                return Ok(());
            }
            for one in page {
                let Some(place) = &one.place else { continue };
                self.todo.extend((self.next..place.index).map(Todo::Start));
                self.next = place.index + 1;
                let status = one.run.status;
                let lost = !matches!(status, Status::Running | Status::Succeeded);
                if lost && place.round < self.record.redrives {
                    self.todo.push_back(Todo::Redrive(place.index, place.items));
                } else {
                    self.running.insert(place.index, place.items);
                    self.ended(place.index, status);
                }
            }
        }
    }

    /// Begins as many executions as may be under way.
    async fn fill(&mut self) -> Result<(), EngineError> {
        let most = usize::try_from(self.record.map_run.at_once()).unwrap_or(usize::MAX);
        while self.running.len() < most && self.starting.len() < STARTS {
            let todo = match self.todo.pop_front() {
                Some(todo) => todo,
                None if self.next < self.record.total => {
                    self.next += 1;
                    Todo::Start(self.next - 1)
                }
                None => return Ok(()),
            };
            self.counted = true;
            let (engine, tenant) = (self.engine.clone(), self.tenant.clone());
            match todo {
                Todo::Start(index) => {
                    let Portion { input, items } = self.portion(index).await?;
                    let round = self.record.redrives;
                    let map_run = self.record.map_run.id.clone();
                    let place = Place { map_run, index, items, round };
                    let now = engine.shared.clock.now();
                    let execution = self.record.execution(place, input, now);
                    self.running.insert(index, items);
                    self.starting.spawn(async move { engine.begin_item(&tenant, execution).await });
                }
                Todo::Redrive(index, items) => {
                    let (key, round) = (self.record.key(index), self.record.redrives);
                    self.running.insert(index, items);
                    self.starting
                        .spawn(async move { engine.redrive_item(&tenant, &key, round).await });
                }
            }
        }
        Ok(())
    }

    async fn portion(&mut self, index: u64) -> Result<Portion, EngineError> {
        let number = index / PAGE;
        if self.page.as_ref().is_none_or(|(page, _)| *page != number) {
            let id = &self.record.map_run.id;
            self.page = Some((number, self.engine.portions(self.tenant, id, number).await?));
        }
        let page = self.page.as_ref().map(|(_, page)| page);
        let portion = page.and_then(|page| page.get((index % PAGE) as usize));
        let unknown = || EngineError::UnknownMapRun(self.record.map_run.id.clone());
        portion.cloned().ok_or_else(unknown)
    }

    fn begun(&mut self, begun: Result<Begun, tokio::task::JoinError>) -> Result<(), EngineError> {
        // One that was cut off has not begun, or is found when the run is taken up anew.
        let record = begun.map_err(|_| StoreError::Closed)??;
        if let Some(place) = &record.place {
            self.ended(place.index, record.run.status);
        }
        Ok(())
    }

    /// Counts an execution that is over, once.
    fn ended(&mut self, index: u64, status: Status) {
        if status == Status::Running {
            return;
        }
        let Some(items) = self.running.remove(&index) else { return };
        self.counted = true;
        let record = &mut self.record;
        record.ended.add(status, 1);
        record.ended_items.add(status, items);
        self.ahead.insert(index, (status, items));
        while let Some((status, items)) = self.ahead.remove(&record.settled) {
            record.settled += 1;
            record.settled_tally.add(status, 1);
            record.settled_items.add(status, items);
        }
    }

    /// Looks at every execution that is under way: it may have ended elsewhere.
    async fn glance(&mut self) -> Result<(), EngineError> {
        let store = self.engine.shared.store.tenant(self.tenant);
        for index in self.running.keys().copied().collect::<Vec<_>>() {
            let key = self.record.key(index).to_string();
            if let Some(row) = store.get(EXECUTIONS, &key).await? {
                self.ended(index, row.read::<ExecutionRecord>()?.run.status);
            }
        }
        Ok(())
    }

    /// Stops whatever is under way.
    async fn stop_all(&mut self) -> Result<(), EngineError> {
        while let Some(begun) = self.starting.join_next().await {
            self.begun(begun)?;
        }
        let mut all: VecDeque<u64> = self.running.keys().copied().collect();
        while !all.is_empty() || !self.starting.is_empty() {
            while self.starting.len() < STARTS {
                let Some(index) = all.pop_front() else { break };
                let (engine, tenant, key) =
                    (self.engine.clone(), self.tenant.clone(), self.record.key(index));
                self.starting.spawn(async move {
                    engine.advance(&tenant, &key, &Input::Stopped(Fault::default())).await
                });
            }
            if let Some(begun) = self.starting.join_next().await {
                self.begun(begun)?;
            }
        }
        Ok(())
    }

    /// Puts the results together and tells the parent.
    async fn end(&mut self) -> Result<(), EngineError> {
        let begun = self.record.total > 0 || self.record.fault.is_none();
        let exports = self.record.map_run.writer.is_some() && begun;
        let wanted = self.record.status != Status::Aborted;
        let result = match (self.record.fault.clone(), exports && wanted) {
            (fault, true) => {
                let exported = self.engine.export(self.tenant, &self.record).await?;
                self.record.results_written = exported.as_ref().map_or(0, |(_, count)| *count);
                // A run that failed tells why it failed, wherever its results are.
                fault.map_or(exported.map(|(place, _)| place), Err)
            }
            (Some(fault), false) => Err(fault),
            (None, false) if wanted => self.engine.map_result(self.tenant, &self.record).await?,
            (None, false) => Err(Fault::default()),
        };
        let status = match (&result, wanted) {
            (_, false) => Status::Aborted,
            (Ok(_), true) => Status::Succeeded,
            (Err(_), true) => Status::Failed,
        };
        let fault = result.as_ref().err().filter(|_| wanted).cloned();
        if wanted {
            let id = self.record.map_run.id.clone();
            let input = Input::MapRunEnded { id, result };
            match self.engine.advance(self.tenant, &self.record.execution, &input).await {
                Ok(_) | Err(EngineError::UnknownExecution(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if status == Status::Succeeded {
            self.engine.forget_portions(self.tenant, &self.record).await?;
        }
        let now = self.engine.shared.clock.now();
        (self.record.status, self.record.fault) = (status, fault);
        self.record.stopped_at = Some(now);
        self.turn(Stage::Over).await
    }

    /// Takes the run up again if its parent was redriven since, and waits for it.
    async fn reopen(&mut self) -> Result<bool, EngineError> {
        let Some(parent) = self.parent().await? else { return Ok(false) };
        let asked = parent.run.about.redrives;
        if asked <= self.record.answers {
            return Ok(false);
        }
        let now = self.engine.shared.clock.now();
        let record = &mut self.record;
        record.answers = asked;
        record.redrives += 1;
        record.redriven_at = Some(now);
        (record.status, record.fault, record.stopped_at) = (Status::Running, None, None);
        record.settled = 0;
        (record.settled_tally, record.settled_items) = Default::default();
        (record.ended, record.ended_items) = Default::default();
        let planned = record.total > 0;
        self.turn(if planned { Stage::Working } else { Stage::Planning }).await?;
        Ok(true)
    }
}
