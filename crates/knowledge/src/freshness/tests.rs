use release::{Digest, Timestamp};

use super::{Alert, Backlog, Lag, Lags, Polls, Standing, backlog, lags};
use crate::{DocumentEntry, Facts, Gone, Known, Ledger, Manifest};

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
}

/// Documents of these bytes, changed and fetched at these minutes.
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

fn gone(ledger: &mut Ledger, path: &str, last_seen: i64, found_at: i64) {
    let (last_seen, found_at) = (at(last_seen), at(found_at));
    let gone = Gone { source: "files".to_owned(), last_seen, found_at };
    ledger.gone.insert(path.to_owned(), gone);
}

fn waiting(known: &Ledger, serving: Option<&Ledger>) -> Backlog {
    let serving = serving.map(manifest);
    backlog(known, known, serving.as_ref()).remove("files").unwrap_or_default()
}

#[test]
fn a_change_is_stale_from_its_change_at_the_source_until_it_serves() {
    let old = ledger(&[("a", "1", 0), ("b", "1", 0)]);
    let new = ledger(&[("a", "2", 10), ("b", "1", 0)]);
    let mut polls = Polls::default();
    polls.succeeded(at(12));
    let standing = Standing { backlog: waiting(&new, Some(&old)), ..Standing::default() };
    let told = standing.freshness("files", (Some(3_600), &polls), at(40));
    assert_eq!((told.staleness, told.pending), (30 * 60, 1));
    assert_eq!((told.unknown_age, told.burn), (Some(28 * 60), Some(0.5)));
    let served = lags(&new, (&old, at(5)), at(40));
    assert_eq!(served["files"], [1_800]);
    assert_eq!(waiting(&new, Some(&new)), Backlog::default());
    let told = Standing::default().freshness("files", (Some(3_600), &polls), at(50));
    assert_eq!((told.staleness, told.pending, told.burn), (0, 0, Some(0.0)));
}

#[test]
fn a_deletion_is_a_change_from_when_the_document_was_last_seen() {
    let old = ledger(&[("a", "1", 0), ("b", "1", 0)]);
    let mut new = ledger(&[("a", "1", 0)]);
    gone(&mut new, "b", 20, 30);
    let expected = Backlog { pending: 1, oldest: Some(at(20)) };
    assert_eq!(waiting(&new, Some(&old)), expected);
    assert_eq!(waiting(&new, Some(&new)), Backlog::default());
    assert_eq!(lags(&new, (&old, at(5)), at(50))["files"], [30 * 60]);
}

#[test]
fn what_was_taken_out_does_not_wait() {
    let (old, new) = (ledger(&[("a", "1", 0)]), ledger(&[("a", "2", 10)]));
    let mut newest = old.clone();
    newest.excised.entry("a".to_owned()).or_default().insert(Digest::of(b"2"));
    assert_eq!(backlog(&new, &newest, Some(&manifest(&old))), [].into());
    assert_eq!(backlog(&new, &old, Some(&manifest(&old)))["files"].pending, 1);
}

#[test]
fn what_a_rollback_takes_back_waits_again_and_serves_no_change() {
    let old = ledger(&[("a", "1", 0), ("gone", "1", 0)]);
    let mut new = ledger(&[("a", "2", 10), ("b", "1", 12)]);
    gone(&mut new, "gone", 9, 12);
    assert_eq!(waiting(&new, Some(&new)).pending, 0);
    // The snapshots were made at 1 and 13.
    assert_eq!(lags(&old, (&new, at(13)), at(60)), [].into());
    assert_eq!(waiting(&new, Some(&old)), Backlog { pending: 3, oldest: Some(at(9)) });
    let mut again = lags(&new, (&old, at(1)), at(70)).remove("files").unwrap();
    again.sort_unstable();
    assert_eq!(again, [58 * 60, 60 * 60, 61 * 60]);
}

#[test]
fn the_first_documents_of_a_source_are_no_changes() {
    let first = ledger(&[("a", "1", 10)]);
    assert_eq!(lags(&first, (&Ledger::default(), at(5)), at(40)), [].into());
    assert_eq!(waiting(&first, None), Backlog { pending: 1, oldest: Some(at(10)) });
}

#[test]
fn a_poll_that_fails_makes_the_age_unknown_and_burns_the_promise() {
    let mut polls = Polls::default();
    polls.succeeded(at(0));
    let told = |polls: &Polls| Standing::default().freshness("f", (Some(3_600), polls), at(60));
    assert_eq!((told(&polls).burn, told(&polls).unknown_age), (Some(0.0), Some(3_600)));
    polls.failed(at(30), "gone".to_owned());
    polls.failed(at(60), "still gone".to_owned());
    assert_eq!(polls.failing.as_ref().unwrap().since, at(30));
    assert_eq!(told(&polls).burn, Some(1.0));
    polls.succeeded(at(60));
    assert_eq!((told(&polls).burn, told(&polls).unknown_age), (Some(0.0), Some(0)));
    // One that could never be read burns from the first try on.
    let mut never = Polls::default();
    never.failed(at(30), "gone".to_owned());
    assert_eq!((told(&never).burn, told(&never).unknown_age), (Some(0.5), None));
}

#[test]
fn a_look_counts_as_a_poll_and_whichever_was_later_counts() {
    let (mut read, mut looks) = (Polls::default(), Polls::default());
    read.succeeded(at(0));
    looks.succeeded(at(5));
    assert_eq!(read.and(&looks).succeeded_at, Some(at(5)));
    read.failed(at(3), "busy".to_owned());
    assert_eq!(read.and(&looks).failing, None, "it was reached since");
    read.failed(at(7), "busy".to_owned());
    assert_eq!(read.and(&looks).failing, None, "it fails since before, and was reached since");
    looks.failed(at(9), "gone".to_owned());
    assert_eq!(read.and(&looks).failing.unwrap().reason, "gone");
}

#[test]
fn a_clock_that_is_ahead_at_the_source_makes_nothing_negative() {
    let known = ledger(&[("a", "1", 500)]);
    let standing = Standing { backlog: waiting(&known, None), ..Standing::default() };
    let mut polls = Polls::default();
    polls.succeeded(at(90));
    let told = standing.freshness("files", (None, &polls), at(60));
    assert_eq!((told.staleness, told.pending, told.unknown_age), (0, 1, Some(0)));
    assert_eq!(told.burn, None);
}

#[test]
fn each_level_is_told_once_and_is_over_when_most_of_the_promise_is_there_again() {
    let burns = [0.0, 0.8, 0.9, 1.0, 0.9, 2.0, 0.79, 1.5, 0.0];
    let mut alert = Alert::default();
    let told = burns.map(|burn| {
        alert = alert.next(Some(burn));
        alert
    });
    let (kept, burning, broken) = (Alert::Kept, Alert::Burning, Alert::Broken);
    let expected = [kept, burning, burning, broken, broken, broken, kept, broken, kept];
    assert_eq!(told, expected);
    assert_eq!(broken.next(None), kept, "nothing is promised any more");
}

#[test]
fn quantiles_are_of_the_newest_lags_by_nearest_rank() {
    let mut lags = Lags::default();
    lags.extend(0..=1_000);
    assert_eq!(lags.quantiles(), Some(Lag { p50: 500, p95: 950, max: 1_000 }));
    let mut one = Lags::default();
    one.extend([7]);
    assert_eq!(one.quantiles(), Some(Lag { p50: 7, p95: 7, max: 7 }));
    assert_eq!(Lags::default().quantiles(), None);
}
