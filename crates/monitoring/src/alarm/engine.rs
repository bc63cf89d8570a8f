//! Evaluating alarms as their periods end, and keeping how they stand.
//!
//! ```text
//!  due ─► datapoints ─► verdict ─► one transaction: status, `alarm.state_changed`, notifications
//! ```
//!
//! It is idempotent: an evaluation that is lost is made again, and one that is made twice changes
//! nothing. Whoever evaluates holds a lease; if two do so nevertheless, one transaction fails.
//! Those who are told are told by whoever reads [`TenantAlarms::pending`].

mod budgets;
mod judge;
mod pass;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use release::{Clock, TenantId};
use serde::Serialize;
use store::{Expect, Store, StoreError, TenantStore};

pub use pass::GRACE;

use super::State;
use super::records::{
    ALARMS, AlarmChange, AlarmRecord, AlarmStatus, BUDGETS, Budget, BurnRate, CHANGED,
    NOTIFICATIONS, Notification, SLOS, STATUSES, SloRecord, of_objective, stream,
};
use super::spec::Query;
use super::watch::Learner;
use crate::metrics::{Datapoint, MetricStat};
use crate::tables::Span;

/// Where numbers come from. What fails says why, for people; the alarm keeps its state then.
#[async_trait]
pub trait Datapoints: fmt::Debug + Send + Sync {
    /// A metric's numbers, one for each period of the span, the oldest first.
    async fn metric(
        &self,
        tenant: &TenantId,
        stat: &MetricStat,
        span: Span,
    ) -> Result<Vec<Datapoint>, String>;

    /// The same, for each combination of values of the dimensions `by`, told as `name=value, …`.
    async fn grouped(
        &self,
        tenant: &TenantId,
        (stat, by): (&MetricStat, &[String]),
        span: Span,
    ) -> Result<BTreeMap<String, Vec<Datapoint>>, String>;

    /// What a query gives for the span: a number by the name of each series; a single number has an
    /// empty name.
    async fn query(
        &self,
        tenant: &TenantId,
        query: &Query,
        span: Span,
    ) -> Result<BTreeMap<String, Option<f64>>, String>;
}

/// The alarms of an installation.
#[derive(Debug, Clone)]
pub struct Alarms {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    datapoints: Arc<dyn Datapoints>,
    /// What bands have learned; it is learned anew when it is gone.
    learners: Mutex<BTreeMap<(TenantId, String), Learner>>,
}

/// The alarms of one tenant.
#[derive(Debug, Clone)]
pub struct TenantAlarms {
    shared: Arc<Shared>,
    tenant: TenantId,
}

/// An alarm and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlarmView {
    /// What it is.
    #[serde(flatten)]
    pub record: AlarmRecord,
    /// How it stands.
    pub status: AlarmStatus,
}

/// An objective and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SloView {
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// What is promised.
    pub description: String,
    /// How many per cent must be good.
    pub objective: f64,
    /// Over how many days.
    pub window_days: u32,
    /// Which part was good.
    pub attained: Option<f64>,
    /// Which part of the budget is left.
    pub budget_left: Option<f64>,
    /// Of how many days something is known.
    pub days_known: usize,
    /// How fast the budget burns.
    pub burn: Vec<BurnRate>,
}

impl Alarms {
    /// The alarms that `store` keeps, over `datapoints`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, datapoints: Arc<dyn Datapoints>) -> Self {
        let learners = Mutex::default();
        Self { shared: Arc::new(Shared { store, clock, datapoints, learners }) }
    }

    /// Those of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> TenantAlarms {
        TenantAlarms { shared: Arc::clone(&self.shared), tenant: tenant.clone() }
    }
}

impl TenantAlarms {
    fn store(&self) -> TenantStore {
        self.shared.store.tenant(&self.tenant)
    }

    async fn slos(&self) -> Result<Vec<SloRecord>, StoreError> {
        let rows = self.store().all(SLOS, "").await?;
        rows.iter().map(store::Record::read).collect()
    }

    /// The alarms that are switched on, and those of objectives.
    async fn records(&self, slos: &[SloRecord]) -> Result<Vec<AlarmRecord>, StoreError> {
        let mut records = Vec::new();
        for row in self.store().all(ALARMS, "").await? {
            records.push(row.read::<AlarmRecord>()?);
        }
        records.retain(|record| record.definition.is_enabled());
        records.extend(slos.iter().flat_map(of_objective));
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
    }

    /// The alarms and how they stand.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(&self) -> Result<Vec<AlarmView>, StoreError> {
        let mut statuses: BTreeMap<String, AlarmStatus> = BTreeMap::new();
        for row in self.store().all(STATUSES, "").await? {
            statuses.insert(row.key.clone(), row.read()?);
        }
        let now = self.shared.clock.now();
        let view = |record: AlarmRecord| {
            let status = statuses.remove(&record.name).unwrap_or_else(|| AlarmStatus::new(now));
            AlarmView { record, status }
        };
        let records = self.records(&self.slos().await?).await?;
        Ok(records.into_iter().map(view).collect())
    }

    /// One alarm, if it is there.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn show(&self, name: &str) -> Result<Option<AlarmView>, StoreError> {
        let records = self.records(&self.slos().await?).await?;
        let Some(record) = records.into_iter().find(|it| it.name == name) else {
            return Ok(None);
        };
        let status = match self.store().get(STATUSES, name).await? {
            Some(row) => row.read()?,
            None => AlarmStatus::new(self.shared.clock.now()),
        };
        Ok(Some(AlarmView { record, status }))
    }

    /// How an alarm changed, the newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn history(&self, name: &str, limit: usize) -> Result<Vec<AlarmChange>, StoreError> {
        let store = self.store();
        let mut changes = Vec::new();
        let mut after = 0;
        loop {
            let page = store.stream(&stream(name), after, 1_000).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            for event in page.iter().filter(|event| event.kind == CHANGED) {
                changes.push(event.read::<AlarmChange>()?);
            }
        }
        changes.reverse();
        changes.truncate(limit);
        Ok(changes)
    }

    /// The objectives and how they stand.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn objectives(&self) -> Result<Vec<SloView>, StoreError> {
        let mut budgets: BTreeMap<String, Budget> = BTreeMap::new();
        for row in self.store().all(BUDGETS, "").await? {
            budgets.insert(row.key.clone(), row.read()?);
        }
        let mut views = Vec::new();
        for SloRecord { name, project, definition } in self.slos().await? {
            let budget = budgets.remove(&name);
            let counted = budget.as_ref().map(|it| it.ledger.counted()).unwrap_or_default();
            let slo = definition.compile().ok();
            views.push(SloView {
                project: project.to_string(),
                description: definition.description,
                objective: definition.objective,
                window_days: definition.window_days,
                attained: (counted.total > 0.0).then(|| counted.good / counted.total),
                budget_left: slo.and_then(|slo| slo.budget_left(counted)),
                days_known: budget.as_ref().map_or(0, |it| it.ledger.days.len()),
                burn: budget.map(|it| it.burn).unwrap_or_default(),
                name,
            });
        }
        Ok(views)
    }

    /// Who is to be told, and nobody sees to it yet.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn pending(&self) -> Result<Vec<Notification>, StoreError> {
        let mut pending = Vec::new();
        for row in self.store().all(NOTIFICATIONS, "").await? {
            let notification: Notification = row.read()?;
            pending.extend(Some(notification).filter(|it| !it.begun));
        }
        Ok(pending)
    }

    /// One notification, if it is not done.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn notification(&self, id: &str) -> Result<Option<Notification>, StoreError> {
        let row = self.store().get(NOTIFICATIONS, id).await?;
        row.map(|row| row.read()).transpose()
    }

    /// Notes that somebody sees to a notification.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn begun(&self, id: &str) -> Result<(), StoreError> {
        let store = self.store();
        let Some(row) = store.get(NOTIFICATIONS, id).await? else { return Ok(()) };
        let notification = Notification { begun: true, ..row.read()? };
        let transaction = self.transaction();
        let expect = Expect::Version(row.version);
        match store.commit(transaction.put(NOTIFICATIONS, id, &notification, expect)?).await {
            // It is done already.
            Err(StoreError::Conflict { .. }) => Ok(()),
            committed => committed.map(drop),
        }
    }

    /// Notes that somebody was told.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn done(&self, id: &str) -> Result<(), StoreError> {
        let transaction = self.transaction().delete(NOTIFICATIONS, id, Expect::Any);
        self.store().commit(transaction).await.map(drop)
    }

    /// The state of an alarm; without data if it is not known.
    fn state(statuses: &BTreeMap<String, (AlarmStatus, Expect)>, name: &str) -> State {
        statuses.get(name).map_or(State::InsufficientData, |(status, _)| status.state)
    }
}

#[cfg(test)]
mod tests;
