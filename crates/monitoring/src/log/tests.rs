//! The log loses nothing it acknowledged and notices what it did not write.

use std::fs;

use super::*;
use crate::record::tests::record;

async fn fill(directory: &Path, options: LogOptions, traces: std::ops::Range<u8>) -> TraceLog {
    let log = TraceLog::open(directory, options).unwrap();
    for trace in traces {
        log.append(&record(trace)).await.unwrap();
    }
    log
}

fn only_segment(directory: &Path) -> PathBuf {
    segments(directory).unwrap().pop().unwrap()
}

fn traces(log: &TraceLog) -> Vec<u8> {
    let all = log.list(&TenantId::DEFAULT, &Filter::default(), 1_000).unwrap();
    all.iter().rev().map(|summary| summary.trace.as_bytes()[0]).collect()
}

#[tokio::test]
async fn a_record_is_readable_at_once_and_by_its_tenant_only() {
    let directory = tempfile::tempdir().unwrap();
    let log = fill(directory.path(), LogOptions::default(), 1..4).await;
    let trace = TraceId::from_bytes([2; 16]);
    assert_eq!(log.show(&TenantId::DEFAULT, trace).unwrap(), Some(record(2)));
    let other: TenantId = "other".parse().unwrap();
    assert_eq!(log.show(&other, trace).unwrap(), None);
    assert!(log.list(&other, &Filter::default(), 10).unwrap().is_empty());
    assert_eq!(traces(&log), [1, 2, 3]);
}

#[tokio::test]
async fn a_second_process_finds_the_log_locked() {
    let directory = tempfile::tempdir().unwrap();
    let _log = fill(directory.path(), LogOptions::default(), 1..2).await;
    let second = TraceLog::open(directory.path(), LogOptions::default());
    assert!(matches!(second, Err(LogError::Locked(_))));
}

#[tokio::test]
async fn a_torn_end_is_cut_wherever_it_is_torn_and_sequences_go_on() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path(), LogOptions::default(), 1..4).await);
    let segment = only_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let last = Reader::open(&segment).unwrap().flatten().last().unwrap().0 as usize;
    for cut in (last + 1..whole.len()).step_by(37) {
        fs::write(&segment, &whole[..cut]).unwrap();
        let log = TraceLog::open(directory.path(), LogOptions::default()).unwrap();
        assert_eq!(traces(&log), [1, 2], "cut at {cut}");
        assert_eq!(log.append(&record(9)).await.unwrap().sequence, 3);
        drop(log);
    }
}

#[tokio::test]
async fn a_flipped_byte_costs_its_record_only_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path(), LogOptions::default(), 1..4).await);
    let segment = only_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let second = Reader::open(&segment).unwrap().flatten().nth(1).unwrap().0 as usize;
    for flip in [second, second + 5, second + 40] {
        let mut bytes = whole.clone();
        bytes[flip] ^= 0x40;
        fs::write(&segment, bytes).unwrap();
        let log = TraceLog::open(directory.path(), LogOptions::default()).unwrap();
        assert_eq!((traces(&log), log.stats().corrupt), (vec![1, 3], 1), "flipped at {flip}");
        drop(log);
    }
}

#[tokio::test]
async fn a_damaged_last_record_is_no_unfinished_write_and_is_kept_and_named() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path(), LogOptions::default(), 1..4).await);
    let segment = only_segment(directory.path());
    let mut bytes = fs::read(&segment).unwrap();
    let last = Reader::open(&segment).unwrap().flatten().last().unwrap().0 as usize;
    bytes[last + 60] ^= 0x40;
    fs::write(&segment, &bytes).unwrap();
    let log = TraceLog::open(directory.path(), LogOptions::default()).unwrap();
    assert_eq!((traces(&log), log.stats().corrupt), (vec![1, 2], 1));
    log.append(&record(9)).await.unwrap();
    assert_eq!(traces(&log), [1, 2, 9]);
    assert!(fs::read(&segment).unwrap().starts_with(&bytes));
}

#[tokio::test]
async fn a_record_that_is_damaged_while_the_log_is_open_is_an_error_not_an_absence() {
    let directory = tempfile::tempdir().unwrap();
    let log = fill(directory.path(), LogOptions::default(), 1..4).await;
    let segment = only_segment(directory.path());
    let mut bytes = fs::read(&segment).unwrap();
    let second = Reader::open(&segment).unwrap().flatten().nth(1).unwrap().0;
    bytes[second as usize + 60] ^= 0x40;
    fs::write(&segment, bytes).unwrap();
    let shown = log.show(&TenantId::DEFAULT, TraceId::from_bytes([2; 16]));
    let Err(LogError::Corrupt(error)) = shown else { panic!("{shown:?}") };
    assert_eq!((error.segment, error.offset), (segment, second));
}

#[tokio::test]
async fn segments_rotate_and_are_all_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    drop(fill(directory.path(), options, 1..20).await);
    let log = TraceLog::open(directory.path(), options).unwrap();
    assert!(segments(directory.path()).unwrap().len() > 3);
    assert_eq!(traces(&log), (1..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_log_refuses_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { max_bytes: 2_000, ..LogOptions::default() };
    let log = TraceLog::open(directory.path(), options).unwrap();
    let mut written = 0;
    let refused = loop {
        match log.append(&record(1)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Full { max_bytes: 2_000, .. }));
    assert!(matches!(log.admits(), Err(LogError::Full { .. })));
    let stats = log.stats();
    assert_eq!((stats.appended, stats.refused), (written, 2));
}

#[tokio::test]
async fn what_the_index_forgot_is_found_in_the_segments() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { index_capacity: 2, ..LogOptions::default() };
    let log = fill(directory.path(), options, 1..6).await;
    assert_eq!(log.stats().indexed, 2);
    let oldest = log.show(&TenantId::DEFAULT, TraceId::from_bytes([1; 16])).unwrap();
    assert_eq!(oldest, Some(record(1)));
    assert_eq!(traces(&log), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_group_commit_syncs_what_was_written_soon_after() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    let log = TraceLog::open(directory.path(), options).unwrap();
    let mut last = None;
    for trace in 1..20 {
        last = Some(log.append(&record(trace)).await.unwrap());
    }
    last.unwrap().synced().await.unwrap();
    assert_eq!(log.stats().synced, 19);
}

#[tokio::test]
async fn a_log_that_is_closed_has_synced_every_segment() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 3_000, ..LogOptions::default() };
    let log = fill(directory.path(), options, 1..20).await;
    let synced = log.shared.writer.synced();
    drop(log);
    assert_eq!(synced.borrow().sequence, 19);
}

#[tokio::test]
async fn sync_durability_waits_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions { durability: Durability::Sync, ..LogOptions::default() };
    let log = TraceLog::open(directory.path(), options).unwrap();
    let receipt = log.append(&record(1)).await.unwrap();
    assert!(log.stats().synced >= receipt.sequence);
}
