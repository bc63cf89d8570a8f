//! A table as the query engine sees it: files and memory at one moment.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use super::manifest::File;
use super::read::Readers;
use super::schema::Table;

/// A tenant's table at one moment.
#[derive(Debug)]
pub struct View {
    /// Which table.
    pub table: Table,
    /// The files that may hold what is wanted.
    pub files: Vec<Arc<File>>,
    /// What is in no file yet.
    pub live: Vec<RecordBatch>,
    /// Who reads the files.
    pub readers: Readers,
}

impl View {
    fn scan_files(
        &self,
        state: &dyn Session,
        (projection, filters): (Option<&Vec<usize>>, &[Expr]),
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let mut source = ParquetSource::new(Arc::clone(&schema))
            .with_parquet_file_reader_factory(Arc::new(self.readers.clone()))
            .with_pushdown_filters(false)
            .with_enable_page_index(false)
            .with_bloom_filter_on_read(true);
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let columns = DFSchema::try_from(Arc::clone(&schema))?;
            source = source.with_predicate(state.create_physical_expr(filter, &columns)?);
        }
        // One group per thread; large files first, so that the groups end alike.
        let threads = state.config().target_partitions().max(1).min(self.files.len());
        let mut files = self.files.clone();
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let mut groups = vec![Vec::new(); threads];
        for (at, file) in files.into_iter().enumerate() {
            groups[at % threads].push(self.part(file));
        }
        let groups = groups.into_iter().map(FileGroup::new).collect();
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(groups)
                .with_projection_indices(projection.cloned())?
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn part(&self, file: Arc<File>) -> PartitionedFile {
        let columns = vec![ColumnStatistics::new_unknown(); self.schema().fields().len()];
        let statistics = Statistics {
            num_rows: Precision::Exact(file.rows as usize),
            total_byte_size: Precision::Inexact(file.bytes as usize),
            column_statistics: columns,
        };
        let path = format!("{}/{}/{}", file.tenant, file.table, file.name);
        PartitionedFile::new(path, file.bytes)
            .with_statistics(Arc::new(statistics))
            .with_extension(file)
    }
}

#[async_trait]
impl TableProvider for View {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.files.is_empty() {
            parts.push(self.scan_files(state, (projection, filters))?);
        }
        if !self.live.is_empty() {
            let live = std::slice::from_ref(&self.live);
            let memory =
                MemorySourceConfig::try_new_exec(live, self.schema(), projection.cloned())?;
            parts.push(memory);
        }
        match parts.len() {
            0 => {
                let schema = match projection {
                    Some(columns) => Arc::new(self.schema().project(columns)?),
                    None => self.schema(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Files pass over what cannot match; the engine filters what is left.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
