//! Columns in files: Parquet, sorted, compressed, with checksums.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{AsArray, RecordBatch, TimestampNanosecondArray, UInt32Array};
use datafusion::arrow::compute::{
    SortColumn, concat_batches, lexsort_to_indices, max, min, take_record_batch,
};
use datafusion::arrow::datatypes::TimestampNanosecondType;
use datafusion::arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use release::Timestamp;

use super::schema::{TIMESTAMP, Table};

/// How many rows are in one row group: few enough to pass most of a day over.
const GROUP_ROWS: usize = 64 << 10;
/// How many bytes a row group has at most.
const GROUP_BYTES: usize = 32 << 20;

/// A file's bytes and what is in it.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Parquet.
    pub bytes: Bytes,
    /// How many rows.
    pub rows: u64,
    /// The first moment.
    pub from: Timestamp,
    /// The last moment.
    pub until: Timestamp,
}

/// Sorts rows and writes them as one file.
///
/// # Errors
/// If the rows do not have the table's columns.
pub fn encode(table: Table, batches: &[RecordBatch]) -> Result<Encoded, ParquetError> {
    let rows = concat_batches(&table.schema(), batches)?;
    let sorted = take_record_batch(&rows, &order(table, &rows)?)?;
    let mut writer = Writer::new(table)?;
    writer.write(&sorted)?;
    writer.finish()
}

fn order(table: Table, rows: &RecordBatch) -> Result<UInt32Array, ArrowError> {
    let mut key = Vec::new();
    for name in table.sort_key() {
        let column = rows.column_by_name(name);
        let column = column.ok_or_else(|| ArrowError::SchemaError(format!("no `{name}`")))?;
        key.push(SortColumn { values: Arc::clone(column), options: None });
    }
    lexsort_to_indices(&key, None)
}

/// A file in the making, of rows that are sorted.
pub struct Writer {
    inner: ArrowWriter<Vec<u8>>,
    rows: u64,
    from: i64,
    until: i64,
}

impl Writer {
    /// An empty file.
    ///
    /// # Errors
    /// If the table's columns have no form in Parquet.
    pub fn new(table: Table) -> Result<Self, ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by("groundcrew".to_owned());
        for column in table.looked_up() {
            properties = properties.set_column_bloom_filter_enabled((*column).into(), true);
        }
        let inner = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties.build()))?;
        Ok(Self { inner, rows: 0, from: i64::MAX, until: i64::MIN })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// If they do not have the table's columns.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.inner.write(rows)?;
        self.rows += rows.num_rows() as u64;
        let Some(moments) = moments(rows) else { return Ok(()) };
        self.from = self.from.min(min(moments).unwrap_or(i64::MAX));
        self.until = self.until.max(max(moments).unwrap_or(i64::MIN));
        Ok(())
    }

    /// How many bytes it has up to now.
    pub fn bytes(&self) -> usize {
        self.inner.bytes_written() + self.inner.in_progress_size()
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The whole file.
    ///
    /// # Errors
    /// If it cannot be put together.
    pub fn finish(self) -> Result<Encoded, ParquetError> {
        let bytes = self.inner.into_inner()?.into();
        let moment = |at: i64| Timestamp::from_nanosecond(i128::from(at)).unwrap_or_default();
        Ok(Encoded { bytes, rows: self.rows, from: moment(self.from), until: moment(self.until) })
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn moments(rows: &RecordBatch) -> Option<&TimestampNanosecondArray> {
    rows.column_by_name(TIMESTAMP)?.as_primitive_opt::<TimestampNanosecondType>()
}
