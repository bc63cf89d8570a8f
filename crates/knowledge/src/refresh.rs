//! Refreshing: what changed in the sources becomes a new segment and a new manifest.
//!
//! ```text
//!  each source ─► Seen ─┬ same ──────────────────────────► its entry stays
//!                       ├ fresh ─► extract, prepare, cut ─► passages ─► embed ─► one segment
//!                       ├ failed, refused ───────────────► its entry stays, and the report says why
//!                       └ not seen ──────────────────────► it is gone
//! ```
//!
//! A source that could not be read as a whole changes nothing: its documents stay. The manifest and
//! the ledger are written last, and count only once a transaction names them. Until then the snapshot
//! before is the newest, whatever fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use release::{ArtifactName, Digest, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::TenantBlobs;
use tokio::sync::mpsc;

use crate::chunk::{Chunk, Origin, chunks};
use crate::copies;
use crate::embed::{Embedding, EmbeddingReport};
use crate::prepare::{Prepared, Preparer, Workshop};
use crate::quality::{ask_golden, judge_drift};
use crate::segment::{self, Cut};
use crate::{
    Compaction, Diff, DocumentEntry, Facts, GoldenReport, Gone, KnowledgeError, KnowledgeSpec,
    Known, Ledger, Manifest, MustFind, Offered, Polls, QualityReport, RawDocument, Refusal, Seen,
    SourceSpec, Watch, judge, source, with_causes,
};

/// How many documents are worked on at once.
const WORKERS: usize = 4;
/// How many documents a source may be ahead.
const WAITING: usize = 4;

/// What a refresh works on.
#[derive(Debug, Clone)]
pub struct RefreshInput {
    /// The knowledge base.
    pub name: ArtifactName,
    /// What it is made of.
    pub spec: KnowledgeSpec,
    /// What it may be made from.
    pub offered: Arc<Offered>,
    /// Its newest snapshot.
    pub parent: Option<Digest>,
    /// What is known of that one's documents.
    pub ledger: Option<Digest>,
    /// Which of its sources are read, and what they told before.
    pub poll: Poll,
    /// Where segments and manifests are kept.
    pub blobs: TenantBlobs,
    /// Whose it is.
    pub tenant: TenantId,
    /// When.
    pub now: Timestamp,
    /// Whether a person has said that as many documents as are gone are to go.
    pub approved: bool,
    /// Who looks at it.
    pub watch: Arc<Watch>,
    /// What documents are worked on with.
    pub workshop: Arc<Workshop>,
    /// What embeds its passages; none if they are found by words alone.
    pub embedding: Option<Embedding>,
    /// What its snapshots must find; none if there are no golden queries.
    pub golden: Option<MustFind>,
}

/// Which sources are read, and what they told before.
#[derive(Debug, Clone, Default)]
pub struct Poll {
    /// The sources to be read; all if none are named. The others stay as they were.
    pub only: BTreeSet<String>,
    /// What was known of the documents when sources were last read, also if the gates rejected what
    /// came of it; the newest snapshot's ledger if absent.
    pub observed: Option<Digest>,
    /// How the polls of the sources went.
    pub polls: BTreeMap<String, Polls>,
}

/// What a refresh made.
#[derive(Debug, Clone, PartialEq)]
pub struct Refreshed {
    /// The snapshot's manifest.
    pub manifest: Digest,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    /// What is known of its documents.
    pub ledger: Digest,
    /// Whether it is the one before.
    pub unchanged: bool,
    /// What it finds for the golden queries, if it was asked.
    pub golden: Option<Digest>,
    /// What happened to each document.
    pub report: BatchReport,
}

/// What happened to each document of a batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Documents that are new, were changed, and are gone.
    #[serde(flatten)]
    pub diff: Diff,
    /// Documents that could not be read, and why.
    pub skipped: Vec<Skipped>,
    /// The sources that were read; the others were not due and are as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Sources that could not be read as a whole, and why: their documents are as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// How many documents the snapshot has.
    pub documents: u64,
    /// How many passages it has.
    pub chunks: u64,
    /// What embedding new passages took; none if nothing embeds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingReport>,
    /// What compacting it did; none if it was not compacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<Compaction>,
    /// How it did at the gates.
    #[serde(default)]
    pub quality: QualityReport,
    /// How it did at the golden queries; none if it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<GoldenReport>,
}

/// A document that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The document.
    pub document: String,
    /// Why not.
    pub reason: String,
}

/// A source that could not be read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The source.
    pub source: String,
    /// Why not.
    pub reason: String,
}

/// Reads the sources and makes the snapshot of what is there now.
///
/// # Errors
/// If no source can be read, the parent cannot be read, the snapshot cannot be written, or whoever
/// looks at it has stopped it.
pub async fn refresh(input: RefreshInput) -> Result<Refreshed, KnowledgeError> {
    let recipe = input.spec.recipe()?;
    let blobs = &input.blobs;
    let parent = match input.parent {
        Some(digest) => Some(Manifest::read(digest, &blobs.get(&digest).await?)?),
        None => None,
    };
    let ledger = read_ledger(blobs, input.ledger).await?;
    let observed = match input.poll.observed {
        Some(digest) if Some(digest) != input.ledger => read_ledger(blobs, Some(digest)).await?,
        _ => ledger.clone(),
    };
    let same_vectors = |parent: &Manifest| match (&input.embedding, &parent.embedding) {
        (Some(embedding), Some(entry)) => embedding.fits(entry),
        (None, None) => true,
        _ => false,
    };
    // Under another recipe nothing is shared, so that segments never mix.
    let shared = parent.clone().filter(|parent| parent.recipe == recipe && same_vectors(parent));
    let batch = Batch::new(&input, shared, (&ledger, &observed), recipe)?;
    let Read { mut manifest, ledger: mut known, mut report, cut } = batch.read().await?;
    known.note_gone(&observed, batch.gone(&known, &report));
    copies::mark(&mut known, &ledger);
    copies::collapse(&mut manifest, &known, input.spec.preparation.duplicates);
    let fresh: Vec<String> = cut.iter().map(|document| document.path.clone()).collect();
    if let Some(bytes) = build(cut, (&mut manifest, &mut report), &input).await? {
        let digest = blobs.put_sealed(bytes).await?;
        for path in &fresh {
            if let Some(entry) = manifest.documents.get_mut(path).filter(|entry| entry.chunks > 0) {
                entry.segment = Some(digest);
            }
        }
    }
    let none = Manifest::empty(recipe);
    report.diff = manifest.since(parent.as_ref().unwrap_or(&none));
    report.documents = manifest.documents.len() as u64;
    report.chunks = manifest.chunks();
    let failed: Vec<_> = report.skipped.iter().map(|skipped| skipped.document.clone()).collect();
    report.quality = judge(&input.spec.quality, (&ledger, &known), &failed, input.approved);
    let bytes = manifest.bytes()?;
    let unchanged = parent.is_some_and(|parent| parent == manifest);
    let digest = blobs.put(Bytes::from(bytes.clone())).await?;
    judge_drift(&input, digest, &mut report).await?;
    let golden = ask_golden(&input, digest, &mut report).await?;
    Ok(Refreshed {
        manifest: digest,
        bytes,
        ledger: blobs.put_sealed(known.bytes()?.into()).await?,
        unchanged,
        golden,
        report,
    })
}

async fn read_ledger(
    blobs: &TenantBlobs,
    digest: Option<Digest>,
) -> Result<Ledger, KnowledgeError> {
    match digest {
        Some(digest) => Ledger::open(blobs, digest).await,
        None => Ok(Ledger::default()),
    }
}

/// Embeds new passages and indexes them in a segment; none if there are none.
async fn build(
    fresh: Vec<Cut>,
    (manifest, report): (&mut Manifest, &mut BatchReport),
    input: &RefreshInput,
) -> Result<Option<Bytes>, KnowledgeError> {
    let chunks: Vec<&Chunk> = fresh.iter().flat_map(|document| &document.chunks).collect();
    let mut vectors = None;
    if let Some(embedding) = &input.embedding {
        let (matrix, took) = embedding.vectors(&chunks, &input.watch).await?;
        report.embedding = Some(took);
        if !chunks.is_empty() {
            let made = embedding.entry(matrix.dimension);
            let entry = manifest.embedding.get_or_insert_with(|| made.clone());
            if *entry != made {
                let (now, before) = (made.dimension, entry.dimension);
                let why = format!("it gives {now} dimensions now, and {before} before");
                return Err(KnowledgeError::model(&made.spec.model, why));
            }
            vectors = Some(matrix);
        }
    }
    if chunks.is_empty() {
        return Ok(None);
    }
    input.watch.begin("indexing", "", None);
    let built = tokio::task::spawn_blocking(move || segment::build(&fresh, vectors.as_ref()));
    Ok(Some(built.await.map_err(|_| KnowledgeError::Stopped)??))
}

/// A batch: what is known before it, and how its documents are worked on.
struct Batch<'a> {
    input: &'a RefreshInput,
    /// The snapshot whose entries may stay; none under another recipe.
    shared: Option<Manifest>,
    ledger: &'a Ledger,
    /// What was known when sources were last read.
    observed: &'a Ledger,
    recipe: Digest,
    preparer: Preparer,
}

/// What a batch has read.
struct Read {
    manifest: Manifest,
    ledger: Ledger,
    report: BatchReport,
    /// The documents whose passages are new.
    cut: Vec<Cut>,
}

/// What came of a document.
enum Worked {
    /// It has the bytes that it had.
    Same(String, Option<Box<RawDocument>>),
    /// It is to be indexed.
    Fresh(Box<(RawDocument, Digest, Prepared, Vec<Chunk>)>),
    /// It is as it was.
    Kept { path: String, reason: String },
}

impl<'a> Batch<'a> {
    fn new(
        input: &'a RefreshInput,
        shared: Option<Manifest>,
        (ledger, observed): (&'a Ledger, &'a Ledger),
        recipe: Digest,
    ) -> Result<Self, KnowledgeError> {
        source::check(&input.spec.sources)?;
        let known: BTreeSet<_> = input.spec.sources.iter().map(SourceSpec::name).collect();
        if let Some(unknown) = input.poll.only.iter().find(|name| !known.contains(name.as_str())) {
            let names = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let why = format!("there is no such source; there are {}", names.join(", "));
            return Err(KnowledgeError::Source { of: unknown.clone(), why });
        }
        let steps = Arc::clone(&input.workshop.steps);
        let preparer = Preparer::new(input.spec.preparation.clone(), input.tenant.clone(), steps)?;
        Ok(Self { input, shared, ledger, observed, recipe, preparer })
    }

    /// Whether a source is read. All are if how documents are worked on has changed: under another
    /// recipe, one that is not read would have no document.
    fn reads(&self, source: &str) -> bool {
        let only = &self.input.poll.only;
        only.is_empty() || only.contains(source) || self.shared.is_none()
    }

    /// What the sources that were read do not have any more.
    fn gone(&self, known: &Ledger, report: &BatchReport) -> BTreeMap<String, Gone> {
        let unread = report.unread.iter().map(|unread| unread.source.as_str());
        let unread: BTreeSet<_> = unread.collect();
        let skipped = report.skipped.iter().map(|skipped| skipped.document.as_str());
        let skipped: BTreeSet<_> = skipped.collect();
        let (found_at, polls) = (self.input.now, &self.input.poll.polls);
        let mut gone = BTreeMap::new();
        for (path, was) in &self.observed.documents {
            let source = &was.source;
            let read = report.read.contains(source) && !unread.contains(source.as_str());
            // One that was taken out, or cannot be read any more, is still there.
            if read && !known.documents.contains_key(path) && !skipped.contains(path.as_str()) {
                let polled = polls.get(source).and_then(|polls| polls.succeeded_at);
                let last_seen = polled.unwrap_or(was.fetched_at).max(was.fetched_at);
                gone.insert(path.clone(), Gone { source: source.clone(), last_seen, found_at });
            }
        }
        gone
    }

    /// Reads the sources, one after the other.
    async fn read(&self) -> Result<Read, KnowledgeError> {
        let mut manifest = Manifest::empty(self.recipe);
        manifest.retrieval = self.input.spec.retrieval.clone();
        manifest.embedding = self.shared.as_ref().and_then(|shared| shared.embedding.clone());
        let mut ledger = Ledger::default();
        ledger.excised.clone_from(&self.ledger.excised);
        ledger.erased.clone_from(&self.ledger.erased);
        let report = BatchReport::default();
        let mut read = Read { manifest, ledger, report, cut: Vec::new() };
        let mut failed = None;
        for spec in &self.input.spec.sources {
            if !self.reads(spec.name()) {
                self.keep_all(spec, &mut read);
                continue;
            }
            self.input.watch.begin(format!("reading {}", spec.name()), "documents", None);
            read.report.read.push(spec.name().to_owned());
            match self.read_source(spec, &mut read).await {
                Ok(()) => {}
                Err(KnowledgeError::Stopped) => return Err(KnowledgeError::Stopped),
                Err(error) => {
                    let (source, reason) = (spec.name().to_owned(), with_causes(&error));
                    read.report.unread.push(Unread { source, reason });
                    failed = failed.or(Some(error));
                    self.keep_all(spec, &mut read);
                }
            }
        }
        match failed {
            Some(error) if read.report.unread.len() == read.report.read.len() => Err(error),
            _ => Ok(read),
        }
    }

    async fn read_source(&self, spec: &SourceSpec, read: &mut Read) -> Result<(), KnowledgeError> {
        let Self { input, .. } = self;
        let source = source::open(spec, &input.offered, &input.tenant, &input.name)?;
        let marks = match &self.shared {
            Some(_) => self.ledger.marks(spec.name()),
            None => BTreeMap::new(),
        };
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let working = async {
            let (mut documents, mut working) = (BTreeMap::new(), FuturesUnordered::new());
            let mut more = true;
            while more || !working.is_empty() {
                tokio::select! {
                    seen = receiver.recv(), if more && working.len() < WORKERS => match seen {
                        Some(seen) => working.push(self.work(seen).boxed()),
                        None => more = false,
                    },
                    Some(one) = working.next(), if !working.is_empty() => {
                        let one: Worked = one?;
                        documents.insert(one.path().to_owned(), one);
                    }
                }
            }
            Ok::<_, KnowledgeError>(documents)
        };
        let (told, worked) = tokio::join!(source.read(&marks, sender), working);
        // A worker that stopped is why the source could not go on.
        let worked = worked?;
        told?;
        if let Some(path) = worked.keys().find(|path| read.ledger.documents.contains_key(*path)) {
            let why = format!("`{path}` was told of already: give the source a `prefix`");
            return Err(KnowledgeError::Source { of: spec.name().to_owned(), why });
        }
        worked.into_values().for_each(|one| self.take(spec.name(), one, read));
        Ok(())
    }

    /// Works on a document.
    async fn work(&self, seen: Seen) -> Result<Worked, KnowledgeError> {
        self.input.watch.step()?;
        let document = match seen {
            Seen::Same(path) => return Ok(Worked::Same(path, None)),
            Seen::Failed { path, reason } => return Ok(Worked::Kept { path, reason }),
            Seen::Fresh(document) => document,
        };
        let raw = Digest::of(&document.bytes);
        let path = document.path.clone();
        if self.ledger.erased.contains(&path) {
            let reason = "it was erased, and is not admitted again".to_owned();
            return Ok(Worked::Kept { path, reason });
        }
        if self.ledger.is_excised(&path, &raw) {
            let reason = "this version was taken out".to_owned();
            return Ok(Worked::Kept { path, reason });
        }
        let entry = self.shared.as_ref().and_then(|shared| shared.documents.get(&path));
        if entry.is_some_and(|entry| entry.raw == raw) && self.ledger.documents.contains_key(&path)
        {
            return Ok(Worked::Same(path, Some(document)));
        }
        Ok(match self.prepare(&document).await {
            Ok(prepared) => {
                // Two documents of equal bytes are two documents: the path is part of the version.
                let version = Digest::of_fields([path.as_bytes(), raw.as_bytes()]);
                let origin = Origin { path: &path, version, recipe: self.recipe };
                let chunks = chunks(origin, &prepared.content, &self.input.spec.chunking);
                Worked::Fresh(Box::new((*document, raw, prepared, chunks)))
            }
            Err(refusal) => Worked::Kept { path, reason: refusal.to_string() },
        })
    }

    async fn prepare(&self, document: &RawDocument) -> Result<Prepared, Refusal> {
        let extracted = self.input.workshop.extractor.extract(document).await?;
        self.preparer.prepare(extracted, document).await
    }

    /// Notes what came of a document.
    fn take(&self, source: &str, worked: Worked, read: &mut Read) {
        match worked {
            Worked::Same(path, document) => self.keep(&path, document.as_deref(), read),
            Worked::Kept { path, reason } => {
                self.keep(&path, None, read);
                read.report.skipped.push(Skipped { document: path, reason });
            }
            Worked::Fresh(fresh) => {
                let (document, raw, prepared, chunks) = *fresh;
                let path = document.path.clone();
                let known = self.known(source, &document, raw, &prepared);
                let entry = DocumentEntry {
                    raw,
                    segment: None,
                    modified_ms: known.modified_at.as_millisecond(),
                    chunks: chunks.len() as u64,
                    copy_of: None,
                };
                read.manifest.documents.insert(path.clone(), entry);
                read.ledger.documents.insert(path.clone(), known);
                let mut metadata = prepared.content.metadata;
                metadata.insert("title".to_owned(), prepared.content.title.into());
                metadata.insert("source".to_owned(), source.into());
                metadata.insert("tags".to_owned(), prepared.tags.into());
                if let Some(language) = prepared.language {
                    metadata.insert("language".to_owned(), language.into());
                }
                read.cut.push(Cut { path, metadata, chunks });
            }
        }
    }

    /// Lets a document stay as it was, if it was there; `document` tells what is new about it.
    fn keep(&self, path: &str, document: Option<&RawDocument>, read: &mut Read) {
        let Some(known) = self.ledger.documents.get(path) else { return };
        let mut known = known.clone();
        if let Some(document) = document {
            known.mark.clone_from(&document.mark);
            known.version.clone_from(&document.version);
        }
        // Under another recipe its passages are gone: it is not there until it can be read again.
        let entry = self.shared.as_ref().and_then(|shared| shared.documents.get(path));
        if let Some(entry) = entry {
            read.manifest.documents.insert(path.to_owned(), entry.clone());
            read.ledger.documents.insert(path.to_owned(), known);
        }
    }

    /// Lets all documents of a source stay as they were.
    fn keep_all(&self, spec: &SourceSpec, read: &mut Read) {
        for (path, _) in
            self.ledger.documents.iter().filter(|(_, known)| known.source == spec.name())
        {
            self.keep(path, None, read);
        }
    }

    fn known(
        &self,
        source: &str,
        document: &RawDocument,
        raw: Digest,
        prepared: &Prepared,
    ) -> Known {
        let now = self.input.now;
        let before = self.observed.documents.get(&document.path);
        let (modified_at, estimated) = match before {
            // It may have been seen before without coming further.
            Some(before) if before.raw == raw => (before.modified_at, before.estimated),
            // What changes in times to come, or earlier than it did before, was changed when it was
            // first seen.
            _ => {
                let earliest = before.map(|before| before.modified_at);
                let told = document.modified_at.filter(|told| *told <= now);
                let told = told.filter(|told| earliest.is_none_or(|earliest| *told >= earliest));
                (told.unwrap_or(now), told.is_none())
            }
        };
        let text = &prepared.content.text;
        let findings = prepared.findings.iter();
        Known {
            source: source.to_owned(),
            mark: document.mark.clone(),
            raw,
            version: document.version.clone(),
            modified_at,
            estimated,
            fetched_at: now,
            facts: Facts {
                characters: text.chars().count() as u64,
                unreadable: text.matches('\u{fffd}').count() as u64,
                language: prepared.language.clone(),
                copy_of: None,
                findings: findings.map(|found| (found.kind, found.count)).collect(),
                fields: prepared.content.metadata.keys().cloned().collect(),
            },
            signature: (!text.is_empty()).then(|| prepared.signature.clone()),
        }
    }
}

impl Worked {
    fn path(&self) -> &str {
        match self {
            Self::Same(path, _) | Self::Kept { path, .. } => path,
            Self::Fresh(fresh) => &fresh.0.path,
        }
    }
}
