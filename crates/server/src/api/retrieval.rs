//! What a knowledge base finds and how well, and the models it is embedded with.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;
use bytes::Bytes;
use embedding::{FILES, ModelFiles, ModelManifest};
use knowledge::{
    Ask, Embedder, EmbeddingEntry, Filter, Judged, MAX_QUERIES, Mode, Snapshot, SnapshotCache,
    embed_queries, evaluate as measure, question_vectors,
};
use release::ArtifactName;
use schemars::JsonSchema;
use security::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};
use crate::knowledge_models::open_imported;

/// The most bytes of a model's files.
const MAX_MODEL: usize = 2 << 30;
/// The most passages one search finds.
const MAX_LIMIT: usize = 50;

/// Queries to evaluate a knowledge base with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EvaluateBody {
    /// The queries, each with `query`, `relevant` (paths of documents, ids of passages) and, if it
    /// is known, `vector`.
    queries: Vec<Value>,
    /// How many passages each is given; 10 if absent.
    #[serde(default)]
    k: Option<usize>,
    /// The modes; all that the snapshot knows if absent.
    #[serde(default)]
    modes: Vec<Mode>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/knowledge/{name}/search",
            Action::ReadKnowledge,
            "What a question would retrieve.",
        )
        .query(&["q", "limit", "mode", "filter", "explain"])
        .to(search),
        Route::new(
            Method::POST,
            "/api/v1/knowledge/{name}/evaluate",
            Action::ReadKnowledge,
            "How well a knowledge base finds what is relevant.",
        )
        .body::<EvaluateBody>()
        .to(evaluate),
        Route::new(
            Method::PUT,
            "/api/v1/models/{name}",
            Action::Apply,
            "Import a model that runs in the server: a line of JSON, a list of `[path, bytes]`, then \
             the files one after the other.",
        )
        .query(&["licence"])
        .up_to(MAX_MODEL)
        .to(import),
    ]
}

/// An open snapshot, and what embeds its questions where that is needed.
struct Opened {
    snapshot: Arc<Snapshot>,
    embedder: Option<(Arc<dyn Embedder>, EmbeddingEntry)>,
}

impl Call {
    async fn opened(&self, with_vectors: impl Fn(&Snapshot) -> bool) -> Result<Opened, Problem> {
        let name: ArtifactName = self.path("name")?;
        let bases = self.delivery().knowledge_bases().await?;
        let base = bases.into_iter().find(|base| base.name == name);
        let base =
            base.ok_or_else(|| Problem::not_found(format!("there is no knowledge base `{name}`")))?;
        let digest = base.snapshot.ok_or_else(|| {
            Problem::not_found(format!("knowledge base `{name}` was never refreshed"))
        })?;
        let blobs = self.api.blobs.tenant(&self.tenant);
        let opened = SnapshotCache::default().open(&blobs, digest).await;
        let snapshot = Arc::new(opened.map_err(|error| Problem::internal(error.to_string()))?);
        let embedder = match &snapshot.manifest.embedding {
            Some(entry) if with_vectors(&snapshot) => {
                let open = entry.open(self.api.models.as_ref(), &self.tenant).await;
                let open = open.map_err(|error| Problem::conflict(error.to_string()))?;
                Some((open, entry.clone()))
            }
            _ => None,
        };
        Ok(Opened { snapshot, embedder })
    }
}

async fn search(call: Call) -> Result<Value, Problem> {
    let question: String = call.query("q")?.unwrap_or_default();
    let mode: Option<Mode> = call.query("mode")?;
    let filters = call.every("filter").map(str::parse::<Filter>).collect::<Result<Vec<_>, _>>();
    let filters = filters.map_err(Problem::bad_request)?;
    let mode_of = |snapshot: &Snapshot| mode.unwrap_or(snapshot.ask("", 1).mode);
    let Opened { snapshot, embedder } =
        call.opened(|snapshot| mode_of(snapshot) != Mode::Bm25).await?;
    let usual = snapshot.manifest.retrieval.limit();
    let limit: usize = call.query("limit")?.unwrap_or(usual).min(MAX_LIMIT);
    let mut ask = Ask { mode: mode_of(&snapshot), ..snapshot.ask(&question, limit) };
    ask.explain = call.query("explain")?.unwrap_or(false);
    ask.filters.extend(filters);
    if let (Some((embedder, entry)), true) = (&embedder, ask.needs_vector()) {
        let made = question_vectors(embedder.as_ref(), &entry.spec, &[&question]).await;
        let made = made.map_err(|error| Problem::conflict(error.to_string()))?;
        ask.vector = Some(made.into_iter().flatten().collect());
    }
    let rerank = snapshot.manifest.retrieval.rerank.clone();
    if let Some(spec) = &rerank {
        ask.limit = limit.max(spec.candidates as usize);
    }
    let (digest, mode) = (snapshot.digest, ask.mode);
    let found = tokio::task::spawn_blocking(move || snapshot.retrieve(&ask)).await;
    let found = found.map_err(|error| Problem::internal(error.to_string()))?;
    let mut found = found.map_err(|error| Problem::bad_request(error.to_string()))?;
    if let Some(spec) = &rerank {
        let reranker = call.api.models.reranker(&call.tenant, spec).await;
        let reranker = reranker.map_err(|error| Problem::conflict(error.to_string()))?;
        knowledge::rerank(&mut found, reranker.as_ref(), &question, limit).await;
    }
    Ok(json!({
        "snapshot": digest,
        "mode": mode,
        "considered": found.considered,
        "reranked": found.reranked,
        "passages": to_json(&found.passages)?,
    }))
}

async fn evaluate(call: Call) -> Result<Value, Problem> {
    let EvaluateBody { queries, k, modes } = call.body()?;
    if queries.len() > MAX_QUERIES {
        let count = queries.len();
        return Err(Problem::bad_request(format!("{count} queries are more than {MAX_QUERIES}")));
    }
    let queries = queries.into_iter().enumerate().map(|(at, query)| {
        let read = serde_json::from_value::<Judged>(query);
        read.map_err(|error| Problem::bad_request(format!("query {}: {error}", at + 1)))
    });
    let mut queries = queries.collect::<Result<Vec<_>, _>>()?;
    let by_vectors = modes.is_empty() || modes.iter().any(|mode| *mode != Mode::Bm25);
    let missing = queries.iter().any(|query| query.vector.is_none());
    let Opened { snapshot, embedder } = call.opened(|_| by_vectors && missing).await?;
    if let Some((embedder, _)) = &embedder {
        let embedded = embed_queries(&snapshot, embedder.as_ref(), &mut queries).await;
        embedded.map_err(|error| Problem::conflict(error.to_string()))?;
    }
    let modes = match (modes.is_empty(), &snapshot.manifest.embedding) {
        (false, _) => modes,
        (true, None) => vec![Mode::Bm25],
        (true, Some(_)) => vec![Mode::Bm25, Mode::Vector, Mode::Hybrid],
    };
    let k = k.unwrap_or(10).clamp(1, MAX_LIMIT);
    let measured =
        tokio::task::spawn_blocking(move || measure(&snapshot, &queries, &modes, k)).await;
    let measured = measured.map_err(|error| Problem::internal(error.to_string()))?;
    to_json(&measured.map_err(|error| Problem::bad_request(error.to_string()))?)
}

async fn import(call: Call) -> Result<Value, Problem> {
    let name: ArtifactName = call.path("name")?;
    let files = unpack(call.bytes()).map_err(Problem::bad_request)?;
    let model = open_imported(files.clone()).await.map_err(Problem::bad_request)?;
    let blobs = call.api.blobs.tenant(&call.tenant);
    for path in model.manifest().files.keys() {
        let bytes = files.0.get(path).cloned().unwrap_or_default();
        let stored = blobs.put(Bytes::from(bytes)).await;
        stored.map_err(|error| Problem::internal(error.to_string()))?;
    }
    let licence: Option<String> = call.query("licence")?;
    if let Some(licence) = licence.as_deref().filter(|licence| !is_spdx(licence)) {
        return Err(Problem::bad_request(format!(
            "`{licence}` is no SPDX identifier of a licence"
        )));
    }
    let manifest = ModelManifest { licence, ..model.manifest().clone() };
    let artifact = call.delivery().import_model(&name, &manifest).await?;
    Ok(json!({
        "name": name,
        "model": artifact.digest,
        "dimension": model.manifest().dimension,
        "max_tokens": model.manifest().max_tokens,
        "files": model.manifest().files,
    }))
}

fn is_spdx(licence: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    licence.len() <= 64 && licence.chars().all(plain)
}

/// The files of an upload, of which only those that a model is read from are taken.
fn unpack(body: &[u8]) -> Result<ModelFiles, String> {
    let end = body.iter().position(|byte| *byte == b'\n').ok_or("the body has no list of files")?;
    let list: Vec<(String, usize)> = serde_json::from_slice(&body[..end])
        .map_err(|error| format!("the list of files does not fit: {error}"))?;
    let mut rest = &body[end + 1..];
    let mut files = BTreeMap::new();
    for (path, length) in list {
        let (bytes, after) =
            rest.split_at_checked(length).ok_or_else(|| format!("`{path}` is cut off"))?;
        rest = after;
        if FILES.contains(&path.as_str()) {
            files.insert(path, bytes.to_vec());
        }
    }
    if rest.is_empty() { Ok(ModelFiles(files)) } else { Err("bytes follow the files".to_owned()) }
}
