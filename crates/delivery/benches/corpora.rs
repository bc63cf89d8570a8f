//! Real documentation through the release path: how fast it is read, what a refresh costs beside a
//! rebuild, how long publishing and taking out take, and how well passages are found.
//!
//! `GROUNDCREW_BENCH_PYTHON` names a folder with `all` and `sample`, each with `docs` and
//! `queries.jsonl` as `xtask/bench/genindex.py` writes them; `GROUNDCREW_TEST_DJANGO` one with a
//! folder for each release; `GROUNDCREW_TEST_MINILM` one with a sentence transformer.
//! `cargo xtask bench knowledge` sets all of them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks in the terminal")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use delivery::{Delivery, Excised, Promotion, Refresh, Refreshed, TenantDelivery, Upload};
use embedding::{FILES, ModelFiles, SentenceTransformer};
use knowledge::source::{Directory, Offer};
use knowledge::{
    CallLimits, Embedded, Embedder, EmbeddingSpec, Extractor, Judged, KnowledgeError,
    KnowledgeModels, Limits, Metadata, Mode, NoSteps, Offered, OpenEmbedder, RawDocument,
    RerankSpec, Reranker, Snapshot, SnapshotCache, Watch, Workshop, embed_queries, evaluate,
    read_golden, serve_documents,
};
use release::{ArtifactName, Clock, Digest, PrincipalId, TenantId, Timestamp};
use store::{Blobs, Store};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }
}

/// Counts the texts it embeds, by a model or by vectors that follow from their digests.
#[derive(Debug)]
struct Counting {
    texts: AtomicUsize,
    model: Option<SentenceTransformer>,
}

#[async_trait]
impl Embedder for Counting {
    fn identity(&self) -> Digest {
        Digest::of(if self.model.is_some() { b"minilm" } else { b"counts" })
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 8, bytes: 1 << 20 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        let drawn = |text: &String| {
            let digest = Digest::of(text.as_bytes());
            digest.as_bytes()[..8].iter().map(|byte| f32::from(*byte) - 127.5).collect()
        };
        let vectors = match &self.model {
            Some(model) => model.embed(texts).unwrap().vectors,
            None => texts.iter().map(drawn).collect(),
        };
        Ok(Embedded { vectors, ..Embedded::default() })
    }
}

#[derive(Debug)]
struct Models(Arc<Counting>);

#[async_trait]
impl KnowledgeModels for Models {
    async fn embedder(
        &self,
        _: &TenantId,
        _: &EmbeddingSpec,
        _: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        let embedder: Arc<dyn Embedder> = self.0.clone();
        Ok(OpenEmbedder { embedder, artifact: None })
    }

    async fn reranker(
        &self,
        _: &TenantId,
        spec: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError> {
        Err(KnowledgeError::model(&spec.model, "there is none here"))
    }
}

/// A project with one knowledge base over `docs`, and an app that it grounds.
struct Desk {
    home: tempfile::TempDir,
    ada: TenantDelivery,
    blobs: Blobs,
    name: ArtifactName,
    embedder: Arc<Counting>,
}

impl Desk {
    async fn new(more: &str, model: Option<SentenceTransformer>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let docs = home.path().join("docs");
        fs::create_dir(&docs).unwrap();
        let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
        let blobs = Blobs::disk(home.path().join("blobs"));
        let offer = Offer { what: Directory(docs), tenants: vec![TenantId::DEFAULT] };
        let offered =
            Offered { directories: [("docs".to_owned(), offer)].into(), ..Offered::default() };
        let workshop = Workshop { extractor: extractor(), steps: Arc::new(NoSteps) };
        let own = (store, blobs.clone());
        let embedder = Arc::new(Counting { texts: AtomicUsize::new(0), model });
        let delivery = Delivery::new(own, Arc::new(offered), Arc::new(workshop), Arc::new(Fixed));
        let delivery = delivery.with_models(Arc::new(Models(Arc::clone(&embedder))));
        let ada = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap());
        let base = format!(
            "[[sources]]\nkind = \"directory\"\ndirectory = \"docs\"\n{more}[quality]\n\
             max_removed = 1.0\nmax_truncated = 1.0\nmax_copies = 1.0\nmax_empty = 1.0\n"
        );
        let app = "[slots]\nmodel = \"m\"\nprompt = \"p\"\nknowledge = \"docs\"\n\
                   [delivery]\nenter = \"manual\"\n";
        let files = [
            ("groundcrew.toml", "name = \"bench\"\nenvironments = [\"prod\"]\n"),
            ("knowledge/docs.toml", base.as_str()),
            ("apps/app.toml", app),
            ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
            ("prompts/p.md", "Be kind.\n"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        ada.apply(&Upload { files: files.into(), ..Upload::default() }).await.unwrap();
        Self { home, ada, blobs, name: "docs".parse().unwrap(), embedder }
    }

    /// Refreshes from these documents: what came of it, how long it took, how much was embedded.
    async fn refresh(&self, documents: &Path) -> (Refreshed, f64, usize) {
        let docs = self.home.path().join("docs");
        fs::remove_dir_all(&docs).unwrap();
        copy(documents, &docs);
        let before = self.embedder.texts.load(Ordering::Relaxed);
        let began = Instant::now();
        let watch = Arc::new(Watch::default());
        let (knowledge, sources) = (self.name.clone(), std::collections::BTreeSet::new());
        let wish = Refresh { knowledge, sources, approved: false };
        let refreshed = self.ada.refresh(&wish, &watch).await.unwrap();
        let seconds = began.elapsed().as_secs_f64();
        assert!(refreshed.accepted, "{:?}", refreshed.report.quality);
        (refreshed, seconds, self.embedder.texts.load(Ordering::Relaxed) - before)
    }

    async fn open(&self, refreshed: &Refreshed) -> Snapshot {
        let blobs = self.blobs.tenant(&TenantId::DEFAULT);
        SnapshotCache::default().open(&blobs, refreshed.snapshot.unwrap()).await.unwrap()
    }
}

/// Reads documents by children of this program.
fn extractor() -> Extractor {
    Extractor::new(std::env::current_exe().unwrap(), Limits::default())
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

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), out),
            false => out.push(entry.path()),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, memory, seconds] = &arguments[..]
        && command == "extract-document"
    {
        return serve_documents(memory.parse().unwrap(), seconds.parse().unwrap()).unwrap();
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(python) = folder("GROUNDCREW_BENCH_PYTHON") {
            extraction(&python.join("all/docs")).await;
            quality("all", &python.join("all"), None).await;
            let model = folder("GROUNDCREW_TEST_MINILM").map(|model| {
                let read = |path: &&str| ((*path).to_owned(), fs::read(model.join(path)).unwrap());
                SentenceTransformer::open(&ModelFiles(FILES.iter().map(read).collect())).unwrap()
            });
            if let Some(model) = model {
                quality("a sample", &python.join("sample"), Some(model)).await;
            }
        }
        if let Some(django) = folder("GROUNDCREW_TEST_DJANGO") {
            for (name, chunking) in [
                ("220 tokens", ""),
                ("32 tokens", "[chunking]\nmax_tokens = 32\nparent_tokens = 220\n"),
            ] {
                sequence(name, chunking, &django).await;
            }
        }
    });
}

/// Megabytes of HTML a second, one page after the other.
async fn extraction(docs: &Path) {
    let (extractor, mut paths, mut bytes) = (extractor(), Vec::new(), 0);
    files(docs, &mut paths);
    let pages: Vec<RawDocument> = paths
        .iter()
        .map(|path| RawDocument {
            path: path.to_string_lossy().into_owned(),
            bytes: fs::read(path).unwrap().into(),
            media_type: None,
            mark: String::new(),
            modified_at: None,
            version: None,
            metadata: Metadata::new(),
        })
        .collect();
    let began = Instant::now();
    for page in &pages {
        bytes += page.bytes.len();
        extractor.extract(page).await.unwrap();
    }
    let (seconds, count) = (began.elapsed().as_secs_f64(), pages.len());
    let megabytes = bytes as f64 / 1e6;
    println!("extraction: {count} pages, {megabytes:.1} MB, {:.1} MB/s", megabytes / seconds);
}

/// How well the pages of index entries are found.
async fn quality(name: &str, folder: &Path, model: Option<SentenceTransformer>) {
    let modes = match &model {
        Some(_) => vec![Mode::Bm25, Mode::Vector, Mode::Hybrid],
        None => vec![Mode::Bm25],
    };
    let more = if model.is_some() { "[embedding]\nmodel = \"minilm\"\n" } else { "" };
    let desk = Desk::new(more, model).await;
    let (refreshed, seconds, _) = desk.refresh(&folder.join("docs")).await;
    let chunks = refreshed.report.chunks;
    println!(
        "{name}: {} pages, {chunks} passages in {seconds:.1} s, {:.0} passages/s",
        refreshed.report.documents,
        chunks as f64 / seconds
    );
    let text = fs::read_to_string(folder.join("queries.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Vectors of a thousand queries are enough to see a difference; words cost nothing.
    let most = if modes.len() > 1 { 1_000 } else { lines.len() };
    let every = lines.len().div_ceil(most);
    let mut queries: Vec<Judged> = Vec::new();
    for lines in lines.into_iter().step_by(every).collect::<Vec<_>>().chunks(1_000) {
        queries.extend(read_golden(&lines.join("\n")).unwrap());
    }
    let snapshot = desk.open(&refreshed).await;
    embed_queries(&snapshot, desk.embedder.as_ref(), &mut queries).await.unwrap();
    let found = evaluate(&snapshot, &queries, &modes, 10).unwrap();
    println!("  {} queries", found.queries);
    for (mode, scores) in &found.modes {
        let figure = |figure: knowledge::Figure| {
            format!("{:.3} ({:.3}–{:.3})", figure.mean, figure.low, figure.high)
        };
        println!(
            "  {mode:<8} hit@10 {}  MRR@10 {}  nDCG@10 {}",
            figure(scores.hit_at_k),
            figure(scores.mrr_at_10),
            figure(scores.ndcg_at_10)
        );
    }
}

/// Four releases of Django's documentation, one after the other, and the last one on its own.
async fn sequence(name: &str, chunking: &str, django: &Path) {
    let more = format!("{chunking}[embedding]\nmodel = \"counts\"\n");
    let desk = Desk::new(&more, None).await;
    println!("Django, passages of {name}");
    let mut newest = None;
    let mut last = 0.0;
    for version in ["4.2", "5.0", "5.1", "5.2"] {
        let (refreshed, seconds, embedded) = desk.refresh(&django.join(version)).await;
        let (report, chunks) = (&refreshed.report, refreshed.report.chunks);
        println!(
            "  {version}: {seconds:.2} s, {} documents new or changed, {embedded} of {chunks} \
             passages embedded ({:.1} %)",
            report.diff.added.len() + report.diff.changed.len(),
            100.0 * embedded as f64 / chunks as f64
        );
        (newest, last) = (Some(refreshed), seconds);
    }
    let rebuilt = Desk::new(&more, None).await;
    let (_, seconds, _) = rebuilt.refresh(&django.join("5.2")).await;
    println!("  5.2 from nothing: {seconds:.2} s, the refresh took {:.2} of it", last / seconds);
    let (app, environment) = ("app".parse().unwrap(), "prod".parse().unwrap());
    let wish = Promotion { app, environment, release: None, expected: None, now: false };
    let began = Instant::now();
    desk.ada.promote(&wish).await.unwrap();
    println!("  publish: {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    let began = Instant::now();
    let what = Excised::Document("releases/5.2.txt".to_owned());
    desk.ada.excise(&desk.name, &what).await.unwrap();
    println!("  take a document out: {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    assert!(newest.is_some_and(|newest| newest.accepted));
}
