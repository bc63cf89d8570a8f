//! Documents become passages that ground answers.
//!
//! A refresh reads a knowledge base's sources, cuts what changed into chunks and indexes them in an
//! immutable segment; a snapshot names the segments that together are the knowledge base at one
//! moment. A release pins a snapshot, so that the same question retrieves the same passages.
//!
//! The nouns: [`KnowledgeSpec`], [`Snapshot`], [`Manifest`], [`Ask`], [`Retrieved`], [`BatchReport`].
//!
//! ```text
//!  source ─► extract ─► prepare ─► chunk ─► embed ─► segment ─┐
//!                                                             ├─► manifest (its digest is the snapshot)
//!  parent snapshot ─► unchanged documents ────────────────────┘
//!  Snapshot::open(digest) ─► ask(question, k) ─► retrieve ─► passages with scores and places
//! ```
//!
//! Start reading at `refresh.rs`, then `snapshot.rs` and `retrieve.rs`.

mod analyse;
mod chunk;
mod compact;
mod copies;
mod document;
mod embed;
mod erase;
mod error;
mod evaluate;
mod extract;
mod freshness;
mod ledger;
mod manifest;
mod prepare;
mod quality;
mod refresh;
mod retrieve;
mod segment;
mod snapshot;
pub mod source;
mod spec;
mod watch;

pub use chunk::{Chunk, Surrounding, surrounding};
pub use compact::{Compacted, Compaction, Wear, compact, is_worn};
pub use document::{Extracted, Heading, Metadata, RawDocument, Seen, Source};
pub use embed::{
    CacheKey, CallLimits, Embedded, Embedder, Embedding, EmbeddingCache, EmbeddingReport,
    KnowledgeModels, NoModels, OpenEmbedder, QuestionVectors, question_vectors, vector_from_hex,
    vector_to_hex,
};
pub use erase::{Remains, Whereabouts, documents_where, remains, rewrite, whereabouts};
pub use error::{KnowledgeError, with_causes};
pub use evaluate::{
    Evaluation, Figure, Golden, GoldenQueries, Judged, MAX_QUERIES, Scores, embed_queries, evaluate,
};
pub use extract::{Extractor, Kind, Limits, Refusal, serve_documents};
pub use freshness::{
    Alert, Backlog, Failing, Freshness, Lag, Lags, Polls, Standing, backlog, lags,
};
pub use ledger::{Facts, Gone, Known, Ledger};
pub use manifest::{Diff, DocumentEntry, Manifest};
pub use prepare::{
    Finding, NearDuplicate, NoSteps, Prepared, Preparer, Signature, Steps, Workshop,
    near_duplicates,
};
pub use quality::{
    Check, GoldenReport, MAX_GOLDEN, Missed, MustFind, Quality, QualityReport, judge, read_golden,
};
pub use refresh::{BatchReport, Poll, RefreshInput, Refreshed, Skipped, refresh};
pub use retrieve::{
    Ask, Explanation, Filter, Found, Ranked, Reranked, Reranker, Retrieved, TermShare, Test,
    Verdict, WordScore, rerank,
};
pub use snapshot::{Snapshot, SnapshotCache};
pub use source::Offered;
pub use spec::{
    Asking, BucketSpec, Chunking, DirectorySpec, Duplicates, EmbeddingEntry, EmbeddingSpec,
    FeedSpec, GitSpec, KnowledgeSpec, Mode, Objective, Preparation, PushSpec, RerankSpec,
    RetrievalSpec, Scan, SiteSpec, SourceSpec, SqlSpec, StepSpec, Tier,
};
pub use watch::Watch;
