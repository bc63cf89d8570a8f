//! Whole collections, read a page at a time.

use serde::de::DeserializeOwned;
use store::{Collection, List, Record, StoreError, TenantStore};

use super::{EngineError, PAGE, TenantEngine};

/// Which rows of a collection.
#[derive(Debug, Clone, Default)]
pub struct Which<'a> {
    /// What their keys begin with.
    pub prefix: &'a str,
    /// The index entry that they have, if they must have one.
    pub index: Option<(&'static str, String)>,
}

/// All these rows, by their keys.
pub async fn rows(
    store: &TenantStore,
    collection: Collection,
    which: Which<'_>,
) -> Result<Vec<Record>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (prefix, index) = (which.prefix.to_owned(), which.index.clone());
        let page = store.list(collection, List { prefix, index, after, limit: PAGE }).await?;
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
        all.extend(page);
        if after.is_none() {
            return Ok(all);
        }
    }
}

impl TenantEngine {
    /// The records of a collection, by name.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        collection: Collection,
    ) -> Result<Vec<T>, EngineError> {
        self.read(collection, Which::default()).await
    }

    /// These records of a collection, by key.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        collection: Collection,
        which: Which<'_>,
    ) -> Result<Vec<T>, EngineError> {
        let rows = rows(&self.store(), collection, which).await?;
        Ok(rows.iter().map(|row| row.read()).collect::<Result<_, _>>()?)
    }
}
