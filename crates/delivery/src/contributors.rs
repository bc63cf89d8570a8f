//! Rules of top contributors that a project defines, applied with everything else.

use std::collections::BTreeMap;

use monitoring::contributors::Rule;
use release::ArtifactName;
use store::{Collection, Transaction};

use crate::apply::Applied;
use crate::catalog::expect;
use crate::project::Project;
use crate::{DeliveryError, TenantDelivery};

/// A project's rules are one record, named as the project is.
const CONTRIBUTORS: Collection = Collection("contributors");

/// Rules as they are written, by name.
type Written = BTreeMap<ArtifactName, String>;

impl TenantDelivery {
    /// The rules of all projects, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn contributor_rules(&self) -> Result<BTreeMap<String, Rule>, DeliveryError> {
        let written = self.all::<Written>(CONTRIBUTORS, "").await?;
        let written = written.into_iter().flat_map(|project| project.value);
        // They were read before they were stored.
        let rules =
            written.filter_map(|(name, text)| Some((name.to_string(), Rule::parse(&text).ok()?)));
        Ok(rules.collect())
    }

    /// Adds a project's rules to `transaction`. What its files do not name any more is kept, or
    /// removed with `prune`.
    pub(crate) async fn define_contributors(
        &self,
        project: &Project,
        prune: bool,
        transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError> {
        let name = project.file.name.as_str();
        let known = self.find::<Written>(CONTRIBUTORS, name).await?;
        let before = known.as_ref().map(|known| known.value.clone()).unwrap_or_default();
        let changed =
            project.contributors.iter().filter(|(name, text)| before.get(name) != Some(text));
        applied.defined.extend(changed.map(|(name, _)| format!("contributors {name}")));
        let mut after = project.contributors.clone();
        for (name, text) in &before {
            if after.contains_key(name) {
                continue;
            }
            let label = format!("contributors {name}");
            if prune {
                applied.removed.push(label);
            } else {
                applied.kept.push(format!("{label}: not in the files, remove it with --prune"));
                after.insert(name.clone(), text.clone());
            }
        }
        if after == before {
            return Ok(transaction);
        }
        Ok(transaction.put(CONTRIBUTORS, name, &after, expect(&known))?)
    }
}

#[cfg(test)]
mod tests;
