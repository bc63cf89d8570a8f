//! Pruning frees what nobody needs, and loses nothing that somebody does.

use knowledge::SnapshotCache;
use release::{PrincipalId, TenantId};

use super::*;
use crate::retention::tests::{days, desk, pass};
use crate::versions::tests::Desk;
use crate::{DeliveryError, Excised};

const HELD: std::time::Duration = std::time::Duration::from_secs(60);
const RETENTION: Retention = Retention { keep_days: 10, keep_at_least: 3, grace_hours: 24 };

async fn prune(desk: &Desk, dry_run: bool) -> Pruned {
    let ada = PrincipalId::user("ada").unwrap();
    let whose = (&TenantId::DEFAULT, ada);
    desk.delivery.prune(whose, "a test", &RETENTION, dry_run).await.unwrap()
}

/// Everything that is kept can be read, and the newest snapshot is found in.
async fn check(desk: &Desk) {
    let mut pins = desk.ada.named(&Doomed::default()).await.unwrap();
    desk.ada.pin_artifacts(&Doomed::default(), &mut pins).await.unwrap();
    for digest in pins.all() {
        desk.ada.blobs.get(digest).await.unwrap();
    }
    let newest = desk.ada.knowledge_bases().await.unwrap()[0].snapshot.unwrap();
    let snapshot = SnapshotCache::default().open(&desk.ada.blobs, newest).await.unwrap();
    assert_eq!(snapshot.retrieve(&snapshot.ask("new", 5)).unwrap().passages.len(), 1);
}

#[tokio::test]
async fn what_is_not_kept_is_told_then_set_aside_then_gone() {
    let (desk, app) = desk().await;
    days(&desk, 0..9).await;
    pass(&desk, 30);
    let before = desk.ada.blobs.list().await.unwrap();
    let told = prune(&desk, true).await;
    assert_eq!((told.dropped.releases.len(), told.dropped.batches.len()), (6, 6));
    // The snapshot before the oldest batch that is kept stays: that batch can be taken out.
    assert_eq!(told.dropped.artifacts.len(), 5, "{:?}", told.dropped.artifacts);
    assert_eq!(desk.ada.releases(&app).await.unwrap().len(), 9, "a dry run drops nothing");
    let done = prune(&desk, false).await;
    assert_eq!(done, Pruned { dry_run: false, ..told });
    // Each day had a segment, a manifest, a ledger, a report and a release.
    assert!(done.swept.set_aside.blobs >= 5 * 4, "{:?}", done.swept);
    assert_eq!(desk.ada.blobs.list().await.unwrap(), before, "nothing is gone yet");
    check(&desk).await;

    pass(&desk, 2);
    let gone = prune(&desk, false).await;
    assert_eq!(gone.swept.deleted, done.swept.set_aside);
    let left = desk.ada.blobs.list().await.unwrap().len() as u64;
    assert_eq!(left + gone.swept.deleted.blobs, before.len() as u64);
    check(&desk).await;
    pass(&desk, 2);
    let nothing = prune(&desk, false).await;
    assert_eq!((nothing.dropped, nothing.swept.deleted.blobs), (Dropped::default(), 0));
    // What is still there works on: the newest batch can be taken out, for which the one before is
    // needed, and a text of long ago can come again.
    desk.ada.excise(&desk.name, &Excised::Batch(9)).await.unwrap();
    check(&desk).await;
    days(&desk, 0..1).await;
    check(&desk).await;
}

#[tokio::test]
async fn one_prunes_at_a_time_and_nothing_is_deleted_while_a_backup_is_taken() {
    let (desk, _) = desk().await;
    days(&desk, 0..9).await;
    pass(&desk, 30);
    let system = desk.store.system();
    let now = desk.ada.clock.now();
    let until = now.checked_add(HELD).unwrap();
    let other = system.acquire("storage.prune/default", "another", until, now).await.unwrap();
    let ada = PrincipalId::user("ada").unwrap();
    let busy = desk.delivery.prune((&TenantId::DEFAULT, ada), "a test", &RETENTION, false).await;
    assert!(matches!(busy, Err(DeliveryError::Busy(_))), "{busy:?}");
    system.release(&other.unwrap()).await.unwrap();

    assert!(prune(&desk, false).await.swept.set_aside.blobs > 0);
    pass(&desk, 2);
    let now = desk.ada.clock.now();
    let until = now.checked_add(HELD).unwrap();
    let backup = system.acquire("backup", "another", until, now).await.unwrap().unwrap();
    let waits = prune(&desk, false).await;
    assert!(waits.backup_under_way && waits.swept.deleted.blobs == 0);
    assert!(waits.swept.waiting.blobs > 0);
    system.release(&backup).await.unwrap();
    let done = prune(&desk, false).await;
    assert!(!done.backup_under_way && done.swept.deleted == waits.swept.waiting);
}
