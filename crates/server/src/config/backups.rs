//! Where backups go.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use release::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ServerFile;
use crate::backups::{Place, Places};

/// Where backups go, and for how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// The bucket (`[buckets.NAME]`) that backups are kept in. It holds what all tenants have, so no
    /// tenant may use it: `tenants = []`.
    pub bucket: String,
    /// Another such bucket, that each backup is copied to.
    #[serde(default)]
    pub replica: Option<String>,
    /// For how many days a backup is kept. The newest is kept whatever its age.
    #[serde(default = "keep_days")]
    #[schemars(range(min = 1))]
    pub keep_days: u32,
}

fn keep_days() -> u32 {
    30
}

impl ServerFile {
    /// The places of backups, if there are any; folders relative to `base`.
    ///
    /// # Errors
    /// If a bucket is not there, is open to a tenant, or lies in the data directory.
    pub fn places(&self, base: &Path, installation: &Secret) -> Result<Option<Places>> {
        let Some(file) = &self.backup else { return Ok(None) };
        let place = |name: &str| self.backup_place(name, base, installation);
        let first = place(&file.bucket).context("[backup] bucket")?;
        let replica = file.replica.as_deref().map(place).transpose().context("[backup] replica")?;
        ensure!(
            file.replica.as_ref() != Some(&file.bucket),
            "[backup] replica: a copy beside the original is none; name another bucket"
        );
        Ok(Some(Places { first, replica, keep_days: file.keep_days }))
    }

    fn backup_place(&self, name: &str, base: &Path, installation: &Secret) -> Result<Place> {
        let bucket = self.buckets.get(name);
        let bucket = bucket.with_context(|| format!("there is no `[buckets.{name}]`"))?;
        ensure!(
            bucket.tenants.is_empty(),
            "`[buckets.{name}]` is open to tenants, and backups hold what all tenants have: set \
             `tenants = []`"
        );
        if let Some(path) = &bucket.path {
            let data = std::path::absolute(base.join(&self.data))?;
            let place = std::path::absolute(base.join(path))?;
            ensure!(
                !place.starts_with(&data),
                "`[buckets.{name}]` lies in the data directory, and would be lost with it"
            );
        }
        let blobs = bucket.blobs(base).with_context(|| format!("[buckets.{name}]"))?;
        Ok(Place::new(name, blobs, installation)?)
    }
}
