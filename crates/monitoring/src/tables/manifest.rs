//! Which files make up the tables.
//!
//! Files and the place in the log up to which they hold it are written in one transaction, so that
//! after a crash each row is either in a file or read again from the log.

use release::{PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, StoreError, SystemStore, Transaction};

use super::read::Checksums;
use super::schema::Table;

/// Files that tables consist of.
const FILES: Collection = Collection("telemetry_files");
/// How far each log is in files.
const LOGS: Collection = Collection("telemetry_logs");
/// Files that no table consists of any more.
const DROPPED: Collection = Collection("telemetry_dropped");

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Whose it is.
    pub tenant: TenantId,
    /// The table's name.
    pub table: String,
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its first moment.
    pub from: Timestamp,
    /// Its last moment.
    pub until: Timestamp,
    /// How often it was put together: as it was flushed, of an hour, of a day.
    pub level: Level,
    /// What its bytes are checked against.
    pub checksums: Checksums,
}

/// How often a file's rows were put together.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it was flushed.
    #[default]
    Flushed,
    /// The rows of an hour.
    Hour,
    /// The rows of a day.
    Day,
}

impl File {
    fn key(&self) -> String {
        format!("{}/{}/{}", self.tenant, self.table, self.name)
    }

    /// Which table it is of.
    pub fn of(&self) -> Option<Table> {
        Table::named(&self.table)
    }
}

/// A file that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The file.
    pub file: File,
    /// Since when it is in no table.
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Watermark {
    sequence: u64,
}

/// A change of the tables.
#[derive(Debug, Default)]
pub struct Edit {
    /// Files that are new.
    pub added: Vec<File>,
    /// Files that are in no table any more.
    pub dropped: Vec<File>,
    /// The log and how far it is in files now.
    pub watermark: Option<(String, u64)>,
}

/// The manifest as it is stored.
#[derive(Debug, Clone)]
pub struct Manifest {
    store: SystemStore,
}

impl Manifest {
    /// The manifest of a store.
    pub fn new(store: SystemStore) -> Self {
        Self { store }
    }

    /// How far a log is in files.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn watermark(&self, log: &str) -> Result<u64, StoreError> {
        let record = self.store.get(LOGS, log).await?;
        let watermark: Option<Watermark> = record.map(|record| record.read()).transpose()?;
        Ok(watermark.unwrap_or_default().sequence)
    }

    /// All files, by tenant and table.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn files(&self) -> Result<Vec<File>, StoreError> {
        self.all(FILES).await
    }

    /// What is to be deleted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn dropped(&self) -> Result<Vec<Dropped>, StoreError> {
        self.all(DROPPED).await
    }

    async fn all<T: serde::de::DeserializeOwned>(
        &self,
        collection: Collection,
    ) -> Result<Vec<T>, StoreError> {
        let found = self.store.all(collection, "").await?;
        found.iter().map(store::Record::read).collect()
    }

    /// Changes the tables. A dropped file must be there: of two that drop one, the second fails and
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another server was faster, or if the database fails.
    pub async fn commit(&self, edit: &Edit, at: Timestamp) -> Result<(), StoreError> {
        let mut transaction = Transaction::new(PrincipalId::system("telemetry"), at);
        for file in &edit.added {
            transaction = transaction.put(FILES, &file.key(), file, Expect::Absent)?;
        }
        for file in &edit.dropped {
            let dropped = Dropped { file: file.clone(), at };
            transaction = transaction.delete(FILES, &file.key(), Expect::Version(1));
            transaction = transaction.put(DROPPED, &file.key(), &dropped, Expect::Any)?;
        }
        if let Some((log, sequence)) = &edit.watermark {
            let watermark = Watermark { sequence: *sequence };
            transaction = transaction.put(LOGS, log, &watermark, Expect::Any)?;
        }
        self.store.commit(transaction).await.map(|_| ())
    }

    /// Forgets files that were deleted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget(&self, files: &[File], at: Timestamp) -> Result<(), StoreError> {
        for some in files.chunks(500) {
            let mut transaction = Transaction::new(PrincipalId::system("telemetry"), at);
            for file in some {
                transaction = transaction.delete(DROPPED, &file.key(), Expect::Any);
            }
            self.store.commit(transaction).await?;
        }
        Ok(())
    }
}
