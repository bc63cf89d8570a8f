//! Killed at any write of a refresh, a publication, an excision, a compaction or a prune: what was
//! newest serves on, everything that is kept is whole, and doing it again completes it.

use std::collections::BTreeSet;

use knowledge::{SnapshotCache, Watch};
use release::{Digest, PrincipalId, TenantId};
use store::conformance::Cut;

use crate::retention::tests::{days, desk, pass};
use crate::retention::{Doomed, Retention};
use crate::versions::tests::Desk;
use crate::{Delivery, Excised, Reconciler, Refresh, TenantDelivery};

const RETENTION: Retention = Retention { keep_days: 10, keep_at_least: 2, grace_hours: 24 };

#[derive(Debug, Clone, Copy, PartialEq)]
enum Work {
    Refresh,
    Excise,
    Compact,
    Prune,
}

impl Work {
    async fn run(self, desk: &Desk, delivery: &Delivery) {
        let ada = PrincipalId::user("ada").unwrap();
        let tenant = delivery.tenant(&TenantId::DEFAULT, ada.clone());
        match self {
            Self::Refresh => {
                let watch = std::sync::Arc::new(Watch::default());
                let knowledge = desk.name.clone();
                let wish = Refresh { knowledge, sources: [].into(), approved: false };
                tenant.refresh(&wish, &watch).await.unwrap();
            }
            Self::Excise => {
                let batch = Excised::Batch(5);
                tenant.excise(&desk.name, &batch).await.unwrap();
            }
            Self::Compact => {
                tenant.compact(&desk.name, false).await.unwrap();
            }
            Self::Prune => {
                // Whoever was killed holds the lease until it ends.
                pass(desk, 1);
                let whose = (&TenantId::DEFAULT, ada);
                delivery.prune(whose, "a test", &RETENTION, false).await.unwrap();
            }
        }
    }
}

/// Days of which some are old, with much that is not kept; some of it set aside long ago, and a change
/// ahead for the refresh.
async fn before() -> Desk {
    let (desk, _) = desk().await;
    std::fs::write(desk.docs.join("stays.md"), "Nothing new here.").unwrap();
    days(&desk, 0..3).await;
    pass(&desk, 30);
    let ada = PrincipalId::user("ada").unwrap();
    desk.delivery.prune((&TenantId::DEFAULT, ada), "before", &RETENTION, false).await.unwrap();
    days(&desk, 3..5).await;
    std::fs::write(desk.docs.join("more.md"), "There is more that is new.").unwrap();
    pass(&desk, 30);
    desk
}

/// The documents of the newest snapshot and what is live, after looking at everything that is kept.
async fn look(desk: &Desk) -> (Vec<(String, Digest)>, Digest) {
    let ada: &TenantDelivery = &desk.ada;
    let mut pins = ada.named(&Doomed::default()).await.unwrap();
    ada.pin_artifacts(&Doomed::default(), &mut pins).await.unwrap();
    for digest in pins.all() {
        ada.blobs.get(digest).await.unwrap();
    }
    let newest = ada.knowledge_bases().await.unwrap()[0].snapshot.unwrap();
    let snapshot = SnapshotCache::default().open(&ada.blobs, newest).await.unwrap();
    assert!(!snapshot.retrieve(&snapshot.ask("new", 5)).unwrap().passages.is_empty());
    let documents = snapshot.manifest.documents.iter();
    let documents = documents.map(|(path, entry)| (path.clone(), entry.raw)).collect();
    // As after a start: pointers equal their logs, and what is live grounds on the newest snapshot.
    let table = Reconciler::start(&desk.delivery, &[TenantId::DEFAULT]).await.unwrap().table();
    let (app, prod) = ("support".parse().unwrap(), "prod".parse().unwrap());
    let live = table.borrow().environment(&TenantId::DEFAULT, &app, &prod).unwrap().stable.unwrap();
    let release = ada.open_release(live).await.unwrap();
    assert!(release.slots().values().any(|digest| *digest == newest), "it is published as a whole");
    (documents, newest)
}

async fn killed_at_every_moment(work: Work, least: usize) {
    let whole = before().await;
    let (old, _) = look(&whole).await;
    work.run(&whole, &whole.delivery).await;
    let (new, _) = look(&whole).await;
    let mut names = BTreeSet::new();
    for moment in 0.. {
        let desk = before().await;
        let (_, served) = look(&desk).await;
        let cut = Cut::at(moment);
        let delivery = desk.over((cut.store(&desk.store), cut.blobs(&desk.blobs)));
        let Err(name) = cut.run(work.run(&desk, &delivery)).await else {
            assert!(moment >= least, "{work:?} has {moment} moments");
            println!("{work:?}: {moment} moments ({names:?})");
            return;
        };
        let at = format!("{work:?}, moment {moment}, {name}");
        let (documents, serves) = look(&desk).await;
        let is_old = serves == served && documents == old;
        // Publishing is one commit: before it the old is whole, after it the new is.
        assert!(is_old || documents == new, "{at}");
        assert!(is_old || name == "after a commit" || work == Work::Prune, "{at}");
        work.run(&desk, &desk.delivery).await;
        assert_eq!(look(&desk).await.0, new, "{at}");
        names.insert(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_is_killed_at_any_write_leaves_the_old_snapshot_and_is_done_again() {
    killed_at_every_moment(Work::Refresh, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excision_that_is_killed_at_any_write_leaves_the_old_snapshot_and_is_done_again() {
    killed_at_every_moment(Work::Excise, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_is_killed_at_any_write_leaves_the_old_snapshot_and_is_done_again() {
    killed_at_every_moment(Work::Compact, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_is_killed_at_any_write_loses_nothing_that_is_kept() {
    killed_at_every_moment(Work::Prune, 30).await;
}
