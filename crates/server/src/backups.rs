//! Backups of the installation: taken, copied to a second place, forgotten when they are old, and
//! proved by drills.
//!
//! They are the installation's, not a tenant's: the tenant `default` has their tasks, and their
//! events are in its log, where its rules see them. One thing is done at a time, by whoever holds
//! the lease: what a backup has just copied is not named yet, and nothing may delete it meanwhile.

mod drill;
mod restore;
mod tasks;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cost::PriceBook;
use delivery::{Delivery, DeliveryError};
use knowledge::{KnowledgeError, KnowledgeModels, Offered, Workshop};
use models::Providers;
use release::{Clock, EnvironmentName, PrincipalId, Secret, TenantId, Timestamp};
use security::SecurityError;
use serde::{Deserialize, Serialize};
use store::{
    BackupError, Backups, Blobs, Collection, Expect, Forgotten, Inventory, List, Moved, Store,
    StoreError, Transaction,
};

pub use drill::{Drilled, Which};
pub use restore::{RestoreArguments, restore};
pub use tasks::{DrillTask, TakeTask};

use crate::knowledge_models::{InstalledModels, OpenModels};

/// How long the lease is waited for: longer than a server that was killed held it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a lease that somebody else holds is asked for.
const AGAIN: Duration = Duration::from_secs(1);
/// What the signing key of inventories is derived for.
const PURPOSE: &str = "groundcrew: backup inventories, 1";
/// Drills, by the moment they ended.
const DRILLS: Collection = Collection("backup.drills");
/// How many drills are kept and listed.
const KEPT: usize = 100;

/// What an installation is started with, whatever its data are.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The installation's key.
    pub installation: Secret,
    /// What knowledge may be made from.
    pub offered: Arc<Offered>,
    /// What documents are worked on with.
    pub workshop: Arc<Workshop>,
    /// Providers of models.
    pub providers: Arc<Providers>,
    /// The environment whose bindings knowledge uses.
    pub environment: EnvironmentName,
    /// What models cost.
    pub prices: PriceBook,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Where backups are kept.
#[derive(Debug, Clone)]
pub struct Place {
    /// The bucket's name in `server.toml`.
    pub bucket: String,
    /// The backups in it.
    pub backups: Backups,
}

/// The places of backups, and for how long they are kept there.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where they are taken to.
    pub first: Place,
    /// Where each is copied to.
    pub replica: Option<Place>,
    /// For how many days.
    pub keep_days: u32,
}

/// Keeps the installation's backups.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// Where; none if the installation keeps no backups.
    pub places: Option<Places>,
    /// What is backed up.
    pub data: (Store, Blobs),
    /// What a restored installation is started with.
    pub parts: Parts,
    /// The name of this server among those that share the store.
    pub node: String,
    /// A directory that only drills use.
    pub scratch: PathBuf,
}

/// A backup was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    /// Its name.
    pub backup: String,
    /// The moment of which it is the state.
    pub taken_at: Timestamp,
    /// The position of the event log's last event.
    pub position: u64,
    /// How many rows the database had.
    pub rows: u64,
    /// What was copied.
    pub moved: Moved,
    /// What was copied to the second place; none if there is none.
    pub replicated: Option<Moved>,
    /// What was deleted because it was old, in both places.
    pub forgotten: Forgotten,
}

/// A backup, in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its name.
    pub backup: String,
    /// The moment of which it is the state.
    pub taken_at: Timestamp,
    /// The position of the event log's last event.
    pub position: u64,
    /// How many rows the database had.
    pub rows: u64,
    /// How many blobs there were.
    pub blobs: usize,
}

/// Why something with backups could not be done.
#[derive(Debug, thiserror::Error)]
pub enum BackupTrouble {
    /// The installation keeps no backups.
    #[error(
        "this installation keeps no backups: name a bucket for them in `[backup]` of server.toml"
    )]
    Unconfigured,
    /// There is no second place.
    #[error("backups are not copied to a second place: name a bucket as `replica` in `[backup]`")]
    NoReplica,
    /// Somebody else has the lease.
    #[error(
        "a backup, a drill or a deletion of old content is under way; try again when it is over"
    )]
    Busy,
    /// The lease could not be renewed.
    #[error("the lease on backups was lost, since it could not be renewed in time")]
    Lost,
    /// There is none.
    #[error("there is no backup yet: run `groundcrew backup take`")]
    None,
    /// A backup failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys could not be read.
    #[error(transparent)]
    Keys(#[from] SecurityError),
    /// What is restored does not start.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A snapshot does not open, or cannot be asked.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// The scratch directory.
    #[error("the scratch directory failed: {0}")]
    Scratch(#[from] std::io::Error),
    /// Work of a drill stopped.
    #[error("the drill was stopped")]
    Stopped,
    /// A drill found faults.
    #[error("backup `{}` does not pass its drill: {}", .0.backup, .0.faults.join("; "))]
    Drill(Box<Drilled>),
}

impl Parts {
    /// The models of an installation with these data.
    pub fn models(&self, (store, blobs): &(Store, Blobs)) -> Arc<dyn KnowledgeModels> {
        Arc::new(InstalledModels {
            providers: Arc::clone(&self.providers),
            environment: self.environment.clone(),
            prices: self.prices.clone(),
            clock: Arc::clone(&self.clock),
            store: store.clone(),
            blobs: blobs.clone(),
            open: OpenModels::default(),
        })
    }

    /// The release path of an installation with these data.
    pub fn delivery(&self, data: &(Store, Blobs), models: Arc<dyn KnowledgeModels>) -> Delivery {
        let (offered, workshop) = (Arc::clone(&self.offered), Arc::clone(&self.workshop));
        Delivery::new(data.clone(), offered, workshop, Arc::clone(&self.clock)).with_models(models)
    }
}

impl Place {
    /// The backups in a bucket, signed with a key that is derived from the installation's.
    ///
    /// # Errors
    /// If none can be derived.
    pub fn new(bucket: &str, blobs: Blobs, installation: &Secret) -> Result<Self, SecurityError> {
        let key = store::derived_key(installation, PURPOSE).map_err(|_| SecurityError::Sealing)?;
        let key = Secret::new(key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        Ok(Self { bucket: bucket.to_owned(), backups: Backups::new(blobs, key) })
    }

    /// The backup of a name, or the newest that is not younger than a moment.
    async fn find(&self, id: Option<&str>, at: Timestamp) -> Result<Inventory, BackupTrouble> {
        match id {
            Some(id) => Ok(self.backups.inventory(id).await?),
            None => self.backups.newest(at).await?.ok_or(BackupTrouble::None),
        }
    }
}

impl Places {
    fn replica(&self) -> Result<&Place, BackupTrouble> {
        self.replica.as_ref().ok_or(BackupTrouble::NoReplica)
    }

    fn all(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.first).chain(&self.replica)
    }
}

impl Keeper {
    /// Takes a backup, copies it to the second place and deletes what is older than is kept.
    ///
    /// # Errors
    /// If a step fails. A backup that was taken stays.
    pub async fn take(&self, actor: &PrincipalId) -> Result<Taken, BackupTrouble> {
        let places = self.places()?;
        let taking = async {
            let (now, (store, blobs)) = (self.parts.clock.now(), &self.data);
            let (inventory, moved) = places.first.backups.take((store, blobs), now).await?;
            let replicated = match &places.replica {
                Some(replica) => {
                    Some(places.first.backups.replicate(&inventory, &replica.backups).await?)
                }
                None => None,
            };
            let taken = Taken {
                backup: inventory.id,
                taken_at: inventory.taken_at,
                position: inventory.position,
                rows: inventory.rows,
                moved,
                replicated,
                forgotten: self.forget_now(false).await?,
            };
            let told = self.tell(actor).emit("backups", "backup.taken", &taken)?;
            self.store().commit(told).await?;
            Ok(taken)
        };
        self.alone(taking).await
    }

    /// The backups of the first place, the oldest first.
    ///
    /// # Errors
    /// If they cannot be read, or one was not signed here.
    pub async fn list(&self) -> Result<Vec<Listed>, BackupTrouble> {
        let listed = self.places()?.first.backups.list().await?;
        let listed = listed.into_iter().map(|inventory| Listed {
            backup: inventory.id,
            taken_at: inventory.taken_at,
            position: inventory.position,
            rows: inventory.rows,
            blobs: inventory.blobs.values().map(Vec::len).sum(),
        });
        Ok(listed.collect())
    }

    /// The last drills, the newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn drills(&self) -> Result<Vec<Drilled>, BackupTrouble> {
        let list = List { prefix: String::new(), index: None, after: None, limit: 2 * KEPT };
        let found = self.store().list(DRILLS, list).await?;
        let drills = found.iter().rev().take(KEPT).map(|record| record.read());
        Ok(drills.collect::<Result<_, _>>()?)
    }

    /// Deletes what is older than is kept, in both places; never the newest backup.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub async fn forget(&self, dry_run: bool) -> Result<Forgotten, BackupTrouble> {
        self.alone(self.forget_now(dry_run)).await
    }

    async fn forget_now(&self, dry_run: bool) -> Result<Forgotten, BackupTrouble> {
        let places = self.places()?;
        let kept = Duration::from_secs(u64::from(places.keep_days) * 24 * 3_600);
        let until = self.parts.clock.now().checked_sub(kept).unwrap_or(Timestamp::MIN);
        let mut all = Forgotten::default();
        for place in places.all() {
            let forgotten = place.backups.forget(until, dry_run).await?;
            all.objects += forgotten.objects;
            for backup in forgotten.backups {
                if !all.backups.contains(&backup) {
                    all.backups.push(backup);
                }
            }
        }
        Ok(all)
    }

    /// Restores a backup into scratch, starts an installation on it and compares what it finds.
    ///
    /// # Errors
    /// [`BackupTrouble::Drill`] if it found faults: these are recorded and told like a success.
    /// Others if no drill could be held.
    pub async fn drill(
        &self,
        which: &Which,
        actor: &PrincipalId,
    ) -> Result<Drilled, BackupTrouble> {
        let drilling = async {
            let drilled = drill::hold(self, self.places()?, which).await?;
            let kind =
                if drilled.faults.is_empty() { "backup.drilled" } else { "backup.drill_failed" };
            let key = drilled.ended_at.to_string();
            let mut told = self.tell(actor).put(DRILLS, &key, &drilled, Expect::Any)?;
            for old in self.drills().await?.iter().skip(KEPT - 1) {
                told = told.delete(DRILLS, &old.ended_at.to_string(), Expect::Any);
            }
            self.store().commit(told.emit("backups", kind, &drilled)?).await?;
            match drilled.faults.is_empty() {
                true => Ok(drilled),
                false => {
                    let faults = drilled.faults.join("; ");
                    tracing::error!(backup = drilled.backup, faults, "a backup fails its drill");
                    Err(BackupTrouble::Drill(Box::new(drilled)))
                }
            }
        };
        self.alone(drilling).await
    }

    fn places(&self) -> Result<&Places, BackupTrouble> {
        self.places.as_ref().ok_or(BackupTrouble::Unconfigured)
    }

    /// Where what is done with backups is told.
    fn store(&self) -> store::TenantStore {
        self.data.0.tenant(&TenantId::DEFAULT)
    }

    fn tell(&self, actor: &PrincipalId) -> Transaction {
        Transaction::new(actor.clone(), self.parts.clock.now())
    }

    /// Does `work` while nobody else does anything with backups.
    async fn alone<T>(
        &self,
        work: impl Future<Output = Result<T, BackupTrouble>>,
    ) -> Result<T, BackupTrouble> {
        let (system, clock) = (self.data.0.system(), &*self.parts.clock);
        let holder = format!("{}/{}", self.node, uuid::Uuid::new_v4());
        let waiting = async {
            loop {
                match system.take(Backups::LEASE, &holder, clock).await? {
                    Some(lease) => return Ok::<_, BackupTrouble>(lease),
                    None => tokio::time::sleep(AGAIN).await,
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        let lease = waited.map_err(|_| BackupTrouble::Busy)??;
        system.holding(&[lease], clock, work).await?.ok_or(BackupTrouble::Lost)?
    }
}
