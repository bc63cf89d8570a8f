//! Queries that a project saves, applied with everything else it defines.

use std::collections::BTreeMap;

use monitoring::Language;
use release::ArtifactName;
use serde::{Deserialize, Serialize};
use store::Collection;

use crate::{DeliveryError, TenantDelivery};

/// A project's queries are one record, named as the project is.
pub(crate) const QUERIES: Collection = Collection("queries");

/// A query with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedQuery {
    /// Its name.
    pub name: ArtifactName,
    /// Its language.
    pub language: Language,
    /// The query.
    pub text: String,
}

type Saved = BTreeMap<ArtifactName, SavedQuery>;

impl TenantDelivery {
    /// The queries of all projects, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn queries(&self) -> Result<Vec<SavedQuery>, DeliveryError> {
        let saved = self.all::<Saved>(QUERIES, "").await?;
        let queries = saved.into_iter().flat_map(|project| project.value.into_values());
        let mut queries: Vec<_> = queries.collect();
        queries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queries)
    }
}

#[cfg(test)]
mod tests;
