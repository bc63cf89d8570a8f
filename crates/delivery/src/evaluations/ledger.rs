//! What a run has paid for, as records: so it goes on where it was after a crash.
//!
//! Rows are dropped when the run is over, since its result has all of it. A run that was given up
//! leaves its rows for a redrive; a week later the next run that begins drops them.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use evaluation::judge::CallError;
use evaluation::run::{Ledger, Record};
use release::Digest;
use store::{Collection, Expect, List, StoreError};

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
    delivery: TenantDelivery,
    id: String,
}

#[async_trait]
impl Ledger for StoredLedger {
    async fn get(&self, key: Digest) -> Result<Option<Record>, CallError> {
        let found = self.delivery.find(PAID, &self.key(key)).await.map_err(failed)?;
        Ok(found.map(|found| found.value))
    }

    async fn put(&self, key: Digest, record: Record) -> Result<(), CallError> {
        self.keep(key, &record).await.map_err(failed)
    }
}

impl StoredLedger {
    fn key(&self, key: Digest) -> String {
        format!("{}/{}", self.id, key.to_hex())
    }

    async fn keep(&self, key: Digest, record: &Record) -> Result<(), DeliveryError> {
        let put = self.delivery.transaction().put(PAID, &self.key(key), record, Expect::Any)?;
        self.delivery.store.commit(put).await?;
        // What is erased after this look is taken out of the row by whoever erases it.
        match self.delivery.find::<EvaluationPlan>(UNDER_WAY, &self.id).await? {
            Some(plan) => self.forget(&plan.value.erased).await,
            None => Ok(()),
        }
    }

    /// Takes out what quotes any of `documents`.
    pub(super) async fn forget(&self, documents: &BTreeSet<String>) -> Result<(), DeliveryError> {
        if documents.is_empty() {
            return Ok(());
        }
        let mut taken = false;
        for row in self.delivery.store.all(PAID, &format!("{}/", self.id)).await? {
            let (record, expect): (Record, _) = (row.read()?, Expect::Version(row.version));
            let transaction = self.delivery.transaction();
            let transaction = match record.clone().without(documents) {
                Some(left) if left == record => continue,
                Some(left) => transaction.put(PAID, &row.key, &left, expect)?,
                None => transaction.delete(PAID, &row.key, expect),
            };
            taken = true;
            match self.delivery.store.commit(transaction).await {
                // Another took it out.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if taken {
            self.delivery.system.scrub().await?;
        }
        Ok(())
    }
}

fn failed(error: DeliveryError) -> CallError {
    CallError(error.to_string())
}

impl TenantDelivery {
    /// The ledger of a run that has begun.
    pub fn evaluation_ledger(&self, plan: &EvaluationPlan) -> StoredLedger {
        StoredLedger { delivery: self.clone(), id: plan.id.clone() }
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
