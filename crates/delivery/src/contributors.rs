//! Rules of top contributors that a project defines, applied with everything else.

use std::collections::BTreeMap;

use monitoring::contributors::Rule;
use release::ArtifactName;
use store::Collection;

use crate::{DeliveryError, TenantDelivery};

/// A project's rules are one record, named as the project is.
pub(crate) const CONTRIBUTORS: Collection = Collection("contributors");

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
}

#[cfg(test)]
mod tests;
