//! How long executions that are over are kept.
//!
//! What ended longer ago than the operator keeps is deleted whole: record, history and tokens; its
//! name can be given anew. It is found by the day it ended, an index of its own record. Days are
//! gone through from the oldest, in transactions that are small so that nobody waits for them, and
//! each of which the event log tells. Whoever is redriven meanwhile has another version by then and
//! stays, as does whatever is under way; dead letters are never deleted here. Map runs and their
//! executions go with the execution that began them (`map_runs/forget.rs`).

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use release::{PrincipalId, TenantId, Timestamp};
use serde_json::json;
use store::{Expect, List, Record, StoreError, Transaction};

use super::rules::POSITIONS;
use super::transition::history_stream;
use super::worker::{OF, TOKENS};
use super::{EXECUTIONS, Engine, EngineError, ExecutionRecord, PAGE, TenantEngine};

/// The index of executions by the day they ended.
pub const ENDED: &str = "ended";
/// Before which day nothing is left to be deleted.
const POSITION: &str = "retention";
/// How many executions are deleted at once.
const BATCH: usize = 20;
/// How many events of histories are deleted at once; one execution may have more.
const EVENTS: u64 = 2_000;
/// How many executions of a tenant are deleted in one go; the rest waits for the next.
const MOST: usize = 10_000;

/// The day of a moment, in UTC.
pub fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

impl Engine {
    /// Deletes the executions of `tenants` that ended more than `keep_days` days ago; gives how
    /// many. A tenant's that cannot be deleted now are tried again by the next call.
    pub async fn forget_ended(&self, tenants: &[TenantId], keep_days: u32) -> usize {
        let kept = SignedDuration::from_hours(24 * i64::from(keep_days));
        // So long ago there was nothing.
        let Ok(before) = self.shared.clock.now().checked_sub(kept) else { return 0 };
        let mut count = 0;
        for tenant in tenants {
            let engine = self.tenant(tenant, PrincipalId::system("retention"));
            match engine.forget_before(day(before)).await {
                Ok(deleted) => count += deleted,
                Err(error) => {
                    tracing::warn!(%error, %tenant, "old executions could not be deleted");
                }
            }
        }
        count
    }
}

impl TenantEngine {
    async fn forget_before(&self, before: Date) -> Result<usize, EngineError> {
        let store = self.store();
        let row = store.get(POSITIONS, POSITION).await?;
        let reached = row.as_ref().map(|row| row.read::<Date>()).transpose()?;
        let mut at = match reached.filter(|reached| *reached <= before) {
            Some(reached) => reached,
            // The first time, and after the clock was set back: nothing ended before the first event.
            None => match store.log(0, 1).await?.first() {
                Some(first) => day(first.at),
                None => before,
            },
        };
        let mut count = 0;
        while at < before {
            count += self.forget_day(at, MOST - count).await?;
            if count >= MOST {
                return Ok(count);
            }
            at = at.tomorrow().unwrap_or(before);
        }
        if reached != Some(before) {
            let transaction = self.transaction().put(POSITIONS, POSITION, &before, Expect::Any)?;
            store.commit(transaction).await?;
        }
        Ok(count + self.forget_orphans(MOST - count).await?)
    }

    /// Deletes what ended on a day, about `most` executions of it.
    async fn forget_day(&self, day: Date, most: usize) -> Result<usize, EngineError> {
        let store = self.store();
        let mut count = 0;
        while count < most {
            let index = Some((ENDED, day.to_string()));
            let list = List { prefix: String::new(), index, after: None, limit: BATCH };
            let rows = store.list(EXECUTIONS, list).await?;
            if rows.is_empty() {
                break;
            }
            let (transaction, keys) = self.deletion(&rows).await?;
            let told = json!({"executions": keys, "ended_on": day});
            let transaction = transaction.emit("workflow", "executions.deleted", &told)?;
            match store.commit(transaction).await {
                Ok(_) => count += keys.len(),
                // One was redriven, or another server deletes them too: it is looked again.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }

    /// What deletes the first of `rows` whole, as many as fit in one transaction, and their keys.
    pub(super) async fn deletion<'a>(
        &self,
        rows: &'a [Record],
    ) -> Result<(Transaction, Vec<&'a str>), EngineError> {
        let (mut transaction, mut keys, mut events) = (self.transaction(), Vec::new(), 0);
        for row in rows {
            let record: ExecutionRecord = row.read()?;
            events += record.run.events;
            if !keys.is_empty() && events > EVENTS {
                break;
            }
            self.forget_tokens(&row.key).await?;
            transaction = self.orphan_map_runs(&record.key, transaction).await?;
            transaction = transaction
                .delete(EXECUTIONS, &row.key, Expect::Version(row.version))
                .delete_stream(&history_stream(&record.key));
            keys.push(row.key.as_str());
        }
        Ok((transaction, keys))
    }

    async fn forget_tokens(&self, execution: &str) -> Result<(), EngineError> {
        let store = self.store();
        loop {
            let index = Some((OF, execution.to_owned()));
            let list = List { prefix: String::new(), index, after: None, limit: PAGE };
            let tokens = store.list(TOKENS, list).await?;
            if tokens.is_empty() {
                return Ok(());
            }
            let deleted = tokens.iter().fold(self.transaction(), |transaction, token| {
                transaction.delete(TOKENS, &token.key, Expect::Any)
            });
            store.commit(deleted).await?;
        }
    }
}
