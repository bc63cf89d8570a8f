mod django;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use knowledge::source::{Directory, Offer};
use knowledge::{KnowledgeModels, NoModels, Offered, Watch};
use release::{ArtifactName, PrincipalId, TenantId, Timestamp};
use store::{Blobs, Store};

use super::Excised;
use crate::desk::{Hands, server};
use crate::refresh::{Refresh, Refreshed};
use crate::{Delivery, DeliveryError, TenantDelivery, Upload};

const APP: &str = "[slots]\nmodel = \"small\"\nprompt = \"support\"\nknowledge = \"handbook\"\n";

/// A project with a knowledge base over a directory, and an app that it grounds.
pub(crate) struct Desk {
    pub home: tempfile::TempDir,
    pub docs: PathBuf,
    pub clock: Arc<Hands>,
    pub store: Store,
    pub blobs: Blobs,
    pub delivery: Delivery,
    pub ada: TenantDelivery,
    pub name: ArtifactName,
}

impl Desk {
    pub async fn new(quality: &str) -> Self {
        Self::with(quality, &[], Arc::new(NoModels)).await
    }

    /// A project with more files, whose knowledge has models.
    pub async fn with(
        quality: &str,
        more: &[(&str, &str)],
        models: Arc<dyn KnowledgeModels>,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let docs = home.path().join("docs");
        fs::create_dir(&docs).unwrap();
        let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
        let blobs = Blobs::disk(home.path().join("blobs"));
        let clock = Arc::new(Hands(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
        let delivery = over((store.clone(), blobs.clone()), &docs, &clock).with_models(models);
        let ada = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap());
        let base = format!("[[sources]]\nkind = \"directory\"\ndirectory = \"docs\"\n{quality}");
        let golden = r#"{"query": "alpha", "relevant": ["a.md"]}"#;
        let files = [
            ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
            ("knowledge/handbook.toml", base.as_str()),
            ("knowledge/golden.jsonl", golden),
            ("apps/support.toml", APP),
            ("models/small.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
            ("prompts/support.md", "Be kind.\n"),
        ];
        let files = files.iter().chain(more);
        let files = files.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        ada.apply(&Upload { files: files.collect(), ..Upload::default() }).await.unwrap();
        let name = "handbook".parse().unwrap();
        Self { home, docs, clock, store, blobs, delivery, ada, name }
    }

    /// The same release path over something else that keeps what it writes.
    pub fn over(&self, kept: (Store, Blobs)) -> Delivery {
        over(kept, &self.docs, &self.clock)
    }

    /// Writes documents, none for one that goes, and refreshes an hour later.
    pub async fn batch(&self, documents: &[(&str, Option<&str>)], approved: bool) -> Refreshed {
        for (path, text) in documents {
            match text {
                Some(text) => fs::write(self.docs.join(path), text).unwrap(),
                None => fs::remove_file(self.docs.join(path)).unwrap(),
            }
        }
        *self.clock.0.lock().unwrap() += Duration::from_secs(3_600);
        let wish = Refresh { knowledge: self.name.clone(), sources: [].into(), approved };
        self.ada.refresh(&wish, &Arc::new(Watch::default())).await.unwrap()
    }
}

/// A release path that reads the documents of `docs`.
fn over(kept: (Store, Blobs), docs: &Path, clock: &Arc<Hands>) -> Delivery {
    let docs_offer = Offer { what: Directory(docs.to_owned()), tenants: vec![TenantId::DEFAULT] };
    let directories = [("docs".to_owned(), docs_offer)].into();
    let offered = Offered {
        directories,
        pushed: Some((kept.0.clone(), kept.1.clone())),
        ..Offered::default()
    };
    server((&kept.0, &kept.1), &offered, clock)
}

#[tokio::test]
async fn what_is_taken_out_is_gone_at_once_and_does_not_come_back_with_the_next_refresh() {
    let desk = Desk::new("").await;
    desk.batch(&[("a.md", Some("Alpha.")), ("b.md", Some("Beta."))], false).await;
    let bad = [("a.md", Some("Wrong.")), ("c.md", Some("Wrong too.")), ("b.md", None)];
    desk.batch(&bad, false).await;
    let good = desk.batch(&[("d.md", Some("Delta."))], false).await;
    assert_eq!(good.report.diff.added, ["d.md"]);

    let excised = desk.ada.excise(&desk.name, &Excised::Batch(2)).await.unwrap();
    let diff = &excised.report.diff;
    assert_eq!(diff.added, ["b.md"]);
    assert_eq!(
        (&diff.changed[..], &diff.removed[..]),
        (&["a.md".into()][..], &["c.md".into()][..])
    );
    // The sources still say the same: what was taken out stays out, and what came back goes again.
    let next = desk.batch(&[], false).await;
    assert_eq!(next.report.diff.removed, ["b.md"]);
    assert!(next.report.diff.added.is_empty() && next.report.diff.changed.is_empty());
    assert_eq!(next.report.skipped.len(), 2);
    // Other bytes are another version.
    let mended = desk.batch(&[("c.md", Some("Right."))], false).await;
    assert_eq!(mended.report.diff.added, ["c.md"]);
    desk.ada.excise(&desk.name, &Excised::Document("c.md".to_owned())).await.unwrap();
    let none = desk.ada.excise(&desk.name, &Excised::Document("c.md".to_owned())).await;
    assert!(matches!(none, Err(DeliveryError::Knowledge(_))), "{none:?}");

    let batches = desk.ada.batches(&desk.name).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.number).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1]);
    let at = desk.ada.knowledge_at(&desk.name, "2026-01-01T02:30:00Z".parse().unwrap()).await;
    assert_eq!(at.unwrap().unwrap().number, 2);
    let before = desk.ada.knowledge_at(&desk.name, Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(before.is_none());
    let diff = desk.ada.knowledge_diff(&desk.name, (1, Some(2))).await.unwrap();
    assert_eq!((diff.added, diff.removed), (vec!["c.md".into()], vec!["b.md".into()]));
    let unknown = desk.ada.knowledge_diff(&desk.name, (99, None)).await;
    assert!(matches!(unknown, Err(DeliveryError::Batch { number: 99, .. })));
}

#[tokio::test]
async fn a_batch_that_the_gates_reject_leaves_the_snapshot_before_the_newest() {
    let desk = Desk::new("[quality]\nrequired = []\nmax_removed = 0.5\n").await;
    let documents: Vec<_> = (0..40).map(|number| format!("{number:02}.md")).collect();
    // Each has words of its own: copies would be rejected for that.
    let all: Vec<_> = documents.iter().map(|path| (path.as_str(), Some(path.as_str()))).collect();
    let first = desk.batch(&all, false).await;
    assert!(first.accepted);
    let gone: Vec<_> = documents.iter().skip(10).map(|path| (path.as_str(), None)).collect();
    let flood = desk.batch(&gone, false).await;
    assert!(!flood.accepted && flood.changes.is_empty());
    assert_eq!(flood.snapshot, first.snapshot);
    let newest = desk.ada.knowledge_bases().await.unwrap().remove(0);
    assert_eq!(newest.snapshot, first.snapshot);
    assert!(!desk.ada.batches(&desk.name).await.unwrap()[0].accepted);
    let approved = desk.batch(&[], true).await;
    assert!(approved.accepted);
    assert_eq!(approved.report.documents, 10);
}

#[tokio::test]
async fn an_earlier_batch_is_the_newest_again_without_what_was_taken_out_since() {
    let desk = Desk::new("").await;
    let first = desk.batch(&[("a.md", Some("Alpha.")), ("b.md", Some("Beta."))], false).await;
    desk.batch(&[("a.md", Some("Changed.")), ("c.md", Some("Gamma."))], false).await;
    let restored = desk.ada.restore_knowledge(&desk.name, 1).await.unwrap();
    assert_eq!(restored.snapshot, first.snapshot);
    let diff = &restored.report.diff;
    assert_eq!(
        (&diff.changed[..], &diff.removed[..]),
        (&["a.md".into()][..], &["c.md".into()][..])
    );
    // The sources have gone on.
    let next = desk.batch(&[], false).await;
    assert_eq!(
        (next.report.diff.changed, next.report.diff.added),
        (vec!["a.md".into()], vec!["c.md".into()])
    );

    desk.ada.excise(&desk.name, &Excised::Document("b.md".to_owned())).await.unwrap();
    let restored = desk.ada.restore_knowledge(&desk.name, 1).await.unwrap();
    assert_eq!(restored.report.documents, 1);
    let next = desk.batch(&[], false).await;
    assert!(!next.report.diff.added.contains(&"b.md".to_owned()), "{next:?}");
    let unknown = desk.ada.restore_knowledge(&desk.name, 99).await;
    assert!(matches!(unknown, Err(DeliveryError::Batch { number: 99, .. })));
}

#[tokio::test]
async fn a_batch_that_misses_a_golden_query_is_rejected_whole() {
    let desk = Desk::new("[quality]\ngolden = \"golden.jsonl\"\n").await;
    let first = desk.batch(&[("a.md", Some("Alpha.")), ("b.md", Some("Beta."))], false).await;
    assert!(first.accepted);
    let bad = desk.batch(&[("a.md", Some("Omega.")), ("c.md", Some("Good."))], false).await;
    assert!(!bad.accepted);
    assert_eq!(bad.snapshot, first.snapshot);
    assert_eq!(bad.report.golden.unwrap().missed[0].before, Some(1));
    // What the newest snapshot finds stays known, and is asked again when something is taken out.
    let record = async || desk.ada.knowledge_bases().await.unwrap().remove(0);
    let found = record().await.found.unwrap();
    desk.ada.excise(&desk.name, &Excised::Document("b.md".to_owned())).await.unwrap();
    let without = record().await;
    assert_ne!(without.found, Some(found));
    let found = desk.ada.must_find(&without).await.unwrap().unwrap().before.unwrap();
    assert_eq!(Some(found.snapshot), without.snapshot);
    assert_eq!(found.missed().count(), 0);
}
