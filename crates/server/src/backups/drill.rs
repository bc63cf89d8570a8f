//! Drills: a backup is restored into scratch, an installation is started on it, and what that finds
//! is compared with what the original finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use delivery::Reconciler;
use gateway::LiveReleases;
use knowledge::{GoldenQueries, KnowledgeError, Snapshot, SnapshotCache, with_causes};
use release::{Digest, PrincipalId, TenantId, Timestamp};
use security::KeyRing;
use serde::{Deserialize, Serialize};
use store::{BlobError, Blobs, Inventory, Store};

use super::{BackupTrouble, Keeper, Place, Places};

/// How many queries each snapshot is asked, and for how many passages.
const QUERIES: usize = 25;
const PASSAGES: usize = 10;

/// Which backup is drilled.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Which {
    /// Its name; the newest if none.
    pub backup: Option<String>,
    /// Whether the copy at the second place is meant.
    pub replica: bool,
}

/// What a drill found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drilled {
    /// The backup.
    pub backup: String,
    /// The bucket it was read from.
    pub bucket: String,
    /// The moment of which it is the state.
    pub taken_at: Timestamp,
    /// When the drill ended.
    pub ended_at: Timestamp,
    /// Recovery point: how many seconds of changes would have been lost with the original when the
    /// drill began.
    pub rpo_seconds: f64,
    /// Recovery time: how many seconds it took until the restored installation was ready to answer;
    /// none if it never was.
    pub rto_seconds: Option<f64>,
    /// How many pieces and blobs were restored, each hashed again.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many live releases were loaded with everything they pin.
    pub releases: u64,
    /// How many snapshots of knowledge were opened.
    pub snapshots: u64,
    /// How many queries found the same passages with the same scores: golden queries as when they
    /// were recorded, others as in the original.
    pub queries: u64,
    /// Snapshots that the original does not have any more, or of which something was erased in one
    /// place and not yet in the other: they were opened but not compared.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub not_compared: BTreeSet<Digest>,
    /// What is wrong; nothing if the backup is good.
    pub faults: Vec<String>,
}

/// A directory that is gone at the end, and was empty at the beginning.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Self, std::io::Error> {
        clear(&path)?;
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "what a drill restored could not be removed");
        }
    }
}

/// Removes a directory, if it is there.
fn clear(path: &PathBuf) -> Result<(), std::io::Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Holds a drill. What is wrong with the backup is among its faults.
pub async fn hold(
    keeper: &Keeper,
    places: &Places,
    which: &Which,
) -> Result<Drilled, BackupTrouble> {
    let place = if which.replica { places.replica()? } else { &places.first };
    let now = keeper.parts.clock.now();
    let inventory = place.find(which.backup.as_deref(), now).await?;
    let mut drilled = Drilled {
        backup: inventory.id.clone(),
        bucket: place.bucket.clone(),
        taken_at: inventory.taken_at,
        ended_at: now,
        rpo_seconds: now.duration_since(inventory.taken_at).as_secs_f64(),
        rto_seconds: None,
        objects: 0,
        bytes: 0,
        releases: 0,
        snapshots: 0,
        queries: 0,
        not_compared: BTreeSet::new(),
        faults: Vec::new(),
    };
    let scratch = Scratch::new(keeper.scratch.clone())?;
    let store = Store::open_sqlite(&scratch.0.join("control.db")).await?;
    let blobs = Blobs::disk(scratch.0.join("blobs")).with_key(&keeper.parts.installation);
    let restored = (store, blobs);
    if let Err(trouble) = prove(keeper, (place, &inventory), &restored, &mut drilled).await {
        drilled.faults.push(with_causes(&trouble));
    }
    drilled.ended_at = keeper.parts.clock.now();
    Ok(drilled)
}

async fn prove(
    keeper: &Keeper,
    (place, inventory): (&Place, &Inventory),
    restored: &(Store, Blobs),
    drilled: &mut Drilled,
) -> Result<(), BackupTrouble> {
    let begun = Instant::now();
    let moved = place.backups.restore(inventory, (&restored.0, &restored.1)).await?;
    (drilled.objects, drilled.bytes) = (moved.copied, moved.bytes);

    let parts = &keeper.parts;
    let keys =
        KeyRing::open(restored.0.clone(), Arc::clone(&parts.clock), &parts.installation).await?;
    let tenants = keys.tenant_names().await?;
    let models = parts.models(restored);
    let delivery = parts.delivery(restored, Arc::clone(&models));
    delivery.mask_erasures(&tenants).await?;
    let reconciler = Reconciler::start(&delivery, &tenants).await?;
    let mut live = LiveReleases::new(restored.1.clone(), reconciler.table()).with_models(models);
    live.catch_up().await;
    drilled.rto_seconds = Some(begun.elapsed().as_secs_f64());

    // What each found for its golden queries, if that was recorded.
    let mut snapshots: BTreeMap<(TenantId, Digest), Option<Digest>> = BTreeMap::new();
    let live = Arc::clone(&live.watch().borrow());
    for (tenant, environment) in live.table.environments() {
        for release in environment.releases() {
            match live.release(tenant, release) {
                Ok(loaded) => {
                    drilled.releases += 1;
                    let snapshot = loaded.snapshot.as_ref().map(|snapshot| snapshot.digest);
                    snapshots.extend(snapshot.map(|digest| ((tenant.clone(), digest), None)));
                }
                Err(why) => {
                    let app = &environment.app;
                    drilled.faults.push(format!("release `{release}` of `{app}`: {why}"));
                }
            }
        }
    }
    drop(live);
    for tenant in &tenants {
        let bases = delivery.tenant(tenant, PrincipalId::system("drill")).knowledge_bases().await?;
        for base in bases {
            snapshots.extend(base.snapshot.map(|digest| ((tenant.clone(), digest), base.found)));
        }
    }
    for ((tenant, digest), found) in snapshots {
        let both = (&keeper.data.1, &restored.1);
        if let Err(trouble) = compare(both, &tenant, (digest, found), drilled).await {
            drilled
                .faults
                .push(format!("snapshot `{digest}` of `{tenant}`: {}", with_causes(&trouble)));
        }
    }
    Ok(())
}

/// Asks a snapshot its golden queries, as they were recorded, and what is drawn from its original.
/// The answers must be the same, to the last bit.
async fn compare(
    (original, restored): (&Blobs, &Blobs),
    tenant: &TenantId,
    (digest, found): (Digest, Option<Digest>),
    drilled: &mut Drilled,
) -> Result<(), BackupTrouble> {
    let restored = restored.tenant(tenant);
    let copy = Arc::new(SnapshotCache::default().open(&restored, digest).await?);
    drilled.snapshots += 1;
    // What is left is weighed otherwise where something was erased.
    if let Some(found) = found.filter(|_| !copy.is_redacted()) {
        let bytes = restored.get(&found).await.map_err(KnowledgeError::from)?;
        let golden = GoldenQueries::read(found, &bytes)?;
        ask(move || Ok(golden), (tenant, &copy), drilled).await?;
    }
    let original = match SnapshotCache::default().open(&original.tenant(tenant), digest).await {
        Ok(original) => original,
        Err(KnowledgeError::Blob(BlobError::Missing(_))) => {
            drilled.not_compared.insert(digest);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if !copy.stands_as(&original) {
        drilled.not_compared.insert(digest);
        return Ok(());
    }
    let recorded = move || {
        let queries = original.drawn_queries(QUERIES)?;
        GoldenQueries::record(&original, &queries, PASSAGES)
    };
    ask(recorded, (tenant, &copy), drilled).await
}

/// Asks a restored snapshot what was asked before.
async fn ask(
    recorded: impl FnOnce() -> Result<GoldenQueries, KnowledgeError> + Send + 'static,
    (tenant, copy): (&TenantId, &Arc<Snapshot>),
    drilled: &mut Drilled,
) -> Result<(), BackupTrouble> {
    let (snapshot, copy) = (copy.digest, Arc::clone(copy));
    let asked = tokio::task::spawn_blocking(move || {
        let golden = recorded()?;
        Ok::<_, KnowledgeError>((golden.differences(&golden.again(&copy)?), golden.queries.len()))
    });
    let (differences, queries) = asked.await.map_err(|_| BackupTrouble::Stopped)??;
    drilled.queries += queries.saturating_sub(differences.len()) as u64;
    let named = differences.iter().map(|why| format!("snapshot `{snapshot}` of `{tenant}`: {why}"));
    drilled.faults.extend(named);
    Ok(())
}
