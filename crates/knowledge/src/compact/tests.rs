//! Compaction changes where passages are, and nothing else.

use std::fs;
use std::sync::Arc;

use release::TenantId;

use super::equivalence::compare;
use super::*;
use crate::embed::tests::{Counting, embedding};
use crate::segment::{Cut, Matrix, build};
use crate::snapshot::tests::Base;
use crate::{RefreshInput, refresh};

/// A base with vectors that was refreshed often: each time a document came and another changed, and
/// at last one went.
async fn worn_base() -> (Base, Arc<Counting>) {
    let mut base =
        Base::new(&[("changing.md", "Version 0 of the notes."), ("stays.md", "It stays.")]);
    let embedder = Counting::new("fake");
    for round in 1..=6 {
        base.write(
            &format!("{round}.md"),
            &format!("# Round {round}\n\nWheels and brakes, {round}."),
        );
        base.write("changing.md", &format!("Version {round} of the notes on wheels."));
        if round == 6 {
            fs::remove_file(base.home.path().join("docs/2.md")).unwrap();
        }
        let embedding = Some(embedding(&base, &embedder).await);
        let refreshed = refresh(RefreshInput { embedding, ..base.input(100) }).await.unwrap();
        (base.parent, base.ledger) = (Some(refreshed.manifest), Some(refreshed.ledger));
    }
    (base, embedder)
}

fn blobs(base: &Base) -> TenantBlobs {
    base.blobs.tenant(&TenantId::DEFAULT)
}

#[tokio::test]
async fn a_worn_snapshot_becomes_one_segment_that_answers_alike_and_nothing_is_embedded() {
    let (mut base, embedder) = worn_base().await;
    let before = base.open().await;
    embedder.embedded();
    let told = compact(&blobs(&base), before.digest, Vec::new(), true).await.unwrap().unwrap();
    // The second segment went by itself: nothing in it counts any more.
    let wear_before = Wear { segments: 5, rows: 11, dead: 4 };
    assert_eq!((told.0.before, told.1), (wear_before, None), "a dry run makes nothing");
    assert_eq!(told.0.after, Wear { segments: 1, rows: 7, dead: 0 });

    let (done, compacted) =
        compact(&blobs(&base), before.digest, Vec::new(), false).await.unwrap().unwrap();
    let compacted = compacted.unwrap();
    assert!(compacted.report.quality.passed(), "{:?}", compacted.report.quality);
    assert_eq!((done.after, done.questions), (told.0.after, 7));
    assert!(embedder.embedded().is_empty());
    base.parent = Some(compacted.manifest);
    let after = base.open().await;
    assert_eq!(wear(&after), done.after);
    assert!(after.manifest.since(&before.manifest) == crate::Diff::default());

    let again = compact(&blobs(&base), after.digest, Vec::new(), false).await.unwrap();
    assert_eq!(again, None, "there is nothing more to gain");
    // The next refresh goes on from there, and makes nothing of it.
    let embedding = Some(embedding(&base, &embedder).await);
    let next = refresh(RefreshInput { embedding, ..base.input(100) }).await.unwrap();
    assert!(next.unchanged);
}

#[tokio::test]
async fn what_is_not_the_same_knowledge_is_told() {
    let (base, _embedder) = worn_base().await;
    let before = base.open().await;
    let places = places(&before);
    let cuts = || -> Vec<Cut> {
        places.values().map(|(segment, document)| segment.cut(document).unwrap()).collect()
    };
    let mut matrix = Matrix::new(24);
    for (segment, document) in places.values() {
        let vectors = segment.vectors.as_ref().unwrap();
        matrix.values.extend(vectors.values(document.rows.clone()));
    }
    let rebuilt = async |cuts: Vec<Cut>, matrix: &Matrix, forgets: Option<&str>| {
        let segment = blobs(&base).put(build(&cuts, Some(matrix)).unwrap()).await.unwrap();
        let mut manifest = before.manifest.clone();
        manifest.documents.values_mut().for_each(|entry| entry.segment = Some(segment));
        manifest.documents.retain(|path, _| Some(path.as_str()) != forgets);
        let digest = blobs(&base).put(manifest.bytes().unwrap().into()).await.unwrap();
        let after = SnapshotCache::default().open(&blobs(&base), digest).await.unwrap();
        compare(&before, &after, &[]).unwrap().differences
    };
    assert_eq!(rebuilt(cuts(), &matrix, None).await, [] as [String; 0]);
    let mut other = cuts();
    other[0].chunks[0].text.push('!');
    assert_eq!(rebuilt(other, &matrix, None).await, ["1.md has other passages"]);
    let mut turned = matrix.clone();
    turned.values[24] += f32::EPSILON;
    assert_eq!(rebuilt(cuts(), &turned, None).await, ["3.md has other vectors"]);
    let lost = rebuilt(cuts(), &matrix, Some("stays.md")).await;
    assert_eq!(lost, ["its documents differ", "stays.md is not there"]);
}

#[tokio::test]
async fn of_what_a_rewritten_segment_leaves_out_no_word_stays() {
    let mut base = Base::new(&[("a.md", "Alpha stays."), ("b.md", "The canary zyzzyva goes.")]);
    base.refresh().await;
    let snapshot = base.open().await;
    let segment = &snapshot.parts()[0].segment;
    let kept: Vec<_> = segment.documents.iter().filter(|one| one.path == "a.md").collect();
    let rows: Vec<_> = kept.iter().map(|document| (&**segment, *document)).collect();
    let bytes = segment::rewrite(&rows).unwrap();
    let rewritten = Segment::open(Digest::of(&bytes), bytes.clone()).unwrap();
    assert_eq!((rewritten.rows(), &rewritten.documents), (1, &kept.into_iter().cloned().collect()));
    let holds = |bytes: &[u8]| bytes.windows(7).any(|seven| seven == b"zyzzyva");
    assert!(!holds(&bytes));
    let count = |segment: &Segment, word: &str| {
        let term = tantivy::Term::from_field_text(segment.field, word);
        segment.postings.doc_freq(&term).unwrap()
    };
    assert_eq!((count(segment, "zyzzyva"), count(&rewritten, "zyzzyva")), (1, 0));
    assert_eq!(count(&rewritten, "alpha"), 1);
}
