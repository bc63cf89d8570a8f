//! Of documents that say the same one is found, and the others come back when it goes.

use crate::snapshot::tests::Base;
use crate::spec::Duplicates;
use crate::{Ask, RefreshInput, Refreshed, refresh};

async fn batch(base: &mut Base, duplicates: Duplicates) -> Refreshed {
    let mut input: RefreshInput = base.input(100);
    input.spec.preparation.duplicates = duplicates;
    let refreshed = refresh(input).await.unwrap();
    (base.parent, base.ledger) = (Some(refreshed.manifest), Some(refreshed.ledger));
    refreshed
}

/// What is found, each with what says the same.
async fn found(base: &Base, filter: &str) -> Vec<(String, Vec<String>)> {
    let snapshot = base.open().await;
    let filters = if filter.is_empty() { Vec::new() } else { vec![filter.parse().unwrap()] };
    let found = snapshot.retrieve(&Ask { filters, ..snapshot.ask("helmets", 10) }).unwrap();
    found.passages.into_iter().map(|hit| (hit.document, hit.copies)).collect()
}

fn one(document: &str, copies: &[&str]) -> (String, Vec<String>) {
    (document.to_owned(), copies.iter().map(|copy| (*copy).to_owned()).collect())
}

const TEXT: &str = "Helmets go back within 14 days.";

#[tokio::test]
async fn equal_documents_are_found_once_and_the_copy_is_back_when_the_other_goes() {
    let mut base = Base::new(&[("a.md", TEXT), ("b.md", TEXT), ("c.md", "Helmets are blue.")]);
    let first = batch(&mut base, Duplicates::Equal).await;
    assert_eq!((first.report.documents, first.report.chunks), (3, 2));
    let mut all = found(&base, "").await;
    all.sort();
    assert_eq!(all, [one("a.md", &["b.md"]), one("c.md", &[])]);
    assert_eq!(
        base.open().await.retrieve(&base.open().await.ask("helmets", 1)).unwrap().considered,
        2
    );
    // Either of the two may go, in whatever way, and nothing is cut anew.
    let manifest = base.open().await.manifest;
    let without = manifest.without("a.md").unwrap();
    assert_eq!(without.documents["b.md"].copy_of, None);
    assert_eq!(without.segments(), manifest.segments());
    assert_eq!(manifest.without("b.md").unwrap().documents["a.md"].copy_of, None);
    base.remove("a.md");
    let second = batch(&mut base, Duplicates::Equal).await;
    assert_eq!(second.report.diff.removed, ["a.md"]);
    assert!(found(&base, "").await.contains(&one("b.md", &[])));
    assert_eq!(base.open().await.manifest.segments(), manifest.segments());
}

#[tokio::test]
async fn a_filter_that_only_the_copy_passes_finds_the_copy_and_names_no_other() {
    let mut base = Base::new(&[("a.md", TEXT), ("b.md", TEXT), ("sub/c.md", TEXT)]);
    batch(&mut base, Duplicates::Equal).await;
    assert_eq!(found(&base, "path!=a.md").await, [one("b.md", &["sub/c.md"])]);
    assert_eq!(found(&base, "path=sub/c.md").await, [one("sub/c.md", &[])]);
    assert_eq!(found(&base, "path=d.md").await, []);
}

#[tokio::test]
async fn documents_that_nearly_say_the_same_are_found_once_only_if_that_is_wanted() {
    let long = |number: usize| {
        let words: Vec<_> = (0..300).map(|at| format!("word{at}")).collect();
        format!("Helmets. {} They cost {number} dollars.", words.join(" "))
    };
    let mut base = Base::new(&[("a.md", &long(10)), ("b.md", "Something else of helmets.")]);
    batch(&mut base, Duplicates::Near).await;
    base.write("0.md", &long(12));
    let second = batch(&mut base, Duplicates::Near).await;
    // What is served already stays, though the new one comes before it by name.
    let mut documents: Vec<_> = found(&base, "").await;
    documents.dedup();
    assert!(documents.contains(&one("a.md", &["0.md"])), "{documents:?}");
    assert!(!documents.iter().any(|(document, _)| document == "0.md"));
    let copies = second.report.quality.checks.iter().find(|check| check.gate == "max_copies");
    assert_eq!(copies.unwrap().documents, ["0.md"]);
    // Told again, nothing changes; told to keep all, nothing is cut anew.
    assert!(batch(&mut base, Duplicates::Near).await.unchanged);
    let segments = base.open().await.manifest.segments();
    batch(&mut base, Duplicates::Keep).await;
    assert_eq!(base.open().await.manifest.segments(), segments);
    assert!(found(&base, "").await.iter().any(|(document, _)| document == "0.md"));
    // A copy that is changed is no copy any more.
    base.write("0.md", "Helmets and nothing else.");
    batch(&mut base, Duplicates::Near).await;
    assert!(found(&base, "").await.contains(&one("0.md", &[])));
}

#[tokio::test]
async fn what_a_batch_brought_goes_without_hiding_what_it_was_the_same_as() {
    let mut base = Base::new(&[("a.md", "Wheels."), ("z.md", "Helmets are blue.")]);
    batch(&mut base, Duplicates::Equal).await;
    let before = base.open().await.manifest;
    base.write("a.md", TEXT);
    batch(&mut base, Duplicates::Equal).await;
    let after = base.open().await.manifest;
    base.write("b.md", TEXT);
    batch(&mut base, Duplicates::Equal).await;
    let newest = base.open().await.manifest;
    assert_eq!(newest.documents["b.md"].copy_of.as_deref(), Some("a.md"));
    // Without the second batch `a.md` says something else: `b.md` is found itself.
    let without = newest.without_batch(&before, &after);
    assert_eq!(without.documents["a.md"], before.documents["a.md"]);
    assert_eq!(without.documents["b.md"].copy_of, None);
}
