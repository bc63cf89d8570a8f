//! An app whose snapshot has vectors is asked by words and by vectors, and the record says by which.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use gateway::{Asked, KnownVector, Settings, Trial};
use http::StatusCode;
use knowledge::source::{Directory, Offer};
use knowledge::{
    CallLimits, Embedded, Embedder, Embedding, EmbeddingCache, EmbeddingSpec, Extractor,
    KnowledgeError, KnowledgeModels, NoSteps, Offered, OpenEmbedder, RefreshInput, RerankSpec,
    Reranker, SnapshotCache, Workshop, refresh, vector_from_hex,
};
use models::ProviderKind;
use release::{Clock, Digest, PrincipalId, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{Blobs, Store};
use testkit::model_server::{ModelServer, Script};

use crate::fixture::{App, Served, serve};

const CHAT: &str = "/v1/chat/completions";

/// Embeds by which of three words a text has, and counts how often it is asked.
#[derive(Debug, Default)]
pub struct Words {
    asked: AtomicUsize,
    away: AtomicBool,
}

#[async_trait]
impl Embedder for Words {
    fn identity(&self) -> Digest {
        Digest::of(b"words")
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 100, bytes: 10_000 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(KnowledgeError::model("words", "it is away"));
        }
        let has = |text: &String, word: &str| f32::from(text.to_lowercase().contains(word));
        let vector = |text| ["helmet", "brake", "wheel"].map(|word| has(text, word) + 0.1).to_vec();
        Ok(Embedded { vectors: texts.iter().map(vector).collect(), ..Embedded::default() })
    }
}

/// Rates the passage about wheels best; or fails.
#[derive(Debug)]
struct Wheels(Arc<Words>);

#[async_trait]
impl Reranker for Wheels {
    async fn scores(&self, _: &str, passages: &[&str]) -> Result<Vec<f32>, KnowledgeError> {
        if self.0.away.load(Ordering::SeqCst) {
            return Err(KnowledgeError::model("wheels", "it is away"));
        }
        Ok(passages.iter().map(|text| f32::from(text.contains("Wheels"))).collect())
    }
}

#[derive(Debug)]
pub struct Models(pub Arc<Words>);

#[async_trait]
impl KnowledgeModels for Models {
    async fn embedder(
        &self,
        _: &TenantId,
        _: &EmbeddingSpec,
        artifact: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        Ok(OpenEmbedder { embedder: Arc::clone(&self.0) as Arc<dyn Embedder>, artifact })
    }

    async fn reranker(
        &self,
        _: &TenantId,
        _: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError> {
        Ok(Arc::new(Wheels(Arc::clone(&self.0))))
    }
}

/// A snapshot of three documents, embedded.
pub async fn snapshot(
    home: &Path,
    blobs: &Blobs,
    clock: Arc<dyn Clock>,
    (words, retrieval): (&Arc<Words>, &Value),
) -> Digest {
    let docs = home.join("docs");
    std::fs::create_dir_all(&docs).unwrap();
    for (name, text) in [
        ("brakes.md", "# Brakes\n\nBrakes fit all models."),
        ("helmets.md", "# Helmets\n\nHelmets go back within 14 days."),
        ("wheels.md", "# Wheels\n\nWheels are trued by hand."),
    ] {
        std::fs::write(docs.join(name), text).unwrap();
    }
    let tenant = TenantId::DEFAULT;
    let spec = json!({"sources": [{"kind": "directory", "directory": "docs"}],
        "embedding": {"model": "words"}, "retrieval": retrieval});
    let spec: knowledge::KnowledgeSpec = serde_json::from_value(spec).unwrap();
    let docs = Offer { what: Directory(docs), tenants: vec![tenant.clone()] };
    let offered = Offered { directories: [("docs".to_owned(), docs)].into(), ..Offered::default() };
    let extractor = Extractor::new("no-program".into(), knowledge::Limits::default());
    let store = Store::open_sqlite(&home.join("knowledge.db")).await.unwrap();
    let cache = EmbeddingCache {
        store: store.tenant(&tenant),
        blobs: blobs.tenant(&tenant),
        actor: PrincipalId::system("test"),
        clock,
    };
    let open = OpenEmbedder { embedder: Arc::clone(words) as Arc<dyn Embedder>, artifact: None };
    let own = spec.embedding.clone().unwrap();
    let refreshed = refresh(RefreshInput {
        name: "docs".parse().unwrap(),
        spec,
        offered: Arc::new(offered),
        parent: None,
        ledger: None,
        now: Timestamp::UNIX_EPOCH,
        poll: knowledge::Poll::default(),
        approved: false,
        workshop: Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) }),
        blobs: blobs.tenant(&tenant),
        tenant,
        watch: Arc::default(),
        embedding: Some(Embedding { spec: own, open, cache }),
        golden: None,
    });
    refreshed.await.unwrap().manifest
}

async fn served(retrieval: Value, config: Value) -> (ModelServer, Served, Arc<Words>) {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let words = Arc::new(Words::default());
    let knowledge = Some((Arc::clone(&words), retrieval));
    let app = App { knowledge, config, ..App::over(ProviderKind::Openai, &server.openai_url()) };
    let served = serve(app).await;
    words.asked.store(0, Ordering::SeqCst);
    (server, served, words)
}

fn ask(question: &str) -> Value {
    json!({"model": "app", "messages": [{"role": "user", "content": question}]})
}

#[tokio::test]
async fn a_question_is_embedded_once_and_its_vector_stands_in_the_record() {
    let (_server, served, words) = served(json!({}), json!({"top_k": 2})).await;
    for _ in 0..2 {
        assert_eq!(served.post(CHAT, &ask("A helmet?")).await.0, StatusCode::OK);
    }
    assert_eq!(words.asked.load(Ordering::SeqCst), 1, "asked again, it is known");
    let record = served.records().remove(0);
    let retrieval = record.retrieval.unwrap();
    assert_eq!((retrieval.chunks.len(), retrieval.chunks[0].document.as_str()), (2, "helmets.md"));
    let steps: Vec<_> = record.steps.iter().map(|step| step.name.as_str()).collect();
    assert!(steps.contains(&"embed"), "{steps:?}");
    // With the vector the retrieval can be done again, to the bit, and no embedder is asked.
    let blobs = served.blobs.tenant(&TenantId::DEFAULT);
    let snapshot = SnapshotCache::default().open(&blobs, retrieval.snapshot).await.unwrap();
    let vector = vector_from_hex(&retrieval.vector.unwrap()).unwrap();
    let ask = knowledge::Ask { vector: Some(vector.into()), ..snapshot.ask("A helmet?", 2) };
    let again = snapshot.retrieve(&ask).unwrap().passages;
    let scores: Vec<_> =
        again.iter().map(|hit| (hit.id.to_string(), f64::from(hit.score))).collect();
    let recorded: Vec<_> =
        retrieval.chunks.into_iter().map(|chunk| (chunk.id, chunk.score)).collect();
    assert_eq!(scores, recorded);
}

#[tokio::test]
async fn a_recorded_request_is_asked_again_with_its_vector_unless_another_embedder_made_it() {
    let (_server, served, words) = served(json!({}), json!({"top_k": 2})).await;
    let mut body = ask("A helmet?");
    body["metadata"] = json!({"language": "French"});
    assert_eq!(served.post(CHAT, &body).await.0, StatusCode::OK);
    let record = served.records().remove(0);
    let settings = Settings::of(&record).unwrap().unwrap();
    assert_eq!(settings.request.metadata["language"], "French");
    let loaded = served.live.borrow().release(&TenantId::DEFAULT, record.release).unwrap();
    let embedder = loaded.snapshot.as_ref().unwrap().manifest.embedding.as_ref().unwrap().identity;
    let found = record.retrieval.unwrap();
    let values: Arc<[f32]> = vector_from_hex(&found.vector.clone().unwrap()).unwrap().into();
    let given = loaded.given(&found).unwrap();
    let given: Vec<_> = given.iter().map(|passage| passage.id.clone()).collect();
    let chunks: Vec<_> = found.chunks.iter().map(|chunk| chunk.id.clone()).collect();
    assert_eq!(given, chunks);
    for (embedder, asked) in [(embedder, 0), (Digest::of(b"another"), 1)] {
        words.asked.store(0, Ordering::SeqCst);
        let messages = vec![models::Message::text_of(models::Role::User, "A lamp?")];
        let request = Box::new(models::ChatRequest { messages, ..settings.request.clone() });
        let vector = Some(KnownVector { embedder, values: Arc::clone(&values) });
        let trial = Trial {
            tenant: TenantId::DEFAULT,
            principal: record.principal.clone(),
            environment: "prod".parse().unwrap(),
            loaded: Arc::clone(&loaded),
            evaluation: "replay/1".to_owned(),
            asked: Asked::Recorded { request, set: settings.set.clone(), vector },
        };
        let tried = served.gateway.try_release(trial).await.unwrap();
        assert_eq!(tried.record.aside, Some(monitoring::Aside::Evaluation("replay/1".to_owned())));
        assert_eq!(words.asked.load(Ordering::SeqCst), asked);
    }
}

#[tokio::test]
async fn an_app_asked_by_words_alone_waits_for_no_embedder() {
    let (_server, served, words) = served(json!({"mode": "bm25"}), json!({})).await;
    assert_eq!(served.post(CHAT, &ask("A helmet?")).await.0, StatusCode::OK);
    assert_eq!(words.asked.load(Ordering::SeqCst), 0);
    assert_eq!(served.records()[0].retrieval.as_ref().unwrap().vector, None);
}

#[tokio::test]
async fn a_question_that_is_not_kept_leaves_no_vector_either() {
    let (_server, served, _) = served(json!({}), json!({"capture": "hashed"})).await;
    assert_eq!(served.post(CHAT, &ask("A helmet?")).await.0, StatusCode::OK);
    assert_eq!(served.records()[0].retrieval.as_ref().unwrap().vector, None);
}

#[tokio::test]
async fn an_embedder_that_is_away_is_an_error_that_is_recorded() {
    let (_server, served, words) = served(json!({}), json!({})).await;
    words.away.store(true, Ordering::SeqCst);
    assert!(served.post(CHAT, &ask("A helmet?")).await.0.is_server_error());
    let record = served.records().remove(0);
    assert!(format!("{:?}", record.outcome).contains("knowledge"), "{:?}", record.outcome);
}

#[tokio::test]
async fn a_reranker_orders_anew_and_one_that_is_away_leaves_the_order_and_a_word() {
    let retrieval =
        json!({"mode": "bm25", "rerank": {"provider": "p", "model": "wheels", "candidates": 3}});
    let (_server, served, words) = served(retrieval, json!({"top_k": 1})).await;
    let question = ask("Helmets, brakes and wheels go by hand in 14 days?");
    let first = |served: &Served| served.records().remove(0).retrieval.unwrap();
    served.post(CHAT, &question).await;
    let ordered = first(&served);
    assert_eq!((ordered.chunks.len(), ordered.chunks[0].document.as_str()), (1, "wheels.md"));
    assert_eq!(ordered.rerank_failure, None);
    words.away.store(true, Ordering::SeqCst);
    assert_eq!(served.post(CHAT, &question).await.0, StatusCode::OK);
    let kept = first(&served);
    assert_eq!(kept.chunks[0].document, "helmets.md");
    assert!(kept.rerank_failure.unwrap().contains("it is away"));
}
