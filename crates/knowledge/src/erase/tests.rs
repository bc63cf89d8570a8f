use std::collections::BTreeSet;

use release::TenantId;
use tantivy::Term;

use super::*;
use crate::snapshot::tests::Base;

/// Every byte of a segment's passages and documents, unpacked.
fn unpacked(segment: &Segment) -> String {
    let documents = segment
        .documents
        .iter()
        .map(|document| format!("{document:?}{:?}", segment.cut(document).unwrap()));
    documents.collect()
}

async fn found(blobs: &TenantBlobs, snapshot: Digest, question: &str) -> Vec<String> {
    let snapshot = SnapshotCache::default().open(blobs, snapshot).await.unwrap();
    let found = snapshot.retrieve(&snapshot.ask(question, 10)).unwrap().passages;
    found.into_iter().map(|hit| hit.document).collect()
}

#[tokio::test]
async fn a_hidden_document_is_found_in_no_snapshot_and_its_segment_is_rewritten_without_it() {
    let mut base = Base::new(&[("ada.md", "A canary sings."), ("bob.md", "A sparrow sings.")]);
    base.refresh().await;
    let old = base.parent.unwrap();
    base.write("cy.md", "A robin sings.");
    base.refresh().await;
    let new = base.parent.unwrap();
    let blobs = base.blobs.tenant(&TenantId::DEFAULT);
    let ada: BTreeSet<_> = ["ada.md".to_owned()].into();
    let at = whereabouts(&blobs, &[old, new].into(), &ada).await.unwrap();
    assert_eq!((at.snapshots.len(), at.segments.len()), (2, 1));
    let segment = *at.segments.keys().next().unwrap();
    assert_eq!(found(&blobs, old, "canary").await, ["ada.md"]);
    let resident = SnapshotCache::default().open(&blobs, old).await.unwrap();

    blobs.hide(&segment, &ada).await.unwrap();
    assert!(!resident.is_current(&blobs).await.unwrap());
    for snapshot in [old, new] {
        assert!(found(&blobs, snapshot, "canary").await.is_empty());
        assert!(found(&blobs, snapshot, "sings").await.contains(&"bob.md".to_owned()));
    }
    let remains = remains(&blobs, segment, &BTreeSet::new(), &[]).await.unwrap();
    assert_eq!(remains.blobs, [segment]);

    let (from, to) = rewrite(&blobs, segment).await.unwrap().unwrap();
    blobs.succeed(&from, to).await.unwrap();
    assert!(rewrite(&blobs, segment).await.unwrap().is_none());
    blobs.shred(&segment).await.unwrap();
    let opened = SnapshotCache::default().open(&blobs, old).await.unwrap();
    assert_eq!(opened.erased, ada);
    assert!(opened.is_current(&blobs).await.unwrap());
    assert_eq!(found(&blobs, old, "sings sparrow").await, ["bob.md"]);
    let rewritten = open(&blobs, to).await.unwrap();
    assert!(!unpacked(&rewritten).contains("canary"));
    let term = |word| Term::from_field_text(rewritten.field, word);
    let frequency = |word| rewritten.postings.doc_freq(&term(word)).unwrap();
    assert_eq!((frequency("canary"), frequency("sparrow")), (0, 1));
}

#[tokio::test]
async fn a_segment_that_was_erased_whole_and_one_erased_twice_still_open() {
    let mut base = Base::new(&[("ada.md", "A canary."), ("bob.md", "A sparrow.")]);
    base.refresh().await;
    let snapshot = base.parent.unwrap();
    let blobs = base.blobs.tenant(&TenantId::DEFAULT);
    for document in ["ada.md", "bob.md"] {
        let documents: BTreeSet<_> = [document.to_owned()].into();
        let at = whereabouts(&blobs, &[snapshot].into(), &documents).await.unwrap();
        let segment = *at.segments.keys().next().unwrap();
        blobs.hide(&segment, &documents).await.unwrap();
        let remains = remains(&blobs, segment, &documents, &[]).await.unwrap();
        if let Some((from, to)) = rewrite(&blobs, segment).await.unwrap() {
            blobs.succeed(&from, to).await.unwrap();
        }
        for blob in remains.blobs {
            blobs.shred(&blob).await.unwrap();
        }
    }
    let opened = SnapshotCache::default().open(&blobs, snapshot).await.unwrap();
    assert_eq!(opened.erased.len(), 2);
    assert!(found(&blobs, snapshot, "sparrow").await.is_empty());
}
