//! Documents become passages that ground answers.
//!
//! A refresh reads a knowledge base's sources, cuts what changed into chunks and indexes them in an
//! immutable segment; a snapshot names the segments that together are the knowledge base at one
//! moment. A release pins a snapshot, so that the same question retrieves the same passages.
//!
//! The nouns: [`KnowledgeSpec`], [`Snapshot`], [`Manifest`], [`Ask`], [`Retrieved`], [`BatchReport`].
//!
//! ```text
//!  directory ─► source ─► extract ─► chunk ─► embed ─► segment ─┐
//!                                                               ├─► manifest (its digest is the snapshot)
//!  parent snapshot ─► unchanged documents, tombstones ──────────┘
//!  Snapshot::open(digest) ─► ask(question, k) ─► retrieve ─► passages with scores and places
//! ```
//!
//! Start reading at `refresh.rs`, then `snapshot.rs` and `retrieve.rs`.

mod analyse;
mod chunk;
mod document;
mod embed;
mod error;
mod evaluate;
mod extract;
mod manifest;
mod refresh;
mod retrieve;
mod segment;
mod snapshot;
mod source;
mod spec;
mod watch;

pub use document::{Extracted, Heading, Metadata, RawDocument, Seen, Source};
pub use embed::{
    CacheKey, Embedded, Embedder, Embedding, EmbeddingCache, EmbeddingReport, KnowledgeModels,
    Limits, NoModels, OpenEmbedder, QuestionVectors, question_vectors, vector_from_hex,
    vector_to_hex,
};
pub use error::KnowledgeError;
pub use evaluate::{
    Evaluation, Figure, Golden, GoldenQueries, Judged, MAX_QUERIES, Scores, embed_queries, evaluate,
};
pub use manifest::{DocumentEntry, Manifest, SegmentEntry};
pub use refresh::{BatchReport, RefreshInput, Refreshed, Skipped, refresh};
pub use retrieve::{
    Ask, Explanation, Filter, Found, Ranked, Reranked, Reranker, Retrieved, TermShare, Test,
    Verdict, WordScore, rerank,
};
pub use snapshot::{Snapshot, SnapshotCache};
pub use spec::{
    Chunking, Directories, Directory, EmbeddingEntry, EmbeddingSpec, KnowledgeSpec, Mode,
    RerankSpec, RetrievalSpec, Scan, SourceSpec,
};
pub use watch::Watch;
