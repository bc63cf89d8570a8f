use std::collections::BTreeMap;

use release::{Digest, Timestamp};

use super::{Lag, Lags, Polls, freshness};
use crate::{DocumentEntry, Facts, Known, Ledger, Manifest};

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
}

fn ledger(documents: &[(&str, &str, i64)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (path, text, minutes) in documents {
        let known = Known {
            source: "files".to_owned(),
            mark: String::new(),
            raw: Digest::of(text.as_bytes()),
            version: None,
            modified_at: at(*minutes),
            estimated: false,
            fetched_at: at(*minutes),
            facts: Facts::default(),
            signature: None,
        };
        ledger.documents.insert((*path).to_owned(), known);
    }
    ledger
}

fn manifest(ledger: &Ledger) -> Manifest {
    let mut manifest = Manifest::empty(Digest::of(b"recipe"));
    for (path, known) in &ledger.documents {
        let entry = DocumentEntry {
            raw: known.raw,
            segment: None,
            modified_ms: 0,
            chunks: 0,
            copy_of: None,
        };
        manifest.documents.insert(path.clone(), entry);
    }
    manifest
}

fn promised(polls: Polls, lags: Lags) -> BTreeMap<String, (Option<i64>, Polls, Lags)> {
    BTreeMap::from([("files".to_owned(), (Some(3_600), polls, lags))])
}

#[test]
fn a_change_is_stale_from_its_change_at_the_source_until_it_serves() {
    let old = ledger(&[("a", "1", 0), ("b", "1", 0)]);
    let new = ledger(&[("a", "2", 10), ("b", "1", 0)]);
    let mut polls = Polls::default();
    polls.succeeded(at(12));
    let told = freshness(&new, Some(&manifest(&old)), &promised(polls, Lags::default()), at(40));
    assert_eq!((told[0].staleness, told[0].pending), (30 * 60, 1));
    assert_eq!((told[0].unknown_age, told[0].burn), (Some(28 * 60), Some(0.5)));
    let mut lags = Lags::default();
    lags.served(("files", &new), (Some(&manifest(&old)), &manifest(&new)), at(40));
    assert_eq!(lags.quantiles(), Some(Lag { p50: 1_800, p95: 1_800, max: 1_800 }));
    let told = freshness(&new, Some(&manifest(&new)), &promised(Polls::default(), lags), at(50));
    assert_eq!((told[0].staleness, told[0].pending, told[0].burn), (0, 0, Some(0.0)));
}

#[test]
fn a_poll_that_fails_makes_the_age_unknown_and_burns_the_promise() {
    let known = ledger(&[("a", "1", 0)]);
    let serving = manifest(&known);
    let mut polls = Polls::default();
    polls.succeeded(at(0));
    let told = freshness(&known, Some(&serving), &promised(polls.clone(), Lags::default()), at(60));
    assert_eq!((told[0].burn, told[0].unknown_age), (Some(0.0), Some(3_600)));
    polls.failed(at(30), "gone".to_owned());
    polls.failed(at(60), "still gone".to_owned());
    assert_eq!(polls.failing.as_ref().unwrap().since, at(30));
    let told = freshness(&known, Some(&serving), &promised(polls, Lags::default()), at(60));
    assert_eq!(told[0].burn, Some(1.0));
    let never = freshness(&known, None, &promised(Polls::default(), Lags::default()), at(60));
    assert_eq!((never[0].unknown_age, never[0].staleness), (None, 3_600));
}

#[test]
fn a_clock_that_is_ahead_at_the_source_makes_nothing_negative() {
    let known = ledger(&[("a", "1", 500)]);
    let told = freshness(&known, None, &promised(Polls::default(), Lags::default()), at(60));
    assert_eq!(told[0].staleness, 0);
}

#[test]
fn quantiles_are_of_the_newest_lags_by_nearest_rank() {
    let lags = Lags((1..=100).collect());
    assert_eq!(lags.quantiles(), Some(Lag { p50: 50, p95: 95, max: 100 }));
    assert_eq!(Lags(vec![7]).quantiles(), Some(Lag { p50: 7, p95: 7, max: 7 }));
    assert_eq!(Lags::default().quantiles(), None);
}
