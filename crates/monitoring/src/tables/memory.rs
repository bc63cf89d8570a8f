//! Rows that are in no file yet.

use std::collections::{BTreeMap, HashSet};

use datafusion::arrow::array::RecordBatch;
use release::{Digest, TenantId, Timestamp};

use super::schema::Table;
use crate::rows::Batch;

/// How many rows of a table are made columns at once; until then they are cheap to add.
const SEALED: usize = 8_192;
/// How many payloads are remembered as written, so that a conversation's history is kept once.
const REMEMBERED: usize = 200_000;

/// What one table has, as columns.
pub type Columns = BTreeMap<Table, Vec<RecordBatch>>;

/// Rows of all tenants.
#[derive(Debug, Default)]
pub struct Memory {
    tenants: BTreeMap<TenantId, Live>,
    bytes: usize,
}

/// One tenant's rows.
#[derive(Debug, Default)]
struct Live {
    open: Batch,
    columns: Columns,
}

impl Memory {
    /// About how many bytes it has, those of rows that are not yet columns left out.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Adds rows.
    pub fn push(&mut self, tenant: &TenantId, mut batch: Batch) {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), Live::default());
        }
        let Some(Live { open, .. }) = self.tenants.get_mut(tenant) else { return };
        open.spans.append(&mut batch.spans);
        open.payloads.append(&mut batch.payloads);
        open.retrieval_edges.append(&mut batch.retrieval_edges);
        open.scores.append(&mut batch.scores);
        open.logs.append(&mut batch.logs);
        open.metrics.append(&mut batch.metrics);
        let rows = [open.spans.len(), open.payloads.len(), open.logs.len(), open.metrics.len()];
        if rows.into_iter().any(|rows| rows >= SEALED) {
            self.seal(tenant);
        }
    }

    /// Makes columns of the tenant's rows.
    fn seal(&mut self, tenant: &TenantId) {
        let Some(live) = self.tenants.get_mut(tenant) else { return };
        let open = std::mem::take(&mut live.open);
        for table in Table::ALL {
            let columns = table.columns(&open);
            if columns.num_rows() > 0 {
                self.bytes += columns.get_array_memory_size();
                live.columns.entry(table).or_default().push(columns);
            }
        }
    }

    /// What the tenant has of a table.
    pub fn of(&mut self, tenant: &TenantId, table: Table) -> Vec<RecordBatch> {
        self.seal(tenant);
        let live = self.tenants.get(tenant);
        live.and_then(|live| live.columns.get(&table)).cloned().unwrap_or_default()
    }

    /// All there is, as columns; nothing is left.
    pub fn take(&mut self) -> BTreeMap<TenantId, Columns> {
        let tenants: Vec<TenantId> = self.tenants.keys().cloned().collect();
        tenants.iter().for_each(|tenant| self.seal(tenant));
        self.bytes = 0;
        let taken = std::mem::take(&mut self.tenants);
        taken.into_iter().map(|(tenant, live)| (tenant, live.columns)).collect()
    }
}

/// Which payloads were written today. Tomorrow they are written again: texts are dropped by their
/// day, and must not go before the spans that refer to them.
#[derive(Debug, Default)]
pub struct Remembered {
    day: i64,
    seen: HashSet<(TenantId, Digest)>,
}

impl Remembered {
    /// Leaves out the batch's payloads that were written before.
    pub fn dedup(&mut self, tenant: &TenantId, received_at: Timestamp, batch: &mut Batch) {
        let day = received_at.as_second().div_euclid(86_400);
        if day != self.day || self.seen.len() >= REMEMBERED {
            self.day = day;
            self.seen.clear();
        }
        batch.payloads.retain(|payload| self.seen.insert((tenant.clone(), payload.digest)));
    }
}
