//! Erasures at the place of backups: what was erased since a backup was taken is erased in it, and is
//! still to be erased where it is restored.
//!
//! ```text
//!  note_erasure ─► its record, signed ──────► every later restore adds it, and the server completes it
//!  follow ───────► keys and blobs are gone, what stands for them is there
//! ```

use release::{Digest, PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BackupError, Backups, canonical};
use crate::{Collection, Expect, Store, TenantBlobs, Transaction};

/// The records of erasures; those that are not completed are in the index `state` under [`OPEN`].
pub const ERASURES: Collection = Collection("knowledge.erasures");
/// See [`ERASURES`].
pub const OPEN: &str = "open";
/// Where they are at a place of backups.
const NOTES: &str = ".backup/erasures/";

/// The record of an erasure, as it was when the erasure was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    tenant: TenantId,
    key: String,
    record: Value,
}

/// A note as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    note: Note,
    /// HMAC-SHA256 over the note's canonical JSON.
    signature: String,
}

impl Backups {
    /// Keeps the record of an erasure, as it was when it was asked for: restoring a backup that does
    /// not know it adds it to [`ERASURES`], so that it is done there again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn note_erasure(
        &self,
        tenant: &TenantId,
        key: &str,
        record: &impl Serialize,
    ) -> Result<(), BackupError> {
        let form = |error: serde_json::Error| BackupError::Form(error.to_string());
        let record = serde_json::to_value(record).map_err(form)?;
        let name = Digest::of_fields([tenant.as_str().as_bytes(), key.as_bytes()]).to_hex();
        self.keep_note(&name, Note { tenant: tenant.clone(), key: key.to_owned(), record }).await
    }

    /// Has erased here of a blob what was erased of it in `blobs`.
    ///
    /// # Errors
    /// If the place fails, or what stands for the blob cannot be copied.
    pub async fn follow(&self, blobs: &TenantBlobs, digest: &Digest) -> Result<(), BackupError> {
        let place = self.place.tenant(blobs.tenant());
        let erasure = blobs.erasure(digest).await?;
        if let Some(successor) = &erasure.successor {
            blobs.copy(successor, &place).await?;
        }
        Ok(place.adopt(digest, &erasure).await?)
    }

    /// Adds the erasures that a restored database does not know.
    pub(super) async fn restore_erasures(
        &self,
        store: &Store,
        at: Timestamp,
    ) -> Result<(), BackupError> {
        for name in self.place.backend.list(NOTES).await? {
            let Note { tenant, key, record } = self.note(&name).await?;
            let store = store.tenant(&tenant);
            if store.get(ERASURES, &key).await?.is_none() {
                let transaction = Transaction::new(PrincipalId::system("restore"), at);
                let (at, index) = ((ERASURES, key.as_str()), [("state", OPEN.to_owned())]);
                let transaction = transaction.put_indexed(at, &record, Expect::Absent, &index)?;
                store.commit(transaction).await?;
            }
        }
        Ok(())
    }

    /// Copies all notes to another place.
    pub(super) async fn copy_erasures(&self, to: &Self) -> Result<(), BackupError> {
        for name in self.place.backend.list(NOTES).await? {
            to.keep_note(&name, self.note(&name).await?).await?;
        }
        Ok(())
    }

    async fn keep_note(&self, name: &str, note: Note) -> Result<(), BackupError> {
        let signature = self.signature(&canonical(&note)?);
        let bytes = serde_json::to_vec(&Signed { note, signature });
        let bytes = bytes.map_err(|error| BackupError::Form(error.to_string()))?;
        Ok(self.place.backend.put(&note_key(name), bytes.into()).await?)
    }

    async fn note(&self, name: &str) -> Result<Note, BackupError> {
        let wrong = || BackupError::Erasure(name.to_owned());
        let bytes = self.place.backend.get(&note_key(name)).await?;
        let bytes = bytes.ok_or_else(wrong)?;
        let Signed { note, signature } = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        if self.signed(&canonical(&note)?, &signature) { Ok(note) } else { Err(wrong()) }
    }
}

fn note_key(name: &str) -> String {
    format!("{NOTES}{}/{name}", name.get(..2).unwrap_or(name))
}
