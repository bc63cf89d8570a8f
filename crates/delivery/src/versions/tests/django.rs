//! Four releases of Django's documentation, one after the other.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use knowledge::{
    CallLimits, Embedded, Embedder, GoldenQueries, Judged, KnowledgeError, Snapshot, SnapshotCache,
};
use release::{Digest, SlotName};

use super::*;
use crate::Rollback;
use crate::desk::Embeds;

/// The largest share of the passages that a new release may embed.
const LARGEST: f64 = 0.05;

/// Counts what it embeds; a text's vector follows from its digest.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl Embedder for Counting {
    fn identity(&self) -> Digest {
        Digest::of(b"counting")
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 1_000, bytes: 1 << 20 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        self.0.fetch_add(texts.len(), Ordering::Relaxed);
        let vector = |text: &String| {
            let digest = Digest::of(text.as_bytes());
            digest.as_bytes()[..8].iter().map(|byte| f32::from(*byte) - 127.5).collect()
        };
        Ok(Embedded { vectors: texts.iter().map(vector).collect(), ..Embedded::default() })
    }
}

impl Desk {
    /// Puts the documents of a folder in the place of those there are, and refreshes.
    async fn replaced(&self, documents: &Path) -> Refreshed {
        fs::remove_dir_all(&self.docs).unwrap();
        copy(documents, &self.docs);
        self.batch(&[], false).await
    }

    async fn open(&self, snapshot: Digest) -> Snapshot {
        SnapshotCache::default().open(&self.ada.blobs, snapshot).await.unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::write(target, fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

fn documents(snapshot: &Snapshot, question: &str) -> Vec<String> {
    let found = snapshot.retrieve(&snapshot.ask(question, 3)).unwrap().passages;
    found.into_iter().map(|hit| hit.document).collect()
}

#[tokio::test]
async fn a_new_release_embeds_a_twentieth_at_most_and_the_old_answers_come_back_with_a_rollback() {
    let Ok(corpus) = std::env::var("GROUNDCREW_TEST_DJANGO").map(PathBuf::from) else {
        println!("1 test skipped: GROUNDCREW_TEST_DJANGO names no folder with documentation");
        return;
    };
    let embedder = Arc::new(Counting::default());
    // Small passages, so that little is embedded when a paragraph changes, out of larger parents.
    let more = "[chunking]\nmax_tokens = 32\nparent_tokens = 220\n\
                [embedding]\nmodel = \"counting\"\n[retrieval]\nmode = \"bm25\"\n";
    let desk = Desk::with(more, &[], Arc::new(Embeds(Arc::clone(&embedder)))).await;
    let first = desk.replaced(&corpus.join("4.2")).await;
    let queries = ["What does select_related do?", "How do I write a custom management command?"];
    let judged =
        |query: &&str| Judged { query: (*query).to_owned(), relevant: Vec::new(), vector: None };
    let queries: Vec<Judged> = queries.iter().map(judged).collect();
    let (old, question) =
        (desk.open(first.snapshot.unwrap()).await, "database-computed defaults db_default");
    let recorded = GoldenQueries::record(&old, &queries, 10).unwrap();
    let mut newest = first;
    for version in ["5.0", "5.1", "5.2"] {
        let before = embedder.0.load(Ordering::Relaxed);
        newest = desk.replaced(&corpus.join(version)).await;
        assert!(newest.accepted && newest.report.diff.removed.is_empty());
        let embedded = embedder.0.load(Ordering::Relaxed) - before;
        let share = embedded as f64 / newest.report.chunks as f64;
        println!("{version}: {embedded} of {} passages embedded: {share:.4}", newest.report.chunks);
        assert!(embedded > 0 && share <= LARGEST, "{version}: {share}");
    }
    let new = desk.open(newest.snapshot.unwrap()).await;
    assert!(documents(&new, question).contains(&"releases/5.0.txt".to_owned()));

    // What is taken out is gone, and nothing is embedded for it.
    let before = embedder.0.load(Ordering::Relaxed);
    let what = Excised::Document("releases/5.0.txt".to_owned());
    let without = desk.ada.excise(&desk.name, &what).await.unwrap();
    let without = desk.open(without.snapshot.unwrap()).await;
    assert!(!documents(&without, question).contains(&"releases/5.0.txt".to_owned()));

    // The first release answers from what it was made with.
    let wish = Rollback {
        app: "support".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        release: Some("#1".to_owned()),
        reason: "as it was".to_owned(),
        expected: None,
    };
    let app = desk.ada.app(&wish.app).await.unwrap().value;
    desk.ada.roll_back(&wish).await.unwrap();
    let (prod, _) = desk.ada.environment(&app, &wish.environment).await.unwrap();
    let release = desk.ada.open_release(prod.stable.unwrap()).await.unwrap();
    let served = desk.open(release.slots()[&SlotName::KNOWLEDGE]).await;
    assert_eq!(recorded.differences(&recorded.again(&served).unwrap()), [""; 0]);
    assert!(!documents(&served, question).iter().any(|path| path.contains("5.0")));
    assert_eq!(embedder.0.load(Ordering::Relaxed), before);
}
