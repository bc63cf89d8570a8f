//! What a run has paid for, as records: so it goes on where it was after a crash.
//!
//! Rows are dropped when the run is over, since its result has all of it. A run that was given up
//! leaves its rows for a redrive; a week later the next run that begins drops them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evaluation::judge::CallError;
use evaluation::run::{Ledger, Record};
use release::{Clock, Digest, PrincipalId};
use store::{Collection, Expect, List, StoreError, TenantStore, Transaction};

use super::{EvaluationPlan, UNDER_WAY};
use crate::{DeliveryError, TenantDelivery};

/// What runs under way have paid for.
const PAID: Collection = Collection("evaluations.paid");
/// How long the ledger of a run is kept that does not go on.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How many rows are dropped at once.
const ROWS: usize = 500;

/// The ledger of one run.
#[derive(Debug, Clone)]
pub struct StoredLedger {
    store: TenantStore,
    id: String,
    actor: PrincipalId,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Ledger for StoredLedger {
    async fn get(&self, key: Digest) -> Result<Option<Record>, CallError> {
        let found = self.store.get(PAID, &self.key(key)).await.map_err(failed)?;
        found.map(|record| record.read().map_err(failed)).transpose()
    }

    async fn put(&self, key: Digest, record: Record) -> Result<(), CallError> {
        let transaction = Transaction::new(self.actor.clone(), self.clock.now());
        let transaction = transaction.put(PAID, &self.key(key), &record, Expect::Any);
        self.store.commit(transaction.map_err(failed)?).await.map_err(failed)?;
        Ok(())
    }
}

impl StoredLedger {
    fn key(&self, key: Digest) -> String {
        format!("{}/{}", self.id, key.to_hex())
    }
}

fn failed(error: StoreError) -> CallError {
    CallError(error.to_string())
}

impl TenantDelivery {
    /// The ledger of a run that has begun.
    pub fn evaluation_ledger(&self, plan: &EvaluationPlan) -> StoredLedger {
        let (store, id) = (self.store.clone(), plan.id.clone());
        StoredLedger { store, id, actor: self.actor.clone(), clock: Arc::clone(&self.clock) }
    }

    /// Drops what a run has paid for, and then that it is under way.
    pub(super) async fn forget_ledger(&self, id: &str) -> Result<(), DeliveryError> {
        loop {
            let (prefix, index, after) = (format!("{id}/"), None, None);
            let rows = List { prefix, index, after, limit: ROWS };
            let rows = self.store.list(PAID, rows).await?;
            let mut transaction = self.transaction();
            for row in &rows {
                transaction = transaction.delete(PAID, &row.key, Expect::Any);
            }
            if rows.len() < ROWS {
                transaction = transaction.delete(UNDER_WAY, id, Expect::Any);
            }
            self.store.commit(transaction).await?;
            if rows.len() < ROWS {
                return Ok(());
            }
        }
    }

    /// Drops the ledgers of runs that began long ago and did not end.
    pub(super) async fn forget_abandoned_ledgers(&self) -> Result<(), DeliveryError> {
        let now = self.clock.now();
        for found in self.all::<EvaluationPlan>(UNDER_WAY, "").await? {
            let EvaluationPlan { id, began_at, .. } = found.value;
            if began_at.checked_add(KEPT).is_ok_and(|until| until < now) {
                self.forget_ledger(&id).await?;
            }
        }
        Ok(())
    }
}
