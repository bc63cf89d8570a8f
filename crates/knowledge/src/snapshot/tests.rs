//! What is refreshed is what is found, exactly and repeatably.

use std::fs;

use release::TenantId;
use store::{Blobs, Store};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::*;
use crate::source::{Directory, Offer, Offered};
use crate::{Ask, KnowledgeSpec, RefreshInput, Refreshed, refresh};

pub(crate) struct Base {
    pub home: TempDir,
    pub blobs: Blobs,
    pub parent: Option<Digest>,
    pub ledger: Option<Digest>,
    store: OnceCell<Store>,
}

impl Base {
    pub fn new(documents: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::disk(home.path().join("blobs"));
        let base = Self { home, blobs, parent: None, ledger: None, store: OnceCell::new() };
        documents.iter().for_each(|(path, text)| base.write(path, text));
        base
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.home.path().join("docs").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.home.path().join("docs").join(path)).unwrap();
    }

    pub fn input(&self, max_tokens: u32) -> RefreshInput {
        let spec: KnowledgeSpec = serde_json::from_value(serde_json::json!({
            "sources": [{"kind": "directory", "directory": "project", "path": "docs"}],
            "chunking": {"max_tokens": max_tokens},
        }))
        .unwrap();
        let what = Directory(self.home.path().to_owned());
        let project = Offer { what, tenants: vec![TenantId::DEFAULT] };
        RefreshInput {
            name: "handbook".parse().unwrap(),
            spec,
            offered: Arc::new(Offered {
                directories: [("project".to_owned(), project)].into(),
                ..Offered::default()
            }),
            parent: self.parent,
            ledger: self.ledger,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            poll: crate::Poll::default(),
            approved: false,
            blobs: self.blobs.tenant(&TenantId::DEFAULT),
            tenant: TenantId::DEFAULT,
            watch: Arc::default(),
            workshop: crate::prepare::tests::workshop(),
            embedding: None,
            golden: None,
        }
    }

    pub async fn refresh(&mut self) -> Refreshed {
        let refreshed = refresh(self.input(100)).await.unwrap();
        (self.parent, self.ledger) = (Some(refreshed.manifest), Some(refreshed.ledger));
        refreshed
    }

    pub async fn open(&self) -> Snapshot {
        let blobs = self.blobs.tenant(&TenantId::DEFAULT);
        SnapshotCache::default().open(&blobs, self.parent.unwrap()).await.unwrap()
    }

    pub async fn store(&self) -> &Store {
        let path = self.home.path().join("control.db");
        self.store.get_or_init(|| async move { Store::open_sqlite(&path).await.unwrap() }).await
    }

    pub fn corrupt(&self, digest: Digest) {
        let hex = digest.to_hex();
        let file = self.home.path().join("blobs/default").join(&hex[..2]).join(&hex);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    }

    async fn found(&self, question: &str) -> Vec<String> {
        let snapshot = self.open().await;
        let found = snapshot.retrieve(&snapshot.ask(question, 10)).unwrap().passages;
        found.into_iter().map(|hit| hit.document).collect()
    }
}

#[tokio::test]
async fn documents_are_found_by_word_and_by_identifier() {
    let mut base = Base::new(&[
        ("returns.md", "# Returns\n\nHelmets go back within 14 days."),
        ("parts.txt", "The brake lever BRK-2204 fits all models."),
    ]);
    let refreshed = base.refresh().await;
    assert_eq!(refreshed.report.diff.added, ["parts.txt", "returns.md"]);
    assert_eq!(base.found("returning a helmet").await, ["returns.md"]);
    assert_eq!(base.found("what is brk-2204?").await, ["parts.txt"]);
    assert!(base.found("?!").await.is_empty());
}

#[tokio::test]
async fn refreshing_without_a_change_gives_the_same_snapshot() {
    let mut base = Base::new(&[("a.md", "Alpha."), ("b.md", "Beta.")]);
    let first = base.refresh().await;
    base.write("a.md", "Alpha.");
    let second = base.refresh().await;
    assert!(!first.unchanged && second.unchanged);
    assert_eq!(first.manifest, second.manifest);
}

#[tokio::test]
async fn a_changed_document_leaves_no_old_passage_and_others_are_not_built_again() {
    let long: String = (0..50).map(|n| format!("Old paragraph number {n}.\n\n")).collect();
    let mut base = Base::new(&[("a.md", &long), ("b.md", "Beta stays.")]);
    base.refresh().await;
    base.write("a.md", "New and short.");
    let refreshed = base.refresh().await;
    assert_eq!(
        (refreshed.report.diff.changed.as_slice(), refreshed.report.chunks),
        (&["a.md".to_owned()][..], 2)
    );
    assert!(base.found("old paragraph number").await.is_empty());
    assert_eq!(base.found("new short").await, ["a.md"]);
    assert_eq!(base.found("beta").await, ["b.md"]);
}

#[tokio::test]
async fn two_documents_of_equal_content_are_deleted_independently() {
    let mut base = Base::new(&[("a.md", "Same words."), ("b.md", "Same words.")]);
    base.refresh().await;
    base.remove("a.md");
    assert_eq!(base.refresh().await.report.diff.removed, ["a.md"]);
    assert_eq!(base.found("same words").await, ["b.md"]);
    base.write("a.md", "Same words.");
    base.remove("b.md");
    base.refresh().await;
    assert_eq!(base.found("same words").await, ["a.md"]);
}

#[tokio::test]
async fn another_recipe_builds_everything_anew() {
    let mut base = Base::new(&[("a.md", "Alpha."), ("b.md", "Beta.")]);
    base.refresh().await;
    let other = refresh(base.input(50)).await.unwrap();
    assert!(!other.unchanged);
    base.parent = Some(other.manifest);
    assert_eq!(base.open().await.manifest.segments().len(), 1);
}

#[tokio::test]
async fn scores_do_not_depend_on_how_documents_are_split_into_segments() {
    let documents: Vec<_> = (0..20)
        .map(|n| (format!("{n:02}.md"), format!("Topic {} and number {n} of words.", n % 3)))
        .collect();
    let mut whole = Base::new(&[]);
    let mut split = Base::new(&[]);
    for (path, text) in &documents {
        whole.write(path, text);
        split.write(path, text);
        split.refresh().await;
    }
    whole.refresh().await;
    assert_eq!(split.open().await.parts().len(), 20);
    let (whole, split) = (whole.open().await, split.open().await);
    let ask = Ask { explain: true, ..whole.ask("topic 2 number 7", 20) };
    // To the bit, and for the same reasons.
    assert_eq!(whole.retrieve(&ask).unwrap(), split.retrieve(&ask).unwrap());
}

#[tokio::test]
async fn what_cannot_be_read_is_skipped_with_its_reason_and_keeps_its_last_good_version() {
    let mut base = Base::new(&[("good.md", "Good."), ("bad.md", "Was fine.")]);
    base.refresh().await;
    fs::write(base.home.path().join("docs/bad.md"), b"broken \0 text").unwrap();
    fs::write(base.home.path().join("docs/blob.txt"), b"\0\0").unwrap();
    let report = base.refresh().await.report;
    let reasons: Vec<_> =
        report.skipped.iter().map(|s| format!("{}: {}", s.document, s.reason)).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.iter().any(|r| r.starts_with("bad.md: ")), "{reasons:?}");
    assert_eq!(base.found("fine").await, ["bad.md"]);
}

#[tokio::test]
async fn a_source_that_cannot_be_listed_is_an_error_and_deletes_nothing() {
    let mut base = Base::new(&[("a.md", "Alpha.")]);
    base.refresh().await;
    fs::rename(base.home.path().join("docs"), base.home.path().join("moved")).unwrap();
    let failed = refresh(base.input(100)).await;
    assert!(matches!(failed, Err(KnowledgeError::Listing { .. })));
    assert_eq!(base.found("alpha").await, ["a.md"]);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_leaves_its_documents_and_is_told() {
    let mut base = Base::new(&[("a.md", "Alpha."), ("more/b.md", "Beta.")]);
    let sources = |second: serde_json::Value| {
        let first = serde_json::json!(
            {"kind": "directory", "directory": "project", "path": "docs", "include": ["a.md", "c.md"]});
        serde_json::from_value::<Vec<_>>(serde_json::json!([first, second])).unwrap()
    };
    let more = serde_json::json!({"kind": "directory", "name": "more", "directory": "project",
        "path": "docs/more", "prefix": "more/"});
    let mut input = base.input(100);
    input.spec.sources = sources(more.clone());
    let both = refresh(input).await.unwrap();
    (base.parent, base.ledger) = (Some(both.manifest), Some(both.ledger));
    assert_eq!(both.report.diff.added, ["a.md", "more/b.md"]);
    assert_eq!(both.report.unread, []);
    fs::remove_dir_all(base.home.path().join("docs/more")).unwrap();
    base.write("c.md", "Gamma.");
    let mut input = base.input(100);
    input.spec.sources = sources(more);
    let one = refresh(input).await.unwrap();
    assert_eq!((one.report.diff.added, one.report.diff.removed), (vec!["c.md".to_owned()], vec![]));
    assert_eq!(one.report.unread[0].source, "more");
    // Two sources that tell of one path are told apart by a prefix.
    let same = serde_json::json!({"kind": "directory", "name": "same", "directory": "project",
        "path": "docs"});
    let mut input = base.input(100);
    input.spec.sources = sources(same);
    let told = &refresh(input).await.unwrap().report.unread[0];
    assert!(told.reason.contains("`a.md`") && told.reason.contains("`prefix`"), "{told:?}");
}

#[tokio::test]
async fn links_do_not_lead_out_of_the_directory() {
    let base = Base::new(&[("a.md", "Alpha.")]);
    std::os::unix::fs::symlink("/etc", base.home.path().join("docs/etc")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", base.home.path().join("docs/host.txt")).unwrap();
    let refreshed = refresh(base.input(100)).await.unwrap();
    assert_eq!(refreshed.report.diff.added, ["a.md"]);
}

#[tokio::test]
async fn a_corrupt_segment_is_named_and_others_keep_serving() {
    let mut base = Base::new(&[("a.md", "Alpha.")]);
    base.refresh().await;
    let good = base.open().await;
    let segment = good.manifest.segments().pop_first().unwrap();
    base.corrupt(segment);
    let blobs = base.blobs.tenant(&TenantId::DEFAULT);
    let error = SnapshotCache::default().open(&blobs, base.parent.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains(&segment.to_string()), "{error}");
    assert_eq!(good.retrieve(&good.ask("alpha", 1)).unwrap().passages.len(), 1);
}

#[tokio::test]
async fn snapshots_share_open_segments() {
    let mut base = Base::new(&[("a.md", "Alpha.")]);
    base.refresh().await;
    let first = base.parent.unwrap();
    base.write("b.md", "Beta.");
    base.refresh().await;
    let cache = SnapshotCache::default();
    let blobs = base.blobs.tenant(&TenantId::DEFAULT);
    let old = cache.open(&blobs, first).await.unwrap();
    let new = cache.open(&blobs, base.parent.unwrap()).await.unwrap();
    let shared = |part: &super::Part| Arc::ptr_eq(&old.parts()[0].segment, &part.segment);
    assert!(new.parts().iter().any(shared));
}

#[tokio::test]
async fn no_tenant_sees_anothers_snapshot() {
    let mut base = Base::new(&[("a.md", "Alpha.")]);
    base.refresh().await;
    let other = base.blobs.tenant(&"other".parse().unwrap());
    assert!(SnapshotCache::default().open(&other, base.parent.unwrap()).await.is_err());
}

#[tokio::test]
async fn a_refresh_tells_how_far_it_is_and_stops_when_it_is_told_to() {
    let mut base = Base::new(&[("a.md", "# One\n\nText.\n"), ("b.md", "# Two\n\nText.\n")]);
    let input = base.input(100);
    let watch = Arc::clone(&input.watch);
    refresh(input).await.unwrap();
    assert_eq!(watch.to_string(), "indexing");
    let input = base.input(100);
    input.watch.stop();
    let stopped = refresh(input).await;
    assert!(matches!(stopped, Err(crate::KnowledgeError::Stopped)), "{stopped:?}");
    base.refresh().await;
}
