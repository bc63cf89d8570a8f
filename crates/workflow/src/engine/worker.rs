//! Workers outside this process: they ask for the tasks of an activity, and report with a token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use release::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Collection, Expect, List, StoreError};

use super::tags::TAGS;
use super::transition::Change;
use super::{
    ACTIVITY, ATTEMPTS, EXECUTIONS, EngineError, ExecutionKey, ExecutionRecord, LISTEN, OpenTask,
    Tagged, TenantEngine, check_name,
};
use crate::interpreter::{Input, Report};

const ACTIVITIES: Collection = Collection("workflow.activities");
/// Which execution each token was given for, by the token's digest.
pub const TOKENS: Collection = Collection("workflow.tokens");
/// The index of tokens by their execution.
pub const OF: &str = "execution";
/// Of how many executions that wait for an activity the one that has waited longest is taken.
const CANDIDATES: usize = 100;

/// An activity: work that is done by whoever asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A task that a worker was given.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenTask {
    /// What it reports with, once.
    pub token: String,
    /// What is to be done.
    pub input: Value,
}

/// A token that nobody can guess: 256 bits of the system's randomness, in hexadecimal.
pub fn token() -> String {
    let part = || uuid::Uuid::new_v4().simple().to_string();
    // Each has 122 random bits.
    Digest::of_fields([part().as_bytes(), part().as_bytes(), part().as_bytes()]).to_string()
}

impl TenantEngine {
    /// Makes an activity; the same again is the same one.
    ///
    /// # Errors
    /// If the name is refused.
    pub async fn create_activity(&self, name: &str) -> Result<ActivityRecord, EngineError> {
        check_name(name)?;
        let created_at = self.engine.shared.clock.now();
        let record = ActivityRecord { name: name.to_owned(), created_at };
        let transaction = self.transaction().put(ACTIVITIES, name, &record, Expect::Absent)?.emit(
            "workflow",
            "activity.created",
            &record,
        )?;
        match self.store().commit(transaction).await {
            Ok(_) => Ok(record),
            Err(StoreError::Conflict { .. }) => self.activity(name).await,
            Err(error) => Err(error.into()),
        }
    }

    /// One activity.
    ///
    /// # Errors
    /// If there is none.
    pub async fn activity(&self, name: &str) -> Result<ActivityRecord, EngineError> {
        let row = self.store().get(ACTIVITIES, name).await?;
        let row = row.ok_or_else(|| EngineError::UnknownActivity(name.to_owned()))?;
        Ok(row.read()?)
    }

    /// The activities, by name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn activities(&self) -> Result<Vec<ActivityRecord>, EngineError> {
        self.all(ACTIVITIES).await
    }

    /// Removes an activity; tasks that were given can still be reported.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remove_activity(&self, name: &str) -> Result<(), EngineError> {
        let tags = Tagged::Activity(name.to_owned()).key();
        let transaction = self
            .transaction()
            .delete(ACTIVITIES, name, Expect::Any)
            .delete(TAGS, &tags, Expect::Any)
            .emit("workflow", "activity.removed", &name)?;
        self.store().commit(transaction).await?;
        Ok(())
    }

    /// Gives a worker the task of an activity that has waited longest, as soon as there is one
    /// within `patience`.
    ///
    /// # Errors
    /// If there is no such activity.
    pub async fn take_task(
        &self,
        activity: &str,
        worker: Option<&str>,
        patience: Duration,
    ) -> Result<Option<GivenTask>, EngineError> {
        self.activity(activity).await?;
        let until = tokio::time::Instant::now() + patience;
        let bell = (self.tenant.clone(), activity.to_owned());
        let bell = self.engine.shared.offered.listen(bell);
        loop {
            let rung = bell.rung();
            if let Some(given) = self.take_waiting(activity, worker).await? {
                return Ok(Some(given));
            }
            let now = tokio::time::Instant::now();
            if now >= until {
                return Ok(None);
            }
            rung.within(LISTEN.min(until - now)).await;
        }
    }

    async fn take_waiting(
        &self,
        activity: &str,
        worker: Option<&str>,
    ) -> Result<Option<GivenTask>, EngineError> {
        let waits = |open: &&OpenTask| open.waits_for_worker() == Some(activity);
        for _ in 0..ATTEMPTS {
            let index = Some((ACTIVITY, activity.to_owned()));
            let list = List { prefix: String::new(), index, after: None, limit: CANDIDATES };
            let rows = self.store().list(EXECUTIONS, list).await?;
            let records = rows.iter().map(|row| row.read::<ExecutionRecord>());
            let records: Vec<_> = records.collect::<Result<_, _>>()?;
            let waiting = records.iter().flat_map(|record| {
                let open = record.tasks.values().filter(waits);
                open.map(move |open| (open.scheduled_at, record, open))
            });
            let Some((_, record, open)) = waiting.min_by_key(|(since, ..)| *since) else {
                return Ok(None);
            };
            let (token, task) = (token(), open.task.clone());
            let given = GivenTask { token: token.clone(), input: open.arguments.clone() };
            let taken = self.engine.change(&self.tenant, &record.key, |record| {
                let now = self.engine.shared.clock.now();
                let open = record.tasks.get_mut(&task).filter(|open| waits(&&**open));
                let open = open.ok_or(EngineError::TaskOver)?;
                open.token = Some(Digest::of(token.as_bytes()));
                open.beat(now);
                let report = Report::Started { worker: worker.map(str::to_owned) };
                Ok(Input::Reported { task: task.clone(), report }.into())
            });
            match taken.await {
                Ok(record) => {
                    if let Some(open) = record.tasks.get(&task) {
                        self.engine.set_timers(&self.tenant, &record.key, open.due());
                    }
                    return Ok(Some(given));
                }
                // Another worker was faster.
                Err(EngineError::TaskOver | EngineError::Contended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes the report of a task, once.
    ///
    /// # Errors
    /// [`EngineError::Token`] if the token was never given, [`EngineError::TaskOver`] if its task is
    /// over.
    pub async fn report(&self, token: &str, report: Report) -> Result<(), EngineError> {
        let (digest, key) = self.of_token(token).await?;
        let reported = self.engine.change(&self.tenant, &key, |record| {
            let open = record.tasks.values().find(|open| open.token == Some(digest));
            let task = open.ok_or(EngineError::TaskOver)?.task.clone();
            Ok(Input::Reported { task, report: report.clone() }.into())
        });
        reported.await.map(|_| ())
    }

    /// A sign of life of whoever has the token.
    ///
    /// # Errors
    /// As [`TenantEngine::report`].
    pub async fn heartbeat(&self, token: &str) -> Result<(), EngineError> {
        let (digest, key) = self.of_token(token).await?;
        let sooner = AtomicBool::new(false);
        let beaten = self.engine.change(&self.tenant, &key, |record| {
            let now = self.engine.shared.clock.now();
            let open = record.tasks.values_mut().find(|open| open.token == Some(digest));
            sooner.fetch_or(open.ok_or(EngineError::TaskOver)?.beat(now), Ordering::Relaxed);
            Ok(Change { input: None, told: None })
        });
        let record = beaten.await?;
        if sooner.into_inner() {
            self.engine.set_timers(&self.tenant, &key, record.due());
        }
        Ok(())
    }

    /// The execution that a token was given for.
    async fn of_token(&self, token: &str) -> Result<(Digest, ExecutionKey), EngineError> {
        let digest = Digest::of(token.as_bytes());
        let row = self.store().get(TOKENS, &digest.to_string()).await?;
        let key: String = row.ok_or(EngineError::Token)?.read()?;
        Ok((digest, key.parse().map_err(|_| EngineError::Token)?))
    }
}
