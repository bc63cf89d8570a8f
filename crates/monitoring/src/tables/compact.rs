//! Keeping files few and no longer than wanted.
//!
//! What was flushed in an hour becomes one file when the hour is over, and the hours of a day one
//! when the day is. Files that were replaced, or are too old, leave the manifest first and are
//! deleted a while later, when no query can be reading them any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use release::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::columns::Writer;
use super::manifest::{Edit, File, Level};
use super::provider::View;
use super::schema::Table;
use super::{Shared, Tables, TablesError};
use crate::query;

/// A file has about this many bytes at most.
const LARGE: u64 = 128 << 20;
/// How long after its end an hour or a day is put together: what is late comes until then.
const LATE: i64 = 600;
/// How long dropped files stay for queries that read them.
const GRACE: i64 = 600;
/// Files that are in no manifest for so long were written by a flush that did not end.
const ORPHANED: i64 = 3_600;

/// For how many days rows are kept, by their moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Spans, and which passages grounded which answers.
    #[schemars(range(min = 1))]
    pub spans: u32,
    /// What was asked and answered.
    #[schemars(range(min = 1))]
    pub payloads: u32,
    /// What evaluators and people thought.
    #[schemars(range(min = 1))]
    pub scores: u32,
    /// Logs.
    #[schemars(range(min = 1))]
    pub logs: u32,
    /// Metrics.
    #[schemars(range(min = 1))]
    pub metrics: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { spans: 90, payloads: 30, scores: 90, logs: 30, metrics: 455 }
    }
}

impl Retention {
    fn days(self, table: Table) -> u32 {
        match table {
            Table::Spans | Table::RetrievalEdges => self.spans,
            Table::Payloads => self.payloads,
            Table::Scores => self.scores,
            Table::Logs => self.logs,
            Table::Metrics => self.metrics,
        }
    }
}

/// What maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Maintained {
    /// Files that became part of another.
    pub merged: u64,
    /// Files whose rows were too old.
    pub expired: u64,
    /// Files that were deleted.
    pub deleted: u64,
}

/// Files that are to become one, and what it is then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    files: Vec<Arc<File>>,
    level: Level,
}

/// What of a table's files is to be put together at `now`.
fn groups(files: &[Arc<File>], now: Timestamp) -> Vec<Group> {
    let over = |end: i64| now.as_second() >= end + LATE;
    let mut days: BTreeMap<i64, Vec<Arc<File>>> = BTreeMap::new();
    let mut hours: BTreeMap<i64, Vec<Arc<File>>> = BTreeMap::new();
    for file in files {
        let (day, hour) =
            (file.from.as_second().div_euclid(86_400), file.from.as_second().div_euclid(3_600));
        if over((day + 1) * 86_400) {
            days.entry(day).or_default().push(Arc::clone(file));
        } else if over((hour + 1) * 3_600) {
            hours.entry(hour).or_default().push(Arc::clone(file));
        }
    }
    let days = days.into_values().map(|files| Group { files, level: Level::Day });
    let hours = hours.into_values().map(|files| Group { files, level: Level::Hour });
    days.chain(hours).filter_map(Group::worthwhile).collect()
}

impl Group {
    /// Leaves out what is put together already and large, or would be for a few late rows.
    fn worthwhile(mut self) -> Option<Self> {
        self.files.retain(|file| file.level < self.level || file.bytes < LARGE / 2);
        let (done, fresh): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|file| file.level >= self.level);
        let bytes = |files: &[&Arc<File>]| files.iter().map(|file| file.bytes).sum::<u64>();
        let few = fresh.len() < 8 && bytes(&fresh) < bytes(&done) / 8;
        (self.files.len() > 1 && !fresh.is_empty() && !few).then_some(self)
    }
}

impl Tables {
    /// Puts files together, drops what is too old, deletes what was dropped a while ago. At most
    /// one server may do so at a time.
    ///
    /// # Errors
    /// If the files or the manifest cannot be read or written. What was done stays done.
    pub async fn maintain(&self, retention: Retention) -> Result<Maintained, TablesError> {
        self.reload().await?;
        let mut done = Maintained::default();
        let now = self.shared.parts.clock.now();
        let known: Vec<_> = {
            let state = self.shared.state();
            state.files.iter().map(|(of, files)| (of.clone(), files.clone())).collect()
        };
        for ((tenant, table), files) in known {
            let oldest = now.as_second() - i64::from(retention.days(table)) * 86_400;
            let (expired, kept): (Vec<_>, Vec<_>) =
                files.into_iter().partition(|file| file.until.as_second() < oldest);
            if !expired.is_empty() {
                done.expired += expired.len() as u64;
                let dropped = expired.iter().map(|file| file.as_ref().clone()).collect();
                self.shared.edit(Edit { dropped, ..Edit::default() }).await?;
            }
            let damaged = self.damaged();
            let sound: Vec<_> =
                kept.into_iter().filter(|file| !damaged.contains(&file.name)).collect();
            for group in groups(&sound, now) {
                done.merged += group.files.len() as u64;
                self.merge((&tenant, table), group).await?;
            }
        }
        done.deleted = self.delete_dropped(now).await?;
        Ok(done)
    }

    /// Learns of what other servers wrote.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub async fn reload(&self) -> Result<(), TablesError> {
        let _alone = self.shared.flushes.lock().await;
        let added = self.shared.manifest.files().await?;
        let mut state = self.shared.state();
        state.files.clear();
        Shared::edited(&mut state, &Edit { added, ..Edit::default() });
        Ok(())
    }

    async fn merge(
        &self,
        (tenant, table): (&TenantId, Table),
        group: Group,
    ) -> Result<(), TablesError> {
        let Group { files, level } = group;
        let dropped = files.iter().map(|file| file.as_ref().clone()).collect();
        let view = View { table, files, live: Vec::new(), readers: self.shared.readers.clone() };
        let sorted = query::sorted(view).await?;
        let added = self.rewrite((tenant, table), sorted, level).await?;
        self.shared.edit(Edit { added, dropped, watermark: None }).await
    }

    /// Writes sorted rows as files of bounded size. Of equal payloads one stays.
    pub(super) async fn rewrite(
        &self,
        (tenant, table): (&TenantId, Table),
        mut rows: SendableRecordBatchStream,
        level: Level,
    ) -> Result<Vec<File>, TablesError> {
        let mut added = Vec::new();
        let mut writer = Writer::new(table)?;
        let mut last = None;
        while let Some(batch) = rows.next().await {
            let mut batch = batch?;
            if table == Table::Payloads {
                batch = distinct(batch, &mut last)?;
            }
            writer.write(&batch)?;
            if writer.bytes() as u64 > LARGE {
                let full = std::mem::replace(&mut writer, Writer::new(table)?);
                added.push(self.shared.put((tenant, table), full.finish()?, level).await?);
            }
        }
        if writer.rows() > 0 {
            added.push(self.shared.put((tenant, table), writer.finish()?, level).await?);
        }
        Ok(added)
    }

    async fn delete_dropped(&self, now: Timestamp) -> Result<u64, TablesError> {
        let (files, manifest) = (&self.shared.parts.files, &self.shared.manifest);
        let dropped = manifest.dropped().await?;
        let (old, young): (Vec<_>, Vec<_>) =
            dropped.into_iter().partition(|one| one.at.as_second() + GRACE < now.as_second());
        let old: Vec<File> = old.into_iter().map(|one| one.file).collect();
        for file in &old {
            files.tenant(&file.tenant).delete(&file.table, &file.name).await?;
        }
        manifest.forget(&old, now).await?;
        let known = self.shared.state().files.clone();
        let mut deleted = old.len() as u64;
        for (tenant, table) in known.keys() {
            let files = files.tenant(tenant);
            for found in files.list(table.as_str()).await? {
                let listed = known.get(&(tenant.clone(), *table));
                let listed = listed.is_some_and(|all| all.iter().any(|one| one.name == found.name));
                let waits = young.iter().any(|one| one.file.name == found.name);
                let old = found.written_at.as_second() + ORPHANED < now.as_second();
                if !listed && !waits && old {
                    files.delete(table.as_str(), &found.name).await?;
                    deleted += 1;
                }
            }
        }
        Ok(deleted)
    }
}

impl Shared {
    /// Changes the manifest, and then what is known of it.
    pub(super) async fn edit(&self, edit: Edit) -> Result<(), TablesError> {
        let _alone = self.flushes.lock().await;
        self.manifest.commit(&edit, self.parts.clock.now()).await?;
        Self::edited(&mut self.state(), &edit);
        Ok(())
    }
}

/// The rows whose digest is not that of the row before.
fn distinct(batch: RecordBatch, last: &mut Option<String>) -> Result<RecordBatch, TablesError> {
    let Some(digests) = batch.column_by_name("digest").and_then(|it| it.as_string_opt::<i32>())
    else {
        return Ok(batch);
    };
    let mut keep = Vec::with_capacity(digests.len());
    for digest in digests {
        let fresh = digest.is_none() || digest != last.as_deref();
        keep.push(fresh);
        if fresh {
            *last = digest.map(str::to_owned);
        }
    }
    Ok(filter_record_batch(&batch, &BooleanArray::from(keep))
        .map_err(datafusion::error::DataFusionError::from)?)
}
