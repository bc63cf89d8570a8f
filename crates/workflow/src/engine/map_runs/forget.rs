//! Deleting Map runs with the executions that began them.
//!
//! A Map run is needed as long as the execution that began it: a redrive takes it up again. In the
//! transaction that deletes that execution the run's record becomes an orphan, and only then its
//! executions, what they were given and at last the record are deleted, in small transactions.
//! Whatever is cut off in between is found again by the record.

use store::{Expect, List, StoreError, Transaction};

use super::plan::PORTIONS;
use super::{BY_EXECUTION, BY_MAP_RUN, LOOKED_AT, MAP_RUNS, MapRunRecord, Stage};
use crate::engine::{EXECUTIONS, EngineError, ExecutionKey, PAGE, TenantEngine};

/// The index of Map runs whose parents are deleted.
pub const ORPHAN: &str = "orphan";
/// How many pages of what executions were given are read to be deleted: they may be large.
const PAGES: usize = 4;

impl TenantEngine {
    /// Adds to the transaction that deletes an execution that its Map runs go too.
    pub(in crate::engine) async fn orphan_map_runs(
        &self,
        parent: &ExecutionKey,
        mut transaction: Transaction,
    ) -> Result<Transaction, EngineError> {
        let mut after = None;
        loop {
            let index = Some((BY_EXECUTION, parent.to_string()));
            let list = List { prefix: String::new(), index, after, limit: PAGE };
            let rows = self.store().list(MAP_RUNS, list).await?;
            let Some(last) = rows.last() else { return Ok(transaction) };
            after = Some(last.key.clone());
            for row in &rows {
                let record = MapRunRecord { orphan: true, ..row.read()? };
                let (at, expect) = ((MAP_RUNS, row.key.as_str()), Expect::Version(row.version));
                transaction = transaction.put_indexed(at, &record, expect, &record.indexes())?;
            }
        }
    }

    /// Deletes Map runs whose parents are deleted, and about `most` executions of them at most; gives
    /// how many executions. What is still driven stays until it is over.
    pub(in crate::engine) async fn forget_orphans(
        &self,
        most: usize,
    ) -> Result<usize, EngineError> {
        let (mut count, mut after) = (0, None);
        loop {
            let index = Some((ORPHAN, String::new()));
            let list = List { prefix: String::new(), index, after, limit: LOOKED_AT };
            let rows = self.store().list(MAP_RUNS, list).await?;
            let Some(last) = rows.last() else { return Ok(count) };
            after = Some(last.key.clone());
            for row in &rows {
                let record: MapRunRecord = row.read()?;
                if record.stage != Stage::Over {
                    continue;
                }
                count += self.forget_items(&row.key, most - count).await?;
                if count >= most {
                    return Ok(count);
                }
                self.forget_given(&row.key).await?;
                let deleted = self.transaction().delete(MAP_RUNS, &row.key, Expect::Any);
                self.store().commit(deleted).await?;
            }
        }
    }

    /// Deletes executions of a Map run, about `most` of them at most; gives how many.
    async fn forget_items(&self, map_run: &str, most: usize) -> Result<usize, EngineError> {
        let mut count = 0;
        while count < most {
            let index = Some((BY_MAP_RUN, map_run.to_owned()));
            let list = List { prefix: String::new(), index, after: None, limit: LOOKED_AT };
            let rows = self.store().list(EXECUTIONS, list).await?;
            if rows.is_empty() {
                break;
            }
            let (transaction, keys) = self.deletion(&rows).await?;
            match self.store().commit(transaction).await {
                Ok(_) => count += keys.len(),
                // Another server deletes them too: it is looked again.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }

    /// Deletes what executions of a Map run were given, as far as that is left.
    async fn forget_given(&self, map_run: &str) -> Result<(), EngineError> {
        loop {
            let prefix = format!("{map_run}/");
            let list = List { prefix, index: None, after: None, limit: PAGES };
            let pages = self.store().list(PORTIONS, list).await?;
            if pages.is_empty() {
                return Ok(());
            }
            let deleted = pages.iter().fold(self.transaction(), |transaction, page| {
                transaction.delete(PORTIONS, &page.key, Expect::Any)
            });
            self.store().commit(deleted).await?;
        }
    }
}
