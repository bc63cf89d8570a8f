//! Backups: a consistent copy of the database and of all blobs at a second place.
//!
//! ```text
//!  one read transaction ─► rows ─► pieces ─► what the place lacks ─┐
//!  blobs of every tenant ─────────────────► what the place lacks ─┴─► inventory, signed, last
//! ```
//!
//! A backup is there when its inventory is: one that was cut off is no backup, and the next one goes
//! on with what it left. Pieces and blobs are named by their content, so each is copied once. The
//! database is read before blobs are listed: a record names only blobs that were there before it.
//! What was erased is erased here too, and stays so when an older backup is restored
//! (`erasures.rs`).

mod erasures;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;
use bytes::Bytes;
use release::{CanonicalJson, Digest, PrincipalId, Secret, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use rows::Row;

use crate::batch::Work;
use crate::{BlobError, Blobs, Collection, Expect, Store, StoreError, TenantBlobs, Transaction};
pub use erasures::{ERASURES, OPEN};
use rows::Pieces;

/// Where pieces and inventories are, beside the tenants' blobs: no tenant's name begins with a dot.
const PIECES: &str = ".backup/pieces/";
const INVENTORIES: &str = ".backup/inventories/";
/// The form that this version reads and writes.
const FORM: &str = "backup/v1";
/// Says in a database that it is being restored into.
const RESTORES: Collection = Collection("restores");
const UNFINISHED: &str = "unfinished";
/// How many pages of rows wait to be written at most.
const AHEAD: usize = 4;
/// How hard pieces are compressed.
const LEVEL: i32 = 3;

/// What can go wrong with a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob is missing or damaged, here or at the place.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// There is no such backup.
    #[error("there is no backup `{0}`")]
    Unknown(String),
    /// An inventory is not what was signed.
    #[error("the inventory of backup `{0}` is not what this installation signed")]
    Signature(String),
    /// The record of an erasure is not what was signed.
    #[error("the erasure `{0}` beside the backups is not what this installation signed")]
    Erasure(String),
    /// A piece of the database's copy is not what its digest says.
    #[error("piece `{piece}` of the database's copy is damaged: {why}")]
    Piece {
        /// The piece.
        piece: Digest,
        /// What is wrong.
        why: String,
    },
    /// A database that is to be restored into holds something.
    #[error("a backup is restored into an empty database only, and this one has records")]
    NotEmpty,
    /// A row or inventory has no JSON form.
    #[error("a row cannot be written: {0}")]
    Form(String),
}

/// What a backup consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Always `backup/v1`.
    r#type: String,
    /// Its name: the moment it was begun.
    pub id: String,
    /// The moment of which it is the state.
    pub taken_at: Timestamp,
    /// The position of the event log's last event.
    pub position: u64,
    /// How many rows the database had.
    pub rows: u64,
    /// The pieces that hold them, in order.
    pub pieces: Vec<Digest>,
    /// The blobs of every tenant.
    pub blobs: BTreeMap<TenantId, Vec<Digest>>,
}

/// An inventory as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    inventory: Inventory,
    /// HMAC-SHA256 over the inventory's canonical JSON.
    signature: String,
}

/// What a backup or a copy moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Pieces and blobs that were not there yet.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pieces and blobs that were there already.
    pub known: u64,
}

/// What deleting old backups deletes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The backups.
    pub backups: Vec<String>,
    /// How many pieces and blobs that no other backup names.
    pub objects: u64,
}

impl Store {
    /// Whether a restore into this database was begun and not ended. Nothing else may use it: restore
    /// again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_half_restored(&self) -> Result<bool, StoreError> {
        Ok(self.system().get(RESTORES, UNFINISHED).await?.is_some())
    }
}

/// The backups at a place.
#[derive(Debug, Clone)]
pub struct Backups {
    place: Blobs,
    key: Secret,
}

impl Backups {
    /// The lease of whoever takes, deletes or reads backups, and of whoever deletes blobs.
    pub const LEASE: &str = "backup";

    /// The backups at `place`, whose inventories are signed with `key`, the installation's, which
    /// also wraps the keys of the blobs there.
    pub fn new(place: Blobs, key: Secret) -> Self {
        Self { place: place.with_key(&key), key }
    }

    /// Takes a backup of `store` and of the blobs of all tenants that have records. Only what the
    /// place lacks is copied. One at a time: see [`Backups::forget`].
    ///
    /// # Errors
    /// If something cannot be read or written. What was copied stays and is not copied again.
    pub async fn take(
        &self,
        (store, blobs): (&Store, &Blobs),
        now: Timestamp,
    ) -> Result<(Inventory, Moved), BackupError> {
        let mut inventory = Inventory {
            r#type: FORM.to_owned(),
            id: now.strftime("%Y%m%dT%H%M%SZ").to_string(),
            taken_at: now,
            position: 0,
            rows: 0,
            pieces: Vec::new(),
            blobs: BTreeMap::new(),
        };
        let mut moved = Moved::default();
        let mut tenants = BTreeSet::new();
        let (sender, mut pages) = mpsc::channel(AHEAD);
        let read = async { store.engine.dump(sender).await.map_err(BackupError::from) };
        let write = async {
            let mut pieces = Pieces::default();
            while let Some(page) = pages.recv().await {
                for row in &page {
                    match row {
                        Row::Log { last } => inventory.position = *last as u64,
                        // Whoever has no record has no blob that anything names.
                        Row::Record { scope, .. } if !scope.is_empty() => {
                            let tenant = scope.parse::<TenantId>();
                            tenants.insert(tenant.map_err(|e| BackupError::Form(e.to_string()))?);
                        }
                        _ => {}
                    }
                    let ended = pieces.add(row);
                    if let Some(piece) = ended.map_err(|e| BackupError::Form(e.to_string()))? {
                        inventory.pieces.push(self.put_piece(&piece, &mut moved).await?);
                    }
                }
                inventory.rows += page.len() as u64;
            }
            if let Some(piece) = pieces.end() {
                inventory.pieces.push(self.put_piece(&piece, &mut moved).await?);
            }
            Ok::<_, BackupError>(())
        };
        futures::try_join!(read, write)?;
        for tenant in tenants {
            let (from, to) = (blobs.tenant(&tenant), self.place.tenant(&tenant));
            let all = from.list().await?;
            copy_missing((&from, &to), &all, &mut moved).await?;
            inventory.blobs.insert(tenant, all);
        }
        self.sign(&inventory).await?;
        Ok((inventory, moved))
    }

    /// All backups, the oldest first. One whose signature is wrong is an error.
    ///
    /// # Errors
    /// If the place fails, or an inventory is not what was signed.
    pub async fn list(&self) -> Result<Vec<Inventory>, BackupError> {
        let mut ids = self.place.backend.list(INVENTORIES).await?;
        ids.sort();
        let mut all = Vec::new();
        for id in ids {
            all.push(self.inventory(&id).await?);
        }
        Ok(all)
    }

    /// The newest backup that is not younger than `at`.
    ///
    /// # Errors
    /// If the place fails, or an inventory is not what was signed.
    pub async fn newest(&self, at: Timestamp) -> Result<Option<Inventory>, BackupError> {
        Ok(self.list().await?.into_iter().rev().find(|inventory| inventory.taken_at <= at))
    }

    /// A backup's inventory, its signature checked.
    ///
    /// # Errors
    /// If there is none, or it is not what was signed.
    pub async fn inventory(&self, id: &str) -> Result<Inventory, BackupError> {
        let unknown = || BackupError::Unknown(id.to_owned());
        let key = inventory_key(id).ok_or_else(unknown)?;
        let bytes = self.place.backend.get(&key).await?.ok_or_else(unknown)?;
        let wrong = || BackupError::Signature(id.to_owned());
        let signed: Signed = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let text = canonical(&signed.inventory)?;
        if !self.signed(&text, &signed.signature) {
            return Err(wrong());
        }
        if signed.inventory.id != id || signed.inventory.r#type != FORM {
            return Err(wrong());
        }
        Ok(signed.inventory)
    }

    /// Restores a backup into an empty database and to `blobs`. Every piece and every blob is hashed
    /// again on its way. One that was cut off is begun anew, and no server starts on it until then
    /// ([`Store::is_half_restored`]).
    ///
    /// # Errors
    /// If the database is not empty, or anything is missing or damaged; the error names it.
    pub async fn restore(
        &self,
        inventory: &Inventory,
        (store, blobs): (&Store, &Blobs),
    ) -> Result<Moved, BackupError> {
        let mut moved = Moved::default();
        for (tenant, digests) in &inventory.blobs {
            let (from, to) = (self.place.tenant(tenant), blobs.tenant(tenant));
            for digest in digests {
                copy((&from, &to), digest, &mut moved).await?;
            }
        }
        if store.is_half_restored().await? {
            store.engine.write("", Work::Clear).await?;
        } else if !store.engine.is_empty().await? {
            return Err(BackupError::NotEmpty);
        }
        let system = store.system();
        let by = || Transaction::new(PrincipalId::system("restore"), inventory.taken_at);
        system.commit(by().put(RESTORES, UNFINISHED, &inventory.id, Expect::Absent)?).await?;
        for digest in &inventory.pieces {
            let piece = self.piece(digest).await?;
            moved.bytes += piece.len() as u64;
            moved.copied += 1;
            let damaged = |why: serde_json::Error| BackupError::Piece {
                piece: *digest,
                why: why.to_string(),
            };
            let rows = rows::read(&piece).map_err(damaged)?;
            store.engine.write("", Work::Load(rows)).await?;
        }
        self.restore_erasures(store, inventory.taken_at).await?;
        system.commit(by().delete(RESTORES, UNFINISHED, Expect::Any)).await?;
        Ok(moved)
    }

    /// Copies a backup to another place, which then stands alone.
    ///
    /// # Errors
    /// If anything is missing or damaged here, or cannot be written there.
    pub async fn replicate(&self, inventory: &Inventory, to: &Self) -> Result<Moved, BackupError> {
        let mut moved = Moved::default();
        for digest in &inventory.pieces {
            to.put_piece(&self.piece(digest).await?, &mut moved).await?;
        }
        for (tenant, digests) in &inventory.blobs {
            let (from, into) = (self.place.tenant(tenant), to.place.tenant(tenant));
            copy_missing((&from, &into), digests, &mut moved).await?;
        }
        self.copy_erasures(to).await?;
        to.sign(inventory).await?;
        Ok(moved)
    }

    /// Deletes the backups that were taken before `until`, but never the newest, and then what no
    /// other names. With `dry_run` it only tells what it would delete. No backup may be taken at the
    /// same time: what it has just copied is not named yet.
    ///
    /// # Errors
    /// If the place fails, or an inventory is not what was signed: then nothing is deleted.
    pub async fn forget(&self, until: Timestamp, dry_run: bool) -> Result<Forgotten, BackupError> {
        let mut kept = self.list().await?;
        let newest = kept.pop();
        let (old, mut kept): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|inventory| inventory.taken_at < until);
        kept.extend(newest);
        let pieces: BTreeSet<_> = kept.iter().flat_map(|one| &one.pieces).collect();
        let named = |tenant: &TenantId| -> BTreeSet<Digest> {
            kept.iter().filter_map(|one| one.blobs.get(tenant)).flatten().copied().collect()
        };
        let mut forgotten = Forgotten {
            backups: old.iter().map(|inventory| inventory.id.clone()).collect(),
            objects: 0,
        };
        if !dry_run {
            for id in &forgotten.backups {
                if let Some(key) = inventory_key(id) {
                    self.place.backend.delete(&key).await?;
                }
            }
        }
        for name in self.place.backend.list(PIECES).await? {
            let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else { continue };
            if !pieces.contains(&digest) {
                forgotten.objects += 1;
                if !dry_run {
                    self.place.backend.delete(&piece_key(&digest)).await?;
                }
            }
        }
        let tenants: BTreeSet<_> = old.iter().flat_map(|one| one.blobs.keys()).collect();
        for tenant in tenants {
            let (blobs, mut named) = (self.place.tenant(tenant), named(tenant));
            let there: BTreeSet<_> = blobs.list().await?.into_iter().collect();
            // What stands for a blob that was erased is kept in its place.
            let erased: Vec<_> = named.difference(&there).copied().collect();
            for digest in erased {
                named.insert(blobs.standing(&digest).await?);
            }
            for digest in there {
                if !named.contains(&digest) {
                    forgotten.objects += 1;
                    if !dry_run {
                        blobs.delete(&digest).await?;
                    }
                }
            }
        }
        Ok(forgotten)
    }

    async fn put_piece(&self, piece: &[u8], moved: &mut Moved) -> Result<Digest, BackupError> {
        let digest = Digest::of(piece);
        let key = piece_key(&digest);
        if self.place.backend.exists(&key).await? {
            moved.known += 1;
            return Ok(digest);
        }
        let packed = zstd::encode_all(piece, LEVEL);
        let packed = packed.map_err(|error| BackupError::Form(error.to_string()))?;
        moved.copied += 1;
        moved.bytes += packed.len() as u64;
        self.place.backend.put(&key, packed.into()).await?;
        Ok(digest)
    }

    async fn piece(&self, digest: &Digest) -> Result<Vec<u8>, BackupError> {
        let damaged = |why: String| BackupError::Piece { piece: *digest, why };
        let packed = self.place.backend.get(&piece_key(digest)).await?;
        let packed = packed.ok_or_else(|| damaged("it is missing".to_owned()))?;
        let piece = zstd::decode_all(&*packed).map_err(|error| damaged(error.to_string()))?;
        digest.verify(&piece).map_err(|mismatch| damaged(mismatch.to_string()))?;
        Ok(piece)
    }

    async fn sign(&self, inventory: &Inventory) -> Result<(), BackupError> {
        let signature = self.signature(&canonical(inventory)?);
        let signed = Signed { inventory: inventory.clone(), signature };
        let bytes = serde_json::to_vec(&signed).map_err(|e| BackupError::Form(e.to_string()))?;
        let unknown = || BackupError::Unknown(inventory.id.clone());
        let key = inventory_key(&inventory.id).ok_or_else(unknown)?;
        Ok(self.place.backend.put(&key, Bytes::from(bytes)).await?)
    }

    fn signature(&self, text: &[u8]) -> String {
        hex::encode(hmac::sign(&self.signing(), text))
    }

    /// Whether `text` was signed here, or where the same key is.
    fn signed(&self, text: &[u8], signature: &str) -> bool {
        let signature = hex::decode(signature);
        signature.is_ok_and(|it| hmac::verify(&self.signing(), text, &it).is_ok())
    }

    fn signing(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.key.expose().as_bytes())
    }
}

/// Copies the blobs that are not there yet.
async fn copy_missing(
    (from, to): (&TenantBlobs, &TenantBlobs),
    digests: &[Digest],
    moved: &mut Moved,
) -> Result<(), BlobError> {
    for digest in digests {
        match to.exists(digest).await? {
            true => moved.known += 1,
            false => copy((from, to), digest, moved).await?,
        }
    }
    Ok(())
}

/// Copies a blob, hashed again on its way. One that was erased stays erased, and what stands for it
/// is copied.
async fn copy(
    (from, to): (&TenantBlobs, &TenantBlobs),
    digest: &Digest,
    moved: &mut Moved,
) -> Result<(), BlobError> {
    moved.bytes += from.copy(digest, to).await?;
    moved.copied += 1;
    Ok(())
}

fn canonical(value: &impl Serialize) -> Result<Vec<u8>, BackupError> {
    let json = CanonicalJson::of(value);
    Ok(json.map_err(|error| BackupError::Form(error.to_string()))?.into_bytes())
}

fn piece_key(digest: &Digest) -> String {
    let hex = digest.to_hex();
    format!("{PIECES}{}/{hex}", &hex[..2])
}

/// Inventories are kept by month; none for a name that is no backup's.
fn inventory_key(id: &str) -> Option<String> {
    let plain = id.len() == 16 && id.chars().all(|c| c.is_ascii_digit() || "TZ".contains(c));
    plain.then(|| format!("{INVENTORIES}{}/{id}", &id[..6]))
}
