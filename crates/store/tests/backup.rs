//! What is backed up can be had again, on any engine, and damage is named.
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests speak by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use release::{Digest, PrincipalId, Secret, TenantId, Timestamp};
use store::conformance::{Cut, Database};
use store::{
    BackupError, Backups, BlobError, Blobs, Collection, ERASURES, Expect, List, Store, Transaction,
};

const NOTES: Collection = Collection("notes");

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + hours * 3_600).unwrap()
}

fn write() -> Transaction {
    Transaction::new(PrincipalId::system("test"), at(0))
}

/// A store with blobs, and a place for their backups.
struct Home {
    directory: tempfile::TempDir,
    store: Store,
    blobs: Blobs,
    place: PathBuf,
}

impl Home {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
        let blobs = Blobs::disk(directory.path().join("blobs"));
        let place = directory.path().join("place");
        Self { directory, store, blobs, place }
    }

    fn backups(&self) -> Backups {
        Backups::new(Blobs::disk(self.place.clone()), Secret::new("key"))
    }

    async fn note(&self, key: &str, text: &str) {
        self.notes(&[(key.to_owned(), text)]).await;
    }

    /// Each note is a record with an entry in an index, an event of a stream, and one of the log.
    async fn notes(&self, notes: &[(String, &str)]) {
        for some in notes.chunks(250) {
            let mut all = write();
            for (key, text) in some {
                let index = [("first", text[..1].to_owned())];
                all = all.put_indexed((NOTES, key), text, Expect::Any, &index).unwrap();
                all = all.append("notes", "noted", text, None).unwrap();
                all = all.emit("notes", "told", text).unwrap();
            }
            self.store.tenant(&TenantId::DEFAULT).commit(all).await.unwrap();
        }
    }

    async fn put(&self, text: &str) -> Digest {
        let blobs = self.blobs.tenant(&TenantId::DEFAULT);
        blobs.put(Bytes::copy_from_slice(text.as_bytes())).await.unwrap()
    }

    async fn take(&self, hours: i64) -> (store::Inventory, store::Moved) {
        let of = (&self.store, &self.blobs);
        self.backups().take(of, at(hours)).await.unwrap()
    }

    /// An empty store and blobs to restore into.
    async fn scratch(&self, name: &str) -> (Store, Blobs) {
        let directory = self.directory.path().join(name);
        fs::create_dir_all(&directory).unwrap();
        let store = Store::open_sqlite(&directory.join("control.db")).await.unwrap();
        (store, Blobs::disk(directory.join("blobs")))
    }
}

/// Everything that a client sees of a store.
async fn seen(store: &Store) -> Vec<String> {
    let tenant = store.tenant(&TenantId::DEFAULT);
    let all = List { prefix: String::new(), index: None, after: None, limit: 10_000 };
    let first = List { index: Some(("first", "a".to_owned())), ..all.clone() };
    let mut seen: Vec<_> = Vec::new();
    for list in [all, first] {
        let rows = tenant.list(NOTES, list).await.unwrap();
        seen.extend(rows.iter().map(|row| format!("{row:?}")));
    }
    let events = tenant.stream("notes", 0, 10_000).await.unwrap();
    seen.extend(events.iter().map(|event| format!("{event:?}")));
    let log = store.system().log(0, 10_000).await.unwrap();
    seen.extend(log.iter().map(|event| format!("{event:?}")));
    seen
}

fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_is_the_one_that_was_backed_up_on_either_engine() {
    let home = Home::new().await;
    let text = |number| if number % 7 == 0 { "apple" } else { "pear" };
    let notes: Vec<_> = (0..2_500).map(|number| (format!("{number:05}"), text(number))).collect();
    home.notes(&notes).await;
    let digest = home.put("a blob").await;
    let (inventory, _) = home.take(0).await;
    let expected = seen(&home.store).await;
    home.note("00001", "changed since").await;

    let (store, blobs) = home.scratch("sqlite").await;
    home.backups().restore(&inventory, (&store, &blobs)).await.unwrap();
    assert_eq!(seen(&store).await, expected);
    assert_eq!(blobs.tenant(&TenantId::DEFAULT).get(&digest).await.unwrap(), "a blob");
    // It goes on where it was.
    let more = write().emit("notes", "told", &"more").unwrap();
    let committed = store.tenant(&TenantId::DEFAULT).commit(more).await.unwrap();
    assert_eq!(committed.position, Some(2_501));

    let database = Database::make().await;
    let postgres = database.open().await.unwrap();
    home.backups().restore(&inventory, (&postgres, &blobs)).await.unwrap();
    assert_eq!(seen(&postgres).await, expected);
    let place = Blobs::disk(home.directory.path().join("second"));
    let second = Backups::new(place, Secret::new("key"));
    let (again, _) = second.take((&postgres, &blobs), at(1)).await.unwrap();
    assert_eq!((again.pieces, again.rows), (inventory.pieces, inventory.rows));
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_backup_copies_little_and_only_an_empty_store_is_restored_into() {
    let home = Home::new().await;
    let notes: Vec<_> = (0..5_000).map(|number| (format!("{number:05}"), "pear")).collect();
    home.notes(&notes).await;
    home.put("first").await;
    let (first, moved) = home.take(0).await;
    assert!(first.pieces.len() > 4, "{} pieces", first.pieces.len());
    assert_eq!(moved.known, 0);
    home.note("02500", "changed").await;
    home.put("second").await;
    let (second, moved) = home.take(1).await;
    assert!(moved.copied <= 7, "{moved:?} of {} pieces", second.pieces.len());
    let ids: Vec<_> = home.backups().list().await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(ids, [first.id.clone(), second.id]);
    let newest = home.backups().newest(at(0)).await.unwrap().unwrap();
    assert_eq!(newest, first);
    let refused = home.backups().restore(&first, (&home.store, &home.blobs)).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_byte_is_named_and_a_forged_inventory_refused() {
    let home = Home::new().await;
    home.note("one", "apple").await;
    let digest = home.put("a blob").await;
    let (inventory, _) = home.take(0).await;
    let restore = async |name: &str| {
        let (store, blobs) = home.scratch(name).await;
        home.backups().restore(&inventory, (&store, &blobs)).await
    };
    let blob = files(&home.place.join("default")).remove(0);
    damage(&blob);
    let damaged = restore("blob").await;
    let named = matches!(&damaged, Err(BackupError::Blob(BlobError::Corrupt { digest: it, .. })) if *it == digest);
    assert!(named, "{damaged:?}");
    damage(&blob);

    let piece = files(&home.place.join(".backup/pieces")).remove(0);
    damage(&piece);
    let damaged = restore("piece").await;
    assert!(matches!(damaged, Err(BackupError::Piece { .. })), "{damaged:?}");
    damage(&piece);
    restore("whole").await.unwrap();

    let kept = files(&home.place.join(".backup/inventories")).remove(0);
    let text = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, text.replace("\"rows\":", "\"rows\":1")).unwrap();
    let forged = home.backups().list().await;
    assert!(matches!(forged, Err(BackupError::Signature(_))), "{forged:?}");
    fs::write(&kept, text).unwrap();
    let other = Backups::new(Blobs::disk(home.place.clone()), Secret::new("another"));
    assert!(matches!(other.list().await, Err(BackupError::Signature(_))));
    assert!(matches!(home.backups().inventory("../x").await, Err(BackupError::Unknown(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_backups_go_with_what_only_they_name_and_a_copy_stands_alone() {
    let home = Home::new().await;
    home.note("one", "apple").await;
    let gone = home.put("gone").await;
    let kept = home.put("kept").await;
    home.take(0).await;
    home.blobs.tenant(&TenantId::DEFAULT).delete(&gone).await.unwrap();
    home.note("two", "pear").await;
    let (newest, _) = home.take(24).await;
    let before = files(&home.place);
    let told = home.backups().forget(at(48), true).await.unwrap();
    assert_eq!(files(&home.place), before);
    let done = home.backups().forget(at(48), false).await.unwrap();
    assert_eq!((told, 1), (done.clone(), done.backups.len()));
    // The first database's piece, and the blob.
    assert_eq!(done.objects, 2);
    let place = Blobs::disk(home.place.clone());
    assert!(!place.tenant(&TenantId::DEFAULT).exists(&gone).await.unwrap());
    assert!(place.tenant(&TenantId::DEFAULT).exists(&kept).await.unwrap());

    let second =
        Backups::new(Blobs::disk(home.directory.path().join("second")), Secret::new("key"));
    home.backups().replicate(&newest, &second).await.unwrap();
    fs::remove_dir_all(&home.place).unwrap();
    let (store, blobs) = home.scratch("copy").await;
    let there = second.newest(at(100)).await.unwrap().unwrap();
    second.restore(&there, (&store, &blobs)).await.unwrap();
    assert_eq!(seen(&store).await, seen(&home.store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_after_a_backup_stays_erased_when_the_backup_is_restored() {
    let home = Home::new().await;
    home.note("one", "apple").await;
    let blobs = home.blobs.tenant(&TenantId::DEFAULT);
    let letter = Bytes::from_static(b"a letter of Ada and one of Bob");
    let letters = blobs.put_sealed(letter).await.unwrap();
    let (inventory, _) = home.take(0).await;
    let second =
        Backups::new(Blobs::disk(home.directory.path().join("second")), Secret::new("key"));
    home.backups().replicate(&inventory, &second).await.unwrap();

    let rest = blobs.put_sealed(Bytes::from_static(b"a letter of Bob")).await.unwrap();
    blobs.hide(&letters, &["ada".to_owned()].into()).await.unwrap();
    blobs.succeed(&letters, rest).await.unwrap();
    blobs.shred(&letters).await.unwrap();
    for (backups, scratch) in [(home.backups(), "of-place"), (second, "of-copy")] {
        backups.note_erasure(&TenantId::DEFAULT, "letters/1", &"Ada's").await.unwrap();
        backups.follow(&blobs, &letters).await.unwrap();
        // Nothing is deleted that an old backup still needs.
        backups.forget(at(100), false).await.unwrap();
        let (store, restored) = home.scratch(scratch).await;
        let restored = restored.with_key(&Secret::new("key"));
        backups.restore(&inventory, (&store, &restored)).await.unwrap();
        let restored = restored.tenant(&TenantId::DEFAULT);
        assert!(matches!(restored.get(&letters).await, Err(BlobError::Erased(_))));
        let standing = restored.standing(&letters).await.unwrap();
        assert_eq!(restored.get(&standing).await.unwrap(), "a letter of Bob");
        let record = store.tenant(&TenantId::DEFAULT).get(ERASURES, "letters/1").await.unwrap();
        assert_eq!(record.unwrap().read::<String>().unwrap(), "Ada's");
    }
    // The next backup goes on as ever.
    home.take(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_blob_opens_with_the_key_of_its_installation_only() {
    let home = Home::new().await;
    let own = home.blobs.clone().with_key(&Secret::new("own"));
    let digest = own.tenant(&TenantId::DEFAULT).put_sealed(Bytes::from_static(b"a canary")).await;
    let digest = digest.unwrap();
    let all: Vec<u8> = files(&home.directory.path().join("blobs"))
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    assert!(!all.windows(6).any(|some| some == b"canary"));
    for other in [home.blobs.clone(), home.blobs.clone().with_key(&Secret::new("another"))] {
        let opened = other.tenant(&TenantId::DEFAULT).get(&digest).await;
        assert!(matches!(opened, Err(BlobError::Corrupt { .. })), "{opened:?}");
    }
}

/// Several thousand notes, so that the database has several pieces, and two blobs.
async fn filled() -> Home {
    let home = Home::new().await;
    let notes: Vec<_> = (0..6_000).map(|number| (format!("{number:06}"), "pear")).collect();
    home.notes(&notes).await;
    home.put("one").await;
    home.put("two").await;
    home
}

/// How many notes and blobs there are.
async fn counted(store: &Store, blobs: &Blobs) -> (usize, usize) {
    let list = List { prefix: String::new(), index: None, after: None, limit: 100_000 };
    let notes = store.tenant(&TenantId::DEFAULT).list(NOTES, list).await.unwrap();
    (notes.len(), blobs.tenant(&TenantId::DEFAULT).list().await.unwrap().len())
}

/// How many notes and blobs a backup has once it is restored.
async fn restored(home: &Home, inventory: &store::Inventory, name: &str) -> (usize, usize) {
    let (store, blobs) = home.scratch(name).await;
    home.backups().restore(inventory, (&store, &blobs)).await.unwrap();
    counted(&store, &blobs).await
}

/// The backups at the home's place, as a process sees them that is killed at a moment.
fn mortal(home: &Home, cut: &Cut) -> Backups {
    Backups::new(cut.blobs(&Blobs::disk(home.place.clone())), Secret::new("key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_cut_off_at_any_write_is_none_and_the_next_one_completes() {
    let home = filled().await;
    let (first, _) = home.take(0).await;
    home.note("009999", "more").await;
    home.put("three").await;
    let mut cuts = 0;
    loop {
        let cut = Cut::at(cuts);
        let taking = cut.run(mortal(&home, &cut).take((&home.store, &home.blobs), at(1))).await;
        let Err(moment) = taking else { break };
        let there = home.backups().list().await.unwrap();
        // Its inventory is the last that is written: once that is done there is a backup.
        let done = moment.starts_with("after") && there.len() == 2;
        assert!(done || there == [first.clone()], "cut off {moment}, {cuts}");
        cuts += 1;
    }
    // Each went on with what the one before had left: the new piece, the new blob, the inventory.
    assert!(cuts >= 4, "{cuts}");
    assert_eq!(restored(&home, &first, "before").await, (6_000, 2));
    let second = home.backups().newest(at(1)).await.unwrap().unwrap();
    assert_eq!(restored(&home, &second, "after").await, (6_001, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_cut_off_at_any_deletion_leaves_whole_what_is_still_there() {
    let home = filled().await;
    home.take(0).await;
    home.note("000001", "changed").await;
    home.put("three").await;
    home.take(24).await;
    let mut cuts = 0;
    loop {
        let cut = Cut::at(cuts);
        if cut.run(mortal(&home, &cut).forget(at(1), false)).await.is_ok() {
            break;
        }
        for (number, left) in home.backups().list().await.unwrap().iter().enumerate() {
            restored(&home, left, &format!("cut-{cuts}-{number}")).await;
        }
        cuts += 1;
    }
    assert!(cuts >= 2, "{cuts}");
    let left = home.backups().list().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(restored(&home, &left[0], "last").await, (6_000, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_cut_off_at_any_step_says_so_and_the_next_one_completes() {
    let home = filled().await;
    let (inventory, _) = home.take(0).await;
    assert!(inventory.pieces.len() >= 3, "{}", inventory.pieces.len());
    let (store, blobs) = home.scratch("again").await;
    let (mut cuts, mut half) = (0, 0);
    loop {
        let cut = Cut::at(cuts);
        let mortal = (cut.store(&store), cut.blobs(&blobs));
        let restoring = cut.run(home.backups().restore(&inventory, (&mortal.0, &mortal.1))).await;
        match restoring {
            Err(moment) => {
                let is_half = store.is_half_restored().await.unwrap();
                half += usize::from(is_half);
                let (notes, _) = counted(&store, &blobs).await;
                assert!(is_half || notes == 0 || notes == 6_000, "cut off {moment}, {cuts}");
                cuts += 1;
            }
            // The one before was cut off when all was done.
            Ok(Err(BackupError::NotEmpty)) => break,
            Ok(done) => panic!("cut off nowhere, {cuts}: {done:?}"),
        }
    }
    assert!(half > 2 * inventory.pieces.len(), "{half} of {cuts}");
    assert!(!store.is_half_restored().await.unwrap());
    assert_eq!(counted(&store, &blobs).await, (6_000, 2));
    let again = home.backups().restore(&inventory, (&store, &blobs)).await;
    assert!(matches!(again, Err(BackupError::NotEmpty)), "{again:?}");
}
