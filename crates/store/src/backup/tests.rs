#![allow(clippy::unwrap_used, reason = "tests speak by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use release::{Digest, PrincipalId, Secret, TenantId, Timestamp};

use super::{BackupError, Backups, Inventory};
use crate::blobs::{Backend, Entry};
use crate::{BlobError, Blobs, Collection, Expect, List, Store, Transaction};

const NOTES: Collection = Collection("notes");

/// A place of which nothing more can be changed after so many changes, as for a process that is
/// killed there.
#[derive(Debug)]
struct Mortal {
    place: Arc<dyn Backend>,
    left: AtomicUsize,
}

impl Mortal {
    fn after(changes: usize, place: &Blobs) -> Blobs {
        let (place, left) = (Arc::clone(&place.backend), AtomicUsize::new(changes));
        Blobs { backend: Arc::new(Self { place, left }), wrap: Default::default() }
    }

    fn live(&self) -> Result<(), BlobError> {
        let less = |left: usize| left.checked_sub(1);
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        left.map(|_| ()).map_err(|_| BlobError::Backend("killed".to_owned()))
    }
}

#[async_trait]
impl Backend for Mortal {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.live()?;
        self.place.put(key, bytes).await
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, BlobError> {
        self.live()?;
        self.place.create(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        self.place.get(key).await
    }

    async fn exists(&self, key: &str) -> Result<bool, BlobError> {
        self.place.exists(key).await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.live()?;
        self.place.delete(key).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), BlobError> {
        self.live()?;
        self.place.rename(from, to).await
    }

    async fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        self.place.entries(prefix).await
    }
}

struct Home {
    directory: tempfile::TempDir,
    store: Store,
    blobs: Blobs,
    place: Blobs,
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + hours * 3_600).unwrap()
}

fn backups(place: &Blobs) -> Backups {
    Backups::new(place.clone(), Secret::new("key"))
}

impl Home {
    /// Some thousand notes, so that the database has several pieces, and two blobs.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
        let blobs = Blobs::disk(directory.path().join("blobs"));
        let place = Blobs::disk(directory.path().join("place"));
        let home = Self { directory, store, blobs, place };
        home.note(0..6_000).await;
        home.put("one").await;
        home.put("two").await;
        home
    }

    async fn note(&self, notes: std::ops::Range<u32>) {
        let mut all = Transaction::new(PrincipalId::system("test"), at(0));
        for note in notes {
            all = all.put(NOTES, &format!("{note:06}"), &note, Expect::Any).unwrap();
        }
        self.store.tenant(&TenantId::DEFAULT).commit(all).await.unwrap();
    }

    async fn put(&self, text: &str) -> Digest {
        let blobs = self.blobs.tenant(&TenantId::DEFAULT);
        blobs.put(Bytes::copy_from_slice(text.as_bytes())).await.unwrap()
    }

    async fn take(&self, place: &Blobs, hours: i64) -> Result<Inventory, BackupError> {
        let of = (&self.store, &self.blobs);
        backups(place).take(of, at(hours)).await.map(|taken| taken.0)
    }

    async fn scratch(&self, name: &str) -> (Store, Blobs) {
        let directory = self.directory.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let store = Store::open_sqlite(&directory.join("control.db")).await.unwrap();
        (store, Blobs::disk(directory.join("blobs")))
    }

    /// How many notes and blobs a backup has once it is restored.
    async fn restored(&self, inventory: &Inventory, name: &str) -> (usize, usize) {
        let (store, blobs) = self.scratch(name).await;
        backups(&self.place).restore(inventory, (&store, &blobs)).await.unwrap();
        seen(&store, &blobs).await
    }
}

async fn seen(store: &Store, blobs: &Blobs) -> (usize, usize) {
    let list = List { prefix: String::new(), index: None, after: None, limit: 100_000 };
    let notes = store.tenant(&TenantId::DEFAULT).list(NOTES, list).await.unwrap();
    (notes.len(), blobs.tenant(&TenantId::DEFAULT).list().await.unwrap().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_cut_off_at_any_write_is_none_and_the_next_one_completes() {
    let home = Home::new().await;
    let first = home.take(&home.place, 0).await.unwrap();
    home.note(6_000..6_100).await;
    home.put("three").await;
    let mut cuts = 0;
    while home.take(&Mortal::after(cuts, &home.place), 1).await.is_err() {
        let there = backups(&home.place).list().await.unwrap();
        assert_eq!(there, std::slice::from_ref(&first), "cut off at write {cuts}");
        cuts += 1;
    }
    // Each went on with what the one before had left: the new piece, the new blob, the inventory.
    assert!(cuts >= 2, "{cuts}");
    assert_eq!(home.restored(&first, "before").await, (6_000, 2));
    let second = backups(&home.place).newest(at(1)).await.unwrap().unwrap();
    assert_eq!(home.restored(&second, "after").await, (6_100, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_cut_off_at_any_deletion_leaves_whole_what_is_still_there() {
    let home = Home::new().await;
    home.take(&home.place, 0).await.unwrap();
    home.note(0..50).await;
    home.put("three").await;
    home.take(&home.place, 24).await.unwrap();
    let mut cuts = 0;
    while backups(&Mortal::after(cuts, &home.place)).forget(at(1), false).await.is_err() {
        for (number, left) in backups(&home.place).list().await.unwrap().iter().enumerate() {
            home.restored(left, &format!("cut-{cuts}-{number}")).await;
        }
        cuts += 1;
    }
    assert!(cuts >= 2, "{cuts}");
    let left = backups(&home.place).list().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(home.restored(&left[0], "last").await, (6_000, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_cut_off_at_any_step_says_so_and_the_next_one_completes() {
    let home = Home::new().await;
    let inventory = home.take(&home.place, 0).await.unwrap();
    let (store, blobs) = home.scratch("again").await;
    // While blobs are copied nothing is in the database yet.
    for cut in 0..2 {
        let mortal = Mortal::after(cut, &blobs);
        backups(&home.place).restore(&inventory, (&store, &mortal)).await.unwrap_err();
        assert!(!store.is_half_restored().await.unwrap());
    }
    // Then the database is half there, up to the piece that cannot be had.
    assert!(inventory.pieces.len() >= 3, "{}", inventory.pieces.len());
    for piece in &inventory.pieces {
        let key = super::piece_key(piece);
        let bytes = home.place.backend.get(&key).await.unwrap().unwrap();
        home.place.backend.delete(&key).await.unwrap();
        backups(&home.place).restore(&inventory, (&store, &blobs)).await.unwrap_err();
        assert!(store.is_half_restored().await.unwrap());
        home.place.backend.put(&key, bytes).await.unwrap();
    }
    backups(&home.place).restore(&inventory, (&store, &blobs)).await.unwrap();
    assert!(!store.is_half_restored().await.unwrap());
    assert_eq!(seen(&store, &blobs).await, (6_000, 2));
    let again = backups(&home.place).restore(&inventory, (&store, &blobs)).await;
    assert!(matches!(again, Err(BackupError::NotEmpty)), "{again:?}");
}
