//! A provider is asked again where that helps, and nowhere else.

use std::sync::Mutex;

use models::{Call, Embeddings, EventStream, Refusal, RerankRequest, Usage};
use release::Timestamp;

use super::*;

/// Answers with what it was given, in turn.
#[derive(Debug)]
struct Turns(Mutex<Vec<Result<Embeddings, ProviderError>>>);

#[async_trait]
impl Provider for Turns {
    async fn chat(&self, _: Call) -> Result<EventStream, ProviderError> {
        let (field, provider) = ("chat".to_owned(), "p".to_owned());
        Err(ProviderError::Unsupported { field, provider })
    }

    async fn embed(&self, _: &ModelSpec, _: EmbedRequest) -> Result<Embeddings, ProviderError> {
        self.0.lock().unwrap().remove(0)
    }

    async fn rerank(&self, _: &ModelSpec, _: RerankRequest) -> Result<Vec<f32>, ProviderError> {
        let (field, provider) = ("rerank".to_owned(), "p".to_owned());
        Err(ProviderError::Unsupported { field, provider })
    }
}

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }
}

fn refused(kind: RefusalKind, retry_after: Option<u64>) -> Result<Embeddings, ProviderError> {
    let refusal = Refusal {
        status: 429,
        kind,
        message: "no".to_owned(),
        code: None,
        param: None,
        retry_after: retry_after.map(Duration::from_secs),
    };
    Err(ProviderError::Refused { provider: "p".to_owned(), refusal: Box::new(refusal) })
}

fn made() -> Result<Embeddings, ProviderError> {
    let usage = Usage { input_tokens: 7, ..Usage::default() };
    Ok(Embeddings { model: "m".to_owned(), vectors: vec![vec![1.0]], usage })
}

fn over(turns: Vec<Result<Embeddings, ProviderError>>) -> Provided {
    Provided {
        provider: Arc::new(Turns(Mutex::new(turns))),
        model: super::super::model(&"p".parse().unwrap(), "m"),
        dimensions: None,
        revision: None,
        prices: PriceBook::new(Vec::new()),
        clock: Arc::new(Fixed),
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_for_as_long_as_the_provider_asks() {
    let began = tokio::time::Instant::now();
    let turns = vec![
        refused(RefusalKind::RateLimited, Some(7)),
        refused(RefusalKind::Server, None),
        made(),
    ];
    let embedded = over(turns).embed(&["text".to_owned()]).await.unwrap();
    assert_eq!((embedded.vectors.len(), embedded.tokens, embedded.cost), (1, 7, None));
    assert_eq!(began.elapsed().as_secs(), 8, "seven as asked, and one of our own");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_told_at_once_and_patience_ends() {
    let wrong = over(vec![refused(RefusalKind::InvalidRequest, None)]);
    let error = wrong.embed(&["text".to_owned()]).await.unwrap_err();
    assert!(matches!(error, KnowledgeError::Model { .. }), "{error}");
    let busy = over((0..5).map(|_| refused(RefusalKind::Overloaded, Some(3_600))).collect());
    let began = tokio::time::Instant::now();
    assert!(busy.embed(&["text".to_owned()]).await.is_err());
    assert_eq!(began.elapsed().as_secs(), 120, "four waits of thirty seconds at most");
}

#[test]
fn another_model_or_dimension_is_another_identity() {
    let plain = over(Vec::new());
    let other = Provided { dimensions: Some(64), ..over(Vec::new()) };
    let named =
        Provided { model: super::super::model(&"p".parse().unwrap(), "n"), ..over(Vec::new()) };
    assert_ne!(plain.identity(), other.identity());
    assert_ne!(plain.identity(), named.identity());
    assert_eq!(plain.identity(), over(Vec::new()).identity());
}

#[test]
fn another_revision_is_another_embedder() {
    let (none, mut one) = (over(Vec::new()), over(Vec::new()));
    assert_eq!(none.identity(), one.identity());
    one.revision = Some("2".to_owned());
    assert_ne!(none.identity(), one.identity());
}
