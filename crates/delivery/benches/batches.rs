//! What many batches cost: how long questions take with 10 and with 100 segments, compacting these, and
//! how fast a batch is taken out and a release published, at 100,000 passages (or as many as
//! `GROUNDCREW_BENCH_PASSAGES` says).
//!
//! Text is drawn from 20,000 words, vectors (384 numbers) are drawn too. Run it with
//! `cargo bench -p delivery --bench batches`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks in the terminal")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use delivery::{Delivery, Excised, Promotion, Refresh, TenantDelivery, Upload};
use knowledge::source::{Directory, Offer};
use knowledge::{
    Ask, CallLimits, Embedded, Embedder, EmbeddingSpec, Extractor, KnowledgeError, KnowledgeModels,
    Limits, Mode, NoModels, NoSteps, Offered, OpenEmbedder, RerankSpec, Reranker, Snapshot,
    SnapshotCache, Watch, Workshop,
};
use release::{ArtifactName, Clock, Digest, PrincipalId, TenantId, Timestamp};
use store::{Blobs, Store};

const BATCHES: [usize; 2] = [10, 100];
const DIMENSION: usize = 384;
const PER_DOCUMENT: usize = 10;
const PER_PASSAGE: usize = 110;
const QUESTIONS: usize = 100;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }
}

/// Draws numbers (SplitMix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A word, the first ones far more often.
    fn word(&mut self) -> String {
        format!("w{:x}", 20_000_f64.powf(self.unit()) as usize)
    }
}

/// Vectors that follow from the text and mean nothing.
#[derive(Debug)]
struct Drawn;

fn vector(text: &str) -> Vec<f32> {
    let digest = Digest::of(text.as_bytes());
    let mut draw = Draw(u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap()));
    (0..DIMENSION).map(|_| (draw.unit() - 0.5) as f32).collect()
}

#[async_trait]
impl Embedder for Drawn {
    fn identity(&self) -> Digest {
        Digest::of(b"drawn")
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 256, bytes: 1 << 20 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        let vectors = texts.iter().map(|text| vector(text)).collect();
        Ok(Embedded { vectors, ..Embedded::default() })
    }
}

#[async_trait]
impl KnowledgeModels for Drawn {
    async fn embedder(
        &self,
        _: &TenantId,
        _: &EmbeddingSpec,
        artifact: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        Ok(OpenEmbedder { embedder: Arc::new(Self), artifact })
    }

    async fn reranker(
        &self,
        tenant: &TenantId,
        spec: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError> {
        NoModels.reranker(tenant, spec).await
    }
}

#[tokio::main]
async fn main() {
    let passages = std::env::var("GROUNDCREW_BENCH_PASSAGES").ok();
    let passages = passages.map_or(100_000, |number| number.parse().unwrap());
    for batches in BATCHES {
        let home = tempfile::tempdir().unwrap();
        measure(home.path(), passages, batches).await;
    }
}

async fn measure(home: &Path, passages: usize, batches: usize) {
    let blobs = Blobs::disk(home.join("blobs"));
    let delivery = open(home, &blobs).await;
    let name: ArtifactName = "bench".parse().unwrap();
    let mut draw = Draw(7);
    let began = Instant::now();
    for batch in 0..batches {
        write(&home.join("docs"), batch, passages / batches / PER_DOCUMENT, &mut draw);
        let wish = Refresh { knowledge: name.clone(), sources: [].into(), approved: false };
        delivery.refresh(&wish, &Arc::new(Watch::default())).await.unwrap();
    }
    println!("\n{passages} passages in {batches} batches: {:.0} s", began.elapsed().as_secs_f64());
    let tenant = blobs.tenant(&TenantId::DEFAULT);
    let newest = async || {
        let digest = delivery.knowledge_bases().await.unwrap()[0].snapshot.unwrap();
        SnapshotCache::default().open(&tenant, digest).await.unwrap()
    };
    ask(&newest().await);
    let began = Instant::now();
    delivery.excise(&name, &Excised::Document("000-000001.md".to_owned())).await.unwrap();
    println!("  excise a document {:>7.0} ms", began.elapsed().as_secs_f64() * 1e3);
    let began = Instant::now();
    delivery.excise(&name, &Excised::Batch(2)).await.unwrap();
    println!("  excise a batch    {:>7.0} ms", began.elapsed().as_secs_f64() * 1e3);
    for release in ["1", "2", "3"] {
        let wish = Promotion {
            app: "support".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            release: Some(release.to_owned()),
            expected: None,
            now: false,
        };
        let began = Instant::now();
        delivery.promote(&wish).await.unwrap();
        println!("  publish           {:>7.1} ms", began.elapsed().as_secs_f64() * 1e3);
    }
    let began = Instant::now();
    let compacted = delivery.compact(&name, false).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert!(compacted.batch.unwrap().accepted);
    println!("  compact           {seconds:>7.1} s, check included");
    ask(&newest().await);
}

fn write(docs: &Path, batch: usize, documents: usize, draw: &mut Draw) {
    fs::create_dir_all(docs).unwrap();
    for number in 0..documents {
        let mut text = String::new();
        for part in 0..PER_DOCUMENT {
            let words: Vec<_> = (0..PER_PASSAGE).map(|_| draw.word()).collect();
            write!(text, "# Part {part}\n\n{}\n\n", words.join(" ")).unwrap();
        }
        fs::write(docs.join(format!("{batch:03}-{number:06}.md")), text).unwrap();
    }
}

fn ask(snapshot: &Snapshot) {
    let mut draw = Draw(99);
    for mode in [Mode::Bm25, Mode::Vector, Mode::Hybrid] {
        let mut took = Vec::new();
        for _ in 0..QUESTIONS {
            let words: Vec<_> = (0..3 + draw.next() % 6).map(|_| draw.word()).collect();
            let question = words.join(" ");
            let vector = Some(vector(&question).into());
            let ask = Ask { mode, vector, ..snapshot.ask(&question, 10) };
            let began = Instant::now();
            snapshot.retrieve(&ask).unwrap();
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let segments = snapshot.manifest.segments().len();
        println!("  {mode:<7} {segments:>3} segments   p50 {:>7.2} ms", took[took.len() / 2]);
    }
}

async fn open(home: &Path, blobs: &Blobs) -> TenantDelivery {
    let docs = home.join("docs");
    fs::create_dir_all(&docs).unwrap();
    let store = Store::open_sqlite(&home.join("control.db")).await.unwrap();
    let docs = Offer { what: Directory(docs), tenants: vec![TenantId::DEFAULT] };
    let directories = [("docs".to_owned(), docs)].into();
    let offered = Arc::new(Offered { directories, ..Offered::default() });
    let extractor = Extractor::new("no-program".into(), Limits::default());
    let workshop = Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) });
    let delivery = Delivery::new((store, blobs.clone()), offered, workshop, Arc::new(Fixed));
    let delivery = delivery.with_models(Arc::new(Drawn));
    let delivery = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("bench").unwrap());
    let files = [
        ("groundcrew.toml", "name = \"bench\"\nenvironments = [\"prod\"]\n"),
        (
            "apps/support.toml",
            "[slots]\nmodel = \"small\"\nprompt = \"support\"\nknowledge = \"bench\"\n",
        ),
        ("models/small.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("prompts/support.md", "Answer from what is there.\n"),
        (
            "knowledge/bench.toml",
            "[[sources]]\nkind = \"directory\"\ndirectory = \"docs\"\n[embedding]\nmodel = \"x\"\n",
        ),
    ];
    let files: BTreeMap<_, _> =
        files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).into();
    delivery.apply(&Upload { files, ..Upload::default() }).await.unwrap();
    delivery
}
