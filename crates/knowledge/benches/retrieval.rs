//! How fast questions are answered from 10,000 and 100,000 passages, by words, vectors and both, and
//! what that takes of memory and disk.
//!
//! Text is drawn from 20,000 words by Zipf's law, vectors (384 numbers) are drawn too. Building runs
//! in a process of its own, so that what it took is not counted. With `GROUNDCREW_BENCH_KEEP` the
//! passages, vectors and questions stay there for peers. `cargo xtask bench knowledge` runs all.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks in the terminal")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use knowledge::source::{Directory, Offer};
use knowledge::{
    Ask, CallLimits, Embedded, Embedder, Embedding, EmbeddingCache, EmbeddingSpec, Extractor,
    KnowledgeError, KnowledgeSpec, Limits, Mode, NoSteps, Offered, OpenEmbedder, RefreshInput,
    Scan, Snapshot, SnapshotCache, Workshop, refresh,
};
use release::{Clock, Digest, PrincipalId, TenantId, Timestamp};
use serde_json::json;
use store::{Blobs, Store};

const SIZES: [usize; 2] = [10_000, 100_000];
const DIMENSION: usize = 384;
const WORDS: usize = 20_000;
const PER_DOCUMENT: usize = 10;
const PER_PASSAGE: usize = 110;
const QUESTIONS: usize = 200;
/// How often each question is asked.
const ROUNDS: usize = 3;

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
        let rank = ((WORDS as f64).powf(self.unit()) - 1.0) as usize;
        let mut left = (rank as u64 + 1).wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        let mut word = format!("w{rank:x}");
        for _ in 0..2 {
            word.push(char::from(b'a' + (left % 26) as u8));
            left /= 26;
        }
        word
    }
}

/// Vectors that follow from the text and mean nothing.
#[derive(Debug)]
struct Drawn;

fn vector(text: &str) -> Vec<f32> {
    let digest = Digest::of(text.as_bytes());
    let mut draw = Draw(u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap()));
    let mut vector: Vec<f32> = (0..DIMENSION).map(|_| (draw.unit() - 0.5) as f32).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
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
        Ok(Embedded {
            vectors: texts.iter().map(|text| vector(text)).collect(),
            ..Embedded::default()
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Ok(size) = std::env::var("GROUNDCREW_BENCH_BUILD") {
        let home = PathBuf::from(std::env::var("GROUNDCREW_BENCH_HOME").unwrap());
        build(&home, size.parse().unwrap()).await;
        return;
    }
    let kept = std::env::var_os("GROUNDCREW_BENCH_KEEP").map(PathBuf::from);
    for size in SIZES {
        let directory = tempfile::tempdir().unwrap();
        let home =
            kept.as_ref().map_or(directory.path().to_owned(), |kept| kept.join(size.to_string()));
        fs::create_dir_all(&home).unwrap();
        let built = Command::new(std::env::current_exe().unwrap())
            .env("GROUNDCREW_BENCH_BUILD", size.to_string())
            .env("GROUNDCREW_BENCH_HOME", &home)
            .status();
        assert!(built.unwrap().success());
        measure(&home).await;
    }
}

async fn build(home: &Path, passages: usize) {
    let docs = home.join("docs");
    fs::create_dir_all(&docs).unwrap();
    let mut draw = Draw(7);
    for number in 0..passages / PER_DOCUMENT {
        let mut text = String::new();
        for part in 0..PER_DOCUMENT {
            let words: Vec<_> = (0..PER_PASSAGE).map(|_| draw.word()).collect();
            write!(text, "# Part {part}\n\n{}\n\n", words.join(" ")).unwrap();
        }
        fs::write(docs.join(format!("{number:06}.md")), text).unwrap();
    }
    let store = Store::open_sqlite(&home.join("control.db")).await.unwrap();
    let blobs = Blobs::disk(home.join("blobs"));
    let tenant = TenantId::DEFAULT;
    let source = json!({"kind": "directory", "directory": "docs"});
    let spec: KnowledgeSpec = serde_json::from_value(json!({"sources": [source]})).unwrap();
    let docs = Offer { what: Directory(docs), tenants: vec![tenant.clone()] };
    let offered =
        Arc::new(Offered { directories: [("docs".to_owned(), docs)].into(), ..Offered::default() });
    let extractor = Extractor::new("no-program".into(), Limits::default());
    let workshop = Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) });
    let own: EmbeddingSpec = serde_json::from_value(json!({"model": "drawn"})).unwrap();
    let input = |embedding| RefreshInput {
        name: "bench".parse().unwrap(),
        spec: spec.clone(),
        offered: Arc::clone(&offered),
        parent: None,
        ledger: None,
        now: Timestamp::UNIX_EPOCH,
        poll: knowledge::Poll::default(),
        approved: false,
        workshop: Arc::clone(&workshop),
        blobs: blobs.tenant(&tenant),
        tenant: tenant.clone(),
        watch: Arc::default(),
        embedding,
        golden: None,
    };
    let began = Instant::now();
    let refreshed = refresh(input(None)).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let count = refreshed.report.chunks;
    println!(
        "\n{count} passages: built in {seconds:.1} s, {:.0} passages/s",
        count as f64 / seconds
    );
    let cache = EmbeddingCache {
        store: store.tenant(&tenant),
        blobs: blobs.tenant(&tenant),
        actor: PrincipalId::system("bench"),
        clock: Arc::new(Fixed),
    };
    let open = OpenEmbedder { embedder: Arc::new(Drawn), artifact: None };
    let began = Instant::now();
    let refreshed = refresh(input(Some(Embedding { spec: own, open, cache }))).await.unwrap();
    println!("with drawn vectors in {:.1} s", began.elapsed().as_secs_f64());
    fs::write(home.join("snapshot"), refreshed.manifest.to_string()).unwrap();
}

async fn measure(home: &Path) {
    let digest: Digest = fs::read_to_string(home.join("snapshot")).unwrap().parse().unwrap();
    let blobs = Blobs::disk(home.join("blobs")).tenant(&TenantId::DEFAULT);
    let before = resident();
    let began = Instant::now();
    let snapshot = SnapshotCache::default().open(&blobs, digest).await.unwrap();
    let opened = began.elapsed().as_secs_f64();
    let passages = snapshot.manifest.chunks() as f64;
    let segments = snapshot.manifest.segments();
    let segments = segments.iter().map(|digest| {
        let hex = digest.to_hex();
        fs::metadata(home.join("blobs/default").join(&hex[..2]).join(&hex)).unwrap().len()
    });
    let disk: u64 = segments.sum();
    println!(
        "opened in {opened:.2} s; per passage {:.0} bytes on disk, {:.0} counted in memory, {:.0} resident",
        disk as f64 / passages,
        snapshot.bytes() as f64 / passages,
        (resident() - before) * 1024.0 / passages,
    );
    let mut draw = Draw(99);
    let questions: Vec<String> = (0..QUESTIONS)
        .map(|_| (0..3 + draw.next() % 6).map(|_| draw.word()).collect::<Vec<_>>().join(" "))
        .collect();
    let modes = [
        ("bm25", Mode::Bm25, Scan::Int8),
        ("vector, 8 bits", Mode::Vector, Scan::Int8),
        ("vector, exact", Mode::Vector, Scan::Exact),
        ("hybrid", Mode::Hybrid, Scan::Int8),
    ];
    for (name, mode, scan) in modes {
        row(name, &snapshot, &questions, |ask| Ask { mode, scan, ..ask });
    }
    let filter: Vec<_> = vec!["path^=00000".parse().unwrap()];
    row("hybrid, filtered", &snapshot, &questions, |ask| Ask { filters: filter.clone(), ..ask });
    if std::env::var_os("GROUNDCREW_BENCH_KEEP").is_some() {
        keep(home, &questions);
    }
}

fn row(name: &str, snapshot: &Snapshot, questions: &[String], with: impl Fn(Ask) -> Ask) {
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        for question in questions {
            let vector: Arc<[f32]> = vector(question).into();
            let ask = with(Ask { vector: Some(vector), ..snapshot.ask(question, 10) });
            let began = Instant::now();
            let found = snapshot.retrieve(&ask).unwrap();
            took.push(began.elapsed().as_secs_f64() * 1e3);
            assert!(found.passages.len() <= 10);
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("  {name:<18} p50 {:>7.2} ms  p99 {:>7.2} ms", at(0.5), at(0.99));
}

/// Writes the questions and their vectors for peers.
fn keep(home: &Path, questions: &[String]) {
    let lines =
        questions.iter().map(|text| json!({"text": text, "vector": vector(text)}).to_string());
    fs::write(home.join("questions.jsonl"), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

/// Resident memory in kilobytes.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
