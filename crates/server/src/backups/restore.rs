//! Restoring an installation, with no server running.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;
use release::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::config::ServerFile;
use crate::wiring::{self, DataDirectory};

/// Which backup is restored.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup's name (default: the newest).
    #[arg(conflicts_with = "at")]
    backup: Option<String>,
    /// The newest backup that is the state of this moment or an earlier one (RFC 3339).
    #[arg(long)]
    at: Option<Timestamp>,
    /// Restore from the second place.
    #[arg(long)]
    replica: bool,
}

/// Restores a backup into the empty installation that `config` describes, whose data directory must
/// have the installation's key. One that was cut off is begun anew.
///
/// # Errors
/// If there is no such backup, the installation is not empty, or anything is missing or damaged.
pub async fn restore(config: &ServerFile, base: &Path, asked: RestoreArguments) -> Result<Value> {
    let data = DataDirectory(base.join(&config.data));
    let key = data.pepper();
    ensure!(
        key.exists(),
        "{} is missing: put the installation's key there first. Backups are signed with it, and what \
         is sealed in them opens with no other",
        key.display()
    );
    let installation = wiring::secret_file(&key)?;
    let places = config.places(base, &installation)?;
    let places = places.context("there is no `[backup]` in server.toml to restore from")?;
    let place = if asked.replica { places.replica()? } else { &places.first };
    let at = asked.at.unwrap_or_else(|| SystemClock.now());
    let inventory = place.find(asked.backup.as_deref(), at).await?;
    let (store, blobs) = (
        wiring::open_store(config, &data).await?,
        wiring::open_blobs(config, &data, &installation)?,
    );
    let moved = place.backups.restore(&inventory, (&store, &blobs)).await?;
    Ok(json!({
        "backup": inventory.id,
        "bucket": place.bucket,
        "taken_at": inventory.taken_at,
        "position": inventory.position,
        "rows": inventory.rows,
        "moved": moved,
    }))
}
