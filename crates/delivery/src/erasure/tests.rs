//! What is erased is nowhere, whenever the work was cut off.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use evaluation::answer::{Answer, Passage};
use evaluation::judge::CallError;
use evaluation::run::{Answered, Answerer, Handles, Plan, Run, Verdict, run};
use evaluation::scorers::Engines;
use evaluation::suite::Case;
use knowledge::source::{Directory, Offer, Put};
use knowledge::{CallLimits, Embedded, Embedder, Offered, SnapshotCache, Watch};
use release::{Secret, TenantId};
use store::conformance::Cut;
use store::{Backups, Blobs, Inventory, Store};

use super::*;
use crate::desk::{Embeds, Hands, server};
use crate::{
    Delivery, EvaluationPlan, EvaluationRecord, Evaluations, Excised, NewEvaluation, Refresh,
    Upload,
};

const NOON: &str = "2026-01-01T12:00:00Z";

/// Embeds by length.
#[derive(Debug)]
struct Lengths;

#[async_trait]
impl Embedder for Lengths {
    fn identity(&self) -> Digest {
        Digest::of(b"lengths")
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 100, bytes: 1 << 20 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        let vectors = texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect();
        Ok(Embedded { vectors, ..Embedded::default() })
    }
}

/// A knowledge base over a directory and what is pushed, with backups at a place and at a copy.
struct Desk {
    home: tempfile::TempDir,
    name: ArtifactName,
    /// How many servers were started, each an hour after the one before.
    starts: AtomicU64,
}

const BASE: &str = "[[sources]]\nkind = \"directory\"\ndirectory = \"docs\"\n\
                    [[sources]]\nkind = \"push\"\nprefix = \"put/\"\n\
                    [embedding]\nmodel = \"own/lengths\"\n";

const APP: &str = "[slots]\nmodel = \"m\"\nprompt = \"p\"\nknowledge = \"handbook\"\n\
                   [delivery]\nenter = \"manual\"\n";

const SUITE: &str = "cases = \"birds.jsonl\"\n[scorers.some]\nmeasure = { kind = \"length\" }\n\
                     at_least = 1.0\n";

/// Answers with what it was given.
struct Quotes;

#[async_trait]
impl Answerer for Quotes {
    async fn answer(&self, _: &Case, _: u32) -> Result<Answer, CallError> {
        let passage = |document: &str, text: &str| Passage {
            id: document.to_owned(),
            document: document.to_owned(),
            text: text.to_owned(),
            score: None,
        };
        Ok(Answer {
            text: "The canary sings.".to_owned(),
            passages: vec![passage("ada.md", "A canary sings."), passage("bob.md", "A sparrow.")],
            ..Answer::default()
        })
    }
}

impl Desk {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("docs")).unwrap();
        let (name, starts) = ("handbook".parse().unwrap(), AtomicU64::new(0));
        let desk = Self { home, name, starts };
        let (_, ada) = desk.open().await;
        let files = [
            ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
            ("apps/support.toml", APP),
            ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
            ("prompts/p.md", "Hello.\n"),
            ("knowledge/handbook.toml", BASE),
            ("evals/birds.toml", SUITE),
            ("evals/birds.jsonl", "{\"id\": \"who\", \"input\": \"Who sings?\"}\n"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        ada.apply(&Upload { files: files.into(), ..Upload::default() }).await.unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path("docs").join(path), text).unwrap();
    }

    fn places(&self) -> Vec<Backups> {
        let at = |name| Backups::new(Blobs::disk(self.path(name)), Secret::new("key"));
        vec![at("place"), at("copy")]
    }

    /// A server over the data in `data`, as if it had just been started.
    async fn server(&self, data: &str) -> (Delivery, TenantDelivery) {
        self.mortal(data, &Cut::at(usize::MAX)).await
    }

    /// One that dies at a moment.
    async fn mortal(&self, data: &str, cut: &Cut) -> (Delivery, TenantDelivery) {
        fs::create_dir_all(self.path(data)).unwrap();
        let store = Store::open_sqlite(&self.path(data).join("control.db")).await.unwrap();
        let blobs = Blobs::disk(self.path(data).join("blobs")).with_key(&Secret::new("key"));
        let (store, blobs) = (cut.store(&store), cut.blobs(&blobs));
        let what = Directory(self.path("docs"));
        let docs = Offer { what, tenants: vec![TenantId::DEFAULT] };
        let offered = Offered {
            directories: [("docs".to_owned(), docs)].into(),
            pushed: Some((store.clone(), blobs.clone())),
            ..Offered::default()
        };
        let hours = self.starts.fetch_add(1, Ordering::Relaxed);
        let at = NOON.parse::<Timestamp>().unwrap() + Duration::from_secs(3_600 * hours);
        let clock = Arc::new(Hands(Mutex::new(at)));
        let delivery = server((&store, &blobs), &offered, &clock)
            .with_models(Arc::new(Embeds(Arc::new(Lengths))))
            .with_backups(self.places());
        let ada = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap());
        (delivery, ada)
    }

    async fn open(&self) -> (Delivery, TenantDelivery) {
        self.server("data").await
    }

    async fn put(&self, ada: &TenantDelivery, path: &str, text: &str) -> Result<(), DeliveryError> {
        let put = Put {
            path: path.to_owned(),
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            media_type: None,
            modified_at: None,
            metadata: knowledge::Metadata::default(),
        };
        ada.put_document(&self.name, put).await.map(|_| ())
    }

    async fn refresh(&self, ada: &TenantDelivery) -> crate::Refreshed {
        let (knowledge, sources) = (self.name.clone(), BTreeSet::new());
        let wish = Refresh { knowledge, sources, approved: true };
        ada.refresh(&wish, &Arc::new(Watch::default())).await.unwrap()
    }

    async fn back_up(&self, delivery: &Delivery) -> Inventory {
        let places = self.places();
        let of = (&delivery.store, &delivery.blobs);
        let at = delivery.clock.now();
        let (inventory, _) = places[0].take(of, at).await.unwrap();
        places[0].replicate(&inventory, &places[1]).await.unwrap();
        inventory
    }

    /// Documents of Ada and others over several batches, then a backup.
    async fn filled(&self) -> Inventory {
        let (delivery, ada) = self.open().await;
        self.write("ada.md", "A canary sings.");
        self.write("bob.md", "A sparrow sings.");
        self.put(&ada, "ada.md", "The canary was put.").await.unwrap();
        self.put(&ada, "twin.md", "The sparrow was put.").await.unwrap();
        self.refresh(&ada).await;
        self.write("ada.md", "Another canary sings.");
        self.put(&ada, "ada.md", "Another canary was put.").await.unwrap();
        self.refresh(&ada).await;
        self.evaluate(&ada, "over").await;
        self.back_up(&delivery).await
    }

    async fn plan(&self, ada: &TenantDelivery, key: &str) -> EvaluationPlan {
        let (suite, app) = ("birds".parse().unwrap(), "support".parse().unwrap());
        let wish = NewEvaluation {
            suite,
            app,
            release: None,
            environment: None,
            repeats: None,
            traces: None,
            cases_of: None,
        };
        ada.begin_evaluation(&wish, None, (key, ada.clock.now())).await.unwrap().unwrap()
    }

    /// What an evaluation of the newest release finds, all paid for.
    async fn ask(&self, ada: &TenantDelivery, plan: &EvaluationPlan) -> Run {
        let suite = ada.open_suite(plan.suite.digest).await.unwrap();
        let handles = Handles {
            answerer: &Quotes,
            engines: Engines::default(),
            ledger: &ada.evaluation_ledger(plan),
            progress: &|_| {},
            cancelled: &AtomicBool::new(false),
        };
        run(Plan { name: "birds", suite: &suite, subject: &plan.release }, handles).await
    }

    async fn evaluate(&self, ada: &TenantDelivery, key: &str) -> EvaluationRecord {
        let plan = self.plan(ada, key).await;
        let found = self.ask(ada, &plan).await;
        ada.keep_evaluation(&plan, found).await.unwrap()
    }
}

fn hers() -> Erase {
    let documents = ["ada.md".to_owned(), "put/ada.md".to_owned()].into();
    Erase { documents, reason: "she asked".to_owned(), ..Erase::default() }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|some| some == word)
}

/// What is found of the canary: in files as they are, in blobs as they read, by any snapshot.
async fn traces(desk: &Desk, data: &str) -> Vec<String> {
    let (delivery, ada) = desk.server(data).await;
    let mut found = Vec::new();
    for place in [data, "place", "copy"] {
        let with = files(&desk.path(place)).into_iter();
        let with = with.filter(|file| has(&fs::read(file).unwrap(), b"canary"));
        found.extend(with.map(|file| file.display().to_string()));
        let blobs = match place {
            place if place == data => delivery.blobs.clone(),
            place => Blobs::disk(desk.path(place)).with_key(&Secret::new("key")),
        };
        let blobs = blobs.tenant(&TenantId::DEFAULT);
        for digest in blobs.list().await.unwrap() {
            let bytes = blobs.get(&digest).await.unwrap();
            if has(&bytes, b"canary") {
                found.push(format!("{place}: {digest}"));
            }
        }
    }
    let cache = SnapshotCache::default();
    for digest in ada.all_snapshots(&desk.name).await.unwrap() {
        let snapshot =
            cache.open(&delivery.blobs.tenant(&TenantId::DEFAULT), digest).await.unwrap();
        let mut ask = snapshot.ask("canary sparrow sings", 50);
        ask.vector = Some(vec![1.0, 0.0].into());
        let passages = snapshot.retrieve(&ask).unwrap().passages;
        assert!(passages.iter().any(|it| it.text.contains("sparrow")), "others are found");
        let hers = passages.iter().filter(|it| it.text.contains("canary"));
        found.extend(hers.map(|it| format!("{digest}: {}", it.text)));
    }
    found
}

#[tokio::test]
async fn from_the_commit_on_no_snapshot_gives_an_erased_document_and_it_stays_out_until_admitted() {
    let desk = Desk::new().await;
    desk.filled().await;
    assert!(!traces(&desk, "data").await.is_empty());
    let (delivery, ada) = desk.open().await;
    let unknown = Erase { documents: ["no.md".to_owned()].into(), ..Erase::default() };
    assert!(ada.erase(&desk.name, &unknown).await.is_err());
    let reach = ada.erasure_reach(&desk.name, &hers()).await.unwrap();
    assert_eq!((reach.snapshots, reach.segments, reach.backups.len()), (2, 2, 1));
    assert!(reach.blobs > 4 && reach.texts == 4, "{reach:?}");

    let old = ada.all_snapshots(&desk.name).await.unwrap();
    let (record, _) = ada.erase(&desk.name, &hers()).await.unwrap();
    assert_eq!((record.number, record.done_at), (1, None));
    let newest = ada.knowledge_bases().await.unwrap().remove(0).snapshot.unwrap();
    assert!(!old.contains(&newest));
    assert_eq!(ada.erased_of(newest).await.unwrap(), Some(BTreeSet::new()));
    for snapshot in old {
        assert!(!ada.erased_of(snapshot).await.unwrap().unwrap().is_empty());
    }
    drop((delivery, ada));
    let seen = traces(&desk, "data").await;
    assert!(
        seen.iter()
            .all(|it| it.contains("data: ") || it.contains("place: ") || it.contains("copy: ")),
        "{seen:?}"
    );

    let (delivery, ada) = desk.open().await;
    // Its source still has it, with other bytes even.
    desk.write("ada.md", "A third canary sings.");
    let refreshed = desk.refresh(&ada).await;
    assert!(refreshed.unchanged, "{:?}", refreshed.report);
    assert!(ada.admit(&desk.name, "ada.md").await.is_err(), "its erasure is not completed");
    let again = desk.put(&ada, "ada.md", "Once more.").await.unwrap_err();
    assert!(again.to_string().contains("groundcrew knowledge admit"), "{again}");
    assert_eq!(delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap().done, 1);
    assert_eq!(delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap().done, 0);
    drop((delivery, ada));
    assert_eq!(traces(&desk, "data").await, Vec::<String>::new());

    let (_, ada) = desk.open().await;
    ada.admit(&desk.name, "ada.md").await.unwrap();
    assert_eq!(desk.refresh(&ada).await.report.diff.added, ["ada.md"]);
    // An excision of the batch that excluded it does not bring back what was erased.
    let excised = ada.excise(&desk.name, &Excised::Batch(3)).await.unwrap();
    assert!(!excised.report.diff.added.contains(&"put/ada.md".to_owned()));
}

#[tokio::test]
async fn an_erasure_that_dies_at_any_write_is_completed_by_the_next_server() {
    let mut died = Vec::new();
    // Before and after a write in turn; not all of them, which would take minutes.
    for moment in (0..).step_by(11) {
        let desk = Desk::new().await;
        desk.filled().await;
        let cut = Cut::at(moment);
        {
            let (delivery, ada) = desk.mortal("data", &cut).await;
            let erasing = async {
                ada.erase(&desk.name, &hers()).await.unwrap();
                delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap();
            };
            match cut.run(erasing).await {
                Ok(()) => break,
                Err(moment) => died.push(moment),
            }
        }
        {
            let (delivery, ada) = desk.open().await;
            if ada.erasures(&desk.name).await.unwrap().is_empty() {
                ada.erase(&desk.name, &hers()).await.unwrap();
            }
            delivery.complete_erasures(&[TenantId::DEFAULT], "two").await.unwrap();
            assert!(ada.erasures(&desk.name).await.unwrap()[0].done_at.is_some());
        }
        assert_eq!(traces(&desk, "data").await, Vec::<String>::new(), "{died:?}");
    }
    assert!(died.len() > 5, "{died:?}");
}

#[tokio::test]
async fn a_restored_backup_of_before_comes_up_without_what_was_erased_since() {
    let desk = Desk::new().await;
    let inventory = desk.filled().await;
    {
        let (delivery, ada) = desk.open().await;
        ada.erase(&desk.name, &hers()).await.unwrap();
        delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap();
    }
    for (place, data) in desk.places().into_iter().zip(["of-place", "of-copy"]) {
        {
            let (delivery, ada) = desk.server(data).await;
            place.restore(&inventory, (&delivery.store, &delivery.blobs)).await.unwrap();
            assert_eq!(ada.open_erasures().await.unwrap().len(), 1);
            delivery.mask_erasures(&[TenantId::DEFAULT]).await.unwrap();
        }
        assert_eq!(traces(&desk, data).await, Vec::<String>::new());
        let (delivery, ada) = desk.server(data).await;
        assert_eq!(delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap().done, 1);
        assert!(desk.refresh(&ada).await.unchanged, "its sources do not bring it back");
        let pushed = ada.pushed_documents(&desk.name, None).await.unwrap();
        assert_eq!(pushed.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["twin.md"]);
    }
}

#[tokio::test]
async fn a_batch_that_read_a_document_before_it_was_erased_does_not_land_and_leaves_nothing() {
    let desk = Desk::new().await;
    desk.filled().await;
    {
        let (delivery, ada) = desk.open().await;
        let known = ada.knowledge_base(&desk.name).await.unwrap();
        desk.write("ada.md", "A fourth canary sings.");
        // It is refreshed from what was known before, as by a server that is slower.
        ada.erase(&desk.name, &hers()).await.unwrap();
        let record = &known.value;
        let read = knowledge::refresh(knowledge::RefreshInput {
            name: desk.name.clone(),
            spec: record.spec.clone(),
            offered: Arc::clone(&ada.offered),
            parent: record.snapshot,
            ledger: record.ledger,
            blobs: ada.blobs.clone(),
            tenant: TenantId::DEFAULT,
            now: delivery.clock.now(),
            approved: true,
            watch: Arc::default(),
            workshop: Arc::clone(&ada.workshop),
            embedding: ada.embedding(&record.spec).await.unwrap(),
            poll: knowledge::Poll::default(),
            golden: None,
        });
        let read = read.await.unwrap();
        let landing = Landing {
            cause: BatchCause::Refresh,
            snapshot: read.manifest,
            bytes: read.bytes,
            ledger: read.ledger,
            report: read.report,
            polls: record.polls.clone(),
            found: None,
        };
        let landed = ada.land(known, landing, false).await;
        assert!(matches!(landed, Err(DeliveryError::Store(StoreError::Conflict { .. }))));
        delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap();
    }
    assert_eq!(traces(&desk, "data").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_evaluation_keeps_its_scores_and_not_what_quotes_an_erased_document() {
    let desk = Desk::new().await;
    desk.filled().await;
    {
        let (delivery, ada) = desk.open().await;
        // One more is under way; all of it is paid for, and its answers are in memory.
        let plan = desk.plan(&ada, "under way").await;
        let asked = desk.ask(&ada, &plan).await;
        ada.erase(&desk.name, &hers()).await.unwrap();
        delivery.complete_erasures(&[TenantId::DEFAULT], "one").await.unwrap();
        // What was paid for comes too late, and goes again.
        let late = desk.ask(&ada, &plan).await;
        assert_eq!(late.verdict(), Verdict::Passed);
        ada.keep_evaluation(&plan, asked).await.unwrap();
        let records = ada.evaluations(&Evaluations::default()).await.unwrap();
        assert_eq!(records.len(), 2);
        for record in records {
            let run = ada.evaluation_run(&record).await.unwrap();
            assert_eq!((record.verdict, run.verdict()), (Verdict::Passed, Verdict::Passed));
            let result = &run.results[0];
            assert!(matches!(result.answered, Answered::Erased(_)), "{result:?}");
            assert_eq!(result.scores["some"].score().unwrap().pass, Some(true));
        }
    }
    assert_eq!(traces(&desk, "data").await, Vec::<String>::new());
}
