//! Models that were imported to run in this process.

use release::{ArtifactKind, ArtifactName, ArtifactRef, CanonicalJson, Digest, Reproducibility};
use serde::{Deserialize, Serialize};
use store::{Collection, StoreError, TenantStore};

use crate::catalog::expect;
use crate::project::Prepared;
use crate::{DeliveryError, TenantDelivery};

pub(crate) const IMPORTED: Collection = Collection("imported_models");

/// Which artifact a name means.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImportedRecord {
    pub model: Digest,
}

/// The artifact of the model that was imported last under `name`.
///
/// # Errors
/// If the record cannot be read.
pub async fn imported_model(store: &TenantStore, name: &str) -> Result<Option<Digest>, StoreError> {
    let found = store.get(IMPORTED, name).await?;
    Ok(found.map(|record| record.read::<ImportedRecord>()).transpose()?.map(|found| found.model))
}

impl TenantDelivery {
    /// Makes a model an artifact version and lets `name` mean it. Its files are blobs that
    /// `manifest` names, stored before. Importing the same again changes nothing.
    ///
    /// # Errors
    /// If the manifest has no canonical form, or a record cannot be written.
    pub async fn import_model(
        &self,
        name: &ArtifactName,
        manifest: &impl Serialize,
    ) -> Result<ArtifactRef, DeliveryError> {
        let bytes = CanonicalJson::of(manifest).map_err(knowledge::KnowledgeError::from)?;
        let bytes = bytes.into_bytes();
        let artifact = ArtifactRef {
            kind: ArtifactKind::Model,
            name: name.clone(),
            digest: Digest::of(&bytes),
        };
        let reproducible = Reproducibility::Bytes;
        let prepared = Prepared { artifact: artifact.clone(), bytes, reproducible };
        let known = self.find::<ImportedRecord>(IMPORTED, name.as_str()).await?;
        let (transaction, _) = self.register(&prepared, Vec::new(), self.transaction()).await?;
        let record = ImportedRecord { model: artifact.digest };
        let transaction = transaction.put(IMPORTED, name.as_str(), &record, expect(&known))?;
        self.store.commit(transaction).await?;
        Ok(artifact)
    }
}
