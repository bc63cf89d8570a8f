//! Figures are what they say they are.

use super::*;
use crate::snapshot::tests::Base;

fn hit(document: &str) -> Retrieved {
    Retrieved {
        id: Digest::of(document.as_bytes()),
        document: document.to_owned(),
        title: String::new(),
        headings: Vec::new(),
        text: String::new(),
        score: 0.0,
        start: 0,
        end: 0,
        start_char: 0,
        end_char: 0,
        page: None,
        parent: None,
        copies: Vec::new(),
        why: None,
    }
}

fn relevant(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_document_counts_where_its_first_passage_stands() {
    let found = ["x", "a", "a", "b"].map(hit);
    let [hit, reciprocal, gain, recall] = measure(&found, &relevant(&["a", "b", "c"]), 3);
    assert_eq!((hit, reciprocal), (1.0, 0.5));
    assert!((recall - 1.0 / 3.0).abs() < 1e-12, "b stands beyond 3: {recall}");
    let best = discount(1) + discount(2) + discount(3);
    assert!((gain - (discount(2) + discount(4)) / best).abs() < 1e-12, "{gain}");
}

#[test]
fn a_passage_can_be_relevant_by_its_id() {
    let found = ["a", "b"].map(hit);
    let id = Digest::of(b"b").to_string();
    assert_eq!(measure(&found, &relevant(&[&id]), 10)[1], 0.5);
    assert_eq!(measure(&found, &relevant(&["z"]), 10), [0.0; 4]);
    assert_eq!(measure(&found, &[], 10), [0.0; 4]);
}

#[test]
fn intervals_hold_the_mean_and_are_the_same_every_time() {
    let measured: Vec<[f64; 4]> = (0..100).map(|n| [f64::from(n % 2); 4]).collect();
    let figure = scores(&measured).hit_at_k;
    assert_eq!(figure.mean, 0.5);
    assert!(figure.low < 0.5 && figure.low > 0.38 && figure.high > 0.5 && figure.high < 0.62);
    assert_eq!(scores(&measured), scores(&measured));
    let sure = scores(&[[1.0; 4]; 30]).hit_at_k;
    assert_eq!((sure.low, sure.high), (1.0, 1.0));
}

#[tokio::test]
async fn a_snapshot_without_queries_of_its_own_is_asked_for_its_own_passages() {
    let documents: Vec<_> =
        (0..30).map(|n| (format!("{n}.md"), format!("# Part {n}\n\nText {n}."))).collect();
    let documents: Vec<_> =
        documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let mut base = Base::new(&documents);
    base.refresh().await;
    let snapshot = base.open().await;
    let drawn = snapshot.drawn_queries(10).unwrap();
    assert_eq!(drawn.len(), 10);
    let queries: BTreeSet<_> = drawn.iter().map(|query| &query.query).collect();
    assert_eq!(queries.len(), 10);
    assert_eq!(snapshot.drawn_queries(100).unwrap().len(), 30);
    let golden = GoldenQueries::record(&snapshot, &drawn, 5).unwrap();
    assert!(golden.queries.iter().all(|query| !query.top.is_empty()));
    assert_eq!(golden.differences(&golden.again(&base.open().await).unwrap()), [""; 0]);
}
