//! What a project lists under names and keeps in one record, such as its queries.

use std::collections::BTreeMap;

use release::ArtifactName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Collection, Transaction};

use crate::apply::Applied;
use crate::catalog::expect;
use crate::project::Project;
use crate::{DeliveryError, TenantDelivery};

/// What a project's files list of one kind.
pub(crate) struct Listed<'a, T> {
    /// What one of them is called.
    pub noun: &'static str,
    /// Where the record is kept that is named as the project is.
    pub collection: Collection,
    /// What the files say, by name.
    pub files: &'a BTreeMap<ArtifactName, T>,
}

impl TenantDelivery {
    /// Adds what is listed to `transaction`. What the files do not name any more is kept, or removed
    /// with `prune`.
    pub(crate) async fn define_listed<T>(
        &self,
        listed: &Listed<'_, T>,
        (project, prune): (&Project, bool),
        transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError>
    where
        T: Clone + PartialEq + Serialize + DeserializeOwned + Sync,
    {
        let Listed { noun, collection, files } = listed;
        let project = project.file.name.as_str();
        let known = self.find::<BTreeMap<ArtifactName, T>>(*collection, project).await?;
        let before = known.as_ref().map(|known| known.value.clone()).unwrap_or_default();
        let changed = files.iter().filter(|(name, one)| before.get(name) != Some(one));
        applied.defined.extend(changed.map(|(name, _)| format!("{noun} {name}")));
        let mut after = (*files).clone();
        for (name, one) in &before {
            if after.contains_key(name) {
                continue;
            }
            let label = format!("{noun} {name}");
            if prune {
                applied.removed.push(label);
            } else {
                applied.kept.push(format!("{label}: not in the files, remove it with --prune"));
                after.insert(name.clone(), one.clone());
            }
        }
        if after == before {
            return Ok(transaction);
        }
        Ok(transaction.put(*collection, project, &after, expect(&known))?)
    }
}
