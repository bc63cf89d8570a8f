//! A batch is asked its golden queries before it may land.

use release::Digest;

use super::{MustFind, read_golden};
use crate::embed::tests::{Counting, embedding};
use crate::evaluate::GoldenQueries;
use crate::snapshot::tests::Base;
use crate::{RefreshInput, Refreshed, refresh};

const GOLDEN: &str = r#"{"query": "sending helmets back", "relevant": ["helmets.md"]}

{"query": "brk-2204", "relevant": ["brakes.md"]}"#;

const DOCUMENTS: [(&str, &str); 3] = [
    ("brakes.md", "# Brakes\n\nThe lever BRK-2204 fits all models."),
    ("helmets.md", "# Helmets\n\nHelmets can be sent back within 14 days."),
    ("wheels.md", "# Wheels\n\nA bent rim is trued by hand."),
];

/// Refreshes with golden queries and at most one passage each; keeps what passed.
async fn batch(
    base: &mut Base,
    (before, embedder): (Option<Digest>, Option<&std::sync::Arc<Counting>>),
) -> (Refreshed, Option<GoldenQueries>) {
    let blobs = base.blobs.tenant(&release::TenantId::DEFAULT);
    let read = async |digest: Digest| {
        GoldenQueries::read(digest, &blobs.get(&digest).await.unwrap()).unwrap()
    };
    let before = match before {
        Some(digest) => Some(read(digest).await),
        None => None,
    };
    let golden = Some(MustFind { queries: read_golden(GOLDEN).unwrap(), before });
    let mut input = RefreshInput { golden, ..base.input(100) };
    input.spec.retrieval.k = Some(1);
    if let Some(embedder) = embedder {
        input.embedding = Some(embedding(base, embedder).await);
    }
    let refreshed = refresh(input).await.unwrap();
    if refreshed.report.quality.passed() {
        (base.parent, base.ledger) = (Some(refreshed.manifest), Some(refreshed.ledger));
    }
    let found = match refreshed.golden {
        Some(digest) => Some(read(digest).await),
        None => None,
    };
    (refreshed, found)
}

#[tokio::test]
async fn a_batch_that_misses_is_rejected_and_tells_the_ranks_before_and_now() {
    let mut base = Base::new(&DOCUMENTS);
    let (first, found) = batch(&mut base, (None, None)).await;
    assert!(first.report.quality.passed());
    assert_eq!(first.report.golden.as_ref().unwrap().queries, 2);
    assert_eq!(found.unwrap().snapshot, first.manifest);
    // What does not change is not asked again.
    let (same, found) = batch(&mut base, (first.golden, None)).await;
    assert!(same.unchanged && found.is_none() && same.report.golden.is_none());

    base.write("spam.md", &"Sending helmets back, sending helmets back. ".repeat(3));
    let (bad, _) = batch(&mut base, (first.golden, None)).await;
    let report = bad.report.golden.unwrap();
    assert_eq!((report.missing, report.k, report.missed.len()), (1, 1, 1));
    let missed = &report.missed[0];
    assert_eq!(
        (missed.query.as_str(), missed.wanted.as_str()),
        ("sending helmets back", "helmets.md")
    );
    assert_eq!((missed.before, missed.after), (Some(1), Some(2)));
    let failed: Vec<_> = bad.report.quality.checks.iter().filter(|check| !check.passed).collect();
    assert_eq!((failed.len(), failed[0].gate.as_str(), failed[0].measured), (1, "max_missed", 0.5));
    assert_eq!(failed[0].documents, ["helmets.md"]);
}

#[tokio::test]
async fn a_golden_query_is_embedded_once() {
    let mut base = Base::new(&DOCUMENTS);
    let embedder = Counting::new("fake");
    let (first, found) = batch(&mut base, (None, Some(&embedder))).await;
    assert_eq!(embedder.embedded().len(), 5, "three passages and two queries");
    assert!(found.unwrap().queries.iter().all(|golden| golden.vector.is_some()));
    base.write("wheels.md", "# Wheels\n\nA bent rim is sent to us.");
    let (second, _) = batch(&mut base, (first.golden, Some(&embedder))).await;
    assert!(!second.unchanged);
    assert_eq!(embedder.embedded(), ["Wheels\nA bent rim is sent to us."]);
    // Another embedder's vectors are never used.
    let other = Counting::new("other");
    batch(&mut base, (second.golden, Some(&other))).await;
    assert_eq!(other.embedded().len(), 5);
}

#[test]
fn a_line_that_is_no_golden_query_is_told_by_its_number() {
    let wrong = |text: &str| read_golden(text).unwrap_err();
    assert_eq!(wrong("\n{\"query\": \"x\", \"relevant\": []}").0, 2);
    assert_eq!(wrong("{\"query\": \" \", \"relevant\": [\"a\"]}").1, "the query is empty");
    assert_eq!(wrong("{\"query\": \"x\"}\nx").0, 1);
    assert_eq!(wrong("\n\n").1, "there are no queries");
}
