//! What is asked is what is found, for the reasons that are told.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::embed::tests::{Counting, embedding};
use crate::segment::{self, Cut};
use crate::snapshot::tests::Base;
use crate::{
    DocumentEntry, GoldenQueries, Judged, Manifest, RefreshInput, SnapshotCache, evaluate,
    question_vectors, refresh,
};

/// A base of documents with vectors, and what embeds its questions.
async fn hybrid(documents: &[(&str, &str)]) -> (Base, Snapshot, Arc<Counting>) {
    let mut base = Base::new(documents);
    let embedder = Counting::new("fake");
    let embedding = Some(embedding(&base, &embedder).await);
    let refreshed = refresh(RefreshInput { embedding, ..base.input(100) }).await.unwrap();
    base.parent = Some(refreshed.manifest);
    let snapshot = base.open().await;
    (base, snapshot, embedder)
}

async fn ask(snapshot: &Snapshot, embedder: &Counting, question: &str) -> Ask {
    let spec = &snapshot.manifest.embedding.as_ref().unwrap().spec;
    let vector = question_vectors(embedder, spec, &[question]).await.unwrap().remove(0);
    Ask { vector: Some(vector.into()), explain: true, ..snapshot.ask(question, 5) }
}

const DOCUMENTS: [(&str, &str); 4] = [
    ("brakes.md", "# Brakes\n\nThe brake lever BRK-2204 fits all models."),
    ("helmets.md", "# Helmets\n\nHelmets go back within 14 days."),
    ("returns.md", "# Returns\n\nReturns of helmets and brakes take a week."),
    ("wheels.md", "# Wheels\n\nWheels are trued by hand."),
];

#[tokio::test]
async fn each_mode_finds_and_every_score_adds_up() {
    let (_base, snapshot, embedder) = hybrid(&DOCUMENTS).await;
    let ask = ask(&snapshot, &embedder, "helmets go back").await;
    assert_eq!(ask.mode, Mode::Hybrid, "with vectors both are the default");
    for mode in [Mode::Bm25, Mode::Vector, Mode::Hybrid] {
        let found = snapshot.retrieve(&Ask { mode, ..ask.clone() }).unwrap();
        assert_eq!(found.passages[0].document, "helmets.md", "{mode}");
        assert_eq!(found.considered, 4);
        for passage in &found.passages {
            let why = passage.why.as_ref().unwrap();
            let words = why.bm25.as_ref();
            let of_terms = words.map(|words| words.terms.iter().fold(0.0, |sum, t| sum + t.score));
            let shares = [words.map(|words| &words.ranked), why.vector.as_ref()];
            let shares = shares.into_iter().flatten().filter_map(|ranked| ranked.share);
            let expected = match mode {
                Mode::Bm25 => of_terms.unwrap(),
                Mode::Vector => why.vector.as_ref().unwrap().score,
                Mode::Hybrid => shares.sum::<f64>() as f32,
            };
            assert_eq!(passage.score, expected, "{mode}: {why:?}");
        }
    }
}

#[tokio::test]
async fn the_eight_bit_scan_finds_what_the_exact_one_finds() {
    let documents: Vec<_> = (0..400)
        .map(|n| (format!("{n:03}.md"), format!("Topic {} of {} in {} words.", n % 7, n % 31, n)))
        .collect();
    let documents: Vec<_> = documents.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let (_base, snapshot, embedder) = hybrid(&documents).await;
    for question in ["topic 3 of 17", "words in 90", "nothing alike"] {
        let ask = Ask { mode: Mode::Vector, ..ask(&snapshot, &embedder, question).await };
        let small = snapshot.retrieve(&ask).unwrap();
        let exact = snapshot.retrieve(&Ask { scan: Scan::Exact, ..ask }).unwrap();
        assert_eq!(small, exact, "{question}");
    }
}

#[tokio::test]
async fn what_a_mode_needs_and_does_not_get_is_said() {
    let (_base, snapshot, embedder) = hybrid(&DOCUMENTS[..2]).await;
    let ask = ask(&snapshot, &embedder, "helmets").await;
    let wrong = |vector: Option<Vec<f32>>| {
        let ask = Ask { vector: vector.map(Into::into), ..ask.clone() };
        snapshot.retrieve(&ask).unwrap_err().to_string()
    };
    assert_eq!(wrong(None), "mode `hybrid` needs the question's vector");
    let dimensions = wrong(Some(vec![1.0]));
    assert_eq!(dimensions, "the question's vector has 1 dimensions, the snapshot's have 24");
    assert!(wrong(Some(vec![f32::NAN; 24])).contains("not a number"));
    let nothing = Ask { question: " ".to_owned(), vector: None, ..ask.clone() };
    assert!(
        snapshot.retrieve(&nothing).unwrap().passages.is_empty(),
        "nothing asked, nothing found"
    );
    let mut plain = Base::new(&DOCUMENTS[..1]);
    plain.refresh().await;
    let plain = plain.open().await;
    let none = plain.retrieve(&Ask { mode: Mode::Vector, ..plain.ask("x", 1) }).unwrap_err();
    assert!(none.to_string().contains("[embedding]"), "{none}");
}

/// A snapshot of two segments, 3,000 documents of one passage each, every hundredth in German; of
/// the first segment every tenth document is gone.
async fn many(base: &Base) -> Snapshot {
    let blobs = base.blobs.tenant(&release::TenantId::DEFAULT);
    let mut manifest = Manifest::empty(Digest::of(b"recipe"));
    for part in 0..2 {
        let cuts = (0..1_500).map(|n| {
            let number = part * 1_500 + n;
            let path = format!("{number:04}.md");
            let language = if number % 100 == 0 { "de" } else { "en" };
            let chunk = json!({"id": Digest::of(path.as_bytes()), "document": path, "title": "",
                "headings": [], "text": format!("common words and {}", number % 13), "start": 0,
                "start_char": 0});
            let metadata = [
                ("language", json!(language)),
                ("tags", json!([number % 3, "all"])),
                ("year", json!(2000 + number % 20)),
            ];
            Cut {
                metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
                chunks: vec![serde_json::from_value(chunk).unwrap()],
                path,
            }
        });
        let cuts: Vec<Cut> = cuts.collect();
        let digest = blobs.put(segment::build(&cuts, None).unwrap()).await.unwrap();
        let gone = cuts.iter().filter(|cut| part == 0 && cut.path.ends_with("5.md"));
        let removed: Vec<String> = gone.map(|cut| cut.path.clone()).collect();
        for cut in cuts.iter().filter(|cut| !removed.contains(&cut.path)) {
            let modified_ms = 1_700_000_000_000 + 86_400_000 * (manifest.documents.len() as i64);
            let (raw, segment) = (cut.chunks[0].id, Some(digest));
            let entry = DocumentEntry { raw, segment, modified_ms, chunks: 1, copy_of: None };
            manifest.documents.insert(cut.path.clone(), entry);
        }
    }
    let digest = blobs.put(manifest.bytes().unwrap().into()).await.unwrap();
    SnapshotCache::default().open(&blobs, digest).await.unwrap()
}

#[tokio::test]
async fn a_filter_that_one_in_a_hundred_passes_still_fills_what_is_wanted() {
    let base = Base::new(&[]);
    let snapshot = many(&base).await;
    let found = |filters: &[&str]| {
        let filters = filters.iter().map(|filter| filter.parse().unwrap()).collect();
        let ask = Ask { filters, explain: true, ..snapshot.ask("common words", 20) };
        snapshot.retrieve(&ask).unwrap()
    };
    let german = found(&["language=de"]);
    assert_eq!((german.passages.len(), german.considered), (20, 30));
    assert!(german.passages.iter().all(|hit| hit.document.ends_with("00.md")));
    let verdict = &german.passages[0].why.as_ref().unwrap().filters[0];
    assert_eq!((verdict.value.as_str(), verdict.passed), (Some("de"), true));
    // What counts no more counts for nothing, filter or not.
    assert_eq!(found(&[]).considered, 2_850);
    assert_eq!(found(&["path^=000"]).considered, 9);
    assert_eq!(found(&["tags=0|1", "tags=all", "year>=2019"]).considered, 100);
    assert_eq!(found(&["!language"]).considered, 0);
    assert_eq!(found(&["modified_at<=2023-11-16"]).considered, 2);
    assert!(found(&["nothing=here"]).passages.is_empty());
}

#[tokio::test]
async fn passages_that_score_the_same_stand_in_the_order_of_their_ids() {
    let base = Base::new(&[]);
    let snapshot = many(&base).await;
    let found = snapshot.retrieve(&snapshot.ask("words", 40)).unwrap().passages;
    assert!(found.windows(2).all(|pair| pair[0].score > pair[1].score || pair[0].id < pair[1].id));
    let fewer = snapshot.retrieve(&snapshot.ask("words", 7)).unwrap().passages;
    assert_eq!(fewer[..], found[..7], "and the first are the first, however many are asked for");
}

#[tokio::test]
async fn every_thread_gets_the_same_bits() {
    let (base, snapshot, embedder) = hybrid(&DOCUMENTS).await;
    let ask = ask(&snapshot, &embedder, "returns of brakes").await;
    let first = snapshot.retrieve(&ask).unwrap();
    let again = base.open().await;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(again.retrieve(&ask).unwrap(), first));
        }
    });
}

#[tokio::test]
async fn golden_queries_come_out_byte_for_byte_and_tell_what_differs() {
    let (base, snapshot, embedder) = hybrid(&DOCUMENTS).await;
    let mut queries = ["helmets back", "BRK-2204"].map(|query| Judged {
        query: query.to_owned(),
        relevant: vec!["helmets.md".to_owned()],
        vector: None,
    });
    crate::embed_queries(&snapshot, embedder.as_ref(), &mut queries).await.unwrap();
    let golden = GoldenQueries::record(&snapshot, &queries, 1).unwrap();
    let bytes = golden.bytes().unwrap();
    let read = GoldenQueries::read(Digest::of(&bytes), &bytes).unwrap();
    // No embedder is asked: the vectors stand in what was read.
    let again = read.again(&base.open().await).unwrap();
    assert_eq!(again.bytes().unwrap(), bytes);
    let missed: Vec<_> = golden.missed().map(|golden| golden.query.as_str()).collect();
    assert_eq!(missed, ["BRK-2204"]);
    let mut other = golden.clone();
    other.queries[0].top[0].1 += 0.5;
    other.queries[1].top.clear();
    assert_eq!(
        golden.differences(&other),
        [
            "`helmets back` finds the same passages with other scores",
            "`BRK-2204` finds other passages, or in another order"
        ]
    );
}

#[tokio::test]
async fn an_evaluation_measures_every_mode_and_names_what_no_query_can_find() {
    let (_base, snapshot, embedder) = hybrid(&DOCUMENTS).await;
    let lines = [
        json!({"query": "helmets go back", "relevant": ["helmets.md"]}),
        json!({"query": "BRK-2204", "relevant": ["brakes.md", "gone.md"]}),
    ];
    let mut queries = lines.map(|line| serde_json::from_value::<Judged>(line).unwrap());
    crate::embed_queries(&snapshot, embedder.as_ref(), &mut queries).await.unwrap();
    let modes = [Mode::Bm25, Mode::Vector, Mode::Hybrid];
    let evaluation = evaluate(&snapshot, &queries, &modes, 3).unwrap();
    assert_eq!(evaluation.unknown, ["gone.md"]);
    let bm25 = &evaluation.modes["bm25"];
    assert_eq!((bm25.hit_at_k.mean, bm25.mrr_at_10.mean, bm25.recall_at_k.mean), (1.0, 1.0, 0.75));
    let names: Vec<_> = evaluation.modes.keys().collect();
    assert_eq!(names, ["bm25", "hybrid", "vector"]);
    assert!(evaluate(&snapshot, &[], &modes, 3).unwrap_err().to_string().contains("0 queries"));
}

/// Rates by how often a text has the letter; or fails; or gives too few.
#[derive(Debug)]
struct Letters(Result<char, usize>);

#[async_trait::async_trait]
impl Reranker for Letters {
    async fn scores(&self, _: &str, passages: &[&str]) -> Result<Vec<f32>, KnowledgeError> {
        match self.0 {
            Ok(letter) => Ok(passages.iter().map(|p| p.matches(letter).count() as f32).collect()),
            Err(0) => Err(KnowledgeError::model("letters", "it is away")),
            Err(count) => Ok(vec![1.0; count]),
        }
    }
}

#[tokio::test]
async fn a_model_orders_anew_and_one_that_fails_changes_nothing_but_what_is_told() {
    let (_base, snapshot, embedder) = hybrid(&DOCUMENTS).await;
    let ask = ask(&snapshot, &embedder, "helmets").await;
    let before = snapshot.retrieve(&ask).unwrap();
    let documents =
        |found: &Found| found.passages.iter().map(|p| p.document.clone()).collect::<Vec<_>>();
    let mut ordered = before.clone();
    rerank(&mut ordered, &Letters(Ok('w')), "helmets", 2).await;
    assert_eq!(ordered.reranked, Some(Reranked::Done));
    assert_eq!(ordered.passages[0].text.matches('w').count(), 1);
    let why = ordered.passages[0].why.as_ref().unwrap().reranked.as_ref().unwrap();
    let rank = documents(&before).iter().position(|d| *d == ordered.passages[0].document).unwrap();
    assert_eq!((why.score, why.rank), (1.0, Some(rank + 1)));
    for (letters, told) in [(Letters(Err(0)), "it is away"), (Letters(Err(1)), "gave 1 scores")] {
        let mut kept = before.clone();
        rerank(&mut kept, &letters, "helmets", 2).await;
        assert_eq!(documents(&kept), documents(&before)[..2]);
        assert!(matches!(&kept.reranked, Some(Reranked::Failed(why)) if why.contains(told)));
    }
}

#[tokio::test]
async fn a_passage_is_cited_with_its_place_in_bytes_and_characters() {
    let mut base = Base::new(&[("a.md", "# Über\n\nÄpfel und Öl.\n\n# Zwei\n\nBirnen.")]);
    base.refresh().await;
    let snapshot = base.open().await;
    let hit = snapshot.retrieve(&snapshot.ask("birnen", 1)).unwrap().passages.remove(0);
    assert_eq!((hit.end - hit.start, hit.end_char - hit.start_char), (7, 7));
    assert!(hit.start > hit.start_char, "umlauts have two bytes");
    let metadata: BTreeMap<_, _> = [("title", json!("Über"))].into();
    assert_eq!(snapshot.parts()[0].segment.documents[0].metadata["title"], metadata["title"]);
}

#[tokio::test]
async fn a_passage_comes_with_the_parent_that_it_was_cut_out_of() {
    let paragraphs: Vec<_> = (0..60).map(|n| format!("Paragraph {n} says é {n} times.")).collect();
    let text = format!("# A\n\n{}\n\n# B\n\nBeta.", paragraphs.join("\n\n"));
    let base = Base::new(&[("0.md", "Other."), ("a.md", &text), ("b.md", "Paragraph of b.")]);
    let mut input = base.input(16);
    input.spec.chunking.parent_tokens = Some(400);
    let manifest = refresh(input).await.unwrap().manifest;
    let blobs = base.blobs.tenant(&release::TenantId::DEFAULT);
    let snapshot = SnapshotCache::default().open(&blobs, manifest).await.unwrap();
    let found = snapshot.retrieve(&snapshot.ask("paragraph", 100)).unwrap().passages;
    assert!(found.len() > 25);
    let whole = paragraphs.join("\n\n");
    let mut starts = std::collections::BTreeSet::new();
    for passage in found.iter().filter(|passage| passage.document == "a.md") {
        let parent = passage.parent.as_ref().unwrap();
        assert_eq!(parent.text, whole[parent.start..parent.end]);
        assert_eq!(parent.start_char, whole[..parent.start].chars().count());
        assert_eq!(parent.end_char, whole[..parent.end].chars().count());
        assert!(parent.start <= passage.start && passage.end <= parent.end);
        starts.insert(parent.start);
    }
    assert_eq!(starts.len(), 2, "two parents, of more passages than are packed together");
    let alone = found.iter().find(|passage| passage.document == "b.md").unwrap();
    assert_eq!(alone.parent.as_ref().unwrap().text, "Paragraph of b.");
}
