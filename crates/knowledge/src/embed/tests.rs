//! A text is embedded once, whoever asks.

use std::sync::Mutex;

use release::{Clock, PrincipalId, Timestamp};

use super::*;
use crate::snapshot::tests::Base;
use crate::{Mode, RefreshInput, Refreshed, refresh};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }
}

/// Texts that share words are near each other. Notes what it embeds; fails from some call on.
#[derive(Debug)]
pub(crate) struct Counting {
    pub name: &'static str,
    pub dimension: usize,
    pub embedded: Mutex<Vec<String>>,
    pub fails_after: Option<usize>,
}

impl Counting {
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, dimension: 24, embedded: Mutex::default(), fails_after: None })
    }

    pub fn embedded(&self) -> Vec<String> {
        std::mem::take(&mut *self.embedded.lock().unwrap())
    }
}

#[async_trait]
impl Embedder for Counting {
    fn identity(&self) -> Digest {
        Digest::of(self.name.as_bytes())
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 2, bytes: 10_000 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        let mut embedded = self.embedded.lock().unwrap();
        if self.fails_after.is_some_and(|limit| embedded.len() >= limit) {
            return Err(KnowledgeError::model(self.name, "it has had enough"));
        }
        embedded.extend(texts.iter().cloned());
        let vectors = texts.iter().map(|text| {
            let mut vector = vec![0.0; self.dimension];
            for word in crate::analyse::terms(text) {
                let digest = Digest::of(word.as_bytes());
                let row = digest.as_bytes()[..self.dimension].iter();
                vector.iter_mut().zip(row).for_each(|(sum, byte)| *sum += f32::from(*byte) - 127.5);
            }
            vector
        });
        Ok(Embedded { vectors: vectors.collect(), tokens: 1, cost: None })
    }
}

pub(crate) async fn embedding(base: &Base, embedder: &Arc<Counting>) -> Embedding {
    let store = base.store().await;
    let spec = serde_json::from_value(serde_json::json!({"model": "fake"})).unwrap();
    let cache = EmbeddingCache {
        store: store.tenant(&TenantId::DEFAULT),
        blobs: base.blobs.tenant(&TenantId::DEFAULT),
        actor: PrincipalId::system("test"),
        clock: Arc::new(Fixed),
    };
    let open = OpenEmbedder { embedder: Arc::clone(embedder) as Arc<dyn Embedder>, artifact: None };
    Embedding { spec, open, cache }
}

async fn refreshed(base: &mut Base, embedder: &Arc<Counting>) -> Refreshed {
    let embedding = Some(embedding(base, embedder).await);
    let refreshed = refresh(RefreshInput { embedding, ..base.input(100) }).await.unwrap();
    (base.parent, base.ledger) = (Some(refreshed.manifest), Some(refreshed.ledger));
    refreshed
}

#[tokio::test]
async fn an_unchanged_paragraph_of_a_changed_document_costs_nothing() {
    let paragraph = |word: &str| format!("# {word}\n\n{}\n\n", format!("{word} tells. ").repeat(5));
    let text = |words: &[&str]| words.iter().map(|word| paragraph(word)).collect::<String>();
    let mut base = Base::new(&[("a.md", &text(&["One", "Two", "Three"]))]);
    let embedder = Counting::new("fake");
    let report = refreshed(&mut base, &embedder).await.report.embedding.unwrap();
    assert_eq!((report.embedded, report.cached), (3, 0));
    assert!(embedder.embedded()[0].starts_with("One\n"), "the heading stands before the text");
    base.write("a.md", &text(&["One", "Two", "Four", "Three"]));
    let report = refreshed(&mut base, &embedder).await.report.embedding.unwrap();
    assert_eq!((report.embedded, report.cached, report.tokens), (1, 3, 1));
    assert_eq!((report.checked, embedder.embedded().len()), (3, 4), "and three to be sure");
    // Equal texts of two documents are one.
    base.write("b.md", &text(&["One", "Five"]));
    let report = refreshed(&mut base, &embedder).await.report.embedding.unwrap();
    assert_eq!((report.embedded, report.cached), (1, 1));
}

#[tokio::test]
async fn vectors_of_two_embedders_never_stand_in_one_snapshot() {
    let mut base = Base::new(&[("a.md", "Alpha."), ("b.md", "Beta.")]);
    let (first, second) = (Counting::new("first"), Counting::new("second"));
    refreshed(&mut base, &first).await;
    base.write("c.md", "Gamma.");
    refreshed(&mut base, &second).await;
    let snapshot = base.open().await;
    assert_eq!(snapshot.parts().len(), 1, "all is built anew");
    assert_eq!(second.embedded().len(), 3);
    assert_eq!(snapshot.manifest.embedding.as_ref().unwrap().identity, second.identity());
    // Without an embedder there are no vectors, and nothing is shared either.
    let plain = refresh(base.input(100)).await.unwrap();
    base.parent = Some(plain.manifest);
    let snapshot = base.open().await;
    assert!(snapshot.manifest.embedding.is_none());
    assert_eq!(snapshot.ask("alpha", 1).mode, Mode::Bm25);
}

#[tokio::test]
async fn what_a_failed_refresh_embedded_is_not_lost() {
    let documents: Vec<_> =
        (0..300).map(|n| (format!("{n}.md"), format!("Word{n} here."))).collect();
    let documents: Vec<_> = documents.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let mut base = Base::new(&documents);
    let failing =
        Counting { fails_after: Some(280), ..Arc::into_inner(Counting::new("one")).unwrap() };
    let failing = Arc::new(failing);
    let input =
        RefreshInput { embedding: Some(embedding(&base, &failing).await), ..base.input(100) };
    let failed = refresh(input).await;
    assert!(matches!(failed, Err(KnowledgeError::Model { .. })), "{failed:?}");
    let report = refreshed(&mut base, &Counting::new("one")).await.report.embedding.unwrap();
    assert_eq!((report.cached, report.embedded), (256, 44));
}

#[tokio::test]
async fn two_refreshes_at_once_agree() {
    let base = Base::new(&[("a.md", "Alpha."), ("b.md", "Beta.")]);
    let embedder = Counting::new("fake");
    let embedding = embedding(&base, &embedder).await;
    let one = || refresh(RefreshInput { embedding: Some(embedding.clone()), ..base.input(100) });
    let (first, second) = tokio::join!(one(), one());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.bytes.len(), second.bytes.len());
    let again = one().await.unwrap();
    assert_eq!(again.report.embedding.unwrap().cached, 2);
}

#[tokio::test]
async fn a_damaged_page_of_vectors_is_made_anew_and_erased_texts_are_forgotten() {
    let mut base = Base::new(&[("a.md", "Alpha.")]);
    let embedder = Counting::new("fake");
    refreshed(&mut base, &embedder).await;
    let cache = embedding(&base, &embedder).await.cache;
    let page = cache.blobs().await.unwrap()[0];
    base.corrupt(page);
    base.parent = None;
    let report = refreshed(&mut base, &embedder).await.report.embedding.unwrap();
    assert_eq!(report.embedded, 1);
    let text = embedder.embedded().pop().unwrap();
    let texts = [CacheKey::of(&text)].into();
    assert_eq!(cache.holding(&texts).await.unwrap().len(), 1);
    cache.forget(&texts).await.unwrap();
    assert!(cache.blobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn forgetting_a_text_keeps_the_vectors_beside_it() {
    let mut base = Base::new(&[("a.md", "Alpha."), ("b.md", "Beta.")]);
    let embedder = Counting::new("fake");
    refreshed(&mut base, &embedder).await;
    let cache = embedding(&base, &embedder).await.cache;
    let alpha = embedder.embedded().into_iter().find(|text| text.contains("Alpha")).unwrap();
    cache.forget(&[CacheKey::of(&alpha)].into()).await.unwrap();
    base.parent = None;
    let report = refreshed(&mut base, &embedder).await.report.embedding.unwrap();
    assert_eq!((report.embedded, report.cached), (1, 1));
}

#[tokio::test]
async fn no_tenant_finds_anothers_vectors() {
    let mut base = Base::new(&[("a.md", "Alpha.")]);
    let embedder = Counting::new("fake");
    refreshed(&mut base, &embedder).await;
    let text = embedder.embedded().pop().unwrap();
    let wanted = BTreeMap::from([(CacheKey::of(&text), ())]);
    let own = embedding(&base, &embedder).await.cache;
    assert_eq!(own.find(embedder.identity(), &wanted).await.unwrap().len(), 1);
    let store = base.store().await;
    let other: TenantId = "other".parse().unwrap();
    let (store, blobs) = (store.tenant(&other), base.blobs.tenant(&other));
    let others = EmbeddingCache { store, blobs, ..own };
    assert!(others.find(embedder.identity(), &wanted).await.unwrap().is_empty());
}

/// Gives something else than it should.
#[derive(Debug)]
struct Broken(Vec<Vec<f32>>);

#[async_trait]
impl Embedder for Broken {
    fn identity(&self) -> Digest {
        Digest::of(b"broken")
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 8, bytes: 100 }
    }

    async fn embed(&self, _: &[String]) -> Result<Embedded, KnowledgeError> {
        Ok(Embedded { vectors: self.0.clone(), ..Embedded::default() })
    }
}

#[tokio::test]
async fn vectors_that_do_not_fit_are_an_error_and_never_stored() {
    let spec: EmbeddingSpec = serde_json::from_value(serde_json::json!({"model": "b"})).unwrap();
    for (vectors, why) in [
        (vec![], "0 vectors to 1 texts"),
        (vec![vec![]], "empty"),
        (vec![vec![1.0, f32::NAN]], "not of numbers"),
    ] {
        let error = question_vectors(&Broken(vectors), &spec, &["q"]).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_is_embedded_once_in_a_short_while_for_each_tenant() {
    let embedder = Counting::new("fake");
    let spec: EmbeddingSpec = serde_json::from_value(serde_json::json!({"model": "f"})).unwrap();
    let questions = QuestionVectors::default();
    let other: TenantId = "other".parse().unwrap();
    for tenant in [&TenantId::DEFAULT, &TenantId::DEFAULT, &other] {
        questions.get(tenant, (embedder.as_ref(), &spec), "how?").await.unwrap();
    }
    assert_eq!(embedder.embedded().len(), 2);
    tokio::time::advance(std::time::Duration::from_secs(301)).await;
    questions.get(&other, (embedder.as_ref(), &spec), "how?").await.unwrap();
    assert_eq!(embedder.embedded().len(), 1);
}

#[tokio::test]
async fn a_model_that_was_changed_behind_its_name_is_found_out_before_anything_is_embedded() {
    let mut base = Base::new(&[("a.md", "# One\n\nAlpha.\n\n# Two\n\nBeta.")]);
    refreshed(&mut base, &Counting::new("fake")).await;
    // The same name, and other vectors.
    let other = Counting::new("fake");
    let changed = Arc::new(Counting { dimension: 12, ..Arc::into_inner(other).unwrap() });
    base.write("a.md", "# One\n\nAlpha.\n\n# Two\n\nGamma.");
    let embedding = Some(embedding(&base, &changed).await);
    let input = RefreshInput { embedding, ..base.input(100) };
    let error = refresh(input.clone()).await.unwrap_err().to_string();
    assert!(error.contains("embedding.revision"), "{error}");
    assert_eq!(changed.embedded(), ["One\nAlpha."], "the text that is new was not embedded");
    // An imported model is named by its files.
    let mut imported = input;
    let artifact = Some(Digest::of(b"files"));
    imported.embedding.as_mut().unwrap().open.artifact = artifact;
    assert!(refresh(imported).await.unwrap_err().to_string().contains("dimensions"));
}
