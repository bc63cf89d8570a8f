//! Reading a file's parts, each checked against the checksums that the manifest has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};
use store::Files;

use super::manifest::File;

/// How many bytes one checksum is of.
const BLOCK: u64 = 256 << 10;
/// How much of a file's end is read at once to find out what is in it.
const FOOTER: usize = 64 << 10;
/// How many files' footers are kept.
const KEPT: usize = 4_096;

/// The CRC32C of each block of a file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksums(Arc<[u32]>);

impl Checksums {
    /// Those of a file's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.chunks(BLOCK as usize).map(crc32c::crc32c).collect())
    }

    /// Whether `bytes`, which begin with block `first`, are what was written.
    fn hold(&self, first: u64, bytes: &[u8]) -> bool {
        let expected = self.0.get(first as usize..).unwrap_or_default();
        let found = bytes.chunks(BLOCK as usize).map(crc32c::crc32c);
        expected.len() >= bytes.chunks(BLOCK as usize).len()
            && found.zip(expected).all(|(found, expected)| found == *expected)
    }
}

impl From<Checksums> for String {
    fn from(checksums: Checksums) -> Self {
        checksums.0.iter().map(|crc| format!("{crc:08x}")).collect()
    }
}

impl TryFrom<String> for Checksums {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "checksums are eight hex digits each".to_owned();
        let digits = text.as_bytes().chunks(8);
        let numbers = digits.map(|some| {
            let some = std::str::from_utf8(some).ok().filter(|some| some.len() == 8);
            some.and_then(|some| u32::from_str_radix(some, 16).ok()).ok_or_else(wrong)
        });
        Ok(Self(numbers.collect::<Result<_, _>>()?))
    }
}

/// Reads files of tables.
#[derive(Debug, Clone)]
pub struct Readers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: Files,
    footers: Mutex<BTreeMap<String, Arc<ParquetMetaData>>>,
    damaged: Mutex<BTreeSet<String>>,
}

impl Readers {
    /// Reads files of a place.
    pub fn new(files: Files) -> Self {
        let (footers, damaged) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { files, footers, damaged }) }
    }

    /// The names of files that are missing or are not what was written.
    pub fn damaged(&self) -> BTreeSet<String> {
        lock(&self.shared.damaged).clone()
    }

    /// Reads a file.
    pub fn open(&self, file: &Arc<File>) -> FileReader {
        FileReader { shared: Arc::clone(&self.shared), file: Arc::clone(file) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _partition: usize,
        partitioned: PartitionedFile,
        _hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let file = partitioned.extension::<Arc<File>>().ok_or_else(|| {
            let path = partitioned.path().to_string();
            datafusion::error::DataFusionError::Internal(format!("`{path}` is in no manifest"))
        })?;
        Ok(Box::new(self.open(file)))
    }
}

/// One file that is being read.
#[derive(Debug)]
pub struct FileReader {
    shared: Arc<Shared>,
    file: Arc<File>,
}

impl FileReader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let File { tenant, table, name, bytes, checksums, .. } = self.file.as_ref();
        let first = range.start / BLOCK;
        let aligned = first * BLOCK..range.end.div_ceil(BLOCK).saturating_mul(BLOCK).min(*bytes);
        if range.end > *bytes || range.start > range.end {
            return Err(self.damaged("it ends early"));
        }
        let files = self.shared.files.tenant(tenant);
        let read = files.read(table, name, aligned.clone()).await;
        let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
        let Some(read) = read else { return Err(self.damaged("it is missing")) };
        if !checksums.hold(first, &read) {
            return Err(self.damaged("its bytes are not those that were written"));
        }
        let start = (range.start - aligned.start) as usize;
        Ok(read.slice(start..start + (range.end - range.start) as usize))
    }

    /// Names the file, once, and leaves it out from now on.
    fn damaged(&self, why: &str) -> ParquetError {
        let File { tenant, table, name, .. } = self.file.as_ref();
        if lock(&self.shared.damaged).insert(name.clone()) {
            tracing::error!(%tenant, table, name, why, "telemetry: a file is damaged");
        }
        ParquetError::General(format!("file `{name}` of `{table}`: {why}"))
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.read(range).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let mut found: Vec<Bytes> = Vec::with_capacity(ranges.len());
            // Columns that stand side by side are read at once.
            let mut at = 0;
            while let Some(first) = ranges.get(at) {
                let mut whole = first.clone();
                let mut next = at + 1;
                while let Some(range) = ranges.get(next)
                    && range.start >= whole.end
                    && range.start - whole.end <= BLOCK
                {
                    whole.end = range.end;
                    next += 1;
                }
                let bytes = self.read(whole.clone()).await?;
                for range in &ranges[at..next] {
                    let start = (range.start - whole.start) as usize;
                    found.push(bytes.slice(start..start + (range.end - range.start) as usize));
                }
                at = next;
            }
            Ok(found)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let name = self.file.name.clone();
            if let Some(known) = lock(&self.shared.footers).get(&name) {
                return Ok(Arc::clone(known));
            }
            let bytes = self.file.bytes;
            let footer = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Skip)
                .with_prefetch_hint(Some(FOOTER));
            let footer = Arc::new(footer.load_and_finish(&mut *self, bytes).await?);
            let mut footers = lock(&self.shared.footers);
            if footers.len() >= KEPT {
                footers.pop_first();
            }
            footers.insert(name, Arc::clone(&footer));
            Ok(footer)
        }
        .boxed()
    }
}
